/*
 * Between the service model and the table's rows.
 *
 * A row borrows everything from the service, so that making one costs nothing: addresses and endpoints lie in
 * the order of a record already. The way back goes through the model's own door: what an earlier table said is
 * applied as one finding, filter included, and only then put back in time.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "model/service-row.h"

#define USEC_PER_DS 100000ULL

/* What one family adds to a row. */
static void row_add_family(struct khs_row *row, const struct service *s, int family, int64_t *fresh, int64_t *stale)
{
        const struct service_family *f = family == AF_INET ? &s->v4 : &s->v6;
        int64_t until = service_family_stale_until(f, s->max_stale);

        if (!service_wants(s, family))
                return;
        if (!service_family_is_known(f))
                row->flags |= family == AF_INET ? KHS_REC_V4_UNKNOWN : KHS_REC_V6_UNKNOWN;
        if (f->standing && f->state != KHS_SERVICE_STALE && until > *fresh)
                *fresh = until;
        if (until > *stale)
                *stale = until;
}

/* Whether a host that the row does not name is none of the service's. */
static bool row_knows_all_hosts(const struct khs_row *row, const struct service *s)
{
        if (!s->hosts || s->truncated || row->flags & (KHS_REC_V4_UNKNOWN | KHS_REC_V6_UNKNOWN))
                return false;
        return row->n4 + row->n6 == 0 || (s->set.n > 0 && s->set.complete);
}

void service_row(const struct service *s, struct khs_row *ret)
{
        enum khs_port_kind kind = s->n_ports > 0 ? (enum khs_port_kind)s->ports[0].kind : KHS_PORT_NONE;
        const struct service_family *best = service_best(s);
        int64_t fresh = 0, stale = 0;

        *ret = (struct khs_row){
                .key = s->key,
                .n_key = strlen(s->key),
                .flags = (s->truncated ? KHS_REC_TRUNCATED : 0) | (s->not_headless ? KHS_REC_NOT_HEADLESS : 0),
                .n4 = s->v4.n,
                .n6 = s->v6.n,
                .v4 = s->v4.addrs,
                .v6 = s->v6.addrs,
                .endpoints = s->set.n > 0 ? s->set.endpoints : NULL,
                .n_shared = s->set.n_shared,
                .shared = s->set.shared,
                .port_base = s->set.n > 0 && kind == KHS_PORT_BASE ? s->ports[0].number : 0,
                .policy = s->policy,
                .version = s->version,
                .status = khs_status(best->state, best->reason, best->source),
                .since_ds = (uint32_t)(best->since / USEC_PER_DS),
                .ttl_s = best->ttl_s,
                .port = kind == KHS_PORT_NUMBER ? s->ports[0].number : 0,
        };
        row_add_family(ret, s, AF_INET, &fresh, &stale);
        row_add_family(ret, s, AF_INET6, &fresh, &stale);
        if (row_knows_all_hosts(ret, s))
                ret->flags |= KHS_REC_HOSTS_COMPLETE;
        ret->fresh_until_ds = (uint32_t)((uint64_t)fresh / USEC_PER_DS);
        ret->stale_until_ds = (uint32_t)((uint64_t)stale / USEC_PER_DS);
}

/* ---- an earlier table ---- */

/*
 * What a row says of its i-th address, or of a further endpoint that has it. A record that does not vouch for
 * its hosts may lack one of any of its addresses: until a source has spoken, none of these is taken to have
 * no other.
 */
static struct finding_endpoint row_endpoint(const struct khs_row *row, uint32_t i, const struct khs_row_endpoint *e)
{
        static const struct khs_row_endpoint unknown = { .flags = KHS_ATTR_READY | KHS_ATTR_SERVING };
        uint8_t family = i < row->n4 ? AF_INET : AF_INET6;
        size_t size = address_size(family);
        const uint8_t *addrs = family == AF_INET ? row->v4 : row->v6;
        struct finding_endpoint ret;

        e = e ? e : &unknown;
        ret = (struct finding_endpoint){
                .family = family,
                .flags = e->flags,
                .near = e->near,
                .others_unknown = !(row->flags & KHS_REC_HOSTS_COMPLETE),
                .host = e->host && e->host[0] ? e->host : NULL,
                .node = e->node && e->node[0] ? e->node : NULL,
                .zone = e->zone && e->zone[0] ? e->zone : NULL,
                .ports = e->ports,
                .n_ports = e->n_ports,
        };
        memcpy(ret.bytes, addrs + (i < row->n4 ? i : i - row->n4) * size, size);
        return ret;
}

static int row_compare(const void *a, const void *b)
{
        const struct finding_endpoint *first = a, *second = b;
        int r;

        if (first->family != second->family)
                return first->family == AF_INET ? -1 : 1;
        r = address_compare(first->family, first->bytes, second->bytes);
        return r != 0 ? r : strcmp(first->host ? first->host : "", second->host ? second->host : "");
}

/* A record has its near addresses first, and sets of endpoints are in the order of their addresses. */
static int row_apply(struct service *s, const struct khs_row *row, uint64_t now)
{
        uint32_t n_addrs = row->n4 + row->n6, n_shared = row->endpoints ? row->n_shared : 0, shared = 0;
        struct finding_endpoint *endpoints = calloc((size_t)n_addrs + n_shared + 1, sizeof(*endpoints));
        struct finding finding = {
                .kind = FINDING_WHOLE,
                .source = (uint8_t)(row->status >> 16),
                .truncated = row->flags & KHS_REC_TRUNCATED,
                .not_headless = row->flags & KHS_REC_NOT_HEADLESS,
                .ttl_s = row->ttl_s,
                .endpoints = endpoints,
        };
        int r;

        if (!endpoints)
                return -ENOMEM;
        for (uint32_t i = 0; i < n_addrs; i++) {
                endpoints[finding.n_endpoints++] = row_endpoint(row, i, row->endpoints ? &row->endpoints[i] : NULL);
                for (; shared < n_shared && row->shared[shared] == i; shared++)
                        endpoints[finding.n_endpoints++] = row_endpoint(row, i, &row->endpoints[n_addrs + shared]);
        }
        for (uint32_t i = 0; i < finding.n_endpoints; i++)
                endpoints[i].near = endpoints[i].near && s->near;
        qsort(endpoints, finding.n_endpoints, sizeof(*endpoints), row_compare);
        r = service_apply(s, &finding, now);
        free(endpoints);
        return r;
}

/* Puts a family back to when the earlier daemon last had it confirmed. */
static void row_set_back(struct service_family *f, bool unknown, int64_t confirmed, uint64_t max_stale, uint64_t now)
{
        if (unknown)
                *f = (struct service_family){ .since = now };
        if (!service_family_is_known(f))
                return;
        (void)service_family_resume(f, confirmed, max_stale, now);
        service_family_enter(f, f->n > 0 ? KHS_SERVICE_STALE : KHS_SERVICE_EMPTY, KHS_REASON_RESTART, now);
}

/* Whether the table goes on saying what it said: the configuration may be another one. Sources decide later. */
static bool row_is_unchanged(const struct service *s, const struct khs_row *row)
{
        struct khs_row now;

        service_row(s, &now);
        return now.n4 == row->n4 && now.n6 == row->n6 && now.policy == row->policy && now.port == row->port &&
               now.port_base == row->port_base && now.flags == row->flags && !now.endpoints == !row->endpoints;
}

int service_seed(struct service *s, const struct khs_row *row, uint64_t now)
{
        int32_t left_ds = (int32_t)(row->stale_until_ds - (uint32_t)(now / USEC_PER_DS));
        int64_t confirmed = (int64_t)now + left_ds * (int64_t)USEC_PER_DS - (int64_t)s->max_stale;
        int r;

        s->not_headless = row->flags & KHS_REC_NOT_HEADLESS;
        if (left_ds > 0) {
                r = row_apply(s, row, now);
                if (r < 0)
                        return r;
                if (confirmed > (int64_t)now) /* max-stale was longer then */
                        confirmed = (int64_t)now;
                row_set_back(&s->v4, row->flags & KHS_REC_V4_UNKNOWN, confirmed, s->max_stale, now);
                row_set_back(&s->v6, row->flags & KHS_REC_V6_UNKNOWN, confirmed, s->max_stale, now);
        }
        s->version = row_is_unchanged(s, row) ? row->version : row->version + 1;
        return 0;
}

/* ---- for people ---- */

const char *service_state_name(enum khs_service_state state)
{
        static const char *const names[] = {
                [KHS_SERVICE_PENDING] = "pending", [KHS_SERVICE_FRESH] = "fresh",     [KHS_SERVICE_STALE] = "stale",
                [KHS_SERVICE_EMPTY] = "empty",     [KHS_SERVICE_EXPIRED] = "expired",
        };

        return names[state];
}

const char *service_reason(const struct service *s)
{
        return finding_reason_text((enum khs_reason)service_best(s)->reason);
}
