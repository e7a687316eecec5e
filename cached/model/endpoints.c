/*
 * Sets of endpoints.
 *
 * Making a set walks three sorted lists at once: the addresses that there are now, those of the old set, and
 * the endpoints that the source reports; and for one address two: its hosts in the old set and in the report.
 *
 *     endpoints  in the order of the addresses, then those that share one; strings and ports point into
 *     strings    the host of each, and the names of ports, with a final zero
 *     names      node and zone of each, which other sets have, too
 *     ports      the sets that differ, each shared by the endpoints that have it
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "model/endpoints.h"
#include "model/ordinal.h"

/* What is taken to be true of an address of which nothing is known. */
static const struct khs_row_endpoint endpoint_unknown = { .flags = KHS_ATTR_READY | KHS_ATTR_SERVING };

/* ---- one address at a time ---- */

struct endpoint_address {
        uint8_t family;
        const uint8_t *bytes;
};

static struct endpoint_address address_at(const struct endpoint_addrs *addrs, uint32_t i)
{
        if (i < addrs->n4)
                return (struct endpoint_address){ AF_INET, addrs->v4 + (size_t)i * 4 };
        return (struct endpoint_address){ AF_INET6, addrs->v6 + (size_t)(i - addrs->n4) * 16 };
}

static int address_order(struct endpoint_address a, struct endpoint_address b)
{
        if (a.family != b.family)
                return a.family == AF_INET ? -1 : 1;
        return address_compare(a.family, a.bytes, b.bytes);
}

/* How far the lists have been walked, and what they say of the address at hand. */
struct walk {
        const struct endpoint_set *old;
        const struct endpoint_addrs *old_addrs;
        const struct finding *news;  /* or NULL */
        uint32_t old_at, old_shared; /* number of the old address; its further endpoints begin there */
        uint32_t n_old;              /* endpoints that the old set has of it; 0: the address is new */
        uint32_t first_news, n_news;
};

static void walk_old(struct walk *w, struct endpoint_address address)
{
        uint32_t n_addrs = w->old->n - w->old->n_shared;

        while (w->old_at < n_addrs && address_order(address_at(w->old_addrs, w->old_at), address) < 0)
                w->old_at++;
        while (w->old_shared < w->old->n_shared && w->old->shared[w->old_shared] < w->old_at)
                w->old_shared++;
        w->n_old = w->old_at < n_addrs && address_order(address_at(w->old_addrs, w->old_at), address) == 0;
        while (w->n_old > 0 && w->old_shared + w->n_old - 1 < w->old->n_shared &&
               w->old->shared[w->old_shared + w->n_old - 1] == w->old_at)
                w->n_old++;
}

static int walk_compare_news(const struct walk *w, uint32_t i, struct endpoint_address address)
{
        const struct finding_endpoint *e = &w->news->endpoints[i];

        return address_order((struct endpoint_address){ e->family, e->bytes }, address);
}

static void walk_news(struct walk *w, struct endpoint_address address)
{
        uint32_t n = w->news ? w->news->n_endpoints : 0;

        w->first_news += w->n_news;
        while (w->first_news < n && walk_compare_news(w, w->first_news, address) < 0)
                w->first_news++;
        w->n_news = 0;
        while (w->first_news + w->n_news < n && walk_compare_news(w, w->first_news + w->n_news, address) == 0)
                w->n_news++;
}

static const struct khs_row_endpoint *walk_old_at(const struct walk *w, uint32_t i)
{
        return &w->old->endpoints[i == 0 ? w->old_at : w->old->n - w->old->n_shared + w->old_shared + i - 1];
}

static const struct finding_endpoint *walk_news_at(const struct walk *w, uint32_t i)
{
        return &w->news->endpoints[w->first_news + i];
}

/* Hosts as they are sorted: "none" before all. */
static int host_compare(const char *a, const char *b)
{
        return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

/* The old endpoint of a host from the @from-th on, which is where the next search begins; NULL: there is none. */
static const struct khs_row_endpoint *walk_find_old(const struct walk *w, uint32_t *from, const char *host)
{
        while (*from < w->n_old && host_compare(walk_old_at(w, *from)->host, host) < 0)
                ++*from;
        return *from < w->n_old && host_compare(walk_old_at(w, *from)->host, host) == 0 ? walk_old_at(w, *from) : NULL;
}

/* Whether the news are a part of what is known, by their own word. */
static bool walk_news_are_part(const struct walk *w)
{
        uint32_t from = 0;

        if (w->n_news == 0 || !walk_news_at(w, 0)->others_unknown)
                return false;
        for (uint32_t i = 0; i < w->n_news; i++)
                if (!walk_find_old(w, &from, walk_news_at(w, i)->host))
                        return false;
        return true;
}

/*
 * An endpoint that is reported, its strings borrowed. @same: the old endpoint of the same host. What DNS can't
 * know is as it was for that one, or for an address that has only one endpoint; what DNS lists is ready.
 */
static struct khs_row_endpoint walk_reported(const struct walk *w, const struct finding_endpoint *e,
                                             const struct khs_row_endpoint *same)
{
        struct khs_row_endpoint ret;

        if (w->news->kind == FINDING_WHOLE) {
                ret = (struct khs_row_endpoint){ .node = e->node, .zone = e->zone, .flags = e->flags, .near = e->near };
        } else {
                if (!same && w->n_old == 1 && w->n_news == 1)
                        same = walk_old_at(w, 0);
                ret = same ? *same : endpoint_unknown;
        }
        ret.host = e->host;
        if (!e->ports_unknown) {
                ret.ports = e->ports;
                ret.n_ports = e->n_ports;
        }
        return ret;
}

/* ---- a set in the making ---- */

struct making {
        struct endpoint_set set;
        struct walk walk;
        struct port_sets ports;
        uint32_t *port_set_of; /* for each endpoint */
        uint32_t n_addrs, max_shared;
        bool any; /* it says something */
};

/* Whether it differs from what is taken to be true of an address of which nothing is known. */
static bool making_says_something(const struct khs_row_endpoint *e)
{
        return e->host || e->node || e->zone || e->near || e->n_ports > 0 || e->flags != endpoint_unknown.flags;
}

/* One endpoint of the i-th address, the first of which stands in the address's place. */
static void making_add(struct making *m, uint32_t i, struct endpoint_address address, bool first,
                       struct khs_row_endpoint e)
{
        uint32_t at = i;

        if (!first) {
                if (m->set.n_shared == m->max_shared) {
                        m->set.complete = false;
                        return;
                }
                m->set.shared[m->set.n_shared++] = (uint16_t)i;
                at = m->set.n++;
        }
        m->any = m->any || making_says_something(&e);
        m->port_set_of[at] = port_sets_add(&m->ports, e.ports, e.n_ports);
        m->set.complete = m->set.complete && e.host;
        e.ordinal = e.host ? host_ordinal(e.host, address.family, address.bytes) : -1;
        e.ports = NULL;
        e.n_ports = 0;
        m->set.endpoints[at] = e;
}

/* What was known of an address, and what is reported of the same hosts. */
static void making_add_old(struct making *m, uint32_t i, struct endpoint_address address)
{
        const struct walk *w = &m->walk;
        uint32_t n = 0;

        for (uint32_t o = 0; o < w->n_old; o++) {
                const struct khs_row_endpoint *old = walk_old_at(w, o);
                bool reported = n < w->n_news && host_compare(walk_news_at(w, n)->host, old->host) == 0;

                making_add(m, i, address, o == 0, reported ? walk_reported(w, walk_news_at(w, n), old) : *old);
                n += reported;
        }
        if (w->n_old == 0)
                making_add(m, i, address, true, endpoint_unknown);
        m->set.others_unknown[i] = w->n_old > 0 && w->old->others_unknown[w->old_at];
}

static void making_add_news(struct making *m, uint32_t i, struct endpoint_address address)
{
        const struct walk *w = &m->walk;
        uint32_t from = 0;

        for (uint32_t n = 0; n < w->n_news; n++) {
                const struct finding_endpoint *e = walk_news_at(w, n);

                making_add(m, i, address, n == 0, walk_reported(w, e, walk_find_old(w, &from, e->host)));
        }
        m->set.others_unknown[i] = walk_news_at(w, 0)->others_unknown;
}

/* Endpoints whose strings and ports are still borrowed from the old set and the news. */
static void making_fill(struct making *m, const struct endpoint_addrs *addrs)
{
        m->set.complete = true;
        for (uint32_t i = 0; i < m->n_addrs; i++) {
                struct endpoint_address address = address_at(addrs, i);

                walk_old(&m->walk, address);
                walk_news(&m->walk, address);
                if (m->walk.n_news == 0 || walk_news_are_part(&m->walk))
                        making_add_old(m, i, address);
                else
                        making_add_news(m, i, address);
                m->set.complete = m->set.complete && !m->set.others_unknown[i];
        }
}

/* ---- the set ---- */

void endpoint_set_deinit(struct endpoint_set *set)
{
        /* Before it has strings of its own, everything is borrowed. */
        for (uint32_t i = 0; set->strings && i < set->n; i++) {
                names_drop(set->names, set->endpoints[i].node);
                names_drop(set->names, set->endpoints[i].zone);
        }
        free(set->endpoints);
        free(set->shared);
        free(set->others_unknown);
        free(set->strings);
        free(set->ports);
        *set = (struct endpoint_set){ .n = 0 };
}

/* Room for the endpoints of @n_addrs addresses, and as many that share one as there can be. */
static int endpoint_set_alloc(struct endpoint_set *set, uint32_t n_addrs, uint32_t n_shared)
{
        set->n = n_addrs;
        set->endpoints = calloc((size_t)n_addrs + n_shared, sizeof(*set->endpoints));
        set->shared = calloc(n_shared ? n_shared : 1, sizeof(*set->shared));
        set->others_unknown = calloc(n_addrs, sizeof(*set->others_unknown));
        return set->endpoints && set->shared && set->others_unknown ? 0 : -ENOMEM;
}

/* Gives back the room for shared addresses that there are not; where that fails it stays. */
static void endpoint_set_shrink(struct endpoint_set *set)
{
        void *endpoints = reallocarray(set->endpoints, set->n, sizeof(*set->endpoints));
        void *shared = reallocarray(set->shared, set->n_shared ? set->n_shared : 1, sizeof(*set->shared));

        set->endpoints = endpoints ? endpoints : set->endpoints;
        set->shared = shared ? shared : set->shared;
}

static size_t string_size(const char *string)
{
        return string ? strlen(string) + 1 : 0;
}

static const char *string_put(char **at, const char *string)
{
        size_t n = string_size(string);
        const char *ret = string ? memcpy(*at, string, n) : NULL;

        *at += n;
        return ret;
}

/* Holds the names of an endpoint that were borrowed until now; where one is missing, it is left out. */
static int endpoint_own_names(struct khs_row_endpoint *e, struct names *names)
{
        bool node = e->node, zone = e->zone;

        e->node = names_take(names, e->node);
        e->zone = names_take(names, e->zone);
        return (node && !e->node) || (zone && !e->zone) ? -ENOMEM : 0;
}

/* The same for everything. */
static int endpoint_set_own_strings(struct endpoint_set *set, uint32_t n_ports)
{
        size_t n = 0;
        char *at;
        int r = 0;

        for (uint32_t i = 0; i < set->n; i++)
                n += string_size(set->endpoints[i].host);
        for (uint32_t i = 0; i < n_ports; i++)
                n += string_size(set->ports[i].name);
        set->strings = at = malloc(n ? n : 1);
        if (!at)
                return -ENOMEM;
        for (uint32_t i = 0; i < set->n; i++) {
                int e = endpoint_own_names(&set->endpoints[i], set->names);

                set->endpoints[i].host = string_put(&at, set->endpoints[i].host);
                r = r < 0 ? r : e;
        }
        for (uint32_t i = 0; i < n_ports; i++)
                set->ports[i].name = string_put(&at, set->ports[i].name);
        return r;
}

static uint32_t most_shared(uint32_t n_addrs, const struct endpoint_set *old, const struct finding *news)
{
        uint64_t n = (uint64_t)old->n_shared + (news ? news->n_endpoints : 0);

        return n < 2 * KHS_MAX_ADDRS - n_addrs ? (uint32_t)n : 2 * KHS_MAX_ADDRS - n_addrs;
}

int endpoint_set_make(struct endpoint_set *ret, struct names *names, const struct endpoint_addrs *addrs,
                      const struct endpoint_set *old, const struct endpoint_addrs *old_addrs,
                      const struct finding *news, const struct khs_port *ports, size_t n_ports)
{
        struct making m = {
                .set = { .names = names },
                .walk = { .old = old, .old_addrs = old_addrs, .news = news },
                .n_addrs = addrs->n4 + addrs->n6,
        };
        int r;

        *ret = m.set;
        if (m.n_addrs == 0 || (old->n == 0 && !news))
                return 0;
        m.max_shared = most_shared(m.n_addrs, old, news);
        m.port_set_of = calloc((size_t)m.n_addrs + m.max_shared, sizeof(*m.port_set_of));
        r = port_sets_init(&m.ports, ports, n_ports, m.n_addrs + m.max_shared);
        if (r == 0)
                r = m.port_set_of ? endpoint_set_alloc(&m.set, m.n_addrs, m.max_shared) : -ENOMEM;
        if (r == 0)
                making_fill(&m, addrs);
        if (r == 0 && m.any) {
                endpoint_set_shrink(&m.set);
                r = port_sets_place(&m.ports, m.port_set_of, m.set.endpoints, m.set.n, &m.set.ports);
                if (r >= 0)
                        r = endpoint_set_own_strings(&m.set, (uint32_t)r);
                if (r == 0)
                        *ret = m.set;
        }
        port_sets_deinit(&m.ports);
        free(m.port_set_of);
        if (ret->n == 0)
                endpoint_set_deinit(&m.set);
        return r;
}

static bool string_equal(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

static bool endpoint_equal(const struct khs_row_endpoint *a, const struct khs_row_endpoint *b)
{
        if (a->flags != b->flags || a->near != b->near || a->n_ports != b->n_ports || !string_equal(a->host, b->host) ||
            !string_equal(a->node, b->node) || !string_equal(a->zone, b->zone))
                return false;
        for (uint32_t i = 0; i < a->n_ports; i++)
                if (a->ports[i].number != b->ports[i].number || a->ports[i].protocol != b->ports[i].protocol ||
                    !string_equal(a->ports[i].name, b->ports[i].name))
                        return false;
        return true;
}

bool endpoint_set_equal(const struct endpoint_set *a, const struct endpoint_set *b)
{
        uint32_t n_addrs = a->n - a->n_shared;

        if (a->n != b->n || a->n_shared != b->n_shared || a->complete != b->complete)
                return false;
        if (a->n == 0)
                return true;
        if (memcmp(a->others_unknown, b->others_unknown, n_addrs * sizeof(*a->others_unknown)) != 0 ||
            memcmp(a->shared, b->shared, a->n_shared * sizeof(*a->shared)) != 0)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!endpoint_equal(&a->endpoints[i], &b->endpoints[i]))
                        return false;
        return true;
}
