/*
 * The sources are the daemon's: the same servers, credentials, rules and filters, so that a difference is one between
 * now and the table, not between two programs. Each runs on a loop of our own until every service has an answer or a
 * failure, or until time is up, which is before the API's fallback to DNS would begin.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-event.h>

#include "base/log.h"
#include "base/util.h"
#include "cluster.h"
#include "ctl/diff/live.h"
#include "model/filter.h"
#include "registration.h"
#include "source/dns/source.h"
#include "source/static.h"
#include "table/policy.h"

#define ASK_USEC   (8 * USEC_PER_SEC)
#define QUERY_RATE 100000U

struct live {
        sd_event *event;
        struct source_dns *dns;
        struct cluster *cluster;
        struct source *fixed;
        struct filter filter;
        struct source_service *wanted; /* in the order of the services */
        struct live_service *services;
        size_t n_services;
        bool failed; /* no memory */
};

/* ---- what is reported ---- */

static int live_compare_keys(const void *a, const void *b)
{
        const struct live_service *x = a, *y = b;

        return strcmp(x->key, y->key);
}

static struct live_service *live_find(struct live *l, const char *key)
{
        struct live_service wanted;

        if (strlen(key) >= sizeof(wanted.key))
                return NULL;
        strcpy(wanted.key, key);
        return bsearch(&wanted, l->services, l->n_services, sizeof(wanted), live_compare_keys);
}

/* A failure does not take back what is known. */
static void live_family_fail(struct live_family *f, uint8_t reason)
{
        if (f->state == LIVE_KNOWN)
                return;
        f->state = LIVE_FAILED;
        f->reason = reason;
}

/* @addresses: sorted, no duplicates. What the daemon would not serve is left out. */
static void live_family_take(struct live *l, struct live_service *s, int family, const uint8_t *addresses, uint32_t n)
{
        struct live_family *f = family == AF_INET ? &s->v4 : &s->v6;
        size_t size = address_size(family);
        uint8_t *copy = malloc((size_t)n * size + 1);

        if (!copy) {
                l->failed = true;
                return;
        }
        free(f->addresses);
        f->addresses = copy;
        f->n = 0;
        for (uint32_t i = 0; i < n; i++) {
                if (filter_admits(s->source == KHS_SOURCE_STATIC ? NULL : &l->filter, (uint8_t)family,
                                  addresses + i * size))
                        memcpy(copy + f->n++ * size, addresses + i * size, size);
        }
        f->state = LIVE_KNOWN;
}

static void live_take_whole(struct live *l, struct live_service *s, const struct finding *finding, int family)
{
        size_t size = address_size(family);
        uint8_t *addresses = malloc((size_t)finding->n_endpoints * size + 1);
        uint32_t n = 0;

        if (!addresses) {
                l->failed = true;
                return;
        }
        for (uint32_t i = 0; i < finding->n_endpoints; i++) {
                if (finding->endpoints[i].family == family)
                        memcpy(addresses + n++ * size, finding->endpoints[i].bytes, size);
        }
        live_family_take(l, s, family, addresses, addresses_sort(family, addresses, n));
        free(addresses);
}

static void live_on_report(void *userdata, const char *key, const struct finding *finding)
{
        struct live *l = userdata;
        struct live_service *s = live_find(l, key);
        bool four = finding->family != AF_INET6, six = finding->family != AF_INET;

        if (!s)
                return;
        switch (finding->kind) {
        case FINDING_ANSWER:
                live_family_take(l, s, finding->family, finding->addrs, finding->n_addrs);
                break;
        case FINDING_NEGATIVE:
                live_family_take(l, s, finding->family, NULL, 0);
                break;
        case FINDING_WHOLE:
                live_take_whole(l, s, finding, AF_INET);
                live_take_whole(l, s, finding, AF_INET6);
                break;
        case FINDING_FAILURE:
                if (four)
                        live_family_fail(&s->v4, finding->reason);
                if (six)
                        live_family_fail(&s->v6, finding->reason);
                break;
        default:
                break;
        }
}

static void live_on_discovered(void *userdata, const char *namespace, const char *name, bool present)
{
        (void)userdata;
        (void)namespace;
        (void)name;
        (void)present;
}

/* ---- what is asked ---- */

/* The section that registers a service: its own, one of pods, or its namespace's. NULL: none that we can read. */
static const struct config_service *live_section(const struct config *config, const char *key, const char *namespace)
{
        const struct config_service *section = config_find(config, key);

        for (size_t i = 0; i < config->n_pods && !section; i++)
                section = strcmp(config->pods[i].key, key) == 0 ? &config->pods[i] : NULL;
        for (size_t i = 0; i < config->n_namespaces && !section; i++)
                section = strcmp(config->namespaces[i].namespace, namespace) == 0 ? &config->namespaces[i] : NULL;
        return section;
}

static struct source_service live_wanted(const struct config *config, const struct view_service *s, const char *key)
{
        const char *dot = strchr(key, '.');
        const char *namespace = dot ? dot + 1 : "";
        const struct config_service *section = live_section(config, key, namespace);
        struct source_service ret = {
                .source = s->source ? s->source : KHS_SOURCE_DNS,
                .family = (uint8_t)khs_policy_family(s->policy),
                .refresh_min_usec = USEC_PER_SEC,
                .refresh_max_usec = 5 * USEC_PER_SEC,
        };

        if (section)
                ret = section_for_source(section, key);
        ret.key = key;
        ret.namespace = namespace;
        ret.hosts = false; /* addresses are compared, and nothing else */
        return ret;
}

static int live_prepare(struct live *l, const struct config *config, const struct view_service *services)
{
        l->services = calloc(l->n_services + 1, sizeof(*l->services));
        l->wanted = calloc(l->n_services + 1, sizeof(*l->wanted));
        if (!l->services || !l->wanted)
                return -ENOMEM;
        for (size_t i = 0; i < l->n_services; i++) {
                struct live_service *s = &l->services[i];

                strcpy(s->key, services[i].key);
                l->wanted[i] = live_wanted(config, &services[i], s->key);
                s->source = l->wanted[i].source;
                if (s->source == KHS_SOURCE_STATIC && !config_find(config, s->key))
                        s->v4.state = s->v6.state = LIVE_UNASKED;
                if (l->wanted[i].family == KHS_FAMILY_IPV6)
                        s->v4.state = LIVE_KNOWN;
                if (l->wanted[i].family == KHS_FAMILY_IPV4)
                        s->v6.state = LIVE_KNOWN;
        }
        return 0;
}

static int live_open(struct live *l, const struct config *config, const char *domain)
{
        const struct source_dns_options options = {
                .cluster_domain = domain,
                .servers = config->dns_servers,
                .n_servers = config->n_dns_servers,
                .resolv_conf = "/etc/resolv.conf",
                .transport = config->dns_transport == CONFIG_TRANSPORT_TCP ? DNS_TCP : DNS_UDP,
                .query_rate = QUERY_RATE,
        };
        int r = sd_event_new(&l->event);

        if (r >= 0)
                r = source_dns_new(&l->dns, l->event, &options);
        if (r >= 0)
                r = cluster_new(&l->cluster, l->event, source_dns_source(l->dns), config);
        if (r >= 0)
                r = source_static_new(&l->fixed);
        return r < 0 ? r : 0;
}

static void live_close(struct live *l)
{
        (void)source_free(l->fixed);
        if (l->cluster)
                (void)cluster_free(l->cluster);
        else
                (void)source_free(source_dns_source(l->dns));
        (void)sd_event_unref(l->event);
        free(l->wanted);
}

/* @fixed: the static ones; else all others. */
static int live_start(struct live *l, bool fixed)
{
        const struct source_reports reports = { live_on_report, live_on_discovered, l };
        struct source_service *some = calloc(l->n_services + 1, sizeof(*some));
        struct source_set set = { .services = some };
        int r;

        if (!some)
                return -ENOMEM;
        for (size_t i = 0; i < l->n_services; i++) {
                bool asked = l->services[i].v4.state != LIVE_UNASKED && l->services[i].v6.state != LIVE_UNASKED;

                if (asked && (l->wanted[i].source == KHS_SOURCE_STATIC) == fixed)
                        some[set.n_services++] = l->wanted[i];
        }
        r = source_start(fixed ? l->fixed : cluster_source(l->cluster), &reports, &set);
        free(some);
        return r;
}

static bool live_is_complete(const struct live *l)
{
        for (size_t i = 0; i < l->n_services; i++) {
                if (l->services[i].v4.state == LIVE_WAITING || l->services[i].v6.state == LIVE_WAITING)
                        return false;
        }
        return true;
}

static int live_run(struct live *l)
{
        uint64_t end = usec_now() + ASK_USEC, now;
        int r = live_start(l, true);

        if (r >= 0)
                r = live_start(l, false);
        while (r >= 0 && !l->failed && !live_is_complete(l) && (now = usec_now()) < end)
                r = sd_event_run(l->event, end - now);
        return l->failed ? -ENOMEM : r < 0 ? r : 0;
}

int live_ask(const struct config *config, const char *domain, const struct view_service *services, size_t n_services,
             struct live_service **ret)
{
        struct live l = {
                .filter = { .allow_cidr = config->allow_cidr, .n_allow_cidr = config->n_allow_cidr },
                .n_services = n_services,
        };
        int r;

        log_set_level(LOG_EMERG); /* failures are results here */
        r = live_prepare(&l, config, services);
        if (r == 0)
                r = live_open(&l, config, domain);
        if (r == 0)
                r = live_run(&l);
        live_close(&l);
        if (r == 0)
                *ret = l.services;
        else
                live_free(l.services, n_services);
        return r;
}

void live_free(struct live_service *services, size_t n_services)
{
        for (size_t i = 0; services && i < n_services; i++) {
                free(services[i].v4.addresses);
                free(services[i].v6.addresses);
        }
        free(services);
}
