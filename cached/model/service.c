/* The service model, see model/service.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "model/filter.h"
#include "model/service.h"

#define USEC_PER_DS 100000ULL

static size_t address_size(int family)
{
        return family == AF_INET ? 4 : 16;
}

static bool wants(const struct service *s, int family)
{
        return s->family == KHS_FAMILY_ANY || (s->family == KHS_FAMILY_IPV4) == (family == AF_INET);
}

static struct service_family *family_of(struct service *s, int family)
{
        return family == AF_INET ? &s->v4 : &s->v6;
}

/* A state's start is told only when it is another one: "stale since" must not move with each failure. */
static void enter(struct service_family *f, enum khs_service_state state, enum khs_reason reason, uint64_t now)
{
        if (f->state != state)
                f->since = now;
        f->state = (uint8_t)state;
        f->reason = (uint8_t)reason;
}

static bool is_known(const struct service_family *f)
{
        return f->state != KHS_SERVICE_PENDING && f->state != KHS_SERVICE_EXPIRED;
}

/* End of the time for which it may be served; 0 where there is nothing to serve. */
static int64_t stale_until(const struct service_family *f, uint64_t max_stale)
{
        return is_known(f) ? f->confirmed + (int64_t)max_stale : 0;
}

static struct host_addrs addrs_of(const struct service *s)
{
        return (struct host_addrs){ s->v4.n, s->v6.n, s->v4.addrs, s->v6.addrs };
}

/*
 * From now on these are a family's addresses; they are handed over. Their attributes go with those
 * that go. For want of memory all go: then they are learned again.
 */
static void replace(struct service *s, struct service_family *f, void *addrs, uint32_t n)
{
        struct host_addrs old_addrs = addrs_of(s), new_addrs;
        struct host_table table;
        void *old = f->addrs;

        f->addrs = addrs;
        f->n = n;
        new_addrs = addrs_of(s);
        (void)host_table_make(&table, &new_addrs, &s->table, &old_addrs, NULL, s->ports, s->n_ports);
        host_table_deinit(&s->table);
        s->table = table;
        free(old);
}

static void forget(struct service *s, struct service_family *f)
{
        replace(s, f, NULL, 0);
}

/* As if it had never been asked for. A row says of a family that is not wanted that it has none. */
static void reset(struct service *s, struct service_family *f)
{
        forget(s, f);
        *f = (struct service_family){ 0 };
}

/* Return: 1 when they are others than before, 0, or -ENOMEM. */
static int set_addresses(struct service *s, struct service_family *f, const void *addrs, uint32_t n, size_t size)
{
        void *copy;

        if (n == f->n && (n == 0 || memcmp(addrs, f->addrs, n * size) == 0))
                return 0;
        copy = malloc(n * size);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, addrs, n * size);
        replace(s, f, copy, n);
        return 1;
}

int service_new(struct service **ret, const char *key, uint32_t version, uint64_t now)
{
        struct service *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->key = strdup(key);
        if (!s->key) {
                free(s);
                return -ENOMEM;
        }
        s->version = version;
        s->v4.since = s->v6.since = now;
        *ret = s;
        return 0;
}

struct service *service_free(struct service *s)
{
        if (s) {
                host_table_deinit(&s->table);
                free(s->v4.addrs);
                free(s->v6.addrs);
                free(s->ports);
                free(s->key);
                free(s);
        }
        return NULL;
}

static bool same_ports(const struct service *s, const struct service_options *options)
{
        if (s->n_ports != options->n_ports)
                return false;
        for (size_t i = 0; i < s->n_ports; i++) {
                const struct khs_port *a = &s->ports[i], *b = &options->ports[i];

                if (a->kind != b->kind || a->udp != b->udp || a->number != b->number || strcmp(a->name, b->name) != 0)
                        return false;
        }
        return true;
}

/* What is known of ports that stay, stays. */
static int set_ports(struct service *s, const struct service_options *options)
{
        struct host_addrs addrs = addrs_of(s);
        struct khs_port *copy = NULL;
        struct host_table table;
        int r;

        if (options->n_ports > 0) {
                copy = calloc(options->n_ports, sizeof(*copy));
                if (!copy)
                        return -ENOMEM;
                memcpy(copy, options->ports, options->n_ports * sizeof(*copy));
        }
        r = host_table_make(&table, &addrs, &s->table, &addrs, NULL, copy, options->n_ports);
        if (r < 0) {
                free(copy);
                return r;
        }
        host_table_deinit(&s->table);
        s->table = table;
        free(s->ports);
        s->ports = copy;
        s->n_ports = options->n_ports;
        return 0;
}

int service_configure(struct service *s, const struct service_options *options)
{
        bool ports = !same_ports(s, options);
        int r;

        if (s->policy == options->policy && !ports && s->hosts == options->hosts && s->family == options->family &&
            s->max_stale == options->max_stale)
                return SERVICE_UNCHANGED;
        r = ports ? set_ports(s, options) : 0;
        if (r < 0)
                return r;
        s->policy = options->policy;
        s->hosts = options->hosts;
        s->family = (uint8_t)options->family;
        s->max_stale = options->max_stale;
        if (!s->hosts)
                host_table_deinit(&s->table);
        if (!wants(s, AF_INET))
                reset(s, &s->v4);
        if (!wants(s, AF_INET6))
                reset(s, &s->v6);
        s->version++;
        return SERVICE_CONTENT;
}

/* Those that are allowed, in their order. Return: how many. */
static uint32_t copy_allowed(const struct service_family *f, int family, const struct network *allow_cidr,
                             size_t n_allow_cidr, uint8_t *ret)
{
        size_t size = address_size(family);
        uint32_t n = 0;

        for (uint32_t i = 0; i < f->n; i++) {
                const uint8_t *address = (const uint8_t *)f->addrs + i * size;

                if (address_is_pod((uint8_t)family, address, allow_cidr, n_allow_cidr))
                        memcpy(ret + n++ * size, address, size);
        }
        return n;
}

int service_restrict(struct service *s, const struct network *allow_cidr, size_t n_allow_cidr, uint64_t now)
{
        static const int families[] = { AF_INET, AF_INET6 };
        uint8_t *allowed[2] = { NULL };
        uint32_t n[2];
        int change = SERVICE_UNCHANGED;

        for (size_t i = 0; i < 2; i++) {
                const struct service_family *f = family_of(s, families[i]);

                allowed[i] = malloc(f->n * address_size(families[i]) + 1);
                if (!allowed[i]) {
                        free(allowed[0]);
                        return -ENOMEM;
                }
                n[i] = copy_allowed(f, families[i], allow_cidr, n_allow_cidr, allowed[i]);
        }
        for (size_t i = 0; i < 2; i++) {
                struct service_family *f = family_of(s, families[i]);

                if (n[i] == f->n) {
                        free(allowed[i]);
                        continue;
                }
                if (n[i] > 0) {
                        replace(s, f, allowed[i], n[i]);
                } else {
                        free(allowed[i]);
                        reset(s, f);
                        enter(f, KHS_SERVICE_PENDING, KHS_REASON_FILTERED, now);
                        f->since = now;
                }
                s->version++;
                change = SERVICE_CONTENT;
        }
        return change;
}

static int seed_family(struct service *s, struct service_family *f, const struct khs_row *row, const void *addrs,
                       uint32_t n, size_t size, int64_t confirmed, uint64_t now)
{
        int r = set_addresses(s, f, addrs, n, size);

        if (r < 0)
                return r;
        f->confirmed = confirmed;
        f->ttl_s = row->ttl_s;
        f->source = (uint8_t)(row->status >> 16);
        enter(f, n > 0 ? KHS_SERVICE_STALE : KHS_SERVICE_EMPTY, KHS_REASON_RESTART, now);
        return 0;
}

/* A source's attributes. Return: whether they say anything new, or -ENOMEM. */
static int apply_endpoints(struct service *s, const struct finding *result)
{
        struct host_addrs addrs = addrs_of(s);
        struct host_table table;
        int r;

        if (!s->hosts)
                return SERVICE_UNCHANGED;
        r = host_table_make(&table, &addrs, &s->table, &addrs, result, s->ports, s->n_ports);
        if (r < 0)
                return r;
        if (host_table_equal(&table, &s->table)) {
                host_table_deinit(&table);
                return SERVICE_UNCHANGED;
        }
        host_table_deinit(&s->table);
        s->table = table;
        return SERVICE_CONTENT;
}

/* What a record says of the endpoint that has the i-th address. */
static struct finding_endpoint seed_endpoint(const struct khs_row *row, uint32_t i, const struct khs_row_endpoint *e)
{
        bool six = i >= row->n4;
        struct finding_endpoint ret = {
                .family = six ? AF_INET6 : AF_INET,
                .others_unknown = !(row->flags & KHS_REC_HOSTS_COMPLETE),
                .host = e->host && e->host[0] ? e->host : NULL,
                .ports = e->ports,
                .n_ports = e->n_ports,
        };

        memcpy(ret.bytes,
               six ? (const uint8_t *)row->v6 + (size_t)(i - row->n4) * 16 : (const uint8_t *)row->v4 + (size_t)i * 4,
               six ? 16 : 4);
        return ret;
}

/*
 * A record that does not vouch for its hosts may lack one of any of its addresses. So until a source has
 * spoken, none of these is taken to have no other.
 */
static int seed_endpoints(struct service *s, const struct khs_row *row)
{
        uint32_t n_addrs = row->n4 + row->n6, shared = 0;
        struct finding_endpoint *endpoints = calloc((size_t)n_addrs + row->n_shared + 1, sizeof(*endpoints));
        struct finding result = { .kind = FINDING_ENDPOINTS, .endpoints = endpoints };
        int r;

        if (!endpoints)
                return -ENOMEM;
        for (uint32_t i = 0; i < n_addrs; i++) {
                endpoints[result.n_endpoints++] = seed_endpoint(row, i, &row->endpoints[i]);
                for (; shared < row->n_shared && row->shared[shared] == i; shared++)
                        endpoints[result.n_endpoints++] = seed_endpoint(row, i, &row->endpoints[n_addrs + shared]);
        }
        r = apply_endpoints(s, &result);
        free(endpoints);
        return r < 0 ? r : 0;
}

int service_seed(struct service *s, const struct khs_row *row, uint64_t now)
{
        int32_t left_ds = (int32_t)(row->stale_until_ds - (uint32_t)(now / USEC_PER_DS));
        int64_t confirmed = (int64_t)now + left_ds * (int64_t)USEC_PER_DS - (int64_t)s->max_stale;
        int r = 0;

        s->version = row->version;
        if (left_ds <= 0)
                return 0;
        if (confirmed > (int64_t)now) /* max-stale was longer then */
                confirmed = (int64_t)now;
        if (!(row->flags & KHS_REC_V4_UNKNOWN) && wants(s, AF_INET))
                r = seed_family(s, &s->v4, row, row->v4, row->n4, 4, confirmed, now);
        if (r == 0 && !(row->flags & KHS_REC_V6_UNKNOWN) && wants(s, AF_INET6))
                r = seed_family(s, &s->v6, row, row->v6, row->n6, 16, confirmed, now);
        if (r == 0 && row->endpoints)
                r = seed_endpoints(s, row);
        return r;
}

static int apply_answer(struct service *s, struct service_family *f, const struct finding *result, uint64_t now)
{
        bool was_known = is_known(f);
        int changed = set_addresses(s, f, result->addrs, result->n_addrs, address_size(result->family));

        if (changed < 0)
                return changed;
        f->n_negatives = 0;
        f->ttl_s = result->ttl_s;
        f->fresh_until = now + (uint64_t)result->ttl_s * 1000000ULL;
        f->confirmed = (int64_t)now;
        enter(f, KHS_SERVICE_FRESH, KHS_REASON_NONE, now);
        return changed || !was_known ? SERVICE_CONTENT : SERVICE_TIMES;
}

/* Whether the source's "none" is to be believed. */
static bool negative_counts(struct service_family *f, const struct finding *result, uint64_t now)
{
        if (result->source != KHS_SOURCE_DNS)
                return true;
        if (f->n_negatives == 0 || now - f->last_negative >= SERVICE_NEGATIVE_GAP_USEC) {
                f->last_negative = now;
                if (f->n_negatives < SERVICE_NEGATIVES)
                        f->n_negatives++;
        }
        return f->n_negatives >= SERVICE_NEGATIVES;
}

static enum service_change apply_failure(struct service_family *f, const struct finding *result, uint64_t now)
{
        if (f->state == KHS_SERVICE_FRESH || f->state == KHS_SERVICE_STALE)
                enter(f, KHS_SERVICE_STALE, result->reason, now);
        else
                f->reason = result->reason;
        return SERVICE_TIMES;
}

static enum service_change apply_negative(struct service *s, struct service_family *f, const struct finding *result,
                                          uint64_t now)
{
        bool was_empty = f->state == KHS_SERVICE_EMPTY;

        if (!negative_counts(f, result, now) && !was_empty)
                return apply_failure(f, result, now);
        forget(s, f);
        f->ttl_s = result->ttl_s;
        f->fresh_until = now + (uint64_t)result->ttl_s * 1000000ULL;
        f->confirmed = (int64_t)now;
        enter(f, KHS_SERVICE_EMPTY, result->reason, now);
        return was_empty ? SERVICE_TIMES : SERVICE_CONTENT;
}

static int apply_addresses(struct service *s, const struct finding *result, uint64_t now)
{
        struct service_family *f = family_of(s, result->family);

        if (!wants(s, result->family))
                return SERVICE_UNCHANGED;
        f->source = result->source;
        switch (result->kind) {
        case FINDING_ANSWER:
                return apply_answer(s, f, result, now);
        case FINDING_NEGATIVE:
                return apply_negative(s, f, result, now);
        default:
                return apply_failure(f, result, now);
        }
}

int service_apply(struct service *s, const struct finding *result, uint64_t now)
{
        int change = result->kind == FINDING_ENDPOINTS ? apply_endpoints(s, result) : apply_addresses(s, result, now);

        if (change == SERVICE_CONTENT)
                s->version++;
        return change;
}

/*
 * A family that a service has never had is asked for only now and then: while the other family is
 * confirmed, it is still known to have none.
 */
static bool too_old(const struct service_family *f, const struct service_family *other, uint64_t max_stale,
                    uint64_t now)
{
        if (!is_known(f) || (f->state == KHS_SERVICE_EMPTY && other->state == KHS_SERVICE_FRESH))
                return false;
        return (int64_t)now >= stale_until(f, max_stale);
}

static void expire(struct service *s, struct service_family *f, uint64_t now)
{
        forget(s, f);
        f->n_negatives = 0;
        enter(f, KHS_SERVICE_EXPIRED, f->reason, now);
}

enum service_change service_tick(struct service *s, uint64_t now)
{
        bool v4 = wants(s, AF_INET) && too_old(&s->v4, &s->v6, s->max_stale, now);
        bool v6 = wants(s, AF_INET6) && too_old(&s->v6, &s->v4, s->max_stale, now);

        if (v4)
                expire(s, &s->v4, now);
        if (v6)
                expire(s, &s->v6, now);
        if (!v4 && !v6)
                return SERVICE_UNCHANGED;
        s->version++;
        return SERVICE_CONTENT;
}

static int rank(const struct service_family *f)
{
        static const int ranks[] = {
                [KHS_SERVICE_PENDING] = 0, [KHS_SERVICE_EXPIRED] = 1, [KHS_SERVICE_EMPTY] = 2,
                [KHS_SERVICE_STALE] = 3,   [KHS_SERVICE_FRESH] = 4,
        };

        return ranks[f->state];
}

static const struct service_family *better(const struct service *s)
{
        if (!wants(s, AF_INET6))
                return &s->v4;
        if (!wants(s, AF_INET))
                return &s->v6;
        return rank(&s->v6) > rank(&s->v4) ? &s->v6 : &s->v4;
}

enum khs_service_state service_state(const struct service *s)
{
        return (enum khs_service_state)better(s)->state;
}

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
        static const char *const reasons[] = {
                [KHS_REASON_TIMEOUT] = "no server answered",
                [KHS_REASON_REFUSED] = "refused",
                [KHS_REASON_SERVFAIL] = "SERVFAIL",
                [KHS_REASON_NXDOMAIN] = "NXDOMAIN",
                [KHS_REASON_NODATA] = "no addresses",
                [KHS_REASON_FOREIGN] = "the servers do not know the cluster",
                [KHS_REASON_MALFORMED] = "unreadable answers",
                [KHS_REASON_TRUNCATED] = "more addresses than DNS can send",
                [KHS_REASON_FILTERED] = "no address is allowed",
                [KHS_REASON_NO_SERVER] = "no server is known",
                [KHS_REASON_RESTART] = "known from before the start",
        };
        uint8_t reason = better(s)->reason;

        return reason < sizeof(reasons) / sizeof(reasons[0]) ? reasons[reason] : NULL;
}

static int64_t later(int64_t a, int64_t b)
{
        return a > b ? a : b;
}

/* What one family adds to a row. */
static void row_family(const struct service *s, const struct service_family *f, uint32_t unknown_flag,
                       struct khs_row *row, int64_t *fresh, int64_t *stale)
{
        if (!is_known(f))
                row->flags |= unknown_flag;
        *fresh = later(*fresh, (int64_t)f->fresh_until);
        *stale = later(*stale, stale_until(f, s->max_stale));
}

/* Whether a host that the row does not name is none of the service's. */
static bool knows_all_hosts(const struct service *s, const struct khs_row *row)
{
        if (!s->hosts || row->flags & (KHS_REC_V4_UNKNOWN | KHS_REC_V6_UNKNOWN))
                return false;
        return row->n4 + row->n6 == 0 || (s->table.n > 0 && s->table.complete);
}

void service_row(const struct service *s, struct khs_row *ret)
{
        enum khs_port_kind kind = s->n_ports > 0 ? (enum khs_port_kind)s->ports[0].kind : KHS_PORT_NONE;
        const struct service_family *best = better(s);
        int64_t fresh = 0, stale = 0;

        *ret = (struct khs_row){
                .key = s->key,
                .n_key = strlen(s->key),
                .n4 = s->v4.n,
                .n6 = s->v6.n,
                .v4 = s->v4.addrs,
                .v6 = s->v6.addrs,
                .endpoints = s->table.n > 0 ? s->table.rows : NULL,
                .n_shared = s->table.n_shared,
                .shared = s->table.shared,
                .port_base = s->table.n > 0 && kind == KHS_PORT_BASE ? s->ports[0].number : 0,
                .policy = s->policy,
                .version = s->version,
                .status = khs_status(best->state, best->reason, best->source),
                .since_ds = (uint32_t)(best->since / USEC_PER_DS),
                .ttl_s = best->ttl_s,
                .port = kind == KHS_PORT_NUMBER ? s->ports[0].number : 0,
        };
        if (wants(s, AF_INET))
                row_family(s, &s->v4, KHS_REC_V4_UNKNOWN, ret, &fresh, &stale);
        if (wants(s, AF_INET6))
                row_family(s, &s->v6, KHS_REC_V6_UNKNOWN, ret, &fresh, &stale);
        if (knows_all_hosts(s, ret))
                ret->flags |= KHS_REC_HOSTS_COMPLETE;
        ret->fresh_until_ds = (uint32_t)((uint64_t)fresh / USEC_PER_DS);
        ret->stale_until_ds = (uint32_t)((uint64_t)stale / USEC_PER_DS);
}
