/*
 * The dns source.
 *
 *     watch (a service) --> two families (A, AAAA) --> pool --> server --> channel (c-ares)
 *                       '-> hosts (SRV, PTR) ---------'
 *
 * This file owns the watches, the options and the following of resolv.conf; when to ask is task.c's, whom to ask
 * is transport/pool.c's. Watches are sorted by key, as the sets of the registry are: an update walks both lists
 * once, and a watch that stays is not disturbed.
 */

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <ares.h>

#include "base/log.h"
#include "base/resolv-conf.h"
#include "base/util.h"
#include "source/dns/addresses.h"
#include "source/dns/hosts.h"
#include "source/dns/source.h"
#include "source/dns/transport/pool.h"

struct watch {
        struct source_dns *source;
        struct dns_family families[2]; /* A, AAAA */
        struct dns_hosts *hosts;       /* NULL: not wanted */
        char key[];
};

struct source_dns {
        struct source source;
        struct dns_server_context context;
        struct dns_pool pool;
        struct dns_lookups lookups;
        char *domain;
        char *resolv_conf; /* NULL: servers were given */
        struct resolv_conf resolv;
        int resolv_error;       /* of the last reading; the next heartbeat tries again */
        struct watch **watches; /* sorted by key */
        size_t n_watches;
        struct dns_srv srv; /* the answer at hand */
};

static void on_server_change(void *userdata, struct dns_server *server)
{
        struct source_dns *source = userdata;

        (void)server;
        dns_lookups_servers_changed(&source->lookups);
}

/* ---- options ---- */

/* The copies of one set of options; handed over all at once or not at all. */
struct copies {
        char *domain, *resolv_conf;
        struct dns_name name;
};

static void copies_deinit(struct copies *copies)
{
        free(copies->domain);
        free(copies->resolv_conf);
}

static int copies_init(struct copies *copies, const struct source_dns_options *options)
{
        int r = dns_name_parse(&copies->name, options->cluster_domain);

        if (r < 0)
                return r;
        copies->domain = strdup(options->cluster_domain);
        if (options->n_servers == 0)
                copies->resolv_conf = strdup(options->resolv_conf);
        return copies->domain && (options->n_servers > 0 || copies->resolv_conf) ? 0 : -ENOMEM;
}

static int source_set_servers(struct source_dns *source, const struct address *servers, size_t n_servers)
{
        int r = dns_pool_set(&source->pool, servers, n_servers);

        if (r >= 0)
                dns_lookups_servers_changed(&source->lookups);
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
                            source->pool.n_servers > 0 ? ", keeping the previous ones" : "");
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

        old = (struct copies){ source->domain, source->resolv_conf, { 0 } };
        source->domain = new.domain;
        source->resolv_conf = new.resolv_conf;
        source->resolv = resolv;
        source->context.domain = new.name;
        source->context.transport = options->transport;
        source->lookups.domain = new.domain;
        source->lookups.query_rate = options->query_rate;
        source->lookups.rules = (struct dns_rules){ .domain = new.name };
        copies_deinit(&old);
        return 0;
}

/* ---- watches ---- */

static void watch_report_family(struct dns_family *family, const struct finding *finding)
{
        struct dns_family *first = family->family == AF_INET ? family : family - 1;
        struct watch *watch = container_of(first, struct watch, families);

        if (watch->hosts)
                dns_hosts_addresses(watch->hosts, finding);
        source_report(&watch->source->source, watch->key, finding);
}

static void watch_report_hosts(void *userdata, const struct finding *finding)
{
        struct watch *watch = userdata;

        source_report(&watch->source->source, watch->key, finding);
}

/* Starts, stops or leaves alone the lookup of each family. */
static int watch_set_family(struct watch *watch, const struct source_service *service, bool has_data)
{
        bool wanted[2] = { service->family != KHS_FAMILY_IPV6, service->family != KHS_FAMILY_IPV4 };
        int r = 0;

        for (size_t i = 0; i < 2; i++) {
                struct dns_family *family = &watch->families[i];

                if (dns_family_is_running(family) && !wanted[i]) {
                        dns_family_stop(family);
                        if (watch->hosts)
                                dns_hosts_forget(watch->hosts, i == 0 ? AF_INET : AF_INET6);
                }
                family->key = watch->key;
                family->family = i == 0 ? AF_INET : AF_INET6;
                family->other = &watch->families[1 - i];
                family->min_usec = service->refresh_min_usec;
                family->max_usec = service->refresh_max_usec;
                family->report = watch_report_family;
                if (r == 0 && wanted[i] && !dns_family_is_running(family))
                        r = dns_family_start(family, &watch->source->lookups, has_data);
        }
        return r;
}

/* Where not all can be learned for want of memory, what was learned until now goes on being learned. */
static int watch_set_hosts(struct watch *watch, const struct source_service *service)
{
        struct source_dns *source = watch->source;
        int r;

        if (!service->hosts) {
                watch->hosts = dns_hosts_free(watch->hosts);
                return 0;
        }
        if (!watch->hosts) {
                r = dns_hosts_new(&watch->hosts, &source->lookups, &source->srv, watch->key, watch_report_hosts, watch);
                if (r < 0)
                        return r;
        }
        return dns_hosts_set_ports(watch->hosts, service->ports, service->n_ports);
}

static int watch_update(struct watch *watch, const struct source_service *service, bool is_new, bool report_again)
{
        bool same_limits = watch->families[0].min_usec == service->refresh_min_usec &&
                           watch->families[0].max_usec == service->refresh_max_usec;
        int r = watch_set_family(watch, service, is_new && service->has_data);

        for (size_t i = 0; i < 2 && !same_limits && !is_new; i++)
                if (dns_family_is_running(&watch->families[i]))
                        dns_family_hurry(&watch->families[i]);
        if (r == 0)
                r = watch_set_hosts(watch, service);
        /* Addresses are reported with every answer, but hosts only when they were learned. */
        for (size_t i = 0; i < 2 && report_again && watch->hosts; i++)
                dns_hosts_forget(watch->hosts, i == 0 ? AF_INET : AF_INET6);
        return r;
}

static int watch_new(struct watch **ret, struct source_dns *source, const char *key)
{
        size_t n_key = strlen(key);
        struct watch *watch;

        if (n_key + strlen(".svc.") + strlen(source->domain) > KHS_KEY_MAX)
                return -ENAMETOOLONG;
        watch = calloc(1, sizeof(*watch) + n_key + 1);
        if (!watch)
                return -ENOMEM;
        watch->source = source;
        memcpy(watch->key, key, n_key + 1);
        *ret = watch;
        return 0;
}

static void watch_free(struct watch *watch)
{
        for (size_t i = 0; i < 2; i++)
                dns_family_stop(&watch->families[i]);
        dns_hosts_free(watch->hosts);
        free(watch);
}

/* ---- the source ---- */

static int source_dns_update(struct source *base, const struct source_set *set)
{
        struct source_dns *source = container_of(base, struct source_dns, source);
        struct watch **watches = calloc(set->n_services + 1, sizeof(*watches));
        size_t n = 0, old = 0;
        int r = watches ? 0 : -ENOMEM;

        for (size_t i = 0; watches && i < set->n_services; i++) {
                const struct source_service *service = &set->services[i];
                bool is_new;
                int error = 0;

                while (old < source->n_watches && strcmp(source->watches[old]->key, service->key) < 0)
                        watch_free(source->watches[old++]);
                is_new = old == source->n_watches || strcmp(source->watches[old]->key, service->key) != 0;
                if (is_new)
                        error = watch_new(&watches[n], source, service->key);
                else
                        watches[n] = source->watches[old++];
                if (error == 0)
                        error = watch_update(watches[n++], service, is_new, set->report_again);
                if (error < 0) {
                        log_message(LOG_ERR, "dns: %s can't be followed as registered: %s", service->key,
                                    strerror(-error));
                        r = error;
                }
        }
        if (!watches)
                return r;
        while (old < source->n_watches)
                watch_free(source->watches[old++]);
        free(source->watches);
        source->watches = watches;
        source->n_watches = n;
        return r;
}

static void source_dns_free(struct source *base)
{
        struct source_dns *source = container_of(base, struct source_dns, source);

        for (size_t i = 0; i < source->n_watches; i++)
                watch_free(source->watches[i]);
        dns_pool_deinit(&source->pool);
        dns_lookups_deinit(&source->lookups);
        free(source->watches);
        free(source->domain);
        free(source->resolv_conf);
        free(source);
        ares_library_cleanup();
}

static const struct source_ops source_dns_ops = { .update = source_dns_update, .free = source_dns_free };

struct source *source_dns_source(struct source_dns *source)
{
        return source ? &source->source : NULL;
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
        source->source.ops = &source_dns_ops;
        ignore_sigpipe();
        source->context = (struct dns_server_context){
                .event = event,
                .transport = options->transport,
                .on_change = on_server_change,
                .userdata = source,
        };
        dns_pool_init(&source->pool, &source->context);
        r = dns_lookups_init(&source->lookups, event, &source->pool);
        if (r >= 0)
                r = source_dns_reconfigure(source, options);
        if (r < 0) {
                source_dns_free(&source->source);
                return r;
        }
        *ret = source;
        return 0;
}

size_t source_dns_n_servers(const struct source_dns *source)
{
        return source->pool.n_servers;
}

void source_dns_get_stats(const struct source_dns *source, struct source_dns_stats *ret)
{
        *ret = (struct source_dns_stats){
                .lookups = source->lookups.stats,
                .n_watches = source->n_watches,
                .n_flying = source->lookups.n_flying,
                .n_waiting = source->lookups.n_waiting,
                .n_servers = source->pool.n_servers,
        };
        for (size_t i = 0; i < source->pool.n_servers; i++)
                ret->n_servers_up += dns_server_is_up(source->pool.servers[i]);
}
