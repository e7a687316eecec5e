/*
 * The join of slices.
 *
 *     candidates   every endpoint of every slice that `include` admits
 *     sorted       by family, address, host: what is one endpoint lies side by side
 *     merged       duplicates made one, limited to KHS_MAX_ADDRS addresses a family
 *     near         marked, see decode/near.h
 *
 * kuberesolver replaced its addresses by those of the slice that changed last; others showed deleted slices'
 * pods again, or nothing while pods moved between two slices. All of these come from looking at one slice.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "source/kube/decode/join.h"

struct joiner {
        struct kube_candidate *all;
        size_t n_all;
        struct kube_joined *ret;
        size_t n_ports;
};

static void joiner_deinit(struct joiner *j)
{
        free(j->all);
}

/* ---- who counts ---- */

static bool join_admits(const struct kube_endpoint *e, const struct kube_view *view, bool stand_in)
{
        bool serving = e->state & KHS_ATTR_SERVING;

        if (view->family != KHS_FAMILY_ANY && (view->family == KHS_FAMILY_IPV4) != (e->family == AF_INET))
                return false;
        if (view->include == SOURCE_INCLUDE_ALL)
                return true;
        if (view->include == SOURCE_INCLUDE_SERVING)
                return serving;
        return stand_in ? serving && (e->state & KHS_ATTR_TERMINATING) : e->state & KHS_ATTR_READY;
}

static void join_collect(struct joiner *j, const struct kube_slice *const *slices, size_t n_slices,
                         const struct kube_view *view, bool stand_in)
{
        for (size_t i = 0; i < n_slices; i++) {
                for (uint32_t k = 0; k < slices[i]->n_endpoints; k++) {
                        const struct kube_endpoint *e = &slices[i]->endpoints[k];

                        if (join_admits(e, view, stand_in))
                                j->all[j->n_all++] = (struct kube_candidate){ slices[i], e };
                }
        }
}

/* ---- duplicates ---- */

static const char *join_host(const struct kube_candidate *c)
{
        const char *host = kube_slice_text(c->slice, c->endpoint->host);

        return host ? host : "";
}

static int join_compare_address(const struct kube_candidate *a, const struct kube_candidate *b)
{
        if (a->endpoint->family != b->endpoint->family)
                return a->endpoint->family == AF_INET ? -1 : 1;
        return address_compare(a->endpoint->family, a->endpoint->bytes, b->endpoint->bytes);
}

/* Down to the name of the slice: what wins must not depend on the order in which slices came. */
static int join_compare(const void *a, const void *b)
{
        const struct kube_candidate *first = a, *second = b;
        int r = join_compare_address(first, second);

        if (r == 0)
                r = strcmp(join_host(first), join_host(second));
        return r != 0 ? r : strcmp(first->slice->name, second->slice->name);
}

static bool join_has_port(const struct finding_endpoint *e, const struct khs_row_port *port)
{
        for (uint32_t i = 0; i < e->n_ports; i++) {
                const struct khs_row_port *there = &e->ports[i];

                if (there->number == port->number && there->protocol == port->protocol &&
                    strcmp(there->name ? there->name : "", port->name ? port->name : "") == 0)
                        return true;
        }
        return false;
}

/* Room for all ports of all candidates was made beforehand; a set that has nothing to add stays shared. */
static void join_add_ports(struct joiner *j, struct finding_endpoint *e, const struct khs_row_port *ports, uint32_t n)
{
        struct khs_row_port *merged = j->ret->ports + j->n_ports;
        uint32_t n_merged = e->n_ports;

        if (n == 0 || e->ports == ports)
                return;
        if (e->n_ports == 0) {
                e->ports = ports;
                e->n_ports = n;
                return;
        }
        memcpy(merged, e->ports, n_merged * sizeof(*merged));
        for (uint32_t i = 0; i < n && n_merged < KUBE_PORTS_MAX; i++) {
                if (!join_has_port(e, &ports[i]))
                        merged[n_merged++] = ports[i];
        }
        if (n_merged == e->n_ports)
                return;
        j->n_ports += n_merged;
        e->ports = merged;
        e->n_ports = n_merged;
}

static uint8_t join_better_state(uint8_t a, uint8_t b)
{
        uint8_t good = (uint8_t)((a | b) & (KHS_ATTR_READY | KHS_ATTR_SERVING));

        return good | (a & b & KHS_ATTR_TERMINATING);
}

static void join_merge(struct joiner *j, struct finding_endpoint *e, const struct kube_candidate *c)
{
        const struct kube_endpoint *from = c->endpoint;
        const char *node = kube_slice_text(c->slice, from->node), *zone = kube_slice_text(c->slice, from->zone);

        e->flags = join_better_state(e->flags, from->state);
        e->host = e->host ? e->host : kube_slice_text(c->slice, from->host);
        e->node = e->node ? e->node : node;
        e->zone = e->zone ? e->zone : zone;
        join_add_ports(j, e, from->n_ports > 0 ? c->slice->ports + from->first_port : NULL, from->n_ports);
}

static void join_append(struct joiner *j, const struct kube_candidate *c)
{
        struct finding_endpoint *e = &j->ret->endpoints[j->ret->n_endpoints++];

        *e = (struct finding_endpoint){ .family = c->endpoint->family, .flags = c->endpoint->state };
        memcpy(e->bytes, c->endpoint->bytes, sizeof(e->bytes));
        join_merge(j, e, c);
}

/* Two of one address are one endpoint unless both have a host name, and not the same. */
static bool join_is_same(const struct finding_endpoint *e, const struct kube_candidate *c)
{
        const char *host = kube_slice_text(c->slice, c->endpoint->host);

        return !e->host || !host || strcmp(e->host, host) == 0;
}

/* The candidates that are left are those that are served, in the same order as their endpoints. */
static void join_unique(struct joiner *j)
{
        uint32_t n_addresses = 0;
        size_t n_kept = 0;

        for (size_t i = 0; i < j->n_all; i++) {
                const struct kube_candidate *c = &j->all[i];
                bool new_family = i == 0 || c->endpoint->family != j->all[i - 1].endpoint->family;
                bool new_address = i == 0 || join_compare_address(&j->all[i - 1], c) != 0;

                n_addresses = new_family ? 1 : n_addresses + new_address;
                if (n_addresses > KHS_MAX_ADDRS) {
                        j->ret->truncated = true;
                        continue;
                }
                if (!new_address && join_is_same(&j->ret->endpoints[j->ret->n_endpoints - 1], c))
                        join_merge(j, &j->ret->endpoints[j->ret->n_endpoints - 1], c);
                else
                        join_append(j, c);
                j->all[n_kept] = *c;
                j->all[n_kept++].row = j->ret->n_endpoints - 1;
        }
        j->n_all = n_kept;
}

/* ---- all together ---- */

static int join_reserve(struct joiner *j, const struct kube_slice *const *slices, size_t n_slices)
{
        size_t n = 0;

        for (size_t i = 0; i < n_slices; i++)
                n += slices[i]->n_endpoints;
        j->all = calloc(n + 1, sizeof(*j->all));
        return j->all ? 0 : -ENOMEM;
}

/* A merged set is larger than the sum of those in it only by what it takes over from the one before. */
static int join_reserve_rows(struct joiner *j)
{
        size_t n_ports = 0, n_sum = 0;

        for (size_t i = 0; i < j->n_all; i++) {
                bool new_address = i == 0 || join_compare_address(&j->all[i - 1], &j->all[i]) != 0;

                n_sum = new_address ? 0 : n_sum + j->all[i - 1].endpoint->n_ports;
                n_ports += new_address
                                   ? 0
                                   : (n_sum < KUBE_PORTS_MAX ? n_sum : KUBE_PORTS_MAX) + j->all[i].endpoint->n_ports;
        }
        j->ret->endpoints = calloc(j->n_all + 1, sizeof(*j->ret->endpoints));
        j->ret->ports = calloc(n_ports + 1, sizeof(*j->ret->ports));
        return j->ret->endpoints && j->ret->ports ? 0 : -ENOMEM;
}

int kube_join(struct kube_joined *ret, const struct kube_slice *const *slices, size_t n_slices,
              const struct kube_view *view)
{
        struct kube_joined joined = { .headless = false };
        _cleanup_(joiner_deinit) struct joiner j = { .ret = &joined };
        int r = join_reserve(&j, slices, n_slices);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n_slices; i++)
                joined.headless = joined.headless || slices[i]->headless; /* other managers may not label theirs */
        join_collect(&j, slices, n_slices, view, false);
        if (j.n_all == 0 && view->include == SOURCE_INCLUDE_READY)
                join_collect(&j, slices, n_slices, view, true);
        qsort(j.all, j.n_all, sizeof(*j.all), join_compare);
        r = join_reserve_rows(&j);
        if (r < 0) {
                kube_joined_deinit(&joined);
                return r;
        }
        join_unique(&j);
        if (view->order == KHS_ORDER_ZONE || view->order == KHS_ORDER_NODE)
                kube_mark_near(joined.endpoints, j.all, j.n_all, view);
        *ret = joined;
        return 0;
}

void kube_joined_deinit(struct kube_joined *joined)
{
        free(joined->endpoints);
        free(joined->ports);
        *joined = (struct kube_joined){ 0 };
}
