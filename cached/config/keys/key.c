/*
 * The tables of keys. All that differs between two keys is in their rows: adding one is a row here, a
 * field in config/config.h with its free() in config.c, and a paragraph in k8shsvc.conf(5).
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/log.h"
#include "config/keys/key.h"
#include "config/keys/value.h"

#define MSEC UINT64_C(1000)
#define SEC  (1000 * MSEC)
#define MIN  (60 * SEC)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)
#define MIB  (UINT64_C(1) << 20)

#define ANY_SERVICE (CONFIG_SECTION_SERVICE | CONFIG_SECTION_PODS | CONFIG_SECTION_NAMESPACE)

/* ---- items of lists ---- */

static int port_parse(const char *text, void *ret)
{
        return khs_port_parse(text, strlen(text), ret);
}

/* The operator's word is good, loopback and link-local for a laptop too; but nobody can connect to these. */
static bool is_no_endpoint(const struct address *a)
{
        static const uint8_t unspecified[16];

        if (a->scope != 0 || memcmp(a->bytes, unspecified, a->family == AF_INET ? 4 : 16) == 0)
                return true;
        return a->family == AF_INET ? a->bytes[0] >= 224 : a->bytes[0] == 0xff;
}

static int endpoint_parse(const char *text, void *ret)
{
        struct address address;

        if (address_from_text(text, &address) < 0 || is_no_endpoint(&address))
                return -EINVAL;
        memcpy(ret, &address, sizeof(address));
        return 0;
}

static int server_parse(const char *text, void *ret)
{
        struct address address;

        if (address_from_text(text, &address) < 0)
                return -EINVAL;
        if (address.port == 0)
                address.port = 53;
        memcpy(ret, &address, sizeof(address));
        return 0;
}

static int network_parse(const char *text, void *ret)
{
        return network_from_text(text, ret);
}

/* ---- the tables ---- */

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
const struct config_word config_log_format_words[] = {
        { "auto", LOG_FORMAT_AUTO },
        { "journal", LOG_FORMAT_JOURNAL },
        { "text", LOG_FORMAT_TEXT },
        { "json", LOG_FORMAT_JSON },
        { 0 },
};
static const struct config_word answers_words[] = {
        { "auto", KHS_ANSWERS_AUTO },
        { "single", 1 },
        { "all", KHS_ANSWERS_ALL },
        { 0 },
};
static const struct config_word order_words[] = {
        { "rotate", KHS_ORDER_ROTATE }, { "random", KHS_ORDER_RANDOM }, { "sticky", KHS_ORDER_STICKY },
        { "zone", KHS_ORDER_ZONE },     { "node", KHS_ORDER_NODE },     { 0 },
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
#define STRING(type)     .string = config_##type##_parse
#define DAEMON_LIST(field, most)                                                                                       \
        DAEMON(field), .offset_n = offsetof(struct config, n_##field),                                                 \
                       .item_size = sizeof(*((struct config *)NULL)->field), .max = (most)
#define SERVICE_LIST(field, most)                                                                                      \
        SERVICE(field), .offset_n = offsetof(struct config_service, n_##field),                                        \
                        .item_size = sizeof(*((struct config_service *)NULL)->field), .max = (most)

const struct config_key config_daemon_keys[CONFIG_N_DAEMON_KEYS] = {
        [CONFIG_DAEMON_REFRESH_MIN] = { "refresh-min", DAEMON(refresh_min), .number = config_duration_parse,
                                        RANGE(50 * MSEC, HOUR), .fallback = "1s", .expected = EXPECTED_REFRESH },
        [CONFIG_DAEMON_REFRESH_MAX] = { "refresh-max", DAEMON(refresh_max), .number = config_duration_parse,
                                        RANGE(50 * MSEC, HOUR), .fallback = "5s", .expected = EXPECTED_REFRESH },
        { "source", DAEMON(source), .words = source_words, .fallback = "dns", .expected = EXPECTED_SOURCE },
        { "cluster-domain", DAEMON(cluster_domain), STRING(domain), .fallback = "cluster.local",
          .expected = "a domain name (cluster.local)" },
        { "namespace", DAEMON(namespace), STRING(label), .fallback = "auto",
          .expected = "auto or the name of a namespace" },
        { "dns-servers", DAEMON_LIST(dns_servers, 100), .item = server_parse, .expected = EXPECTED_ADDRESS },
        { "dns-transport", DAEMON(dns_transport), .words = transport_words, .fallback = "tcp",
          .expected = "tcp or udp" },
        { "query-rate", DAEMON(query_rate), .number = config_number_parse, RANGE(1, 100000), .fallback = "200",
          .expected = "a number from 1 to 100000" },
        { "max-stale", DAEMON(max_stale), .number = config_duration_parse, RANGE(SEC, 7 * DAY), .fallback = "1h",
          .expected = EXPECTED_STALE },
        { "orphan-max", DAEMON(orphan_max), .number = config_duration_parse, RANGE(11 * SEC, 10 * MIN),
          .fallback = "30s", .expected = "a duration from 11s to 10m (30s, 2m)" },
        { "metrics-listen", DAEMON(metrics_listen), STRING(listen),
          .expected = "ADDR:PORT or [V6]:PORT (127.0.0.1:9768)" },
        { "allow-cidr", DAEMON_LIST(allow_cidr, 10000), .item = network_parse,
          .expected = "ADDR/PREFIX with no bits beyond the prefix (10.0.0.0/8, fd00::/8)" },
        { "max-table-size", DAEMON(max_table_size), .number = config_size_parse, RANGE(MIB, 8192 * MIB),
          .fallback = "256M", .expected = "a size from 1M to 8G (64M, 1G)" },
        { "reverse", DAEMON(reverse), .words = bool_words, .fallback = "no", .expected = "yes or no" },
        { "log-level", DAEMON(log_level), .words = level_words, .fallback = "info",
          .expected = "error, warning, notice, info or debug" },
        { "log-format", DAEMON(log_format), .words = config_log_format_words, .fallback = "auto",
          .expected = CONFIG_LOG_FORMAT_EXPECTED },
        { "kubeconfig", DAEMON(kubeconfig), STRING(path), .expected = "an absolute path" },
        { "api-server", DAEMON(api_server), STRING(url), .expected = "a URL (https://10.96.0.1:443)" },
        { "zone", DAEMON(zone), STRING(zone), .expected = "at most 63 letters, digits, '-', '_' and '.' (eu-west-1a)" },
        { "node", DAEMON(node), STRING(domain), .expected = "the name of a node (worker-1)" },
};

const struct config_key config_service_keys[CONFIG_N_SERVICE_KEYS] = {
        [CONFIG_SERVICE_SOURCE] = { "source", SERVICE(source), .sections = CONFIG_SECTION_SERVICE,
                                    .words = source_words, .expected = EXPECTED_SOURCE },
        [CONFIG_SERVICE_REFRESH_MIN] = { "refresh-min", SERVICE(refresh_min), .sections = ANY_SERVICE,
                                         .number = config_duration_parse, RANGE(50 * MSEC, HOUR),
                                         .expected = EXPECTED_REFRESH },
        [CONFIG_SERVICE_REFRESH_MAX] = { "refresh-max", SERVICE(refresh_max), .sections = ANY_SERVICE,
                                         .number = config_duration_parse, RANGE(50 * MSEC, HOUR),
                                         .expected = EXPECTED_REFRESH },
        [CONFIG_SERVICE_MAX_STALE] = { "max-stale", SERVICE(max_stale), .sections = ANY_SERVICE,
                                       .number = config_duration_parse, RANGE(SEC, 7 * DAY),
                                       .expected = EXPECTED_STALE },
        [CONFIG_SERVICE_ALIAS] = { "alias", SERVICE_LIST(aliases, 1000),
                                   .sections = CONFIG_SECTION_SERVICE | CONFIG_SECTION_PODS, STRING(alias),
                                   .expected = "host names of at most 253 bytes and 63 a label" },
        [CONFIG_SERVICE_SELECTOR] = { "selector", SERVICE(selector), .sections = CONFIG_SECTION_PODS, STRING(selector),
                                      .expected = "a label selector (app=worker,tier!=canary)" },
        { "go-micro", SERVICE(go_micro), .sections = CONFIG_SECTION_PODS, STRING(go_micro),
          .expected =
                  "the name of a go-micro service, at most 54 letters, digits, '-', '_' and '.' (go.micro.srv.user)" },
        { "port", SERVICE_LIST(ports, 100), .sections = ANY_SERVICE, .item = port_parse,
          .expected = "a number from 1 to 65535, NAME, NAME/udp or NUMBER+" },
        { "answers", SERVICE(answers), .sections = ANY_SERVICE, .number = config_number_parse, .words = answers_words,
          RANGE(1, KHS_MAX_ADDRS), .fallback = "auto", .expected = "auto, single, all or a number from 1 to 5000" },
        { "order", SERVICE(order), .sections = ANY_SERVICE, .words = order_words, .fallback = "rotate",
          .expected = "rotate, random, sticky, zone or node" },
        { "include", SERVICE(include), .sections = ANY_SERVICE, .words = include_words, .fallback = "ready",
          .expected = "ready, serving or all" },
        { "family", SERVICE(family), .sections = ANY_SERVICE, .words = family_words, .fallback = "any",
          .expected = "any, ipv4 or ipv6" },
        { "hosts", SERVICE(hosts), .sections = ANY_SERVICE, .words = hosts_words, .fallback = "auto",
          .expected = "auto, yes or no" },
        { "endpoints", SERVICE_LIST(endpoints, KHS_MAX_ADDRS), .sections = CONFIG_SECTION_SERVICE,
          .item = endpoint_parse, .expected = EXPECTED_ENDPOINT },
        { "services", .sections = CONFIG_SECTION_NAMESPACE, .words = services_words, .fallback = "headless",
          .expected = "headless" },
};

static const struct config_key *keys_of(enum config_section section, size_t *ret_n_keys)
{
        bool daemon = section == CONFIG_SECTION_DAEMON;

        *ret_n_keys = daemon ? CONFIG_N_DAEMON_KEYS : CONFIG_N_SERVICE_KEYS;
        return daemon ? config_daemon_keys : config_service_keys;
}

const struct config_key *config_key_find(enum config_section section, const char *name)
{
        size_t n_keys;
        const struct config_key *keys = keys_of(section, &n_keys);

        for (size_t i = 0; i < n_keys; i++)
                if ((keys[i].sections & section) && strcmp(keys[i].name, name) == 0)
                        return &keys[i];
        return NULL;
}

void config_key_names(enum config_section section, const char *found, char ret[static CONFIG_KEY_NAMES_MAX])
{
        size_t n_keys, n = 0;
        const struct config_key *keys = keys_of(section, &n_keys);
        struct hint hint = { 0 };

        for (size_t i = 0; i < n_keys && n < CONFIG_KEY_NAMES_MAX; i++) {
                if (!(keys[i].sections & section))
                        continue;
                hint_offer(&hint, found, keys[i].name);
                n += (size_t)snprintf(ret + n, CONFIG_KEY_NAMES_MAX - n, "%s%s", n > 0 ? ", " : "", keys[i].name);
        }
        if (n < CONFIG_KEY_NAMES_MAX)
                (void)snprintf(ret + n, CONFIG_KEY_NAMES_MAX - n, "%s", hint.text);
}
