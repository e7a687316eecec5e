/*
 * Configuration: any bytes in the files, in K8SHSVC_SERVICES and --service, at the start and at a reload.
 *
 * The input is split at each byte 0x1e: the main file, one of conf.d, one of the run directory,
 * K8SHSVC_SERVICES, --service, then the three files again, for the reload. A part that is missing is
 * a file that is not there; an empty one of the last three leaves its file as it was.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "answer/name.h"
#include "config/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition))                                                                                      \
                        __builtin_trap();                                                                              \
        } while (0)

enum { MAIN, CONF, RUN, ENVIRONMENT, FLAG, MAIN_AGAIN, CONF_AGAIN, RUN_AGAIN, N_PARTS };

struct part {
        const uint8_t *bytes; /* NULL: missing */
        size_t n_bytes;
};

struct state {
        size_t n_errors; /* as reported */
        bool fatal;      /* -EINVAL may follow */
};

static char directory[] = "/tmp/fuzz-config-XXXXXX";
static char main_file[64], conf_dir[64], run_dir[64], conf_file[80], run_file[80];

static void clean_up(void)
{
        (void)unlink(main_file);
        (void)unlink(conf_file);
        (void)unlink(run_file);
        (void)rmdir(conf_dir);
        (void)rmdir(run_dir);
        (void)rmdir(directory);
}

static void make_directory(void)
{
        CHECK(mkdtemp(directory));
        (void)snprintf(main_file, sizeof(main_file), "%s/main", directory);
        (void)snprintf(conf_dir, sizeof(conf_dir), "%s/conf.d", directory);
        (void)snprintf(run_dir, sizeof(run_dir), "%s/run.d", directory);
        (void)snprintf(conf_file, sizeof(conf_file), "%s/a.conf", conf_dir);
        (void)snprintf(run_file, sizeof(run_file), "%s/b.conf", run_dir);
        CHECK(mkdir(conf_dir, 0700) == 0 && mkdir(run_dir, 0700) == 0);
        (void)atexit(clean_up);
}

static void write_part(const char *path, const struct part *part)
{
        FILE *file;

        if (!part->bytes) {
                (void)unlink(path);
                return;
        }
        file = fopen(path, "we");
        CHECK(file && fwrite(part->bytes, 1, part->n_bytes, file) == part->n_bytes && fclose(file) == 0);
}

static char *copy_part(const struct part *part)
{
        char *text = malloc(part->n_bytes + 1);

        CHECK(text);
        if (part->n_bytes > 0)
                memcpy(text, part->bytes, part->n_bytes);
        text[part->n_bytes] = '\0';
        return text;
}

/* ---- what must hold ---- */

/* One line of plain ASCII that names where it is about, of bounded length. */
static void on_report(void *userdata, int priority, const char *message)
{
        struct state *state = userdata;
        size_t n = strlen(message);

        CHECK(priority == LOG_ERR || priority == LOG_WARNING);
        CHECK(n > 0 && n < 2048);
        for (size_t i = 0; i < n; i++)
                CHECK(message[i] >= ' ' && message[i] < 0x7f);
        CHECK(strstr(message, ": "));
        state->n_errors += priority == LOG_ERR;
}

static bool is_name(const char *text)
{
        size_t n = strlen(text), n_label = 0;

        for (size_t i = 0; i < n; i++) {
                char c = text[i];

                if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
                        return false;
                n_label = c == '.' ? 0 : n_label + 1;
                if (n_label > KHS_LABEL_MAX || (c == '.' && (i == 0 || text[i - 1] == '.')))
                        return false;
        }
        return n > 0 && n <= KHS_NAME_MAX && text[n - 1] != '.';
}

static void check_addresses(const struct address *addresses, size_t n)
{
        for (size_t i = 0; i < n; i++)
                CHECK(addresses[i].family == AF_INET || addresses[i].family == AF_INET6);
}

static void check_service(const struct config *config, const struct config_service *s)
{
        char key[2 * KHS_LABEL_MAX + 2];

        CHECK(s->namespace && s->key && s->origin && is_name(s->key));
        if (s->name) {
                (void)snprintf(key, sizeof(key), "%s.%s", s->name, s->namespace);
                CHECK(strcmp(key, s->key) == 0);
                CHECK(strlen(key) + strlen(".svc.") + strlen(config->cluster_domain) <= KHS_NAME_MAX);
        }
        CHECK(s->n_ports <= 100 && s->n_aliases <= 1000 && s->n_endpoints <= KHS_MAX_ADDRS);
        CHECK(s->answers == KHS_ANSWERS_AUTO || s->answers == KHS_ANSWERS_ALL ||
              (s->answers >= 1 && s->answers <= KHS_MAX_ADDRS));
        CHECK(s->source == KHS_SOURCE_DNS || s->source == KHS_SOURCE_KUBERNETES || s->source == KHS_SOURCE_STATIC);
        CHECK(s->refresh_min >= 50000 && s->refresh_min <= s->refresh_max && s->refresh_max <= UINT64_C(3600000000));
        CHECK(s->max_stale >= 1000000 && s->max_stale <= UINT64_C(7) * 86400 * 1000000);
        check_addresses(s->endpoints, s->n_endpoints);
        for (size_t i = 0; i < s->n_aliases; i++) {
                CHECK(is_name(s->aliases[i]) && strcmp(s->aliases[i], "localhost") != 0);
                CHECK(!config_find(config, s->aliases[i]));
        }
        for (size_t i = 0; i < s->n_ports; i++) {
                CHECK(s->ports[i].kind != KHS_PORT_NONE);
                CHECK(s->ports[i].kind == KHS_PORT_NAME || s->ports[i].number > 0);
        }
}

static void check_services(const struct config *config, const struct config_service *services, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                check_service(config, &services[i]);
                CHECK(i == 0 || strcmp(services[i - 1].key, services[i].key) < 0);
        }
}

static void check_config(const struct config *config)
{
        CHECK(is_name(config->cluster_domain) && config->namespace && is_name(config->namespace));
        CHECK(config->refresh_min >= 50000 && config->refresh_min <= config->refresh_max);
        CHECK(config->orphan_max >= 11000000 && config->orphan_max <= 600000000);
        CHECK(config->query_rate >= 1 && config->query_rate <= 100000);
        CHECK(config->max_table_size >= 1U << 20 && config->max_table_size <= UINT64_C(8) << 30);
        CHECK(config->n_dns_servers <= 100 && config->n_allow_cidr <= 10000);
        check_addresses(config->dns_servers, config->n_dns_servers);
        for (size_t i = 0; i < config->n_dns_servers; i++)
                CHECK(config->dns_servers[i].port > 0);
        for (size_t i = 0; i < config->n_allow_cidr; i++)
                CHECK(config->allow_cidr[i].prefix <= (config->allow_cidr[i].family == AF_INET ? 32 : 128));
        check_services(config, config->services, config->n_services);
        check_services(config, config->pods, config->n_pods);
        check_services(config, config->namespaces, config->n_namespaces);
        for (size_t i = 0; i < config->n_services; i++)
                CHECK(config_find(config, config->services[i].key) == &config->services[i]);
        CHECK(!config->node || is_name(config->node));
        for (size_t i = 0; i < config->n_pods; i++)
                CHECK(config->pods[i].selector && !config_find(config, config->pods[i].key));
}

/* ---- the loads ---- */

static struct config *load(struct config_loader *loader, struct state *state, int *ret)
{
        struct config *config = NULL;
        size_t n_errors = 0;

        state->n_errors = 0;
        *ret = config_load(loader, &config, &n_errors);
        CHECK(*ret == 0 || *ret == -EINVAL);
        if (*ret < 0)
                return NULL;
        /* What is not shown is counted, in a line of its own. */
        CHECK(state->n_errors <= n_errors + 3 && (n_errors == 0) == (state->n_errors == 0));
        check_config(config);
        return config;
}

static bool same(const struct config *a, const struct config *b)
{
        if (a->n_services != b->n_services || strcmp(a->cluster_domain, b->cluster_domain) != 0)
                return false;
        for (size_t i = 0; i < a->n_services; i++) {
                const struct config_service *x = &a->services[i], *y = &b->services[i];

                if (strcmp(x->key, y->key) != 0 || x->n_aliases != y->n_aliases || x->n_ports != y->n_ports ||
                    x->n_endpoints != y->n_endpoints || x->answers != y->answers || x->source != y->source)
                        return false;
        }
        return true;
}

static void run(const struct config_origin *origin, const struct part *parts)
{
        struct config *first, *second, *third = NULL;
        struct state state = { 0 };
        struct config_loader *loader;
        int r;

        CHECK(config_loader_new(&loader, origin, on_report, &state) == 0);
        first = load(loader, &state, &r);
        if (!first) {
                /* Only a bad target is fatal, and it is said. */
                CHECK(state.n_errors > 0 && (origin->env_services || origin->n_services > 0));
                config_loader_free(loader);
                return;
        }

        /* Nothing has changed: nothing changes. */
        second = load(loader, &state, &r);
        CHECK(second && config_loader_unchanged(loader) && same(first, second));
        config_free(second);

        for (int i = MAIN_AGAIN; i <= RUN_AGAIN; i++) {
                if (!parts[i].bytes || parts[i].n_bytes > 0)
                        write_part(i == MAIN_AGAIN ? main_file : i == CONF_AGAIN ? conf_file : run_file, &parts[i]);
        }
        second = load(loader, &state, &r);
        CHECK(second);
        third = load(loader, &state, &r);
        CHECK(third && same(second, third));

        config_free(first);
        config_free(second);
        config_free(third);
        config_loader_free(loader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct part parts[N_PARTS] = { 0 };
        struct config_origin origin = { 0 };
        char *environment = NULL, *flag = NULL;
        const char *flags[1];

        if (main_file[0] == '\0')
                make_directory();
        for (size_t i = 0; i < N_PARTS; i++) {
                const uint8_t *end = size > 0 ? memchr(data, 0x1e, size) : NULL;

                parts[i] = (struct part){ .bytes = data, .n_bytes = end ? (size_t)(end - data) : size };
                if (!end)
                        break;
                size -= (size_t)(end + 1 - data);
                data = end + 1;
        }
        if (parts[ENVIRONMENT].bytes)
                environment = copy_part(&parts[ENVIRONMENT]);
        if (parts[FLAG].bytes && parts[FLAG].n_bytes > 0)
                flag = copy_part(&parts[FLAG]);
        flags[0] = flag;
        write_part(main_file, &parts[MAIN]);
        write_part(conf_file, &parts[CONF]);
        write_part(run_file, &parts[RUN]);
        origin = (struct config_origin){
                .main_file = main_file,
                .conf_dir = conf_dir,
                .run_dir = run_dir,
                .services = flags,
                .n_services = flag != NULL,
                .env_services = environment,
        };
        run(&origin, parts);
        free(environment);
        free(flag);
        return 0;
}
