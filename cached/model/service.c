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
 *   not at all. There is one exception: addresses that go for their age take the attributes of the others
 *   along where these can't be copied. They are learned again.
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

/* What changes, before any of it is true. */
struct plan {
        struct plan_family {
                bool any;     /* it shall have these addresses, and no others */
                bool refused; /* there are some, but none is admitted: it stays as it is */
                uint8_t *addrs;
                uint32_t n;
        } families[2];
        bool differs; /* from the addresses that there are */
        struct endpoint_set set;
};

static void plan_deinit(struct plan *plan)
{
        free(plan->families[0].addrs);
        free(plan->families[1].addrs);
        endpoint_set_deinit(&plan->set);
}

/* Those of @n sorted addresses, @stride bytes apart, that the filter admits, each once. */
static int plan_addrs(struct plan *plan, const struct service *s, size_t i, const void *addrs, size_t stride,
                      uint32_t n)
{
        const struct service_family *f = i == 0 ? &s->v4 : &s->v6;
        struct plan_family *p = &plan->families[i];
        size_t size = address_size(families[i]);

        p->addrs = malloc(n * size + 1);
        if (!p->addrs)
                return -ENOMEM;
        for (uint32_t a = 0; a < n; a++) {
                const uint8_t *address = (const uint8_t *)addrs + a * stride;

                if (p->n > 0 && memcmp(p->addrs + (p->n - 1) * size, address, size) == 0)
                        continue;
                if (filter_admits(s->filter, (uint8_t)families[i], address))
                        memcpy(p->addrs + p->n++ * size, address, size);
                else
                        p->refused = true;
        }
        if (p->n == 0) {
                free(p->addrs);
                p->addrs = NULL;
        }
        p->refused = p->refused && p->n == 0;
        p->any = !p->refused;
        if (p->any && (p->n != f->n || (p->n > 0 && memcmp(p->addrs, f->addrs, p->n * size) != 0)))
                plan->differs = true;
        return 0;
}

/* The endpoints of the addresses that there shall be. @news: what is said of them, or NULL. */
static int plan_endpoints(struct plan *plan, const struct service *s, const struct finding *news)
{
        const struct plan_family *v4 = &plan->families[0], *v6 = &plan->families[1];
        const struct endpoint_addrs old = service_addrs(s), new = {
                .n4 = v4->any ? v4->n : old.n4,
                .n6 = v6->any ? v6->n : old.n6,
                .v4 = v4->any ? v4->addrs : old.v4,
                .v6 = v6->any ? v6->addrs : old.v6,
        };

        return s->hosts ? endpoint_set_make(&plan->set, s->names, &new, &s->set, &old, news, s->ports, s->n_ports) : 0;
}

/* What state the families are in then is the caller's to say. */
static void plan_commit(struct plan *plan, struct service *s)
{
        service_set_endpoints(s, &plan->set);
        plan->set = (struct endpoint_set){ .n = 0 };
        for (size_t i = 0; i < 2; i++) {
                struct service_family *f = service_family(s, families[i]);
                struct plan_family *p = &plan->families[i];
                void *old = f->addrs;

                if (!p->any)
                        continue;
                f->addrs = p->addrs;
                f->n = p->n;
                p->addrs = old;
        }
}

static void service_drop_addrs(struct service *s, size_t i)
{
        struct plan plan = { .differs = true };

        plan.families[i].any = true;
        (void)plan_endpoints(&plan, s, NULL);
        plan_commit(&plan, s);
        plan_deinit(&plan);
}

/* As if it had never been asked for. A row says of a family that is not wanted that it has none. */
static void service_reset_family(struct service *s, size_t i)
{
        service_drop_addrs(s, i);
        *service_family(s, families[i]) = (struct service_family){ 0 };
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
        r = endpoint_set_make(&set, s->names, &addrs, &s->set, &addrs, NULL, copy, options->n_ports);
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
        s->names = options->names;
        if (s->policy == options->policy && !ports && s->hosts == options->hosts && s->near == options->near &&
            s->family == options->family && s->max_stale == options->max_stale)
                return SERVICE_UNCHANGED;
        r = ports ? service_set_ports(s, options) : 0;
        if (r < 0)
                return r;
        s->policy = options->policy;
        s->hosts = options->hosts;
        s->near = options->near;
        s->family = (uint8_t)options->family;
        s->max_stale = options->max_stale;
        if (!s->hosts)
                endpoint_set_deinit(&s->set);
        for (uint32_t i = 0; !s->near && i < s->set.n; i++)
                s->set.endpoints[i].near = false;
        for (size_t i = 0; i < 2; i++)
                if (!service_wants(s, families[i]))
                        service_reset_family(s, i);
        s->version++;
        return SERVICE_CONTENT;
}

int service_restrict(struct service *s, uint64_t now)
{
        struct plan plan = { .differs = false };
        int r = 0;

        if (!s->filter)
                return SERVICE_UNCHANGED;
        for (size_t i = 0; i < 2 && r == 0; i++) {
                const struct service_family *f = service_family(s, families[i]);

                r = plan_addrs(&plan, s, i, f->addrs, address_size(families[i]), f->n);
                plan.differs = plan.differs || plan.families[i].refused;
        }
        if (r == 0 && plan.differs)
                r = plan_endpoints(&plan, s, NULL);
        if (r == 0 && plan.differs) {
                plan_commit(&plan, s);
                for (size_t i = 0; i < 2; i++) {
                        struct service_family *f = service_family(s, families[i]);

                        if (!plan.families[i].refused)
                                continue;
                        service_reset_family(s, i);
                        service_family_enter(f, KHS_SERVICE_PENDING, KHS_REASON_FILTERED, now);
                        f->since = now;
                }
                s->version++;
                r = SERVICE_CONTENT;
        }
        plan_deinit(&plan);
        return r;
}

/* ---- findings ---- */

static int plan_finding(struct plan *plan, const struct service *s, const struct finding *finding)
{
        const struct finding_endpoint *e = finding->endpoints;
        uint32_t n4 = 0, n;
        int r;

        if (finding->kind != FINDING_WHOLE)
                return plan_addrs(plan, s, finding->family == AF_INET6, finding->addrs, address_size(finding->family),
                                  finding->kind == FINDING_ANSWER ? finding->n_addrs : 0);
        while (n4 < finding->n_endpoints && e[n4].family == AF_INET)
                n4++;
        n = finding->n_endpoints - n4;
        r = service_wants(s, AF_INET) ? plan_addrs(plan, s, 0, n4 > 0 ? e[0].bytes : NULL, sizeof(*e), n4) : 0;
        if (r == 0 && service_wants(s, AF_INET6))
                r = plan_addrs(plan, s, 1, n > 0 ? e[n4].bytes : NULL, sizeof(*e), n);
        return r;
}

static int service_apply_failure(struct service *s, const struct finding *finding, int family, uint64_t now)
{
        if (!service_wants(s, family))
                return SERVICE_UNCHANGED;
        service_family_fail(service_family(s, family), finding, (enum khs_reason)finding->reason, s->max_stale, now);
        return SERVICE_TIMES;
}

/* Return: whether it was not known before. */
static bool service_confirm(struct service_family *f, const struct finding *finding, uint64_t now)
{
        enum khs_reason reason = (enum khs_reason)finding->reason;
        bool was_known = service_family_is_known(f);

        /* "None is ready" is said of the service, not of the family that it never had. */
        if (f->n == 0 && finding->n_endpoints > 0)
                reason = KHS_REASON_NODATA;
        service_family_confirm(f, finding, reason, now);
        return !was_known;
}

/* Addresses of one family, or everything. */
static int service_apply_addrs(struct service *s, const struct finding *finding, uint64_t now)
{
        bool whole = finding->kind == FINDING_WHOLE, changed;
        struct plan plan = { .differs = false };
        int r = plan_finding(&plan, s, finding);

        changed = whole && (s->truncated != finding->truncated || s->not_headless != finding->not_headless);
        if (r == 0 && (whole || plan.differs))
                r = plan_endpoints(&plan, s, whole ? finding : NULL);
        if (r < 0) {
                plan_deinit(&plan);
                return r;
        }
        if (whole || plan.differs) {
                changed = changed || plan.differs || !endpoint_set_equal(&plan.set, &s->set);
                s->truncated = whole && finding->truncated;
                s->not_headless = whole && finding->not_headless;
                plan_commit(&plan, s);
        }
        for (size_t i = 0; i < 2; i++) {
                struct service_family *f = service_family(s, families[i]);

                if (plan.families[i].refused)
                        service_family_fail(f, finding, KHS_REASON_FILTERED, s->max_stale, now);
                else if (plan.families[i].any)
                        changed = service_confirm(f, finding, now) || changed;
        }
        plan_deinit(&plan);
        return changed ? SERVICE_CONTENT : SERVICE_TIMES;
}

/* What a source knows of some addresses besides. */
static int service_apply_endpoints(struct service *s, const struct finding *finding)
{
        struct plan plan = { .differs = false };
        int r = plan_endpoints(&plan, s, finding);

        if (r == 0 && !endpoint_set_equal(&plan.set, &s->set)) {
                plan_commit(&plan, s);
                r = SERVICE_CONTENT;
        }
        plan_deinit(&plan);
        return r;
}

static int service_apply_of_family(struct service *s, const struct finding *finding, uint64_t now)
{
        struct service_family *f = service_family(s, finding->family);

        if (!service_wants(s, finding->family))
                return SERVICE_UNCHANGED;
        if (finding->kind == FINDING_NEGATIVE && !service_family_counts_negative(f, finding, now) &&
            f->state != KHS_SERVICE_EMPTY)
                return service_apply_failure(s, finding, finding->family, now);
        return service_apply_addrs(s, finding, now);
}

static int service_apply_kind(struct service *s, const struct finding *finding, uint64_t now)
{
        switch (finding->kind) {
        case FINDING_ENDPOINTS:
                return service_apply_endpoints(s, finding);
        case FINDING_WHOLE:
                return service_apply_addrs(s, finding, now);
        case FINDING_ANSWER:
        case FINDING_NEGATIVE:
                return service_apply_of_family(s, finding, now);
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

enum service_change service_resume(struct service *s, uint64_t heard, uint64_t now)
{
        bool four = service_family_resume(&s->v4, (int64_t)heard, s->max_stale, now);
        bool six = service_family_resume(&s->v6, (int64_t)heard, s->max_stale, now);

        return four || six ? SERVICE_TIMES : SERVICE_UNCHANGED;
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
                service_drop_addrs(s, i);
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
                [KHS_SERVICE_EMPTY] = 0, [KHS_SERVICE_PENDING] = 1, [KHS_SERVICE_EXPIRED] = 2,
                [KHS_SERVICE_STALE] = 3, [KHS_SERVICE_FRESH] = 4,
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
