/*
 * What is known of one service.
 *
 *     finding --> filter --> addresses of a family --> its state (service-family.c)
 *                    |              |
 *                    '--> endpoint_set, what is known of each address (endpoints.c)
 *
 * Invariants:
 * - The endpoint set is always of the addresses that both families have now.
 * - Whatever can fail for want of memory is made before anything is changed: a finding is applied whole or
 *   not at all. There is one exception: addresses that change take their attributes along where these can't
 *   be copied. They are learned again.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "model/service.h"

static const int families[] = { AF_INET, AF_INET6 };

bool service_wants(const struct service *s, int family)
{
        return s->family == KHS_FAMILY_ANY || (s->family == KHS_FAMILY_IPV4) == (family == AF_INET);
}

static struct service_family *service_family(struct service *s, int family)
{
        return family == AF_INET ? &s->v4 : &s->v6;
}

static struct endpoint_addrs service_addrs(const struct service *s)
{
        return (struct endpoint_addrs){ s->v4.n, s->v6.n, s->v4.addrs, s->v6.addrs };
}

static void service_set_endpoints(struct service *s, const struct endpoint_set *set)
{
        endpoint_set_deinit(&s->set);
        s->set = *set;
}

/* ---- addresses ---- */

/* From now on these, which are handed over, are a family's addresses. */
static void service_replace_addrs(struct service *s, struct service_family *f, void *addrs, uint32_t n)
{
        struct endpoint_addrs old_addrs = service_addrs(s), new_addrs;
        struct endpoint_set set;
        void *old = f->addrs;

        f->addrs = addrs;
        f->n = n;
        new_addrs = service_addrs(s);
        (void)endpoint_set_make(&set, &new_addrs, &s->set, &old_addrs, NULL, s->ports, s->n_ports);
        service_set_endpoints(s, &set);
        free(old);
}

/* As if it had never been asked for. A row says of a family that is not wanted that it has none. */
static void service_reset_family(struct service *s, struct service_family *f)
{
        service_replace_addrs(s, f, NULL, 0);
        *f = (struct service_family){ 0 };
}

static bool service_family_has(const struct service_family *f, int family, const void *addrs, uint32_t n)
{
        return n == f->n && (n == 0 || memcmp(addrs, f->addrs, n * address_size(family)) == 0);
}

/* ---- the service ---- */

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
                endpoint_set_deinit(&s->set);
                free(s->v4.addrs);
                free(s->v6.addrs);
                free(s->ports);
                free(s->key);
                free(s);
        }
        return NULL;
}

static bool service_has_ports(const struct service *s, const struct service_options *options)
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

/* What is known of the endpoints' ports stays known for those that are still configured. */
static int service_set_ports(struct service *s, const struct service_options *options)
{
        struct endpoint_addrs addrs = service_addrs(s);
        struct khs_port *copy = NULL;
        struct endpoint_set set;
        int r;

        if (options->n_ports > 0) {
                copy = calloc(options->n_ports, sizeof(*copy));
                if (!copy)
                        return -ENOMEM;
                memcpy(copy, options->ports, options->n_ports * sizeof(*copy));
        }
        r = endpoint_set_make(&set, &addrs, &s->set, &addrs, NULL, copy, options->n_ports);
        if (r < 0) {
                free(copy);
                return r;
        }
        service_set_endpoints(s, &set);
        free(s->ports);
        s->ports = copy;
        s->n_ports = options->n_ports;
        return 0;
}

int service_configure(struct service *s, const struct service_options *options)
{
        bool ports = !service_has_ports(s, options);
        int r;

        s->filter = options->filter;
        if (s->policy == options->policy && !ports && s->hosts == options->hosts && s->family == options->family &&
            s->max_stale == options->max_stale)
                return SERVICE_UNCHANGED;
        r = ports ? service_set_ports(s, options) : 0;
        if (r < 0)
                return r;
        s->policy = options->policy;
        s->hosts = options->hosts;
        s->family = (uint8_t)options->family;
        s->max_stale = options->max_stale;
        if (!s->hosts)
                endpoint_set_deinit(&s->set);
        for (size_t i = 0; i < 2; i++)
                if (!service_wants(s, families[i]))
                        service_reset_family(s, service_family(s, families[i]));
        s->version++;
        return SERVICE_CONTENT;
}

int service_restrict(struct service *s, uint64_t now)
{
        uint8_t *admitted[2] = { NULL };
        uint32_t n[2];
        int change = SERVICE_UNCHANGED;

        if (!s->filter)
                return SERVICE_UNCHANGED;
        for (size_t i = 0; i < 2; i++) {
                const struct service_family *f = service_family(s, families[i]);

                admitted[i] = malloc(f->n * address_size(families[i]) + 1);
                if (!admitted[i]) {
                        free(admitted[0]);
                        return -ENOMEM;
                }
                n[i] = filter_addresses(s->filter, (uint8_t)families[i], f->addrs, f->n, admitted[i]);
        }
        for (size_t i = 0; i < 2; i++) {
                struct service_family *f = service_family(s, families[i]);

                if (n[i] == f->n) {
                        free(admitted[i]);
                        continue;
                }
                service_replace_addrs(s, f, admitted[i], n[i]);
                if (n[i] == 0) {
                        service_reset_family(s, f);
                        service_family_enter(f, KHS_SERVICE_PENDING, KHS_REASON_FILTERED, now);
                        f->since = now;
                }
                s->version++;
                change = SERVICE_CONTENT;
        }
        return change;
}

/* ---- findings of one family ---- */

static int service_apply_failure(struct service *s, const struct finding *finding, int family, uint64_t now)
{
        if (!service_wants(s, family))
                return SERVICE_UNCHANGED;
        service_family_fail(service_family(s, family), finding, (enum khs_reason)finding->reason, now);
        return SERVICE_TIMES;
}

static int service_apply_answer(struct service *s, const struct finding *finding, uint64_t now)
{
        struct service_family *f = service_family(s, finding->family);
        bool was_known = service_family_is_known(f), same;
        uint8_t *addrs = malloc(finding->n_addrs * address_size(finding->family) + 1);
        uint32_t n;

        if (!addrs)
                return -ENOMEM;
        n = filter_addresses(s->filter, finding->family, finding->addrs, finding->n_addrs, addrs);
        if (n == 0) {
                free(addrs);
                service_family_fail(f, finding, KHS_REASON_FILTERED, now);
                return SERVICE_TIMES;
        }
        same = service_family_has(f, finding->family, addrs, n);
        if (same)
                free(addrs);
        else
                service_replace_addrs(s, f, addrs, n);
        s->truncated = s->truncated && same;
        service_family_confirm(f, finding, (enum khs_reason)finding->reason, now);
        return !same || !was_known ? SERVICE_CONTENT : SERVICE_TIMES;
}

static int service_apply_negative(struct service *s, const struct finding *finding, uint64_t now)
{
        struct service_family *f = service_family(s, finding->family);
        bool was_empty = f->state == KHS_SERVICE_EMPTY;

        if (!service_family_counts_negative(f, finding, now) && !was_empty)
                return service_apply_failure(s, finding, finding->family, now);
        service_replace_addrs(s, f, NULL, 0);
        service_family_confirm(f, finding, (enum khs_reason)finding->reason, now);
        return was_empty ? SERVICE_TIMES : SERVICE_CONTENT;
}

/* ---- findings of the whole ---- */

/* What a source knows of some addresses besides. */
static int service_apply_endpoints(struct service *s, const struct finding *finding)
{
        struct endpoint_addrs addrs = service_addrs(s);
        struct endpoint_set set;
        int r;

        if (!s->hosts)
                return SERVICE_UNCHANGED;
        r = endpoint_set_make(&set, &addrs, &s->set, &addrs, finding, s->ports, s->n_ports);
        if (r < 0)
                return r;
        if (endpoint_set_equal(&set, &s->set)) {
                endpoint_set_deinit(&set);
                return SERVICE_UNCHANGED;
        }
        service_set_endpoints(s, &set);
        return SERVICE_CONTENT;
}

/* What a whole finding comes to, before any of it is true. */
struct plan {
        struct {
                uint8_t *addrs; /* that it shall have; NULL: those it has */
                uint32_t n;
                uint32_t n_refused;
        } families[2];
        struct endpoint_set set;
};

static void plan_deinit(struct plan *plan)
{
        free(plan->families[0].addrs);
        free(plan->families[1].addrs);
        endpoint_set_deinit(&plan->set);
}

/* The addresses of one family that are wanted and admitted, each once. */
static int plan_addrs(struct plan *plan, const struct service *s, const struct finding *finding, size_t i)
{
        size_t size = address_size(families[i]);
        uint8_t *addrs = malloc(finding->n_endpoints * size + 1);
        uint32_t n = 0;

        if (!addrs)
                return -ENOMEM;
        for (uint32_t e = 0; e < finding->n_endpoints && service_wants(s, families[i]); e++) {
                const struct finding_endpoint *endpoint = &finding->endpoints[e];

                if (endpoint->family != families[i] ||
                    (n > 0 && memcmp(addrs + (n - 1) * size, endpoint->bytes, size) == 0))
                        continue;
                if (filter_admits(s->filter, endpoint->family, endpoint->bytes))
                        memcpy(addrs + n++ * size, endpoint->bytes, size);
                else
                        plan->families[i].n_refused++;
        }
        plan->families[i].addrs = addrs;
        plan->families[i].n = n;
        return 0;
}

/* A family of which nothing was admitted, though something was there, stays as it is. */
static int plan_make(struct plan *plan, const struct service *s, const struct finding *finding)
{
        struct endpoint_addrs old = service_addrs(s), new;
        int r = plan_addrs(plan, s, finding, 0);

        if (r == 0)
                r = plan_addrs(plan, s, finding, 1);
        if (r < 0)
                return r;
        for (size_t i = 0; i < 2; i++) {
                if (plan->families[i].n > 0 || plan->families[i].n_refused == 0)
                        continue;
                free(plan->families[i].addrs);
                plan->families[i].addrs = NULL;
                plan->families[i].n = families[i] == AF_INET ? s->v4.n : s->v6.n;
        }
        new = (struct endpoint_addrs){ plan->families[0].n, plan->families[1].n, plan->families[0].addrs,
                                       plan->families[1].addrs };
        new.v4 = new.v4 ? new.v4 : s->v4.addrs;
        new.v6 = new.v6 ? new.v6 : s->v6.addrs;
        return s->hosts ? endpoint_set_make(&plan->set, &new, &s->set, &old, finding, s->ports, s->n_ports) : 0;
}

/* Return: whether the table's record changes. */
static bool plan_commit_family(struct plan *plan, struct service *s, const struct finding *finding, size_t i,
                               uint64_t now)
{
        struct service_family *f = service_family(s, families[i]);
        bool was_known = service_family_is_known(f), same;
        enum khs_reason reason = (enum khs_reason)finding->reason;

        if (!service_wants(s, families[i]))
                return false;
        if (!plan->families[i].addrs) {
                service_family_fail(f, finding, KHS_REASON_FILTERED, now);
                return false;
        }
        same = service_family_has(f, families[i], plan->families[i].addrs, plan->families[i].n);
        free(f->addrs);
        f->addrs = NULL;
        f->n = plan->families[i].n;
        if (f->n > 0) {
                f->addrs = plan->families[i].addrs;
                plan->families[i].addrs = NULL;
        }
        /* "None is ready" is said of the service, not of the family that it never had. */
        if (f->n == 0 && finding->n_endpoints > 0)
                reason = KHS_REASON_NODATA;
        service_family_confirm(f, finding, reason, now);
        return !same || !was_known;
}

static int service_apply_whole(struct service *s, const struct finding *finding, uint64_t now)
{
        struct plan plan = { .set = { .n = 0 } };
        int r = plan_make(&plan, s, finding);
        bool changed;

        if (r < 0) {
                plan_deinit(&plan);
                return r;
        }
        if (s->filter)
                s->filter->n_dropped += plan.families[0].n_refused + plan.families[1].n_refused;
        changed = s->truncated != finding->truncated || !endpoint_set_equal(&plan.set, &s->set);
        s->truncated = finding->truncated;
        service_set_endpoints(s, &plan.set);
        plan.set = (struct endpoint_set){ .n = 0 };
        for (size_t i = 0; i < 2; i++)
                changed = plan_commit_family(&plan, s, finding, i, now) || changed;
        plan_deinit(&plan);
        return changed ? SERVICE_CONTENT : SERVICE_TIMES;
}

static int service_apply_kind(struct service *s, const struct finding *finding, uint64_t now)
{
        switch (finding->kind) {
        case FINDING_ENDPOINTS:
                return service_apply_endpoints(s, finding);
        case FINDING_WHOLE:
                return service_apply_whole(s, finding, now);
        case FINDING_ANSWER:
                return service_wants(s, finding->family) ? service_apply_answer(s, finding, now) : SERVICE_UNCHANGED;
        case FINDING_NEGATIVE:
                return service_wants(s, finding->family) ? service_apply_negative(s, finding, now) : SERVICE_UNCHANGED;
        default:
                if (finding->family != AF_UNSPEC)
                        return service_apply_failure(s, finding, finding->family, now);
                return service_apply_failure(s, finding, AF_INET, now) |
                       service_apply_failure(s, finding, AF_INET6, now);
        }
}

int service_apply(struct service *s, const struct finding *finding, uint64_t now)
{
        int change = service_apply_kind(s, finding, now);

        if (change == SERVICE_CONTENT)
                s->version++;
        return change;
}

/* ---- time ---- */

void service_resume(struct service *s, uint64_t heard)
{
        service_family_resume(&s->v4, (int64_t)heard);
        service_family_resume(&s->v6, (int64_t)heard);
}

enum service_change service_tick(struct service *s, uint64_t now)
{
        enum service_change change = SERVICE_UNCHANGED;

        for (size_t i = 0; i < 2; i++) {
                struct service_family *f = service_family(s, families[i]);

                if (service_family_stand(f, s->max_stale, now) && change == SERVICE_UNCHANGED)
                        change = SERVICE_TIMES;
                if (f->standing || !service_family_is_known(f) ||
                    (int64_t)now < service_family_stale_until(f, s->max_stale))
                        continue;
                service_replace_addrs(s, f, NULL, 0);
                f->n_negatives = 0;
                service_family_enter(f, KHS_SERVICE_EXPIRED, (enum khs_reason)f->reason, now);
                change = SERVICE_CONTENT;
        }
        s->version += change == SERVICE_CONTENT;
        return change;
}

/* ---- the whole service's state ---- */

static int state_rank(const struct service_family *f)
{
        static const int ranks[] = {
                [KHS_SERVICE_PENDING] = 0, [KHS_SERVICE_EXPIRED] = 1, [KHS_SERVICE_EMPTY] = 2,
                [KHS_SERVICE_STALE] = 3,   [KHS_SERVICE_FRESH] = 4,
        };

        return ranks[f->state];
}

const struct service_family *service_best(const struct service *s)
{
        if (!service_wants(s, AF_INET6))
                return &s->v4;
        if (!service_wants(s, AF_INET))
                return &s->v6;
        return state_rank(&s->v6) > state_rank(&s->v4) ? &s->v6 : &s->v4;
}

enum khs_service_state service_state(const struct service *s)
{
        return (enum khs_service_state)service_best(s)->state;
}
