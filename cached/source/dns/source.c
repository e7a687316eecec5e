/*
 * The dns source, see source/dns/source.h.
 *
 *     watch (service) --> two tasks (A, AAAA) --> pool --> server --> channel (c-ares)
 *       source/dns/source.c         source/dns/task.c       source/dns/transport/pool.c  source/dns/transport/server.c
 * source/dns/transport/channel.c
 *
 * This file owns the registrations, the options and the following of resolv.conf; when to ask is
 * source/dns/task.c's, whom to ask is source/dns/transport/pool.c's.
 */

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <ares.h>

#include "base/log.h"
#include "base/resolv-conf.h"
#include "source/dns/addresses.h"
#include "source/dns/hosts/hosts.h"
#include "source/dns/source.h"
#include "source/dns/transport/pool.h"

struct source_watch {
        struct source_dns *source;
        struct dns_addresses families[2]; /* A, AAAA */
        struct dns_hosts *hosts;          /* NULL: not wanted */
        source_report_fn report;
        void *userdata;
        char key[];
};

struct source_dns {
        struct dns_server_context context;
        struct dns_pool pool;
        struct dns_tasks tasks;
        char *domain;
        struct network *allow_cidr;
        char *resolv_conf; /* NULL: servers were given */
        struct resolv_conf resolv;
        int resolv_error; /* of the last reading; the next heartbeat tries again */
        size_t n_watches;
        struct dns_srv srv; /* the answer at hand */
};

static void on_server_change(void *userdata, struct dns_server *server)
{
        struct source_dns *source = userdata;

        (void)server;
        dns_tasks_servers_changed(&source->tasks);
}

static void on_result(struct dns_addresses *family, const struct finding *result)
{
        struct dns_addresses *first = family->family == AF_INET ? family : family - 1;
        struct source_watch *watch = (void *)((char *)first - offsetof(struct source_watch, families));

        if (watch->hosts)
                dns_hosts_addresses(watch->hosts, result);
        watch->report(watch->userdata, result);
}

/* The copies of one set of options; handed over all at once or not at all. */
struct copies {
        char *domain, *resolv_conf;
        struct network *allow_cidr;
        struct dns_name name;
};

static void copies_deinit(struct copies *copies)
{
        free(copies->domain);
        free(copies->resolv_conf);
        free(copies->allow_cidr);
}

static int copies_init(struct copies *copies, const struct source_dns_options *options)
{
        size_t n = options->n_allow_cidr;
        int r = dns_name_parse(&copies->name, options->cluster_domain);

        if (r < 0)
                return r;
        copies->domain = strdup(options->cluster_domain);
        if (options->n_servers == 0)
                copies->resolv_conf = strdup(options->resolv_conf);
        if (n > 0)
                copies->allow_cidr = reallocarray(NULL, n, sizeof(*copies->allow_cidr));
        if (!copies->domain || (options->n_servers == 0 && !copies->resolv_conf) || (n > 0 && !copies->allow_cidr))
                return -ENOMEM;
        if (n > 0)
                memcpy(copies->allow_cidr, options->allow_cidr, n * sizeof(*copies->allow_cidr));
        return 0;
}

static int source_set_servers(struct source_dns *source, const struct address *servers, size_t n_servers)
{
        int r = dns_pool_set(&source->pool, servers, n_servers);

        if (r >= 0)
                dns_tasks_servers_changed(&source->tasks);
        return r;
}

/* Takes the file's servers. An empty or missing file leaves those there are. */
static int source_read_resolv_conf(struct source_dns *source, const char *path, struct resolv_conf *resolv)
{
        int r = resolv_conf_read(resolv, path);

        if (r < 0 && r != source->resolv_error)
                log_message(LOG_WARNING, "dns: %s: %s", path, strerror(-r));
        source->resolv_error = r;
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        if (resolv->n_skipped > 0)
                log_message(LOG_WARNING, "dns: %s: %zu nameserver lines left out (no address, scoped, or more than %u)",
                            path, resolv->n_skipped, RESOLV_CONF_SERVERS_MAX);
        if (resolv->n_servers == 0) {
                log_message(LOG_WARNING, "dns: %s: no nameserver%s", path,
                            source->pool.n_servers > 0 ? ", keeping those of before" : "");
                return 0;
        }
        return source_set_servers(source, resolv->servers, resolv->n_servers);
}

void source_dns_check_resolv_conf(struct source_dns *source)
{
        if (!source->resolv_conf || !resolv_conf_changed(&source->resolv, source->resolv_conf))
                return;
        if (source->resolv_error == 0)
                log_message(LOG_INFO, "dns: %s has changed", source->resolv_conf);
        (void)source_read_resolv_conf(source, source->resolv_conf, &source->resolv);
}

int source_dns_reconfigure(struct source_dns *source, const struct source_dns_options *options)
{
        struct resolv_conf resolv = { .n_servers = 0 };
        struct copies new = { NULL }, old;
        int r = copies_init(&new, options);

        if (r >= 0)
                r = new.resolv_conf ? source_read_resolv_conf(source, new.resolv_conf, &resolv)
                                    : source_set_servers(source, options->servers, options->n_servers);
        if (r < 0) {
                copies_deinit(&new);
                return r;
        }

        old = (struct copies){ source->domain, source->resolv_conf, source->allow_cidr, { 0 } };
        source->domain = new.domain;
        source->resolv_conf = new.resolv_conf;
        source->allow_cidr = new.allow_cidr;
        source->resolv = resolv;
        source->context.domain = new.name;
        source->context.transport = options->transport;
        source->tasks.domain = new.name;
        source->tasks.query_rate = options->query_rate;
        copies_deinit(&old);
        return 0;
}

/*
 * c-ares 1.18 sends by writev(2), which has no MSG_NOSIGNAL: a server that closes its connection
 * under a query (dnsmasq does after 100) would end the process.
 */
static void ignore_sigpipe(void)
{
        struct sigaction action;

        if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
                signal(SIGPIPE, SIG_IGN);
}

int source_dns_new(struct source_dns **ret, sd_event *event, const struct source_dns_options *options)
{
        struct source_dns *source;
        int r;

        if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
                return -ENOMEM;
        source = calloc(1, sizeof(*source));
        if (!source) {
                ares_library_cleanup();
                return -ENOMEM;
        }
        ignore_sigpipe();
        source->context = (struct dns_server_context){
                .event = event,
                .transport = options->transport,
                .on_change = on_server_change,
                .userdata = source,
        };
        dns_pool_init(&source->pool, &source->context);
        r = dns_tasks_init(&source->tasks, event, &source->pool);
        if (r >= 0)
                r = source_dns_reconfigure(source, options);
        if (r < 0) {
                source_dns_free(source);
                return r;
        }
        *ret = source;
        return 0;
}

struct source_dns *source_dns_free(struct source_dns *source)
{
        if (!source)
                return NULL;
        dns_pool_deinit(&source->pool);
        dns_tasks_deinit(&source->tasks);
        free(source->domain);
        free(source->resolv_conf);
        free(source->allow_cidr);
        free(source);
        ares_library_cleanup();
        return NULL;
}

size_t source_dns_n_servers(const struct source_dns *source)
{
        return source->pool.n_servers;
}

void source_dns_get_stats(const struct source_dns *source, struct source_dns_stats *ret)
{
        *ret = (struct source_dns_stats){
                .tasks = source->tasks.stats,
                .n_watches = source->n_watches,
                .n_flying = source->tasks.n_flying,
                .n_waiting = source->tasks.n_waiting,
                .n_servers = source->pool.n_servers,
        };
        for (size_t i = 0; i < source->pool.n_servers; i++)
                ret->n_servers_up += dns_server_is_up(source->pool.servers[i]);
}

/* Starts, stops or leaves alone the task of each family. */
static int watch_set_family(struct source_watch *watch, uint8_t wanted_family, bool has_data)
{
        bool wanted[2] = { wanted_family != KHS_FAMILY_IPV6, wanted_family != KHS_FAMILY_IPV4 };

        for (size_t i = 0; i < 2; i++) {
                struct dns_addresses *family = &watch->families[i];
                uint64_t min = family->min_usec, max = family->max_usec;
                int r;

                if (dns_addresses_is_running(family) && !wanted[i]) {
                        dns_addresses_stop(family);
                        if (watch->hosts)
                                dns_hosts_forget(watch->hosts, i == 0 ? AF_INET : AF_INET6);
                }
                family->key = watch->key;
                family->family = i == 0 ? AF_INET : AF_INET6;
                family->other = &watch->families[1 - i];
                family->min_usec = min;
                family->max_usec = max;
                family->report = on_result;
                if (dns_addresses_is_running(family) || !wanted[i])
                        continue;
                r = dns_addresses_start(family, &watch->source->tasks, has_data);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void watch_set_limits(struct source_watch *watch, uint64_t min_usec, uint64_t max_usec)
{
        for (size_t i = 0; i < 2; i++) {
                watch->families[i].min_usec = min_usec;
                watch->families[i].max_usec = max_usec;
        }
}

int source_dns_watch(struct source_dns *source, struct source_watch **ret, const char *key, uint8_t family,
                     uint64_t refresh_min_usec, uint64_t refresh_max_usec, bool has_data, source_report_fn report,
                     void *userdata)
{
        size_t n_key = strlen(key);
        struct source_watch *watch;
        int r;

        if (n_key + strlen(".svc.") + strlen(source->domain) > KHS_KEY_MAX)
                return -EINVAL;
        watch = calloc(1, sizeof(*watch) + n_key + 1);
        if (!watch)
                return -ENOMEM;
        watch->source = source;
        watch->report = report;
        watch->userdata = userdata;
        memcpy(watch->key, key, n_key + 1);
        source->n_watches++;
        watch_set_limits(watch, refresh_min_usec, refresh_max_usec);
        r = watch_set_family(watch, family, has_data);
        if (r < 0) {
                source_watch_free(watch);
                return r;
        }
        *ret = watch;
        return 0;
}

int source_watch_update(struct source_watch *watch, uint8_t family, uint64_t refresh_min_usec,
                        uint64_t refresh_max_usec)
{
        const struct dns_addresses *one = &watch->families[0];
        bool same = one->min_usec == refresh_min_usec && one->max_usec == refresh_max_usec;
        int r;

        watch_set_limits(watch, refresh_min_usec, refresh_max_usec);
        r = watch_set_family(watch, family, false);
        for (size_t i = 0; i < 2 && !same; i++)
                if (dns_addresses_is_running(&watch->families[i]))
                        dns_addresses_hurry(&watch->families[i]);
        return r;
}

int source_watch_set_hosts(struct source_watch *watch, bool hosts, const struct khs_port *ports, size_t n_ports)
{
        struct source_dns *source = watch->source;
        int r;

        if (!hosts) {
                watch->hosts = dns_hosts_free(watch->hosts);
                return 0;
        }
        if (!watch->hosts) {
                r = dns_hosts_new(&watch->hosts, &source->tasks, &source->srv, watch->key, watch->report,
                                  watch->userdata);
                if (r < 0)
                        return r;
        }
        return dns_hosts_set_ports(watch->hosts, ports, n_ports);
}

void source_watch_forget_hosts(struct source_watch *watch)
{
        if (!watch->hosts)
                return;
        dns_hosts_forget(watch->hosts, AF_INET);
        dns_hosts_forget(watch->hosts, AF_INET6);
}

struct source_watch *source_watch_free(struct source_watch *watch)
{
        if (!watch)
                return NULL;
        for (size_t i = 0; i < 2; i++)
                dns_addresses_stop(&watch->families[i]);
        dns_hosts_free(watch->hosts);
        watch->source->n_watches--;
        free(watch);
        return NULL;
}
