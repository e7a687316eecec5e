/*
 * The dns source.
 *
 *     a service followed --> two families (A, AAAA) --> pool --> server --> path --> channel --> tcp (c-ares)
 *                        '-> hosts (SRV, PTR) ----------'                             '-> udp
 *
 * This file owns what is followed, the options and the reading of resolv.conf; when to ask is task.c's, whom to
 * ask is transport/pool.c's. What is followed is sorted by key, as the sets of the registry are: an update walks
 * both lists once, and a service that stays is not disturbed.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <ares.h>

#include "base/log.h"
#include "base/resolv-conf.h"
#include "base/util.h"
#include "source/dns/addresses.h"
#include "source/dns/hosts/hosts.h"
#include "source/dns/source.h"
#include "source/dns/transport/pool.h"

struct followed {
        struct source_dns *source;
        struct dns_addresses families[2]; /* A, AAAA */
        struct dns_hosts *hosts;          /* NULL: not wanted */
        char key[];
};

struct source_dns {
        struct source source;
        struct dns_server_context context;
        struct dns_pool pool;
        struct dns_tasks tasks;
        char *resolv_conf; /* NULL: servers were given */
        struct resolv_conf resolv;
        int resolv_error;           /* of the last reading; the next heartbeat tries again */
        struct followed **followed; /* sorted by key */
        size_t n_followed;
        struct dns_srv srv; /* the answer at hand */
};

/* A server that does not know the cluster answers while the one that does is away: then nobody waits for that one. */
static void source_retry_failed(struct source_dns *source)
{
        for (size_t i = 0; i < source->n_followed; i++)
                for (size_t k = 0; k < 2; k++)
                        if (dns_addresses_is_running(&source->followed[i]->families[k]))
                                dns_addresses_retry(&source->followed[i]->families[k]);
}

static void source_server_changed(void *userdata, struct dns_server *server)
{
        struct source_dns *source = userdata;

        dns_tasks_servers_changed(&source->tasks);
        if (dns_server_is_up(server))
                source_retry_failed(source);
}

/* ---- options ---- */

static int source_set_servers(struct source_dns *source, const struct address *servers, size_t n_servers)
{
        int r = dns_pool_set(&source->pool, servers, n_servers);

        if (r >= 0) {
                dns_tasks_servers_changed(&source->tasks);
                source_retry_failed(source);
        }
        return r;
}

/* Takes the file's servers. While it is empty or missing, the previous ones stay. */
static int source_read_resolv_conf(struct source_dns *source, const char *path, struct resolv_conf *resolv)
{
        int r = resolv_conf_read(resolv, path);

        if (r < 0 && r != source->resolv_error)
                log_message(LOG_WARNING, "dns: %s: %s", path, strerror(-r));
        source->resolv_error = r;
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        if (resolv->n_skipped > 0)
                log_message(LOG_WARNING, "dns: %s: %zu nameserver lines ignored (no address, or more than %u)", path,
                            resolv->n_skipped, RESOLV_CONF_SERVERS_MAX);
        if (resolv->is_empty && source->pool.n_servers > 0) {
                log_message(LOG_WARNING, "dns: %s is empty, keeping the previous servers", path);
                return 0;
        }
        if (resolv->n_lines == 0)
                log_message(LOG_NOTICE, "dns: %s: no nameserver, asking localhost", path);
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
        _cleanup_(cleanup_free) char *path = options->n_servers == 0 ? strdup(options->resolv_conf) : NULL;
        struct resolv_conf resolv = { .n_servers = 0 };
        struct dns_name domain;
        int r = dns_name_parse(&domain, options->cluster_domain);

        if (r == 0 && options->n_servers == 0 && !path)
                r = -ENOMEM;
        if (r == 0)
                r = path ? source_read_resolv_conf(source, path, &resolv)
                         : source_set_servers(source, options->servers, options->n_servers);
        if (r < 0)
                return r;
        free(source->resolv_conf);
        source->resolv_conf = path;
        path = NULL;
        source->resolv = resolv;
        source->context.domain = source->tasks.domain = domain;
        source->context.transport = options->transport;
        source->tasks.query_rate = options->query_rate;
        return 0;
}

/* ---- one service ---- */

static void followed_report_family(struct dns_addresses *family, const struct finding *finding)
{
        struct dns_addresses *first = family->family == AF_INET ? family : family - 1;
        struct followed *followed = container_of(first, struct followed, families);

        if (followed->hosts)
                dns_hosts_addresses(followed->hosts, finding);
        source_report(&followed->source->source, followed->key, finding);
}

static void followed_report_hosts(void *userdata, const struct finding *finding)
{
        struct followed *followed = userdata;

        source_report(&followed->source->source, followed->key, finding);
}

/* Starts, stops or leaves alone the questions of each family. */
static int followed_set_family(struct followed *followed, const struct source_service *service, bool has_data)
{
        bool wanted[2] = { service->family != KHS_FAMILY_IPV6, service->family != KHS_FAMILY_IPV4 };
        int r = 0;

        for (size_t i = 0; i < 2; i++) {
                struct dns_addresses *family = &followed->families[i];

                if (dns_addresses_is_running(family) && !wanted[i]) {
                        dns_addresses_stop(family);
                        if (followed->hosts)
                                dns_hosts_forget(followed->hosts, i == 0 ? AF_INET : AF_INET6);
                }
                family->key = followed->key;
                family->family = i == 0 ? AF_INET : AF_INET6;
                family->other = &followed->families[1 - i];
                family->min_usec = service->refresh_min_usec;
                family->max_usec = service->refresh_max_usec;
                family->report = followed_report_family;
                if (r == 0 && wanted[i] && !dns_addresses_is_running(family))
                        r = dns_addresses_start(family, &followed->source->tasks, has_data);
        }
        return r;
}

/* Where not all can be learned for want of memory, what was learned until now goes on being learned. */
static int followed_set_hosts(struct followed *followed, const struct source_service *service)
{
        struct source_dns *source = followed->source;
        int r;

        if (!service->hosts) {
                followed->hosts = dns_hosts_free(followed->hosts);
                return 0;
        }
        if (!followed->hosts) {
                r = dns_hosts_new(&followed->hosts, &source->tasks, &source->srv, followed->key, followed_report_hosts,
                                  followed);
                if (r < 0)
                        return r;
        }
        return dns_hosts_set_ports(followed->hosts, service->ports, service->n_ports);
}

static int followed_update(struct followed *followed, const struct source_service *service, bool is_new,
                           bool report_again)
{
        bool same_limits = followed->families[0].min_usec == service->refresh_min_usec &&
                           followed->families[0].max_usec == service->refresh_max_usec;
        int r = followed_set_family(followed, service, is_new && service->has_data);

        /* Also one that is asked for seldom, where the other is not wanted any more. */
        for (size_t i = 0; i < 2 && !is_new; i++)
                if (dns_addresses_is_running(&followed->families[i]) && (!same_limits || followed->families[i].parked))
                        dns_addresses_hurry(&followed->families[i]);
        if (r == 0)
                r = followed_set_hosts(followed, service);
        /* Addresses are reported with every answer, but hosts only when they were learned. */
        for (size_t i = 0; i < 2 && report_again && followed->hosts; i++)
                dns_hosts_forget(followed->hosts, i == 0 ? AF_INET : AF_INET6);
        return r;
}

static int followed_new(struct followed **ret, struct source_dns *source, const char *key)
{
        size_t n_key = strlen(key);
        struct dns_name name;
        struct followed *followed;

        if (dns_name_of_service(&name, key, &source->tasks.domain) < 0)
                return -ENAMETOOLONG;
        followed = calloc(1, sizeof(*followed) + n_key + 1);
        if (!followed)
                return -ENOMEM;
        followed->source = source;
        memcpy(followed->key, key, n_key + 1);
        *ret = followed;
        return 0;
}

static void followed_free(struct followed *followed)
{
        for (size_t i = 0; i < 2; i++)
                dns_addresses_stop(&followed->families[i]);
        dns_hosts_free(followed->hosts);
        free(followed);
}

/* ---- the source ---- */

static int source_dns_update(struct source *base, const struct source_set *set)
{
        struct source_dns *source = container_of(base, struct source_dns, source);
        struct followed **all = calloc(set->n_services + 1, sizeof(*all));
        size_t n = 0, old = 0;
        int r = all ? 0 : -ENOMEM;

        for (size_t i = 0; all && i < set->n_services; i++) {
                const struct source_service *service = &set->services[i];
                bool is_new;
                int error = 0;

                while (old < source->n_followed && strcmp(source->followed[old]->key, service->key) < 0)
                        followed_free(source->followed[old++]);
                is_new = old == source->n_followed || strcmp(source->followed[old]->key, service->key) != 0;
                if (is_new)
                        error = followed_new(&all[n], source, service->key);
                else
                        all[n] = source->followed[old++];
                if (error == 0)
                        error = followed_update(all[n++], service, is_new, set->report_again);
                if (error < 0) {
                        log_service(LOG_ERR, service->key, "DNS can't be asked for it as registered: %s",
                                    strerror(-error));
                        r = error;
                }
        }
        if (!all)
                return r;
        while (old < source->n_followed)
                followed_free(source->followed[old++]);
        free(source->followed);
        source->followed = all;
        source->n_followed = n;
        return r;
}

static void source_dns_free(struct source *base)
{
        struct source_dns *source = container_of(base, struct source_dns, source);

        for (size_t i = 0; i < source->n_followed; i++)
                followed_free(source->followed[i]);
        dns_pool_deinit(&source->pool);
        dns_tasks_deinit(&source->tasks);
        free(source->followed);
        free(source->resolv_conf);
        free(source);
        ares_library_cleanup();
}

static const struct source_ops source_dns_ops = { .update = source_dns_update, .free = source_dns_free };

struct source *source_dns_source(struct source_dns *source)
{
        return source ? &source->source : NULL;
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
        source->context = (struct dns_server_context){
                .event = event,
                .transport = options->transport,
                .on_change = source_server_changed,
                .userdata = source,
        };
        dns_pool_init(&source->pool, &source->context);
        r = dns_tasks_init(&source->tasks, event, &source->pool);
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
                .tasks = source->tasks.stats,
                .n_followed = source->n_followed,
                .n_flying = source->tasks.n_flying,
                .n_waiting = source->tasks.n_waiting,
                .n_servers = source->pool.n_servers,
        };
        for (size_t i = 0; i < source->pool.n_servers; i++)
                ret->n_servers_up += dns_server_is_up(source->pool.servers[i]);
}
