/*
 * The tables of keys, see config/keys/key.h. How a value gets into its field is config/keys/field.c's.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "config/keys/key.h"
#include "config/keys/value.h"

#define MSEC UINT64_C(1000)
#define SEC  (1000 * MSEC)
#define MIN  (60 * SEC)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)
#define MIB  (UINT64_C(1) << 20)

#define ANY_SERVICE (CONFIG_SECTION_SERVICE | CONFIG_SECTION_PODS | CONFIG_SECTION_NAMESPACE)

/* --- values into fields --- */

static int word_parse(const struct config_key *key, const char *text, int *ret)
{
        for (const struct config_word *word = key->words; word->text; word++)
                if (strcmp(word->text, text) == 0) {
                        *ret = word->value;
                        return 0;
                }
        return -EINVAL;
}

static int parse_word(const struct config_key *key, const char *text, void *ret)
{
        int value;

        if (word_parse(key, text, &value) < 0)
                return -EINVAL;
        *(uint8_t *)ret = (uint8_t)value;
        return 0;
}

static int parse_bool(const struct config_key *key, const char *text, void *ret)
{
        int value;

        if (word_parse(key, text, &value) < 0)
                return -EINVAL;
        *(bool *)ret = value;
        return 0;
}

static int parse_level(const struct config_key *key, const char *text, void *ret)
{
        return word_parse(key, text, ret);
}

/* A key that has one value only and therefore no field. */
static int parse_fixed(const struct config_key *key, const char *text, void *ret)
{
        int value;

        (void)ret;
        return word_parse(key, text, &value);
}

static int in_range(const struct config_key *key, uint64_t value, uint64_t *ret)
{
        if (value < key->min || value > key->max)
                return -EINVAL;
        *ret = value;
        return 0;
}

static int parse_duration(const struct config_key *key, const char *text, void *ret)
{
        uint64_t value;

        return config_duration_parse(text, &value) < 0 ? -EINVAL : in_range(key, value, ret);
}

static int parse_size(const struct config_key *key, const char *text, void *ret)
{
        uint64_t value;

        return config_size_parse(text, &value) < 0 ? -EINVAL : in_range(key, value, ret);
}

static int parse_count(const struct config_key *key, const char *text, void *ret)
{
        uint64_t value;

        if (config_number_parse(text, &value) < 0 || in_range(key, value, &value) < 0)
                return -EINVAL;
        *(uint32_t *)ret = (uint32_t)value;
        return 0;
}

/* A word, else a count. */
static int parse_answers(const struct config_key *key, const char *text, void *ret)
{
        int value;

        if (word_parse(key, text, &value) < 0)
                return parse_count(key, text, ret);
        *(uint32_t *)ret = (uint32_t)value;
        return 0;
}

/* Strings: the name of the parser in config/keys/value.h is all that differs. */
#define PARSE_STRING(name)                                                                                             \
        static int parse_##name(const struct config_key *key, const char *text, void *ret)                             \
        {                                                                                                              \
                (void)key;                                                                                             \
                return config_##name##_parse(text, ret);                                                               \
        }

PARSE_STRING(label)
PARSE_STRING(domain)
PARSE_STRING(alias)
PARSE_STRING(path)
PARSE_STRING(url)
PARSE_STRING(listen)
PARSE_STRING(zone)
PARSE_STRING(selector)

static int parse_port(const struct config_key *key, const char *text, void *ret)
{
        (void)key;
        return khs_port_parse(text, strlen(text), ret);
}

/* The operator's word is good, loopback and link-local for a laptop too; but nobody can connect to these. */
static bool is_no_endpoint(const struct address *a)
{
        static const uint8_t unspecified[16];

        if (memcmp(a->bytes, unspecified, a->family == AF_INET ? 4 : 16) == 0)
                return true;
        return a->family == AF_INET ? a->bytes[0] >= 224 : a->bytes[0] == 0xff;
}

static int parse_endpoint(const struct config_key *key, const char *text, void *ret)
{
        struct address address;

        (void)key;
        if (config_address_parse(text, &address) < 0 || is_no_endpoint(&address))
                return -EINVAL;
        memcpy(ret, &address, sizeof(address));
        return 0;
}

static int parse_server(const struct config_key *key, const char *text, void *ret)
{
        struct address address;

        (void)key;
        if (config_address_parse(text, &address) < 0)
                return -EINVAL;
        if (address.port == 0)
                address.port = 53;
        memcpy(ret, &address, sizeof(address));
        return 0;
}

static int parse_network(const struct config_key *key, const char *text, void *ret)
{
        (void)key;
        return config_network_parse(text, ret);
}

/* --- the tables --- */

static const struct config_word source_words[] = {
        { "dns", KHS_SOURCE_DNS },
        { "kubernetes", KHS_SOURCE_KUBERNETES },
        { "static", KHS_SOURCE_STATIC },
        { 0 },
};
static const struct config_word transport_words[] = {
        { "tcp", CONFIG_TRANSPORT_TCP },
        { "udp", CONFIG_TRANSPORT_UDP },
        { 0 },
};
static const struct config_word bool_words[] = { { "yes", true }, { "no", false }, { 0 } };
static const struct config_word level_words[] = {
        { "error", LOG_ERR }, { "warning", LOG_WARNING }, { "notice", LOG_NOTICE },
        { "info", LOG_INFO }, { "debug", LOG_DEBUG },     { 0 },
};
static const struct config_word answers_words[] = {
        { "auto", KHS_ANSWERS_AUTO },
        { "single", 1 },
        { "all", KHS_ANSWERS_ALL },
        { 0 },
};
static const struct config_word order_words[] = {
        { "rotate", KHS_ORDER_ROTATE },
        { "random", KHS_ORDER_RANDOM },
        { "sticky", KHS_ORDER_STICKY },
        { "zone", KHS_ORDER_ZONE },
        { 0 },
};
static const struct config_word include_words[] = {
        { "ready", CONFIG_INCLUDE_READY },
        { "serving", CONFIG_INCLUDE_SERVING },
        { "all", CONFIG_INCLUDE_ALL },
        { 0 },
};
static const struct config_word family_words[] = {
        { "any", KHS_FAMILY_ANY },
        { "ipv4", KHS_FAMILY_IPV4 },
        { "ipv6", KHS_FAMILY_IPV6 },
        { 0 },
};
static const struct config_word hosts_words[] = {
        { "auto", CONFIG_HOSTS_AUTO },
        { "yes", CONFIG_HOSTS_YES },
        { "no", CONFIG_HOSTS_NO },
        { 0 },
};
static const struct config_word services_words[] = { { "headless", 0 }, { 0 } };

#define EXPECTED_SOURCE   "dns, kubernetes or static"
#define EXPECTED_REFRESH  "a duration from 50ms to 1h (500ms, 5s, 10m, 1h)"
#define EXPECTED_STALE    "a duration from 1s to 7d (30s, 10m, 1h, 7d)"
#define EXPECTED_ADDRESS  "ADDR, ADDR:PORT, [V6] or [V6]:PORT"
#define EXPECTED_ENDPOINT EXPECTED_ADDRESS "; not an unspecified, broadcast or multicast one"

#define DAEMON(field)                                                                                                  \
        .sections = CONFIG_SECTION_DAEMON, .offset = offsetof(struct config, field),                                   \
        .size = sizeof(((struct config *)NULL)->field)
#define SERVICE(field)                                                                                                 \
        .offset = offsetof(struct config_service, field), .size = sizeof(((struct config_service *)NULL)->field)
#define RANGE(low, high) .min = (low), .max = (high)
#define STRING(type)     .kind = CONFIG_KEY_STRING, .parse = parse_##type
#define DAEMON_LIST(field, most)                                                                                       \
        DAEMON(field), .kind = CONFIG_KEY_LIST, .offset_n = offsetof(struct config, n_##field),                        \
                       .item_size = sizeof(*((struct config *)NULL)->field), .max = (most)
#define SERVICE_LIST(field, most)                                                                                      \
        SERVICE(field), .offset_n = offsetof(struct config_service, n_##field),                                        \
                        .item_size = sizeof(*((struct config_service *)NULL)->field), .max = (most)

const struct config_key config_daemon_keys[CONFIG_N_DAEMON_KEYS] = {
        [CONFIG_DAEMON_REFRESH_MIN] = { "refresh-min", DAEMON(refresh_min), .parse = parse_duration,
                                        RANGE(50 * MSEC, HOUR), .fallback = "1s", .expected = EXPECTED_REFRESH },
        [CONFIG_DAEMON_REFRESH_MAX] = { "refresh-max", DAEMON(refresh_max), .parse = parse_duration,
                                        RANGE(50 * MSEC, HOUR), .fallback = "5s", .expected = EXPECTED_REFRESH },
        { "source", DAEMON(source), .parse = parse_word, .words = source_words, .fallback = "dns",
          .expected = EXPECTED_SOURCE },
        { "cluster-domain", DAEMON(cluster_domain), STRING(domain), .fallback = "cluster.local",
          .expected = "a domain name (cluster.local)" },
        { "namespace", DAEMON(namespace), STRING(label), .fallback = "auto",
          .expected = "auto or the name of a namespace" },
        { "dns-servers", DAEMON_LIST(dns_servers, 100), .parse = parse_server, .expected = EXPECTED_ADDRESS },
        { "dns-transport", DAEMON(dns_transport), .parse = parse_word, .words = transport_words, .fallback = "tcp",
          .expected = "tcp or udp" },
        { "query-rate", DAEMON(query_rate), .parse = parse_count, RANGE(1, 100000), .fallback = "200",
          .expected = "a number from 1 to 100000" },
        { "max-stale", DAEMON(max_stale), .parse = parse_duration, RANGE(SEC, 7 * DAY), .fallback = "1h",
          .expected = EXPECTED_STALE },
        { "orphan-max", DAEMON(orphan_max), .parse = parse_duration, RANGE(11 * SEC, 10 * MIN), .fallback = "30s",
          .expected = "a duration from 11s to 10m (30s, 2m)" },
        { "metrics-listen", DAEMON(metrics_listen), STRING(listen),
          .expected = "ADDR:PORT or [V6]:PORT (127.0.0.1:9768)" },
        { "allow-cidr", DAEMON_LIST(allow_cidr, 10000), .parse = parse_network,
          .expected = "ADDR/PREFIX with no bits beyond the prefix (10.0.0.0/8, fd00::/8)" },
        { "max-table-size", DAEMON(max_table_size), .parse = parse_size, RANGE(MIB, 8192 * MIB), .fallback = "256M",
          .expected = "a size from 1M to 8G (64M, 1G)" },
        { "reverse", DAEMON(reverse), .parse = parse_bool, .words = bool_words, .fallback = "no",
          .expected = "yes or no" },
        { "log-level", DAEMON(log_level), .parse = parse_level, .words = level_words, .fallback = "info",
          .expected = "error, warning, notice, info or debug" },
        { "kubeconfig", DAEMON(kubeconfig), STRING(path), .expected = "an absolute path" },
        { "api-server", DAEMON(api_server), STRING(url), .expected = "a URL (https://10.96.0.1:443)" },
        { "zone", DAEMON(zone), STRING(zone), .expected = "at most 63 letters, digits, '-', '_' and '.' (eu-west-1a)" },
};

const struct config_key config_service_keys[CONFIG_N_SERVICE_KEYS] = {
        [CONFIG_SERVICE_SOURCE] = { "source", SERVICE(source), .sections = CONFIG_SECTION_SERVICE, .parse = parse_word,
                                    .words = source_words, .expected = EXPECTED_SOURCE },
        [CONFIG_SERVICE_REFRESH_MIN] = { "refresh-min", SERVICE(refresh_min), .sections = ANY_SERVICE,
                                         .parse = parse_duration, RANGE(50 * MSEC, HOUR),
                                         .expected = EXPECTED_REFRESH },
        [CONFIG_SERVICE_REFRESH_MAX] = { "refresh-max", SERVICE(refresh_max), .sections = ANY_SERVICE,
                                         .parse = parse_duration, RANGE(50 * MSEC, HOUR),
                                         .expected = EXPECTED_REFRESH },
        [CONFIG_SERVICE_MAX_STALE] = { "max-stale", SERVICE(max_stale), .sections = ANY_SERVICE,
                                       .parse = parse_duration, RANGE(SEC, 7 * DAY), .expected = EXPECTED_STALE },
        [CONFIG_SERVICE_ALIAS] = { "alias", SERVICE_LIST(aliases, 1000), .kind = CONFIG_KEY_STRING_LIST,
                                   .sections = CONFIG_SECTION_SERVICE | CONFIG_SECTION_PODS, .parse = parse_alias,
                                   .expected = "host names of at most 253 bytes and 63 a label" },
        [CONFIG_SERVICE_SELECTOR] = { "selector", SERVICE(selector), .sections = CONFIG_SECTION_PODS, STRING(selector),
                                      .expected = "a label selector (app=worker,tier!=canary)" },
        { "port", SERVICE_LIST(ports, 100), .kind = CONFIG_KEY_LIST, .sections = ANY_SERVICE, .parse = parse_port,
          .expected = "a number from 1 to 65535, NAME, NAME/udp or NUMBER+" },
        { "answers", SERVICE(answers), .sections = ANY_SERVICE, .parse = parse_answers, .words = answers_words,
          RANGE(1, KHS_MAX_ADDRS), .fallback = "auto", .expected = "auto, single, all or a number from 1 to 5000" },
        { "order", SERVICE(order), .sections = ANY_SERVICE, .parse = parse_word, .words = order_words,
          .fallback = "rotate", .expected = "rotate, random, sticky or zone" },
        { "include", SERVICE(include), .sections = ANY_SERVICE, .parse = parse_word, .words = include_words,
          .fallback = "ready", .expected = "ready, serving or all" },
        { "family", SERVICE(family), .sections = ANY_SERVICE, .parse = parse_word, .words = family_words,
          .fallback = "any", .expected = "any, ipv4 or ipv6" },
        { "hosts", SERVICE(hosts), .sections = ANY_SERVICE, .parse = parse_word, .words = hosts_words,
          .fallback = "auto", .expected = "auto, yes or no" },
        { "endpoints", SERVICE_LIST(endpoints, KHS_MAX_ADDRS), .kind = CONFIG_KEY_LIST,
          .sections = CONFIG_SECTION_SERVICE, .parse = parse_endpoint, .expected = EXPECTED_ENDPOINT },
        { "services", .sections = CONFIG_SECTION_NAMESPACE, .parse = parse_fixed, .words = services_words,
          .fallback = "headless", .expected = "headless" },
};

const struct config_key *config_key_find(enum config_section section, const char *name)
{
        bool daemon = section == CONFIG_SECTION_DAEMON;
        const struct config_key *keys = daemon ? config_daemon_keys : config_service_keys;
        size_t n_keys = daemon ? CONFIG_N_DAEMON_KEYS : CONFIG_N_SERVICE_KEYS;

        for (size_t i = 0; i < n_keys; i++)
                if (keys[i].name && (keys[i].sections & section) && strcmp(keys[i].name, name) == 0)
                        return &keys[i];
        return NULL;
}

void config_key_names(enum config_section section, char *ret, size_t n_ret)
{
        bool daemon = section == CONFIG_SECTION_DAEMON;
        const struct config_key *keys = daemon ? config_daemon_keys : config_service_keys;
        size_t n_keys = daemon ? CONFIG_N_DAEMON_KEYS : CONFIG_N_SERVICE_KEYS, n = 0;

        ret[0] = '\0';
        for (size_t i = 0; i < n_keys && n < n_ret; i++)
                if (keys[i].sections & section)
                        n += (size_t)snprintf(ret + n, n_ret - n, "%s%s", n > 0 ? ", " : "", keys[i].name);
}
