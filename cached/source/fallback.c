/*
 * The Kubernetes API, else DNS.
 *
 *                 failure of the first              failing for longer than the grace
 *     FOLLOWED ----------------------------> LOST ------------------------------------> FALLEN
 *        ^                                    |                                            |
 *        '------------------------------------'--------------- the first reports ----------'
 *
 * Each service has a state of its own, since rights and watches are those of a namespace. A service of which
 * the first has said nothing yet is lost from the beginning.
 *
 * - FOLLOWED, LOST: what the first reports is passed on, its failures too: the service is stale meanwhile.
 * - FALLEN: what the second reports is passed on, with the reason why the first is not heard, also when it is
 *   an answer. The service model replaces addresses by the second's own rules, and keeps what the first said
 *   of those that stay. The first report of the first replaces it all.
 * - A service that the second can't answer for never falls: pods without a Service, and one that is not
 *   headless, for which DNS would have a cluster IP. Its last good answer is served for max-stale.
 *
 * A change of source is often that of many services, whose reports come one after the other. So it is made,
 * and logged, by a timer a moment later, for all of them at once.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/timer.h"
#include "base/util.h"
#include "source/fallback.h"

#define JOIN_USEC (20 * USEC_PER_MSEC)

struct member {
        struct source_service service; /* strings and ports are copies, but for those of no use to the second */
        uint64_t lost_usec;            /* since when the first has failed; 0: it is followed */
        uint8_t reason;                /* enum khs_reason: why it fails */
        bool pods, not_headless;       /* DNS has no right answer: it stays with the first, whatever happens */
        bool fallen;
        struct khs_port *ports;
        char key[];
};

struct source_fallback {
        struct source source;
        struct source *first, *second;
        enum khs_source wanted;
        uint64_t grace_usec;
        struct timer timer;
        uint64_t due_usec;       /* of the timer; 0: it is off */
        struct member **members; /* sorted by key */
        size_t n_members;
        size_t n_returned;  /* to the first, since that was logged last */
        bool second_is_old; /* it does not follow what it should */
};

static struct source_fallback *fallback_of(struct source *source)
{
        return container_of(source, struct source_fallback, source);
}

static void fallback_arm(struct source_fallback *f, uint64_t due_usec)
{
        if (f->due_usec > 0 && f->due_usec <= due_usec)
                return;
        f->due_usec = due_usec;
        timer_set(&f->timer, due_usec);
}

/* ---- members ---- */

static bool member_is_firsts(const struct source_fallback *f, const struct member *m)
{
        return m->service.source == f->wanted;
}

static void member_free(struct member *m)
{
        free(m->ports);
        free(m);
}

/* Takes what the registration says now. What was learned of a service is not true of another kind of it. */
static int member_set(struct member *m, const struct source_service *service)
{
        bool pods = service->selector || service->go_micro;
        struct khs_port *ports = NULL;

        if (service->n_ports > 0) {
                ports = calloc(service->n_ports, sizeof(*ports));
                if (!ports)
                        return -ENOMEM;
                memcpy(ports, service->ports, service->n_ports * sizeof(*ports));
        }
        if (m->service.source != service->source || m->pods != pods) {
                m->fallen = m->not_headless = false;
                m->lost_usec = usec_now();
                m->reason = KHS_REASON_TIMEOUT;
        }
        free(m->ports);
        m->ports = ports;
        m->service = *service;
        m->service.key = m->key;
        m->service.namespace = strchr(m->key, '.') ? strchr(m->key, '.') + 1 : "";
        m->service.ports = ports;
        m->service.endpoints = NULL;
        m->service.n_endpoints = 0;
        m->service.selector = m->service.go_micro = NULL;
        m->pods = pods;
        return 0;
}

static int member_new(struct member **ret, const struct source_service *service)
{
        size_t n_key = strlen(service->key) + 1;
        struct member *m = calloc(1, sizeof(*m) + n_key);
        int r;

        if (!m)
                return -ENOMEM;
        memcpy(m->key, service->key, n_key);
        r = member_set(m, service);
        m->not_headless = service->not_headless;
        if (r < 0)
                member_free(m);
        else
                *ret = m;
        return r;
}

static int member_compare(const void *key, const void *member)
{
        return strcmp(key, (*(struct member *const *)member)->key);
}

static struct member *fallback_find(const struct source_fallback *f, const char *key)
{
        struct member **m = NULL;

        if (f->n_members > 0)
                m = bsearch(key, f->members, f->n_members, sizeof(struct member *), member_compare);
        return m ? *m : NULL;
}

/* Both lists are sorted. A member that stays keeps its state. */
static int fallback_set_members(struct source_fallback *f, const struct source_set *set)
{
        struct member **members = calloc(set->n_services + 1, sizeof(*members));
        size_t n = 0, old = 0;
        int r = 0;

        if (!members)
                return -ENOMEM;
        for (size_t i = 0; i < set->n_services; i++) {
                const struct source_service *service = &set->services[i];
                int error;

                while (old < f->n_members && strcmp(f->members[old]->key, service->key) < 0)
                        member_free(f->members[old++]);
                if (old < f->n_members && strcmp(f->members[old]->key, service->key) == 0) {
                        members[n] = f->members[old++];
                        error = member_set(members[n++], service);
                } else {
                        error = member_new(&members[n], service);
                        n += error == 0;
                }
                r = error < 0 ? error : r;
        }
        while (old < f->n_members)
                member_free(f->members[old++]);
        free(f->members);
        f->members = members;
        f->n_members = n;
        return r;
}

/* ---- the two sources ---- */

static int fallback_update_first(struct source_fallback *f, const struct source_set *set)
{
        struct source_service *services = calloc(set->n_services + 1, sizeof(*services));
        struct source_set firsts = *set;
        int r;

        if (!services)
                return -ENOMEM;
        firsts.services = services;
        firsts.n_services = 0;
        for (size_t i = 0; i < set->n_services; i++)
                if (set->services[i].source == f->wanted)
                        services[firsts.n_services++] = set->services[i];
        r = source_update(f->first, &firsts);
        free(services);
        return r;
}

static int fallback_update_second(struct source_fallback *f, bool report_again)
{
        struct source_service *services = calloc(f->n_members + 1, sizeof(*services));
        struct source_set set = { .services = services, .report_again = report_again };
        int r;

        f->second_is_old = true;
        if (!services)
                return -ENOMEM;
        for (size_t i = 0; i < f->n_members; i++)
                if (f->members[i]->fallen || !member_is_firsts(f, f->members[i]))
                        services[set.n_services++] = f->members[i]->service;
        r = source_update(f->second, &set);
        f->second_is_old = r == -ENOMEM;
        free(services);
        return r;
}

/* Lets those fall whose grace is over. Return: how many; when the next one's is, 0: none's. */
static size_t fallback_let_fall(struct source_fallback *f, uint64_t now, uint64_t *ret_due, enum khs_reason *ret_reason)
{
        size_t n = 0;

        *ret_due = 0;
        for (size_t i = 0; i < f->n_members; i++) {
                struct member *m = f->members[i];
                uint64_t due = m->lost_usec + f->grace_usec;

                if (!member_is_firsts(f, m) || m->fallen || m->pods || m->not_headless || m->lost_usec == 0)
                        continue;
                if (due > now) {
                        *ret_due = *ret_due == 0 || due < *ret_due ? due : *ret_due;
                        continue;
                }
                m->fallen = true;
                *ret_reason = (enum khs_reason)m->reason;
                n++;
        }
        return n;
}

static void fallback_on_timer(void *userdata)
{
        struct source_fallback *f = userdata;
        enum khs_reason reason = KHS_REASON_NONE;
        uint64_t due;
        size_t n_fallen = fallback_let_fall(f, usec_now(), &due, &reason);
        const char *text = finding_reason_text(reason);

        f->due_usec = 0;
        if (due > 0)
                fallback_arm(f, due);
        if (n_fallen > 0)
                log_message(LOG_WARNING, "kubernetes: no answer for %llu s (%s); DNS is asked for %zu services",
                            (unsigned long long)(f->grace_usec / USEC_PER_SEC), text ? text : "unknown", n_fallen);
        if (f->n_returned > 0)
                log_message(LOG_NOTICE, "kubernetes: the API answers again for %zu services, DNS is no longer asked",
                            f->n_returned);
        if ((n_fallen > 0 || f->n_returned > 0 || f->second_is_old) && fallback_update_second(f, false) == -ENOMEM)
                fallback_arm(f, usec_now() + USEC_PER_SEC);
        f->n_returned = 0;
}

static int fallback_update(struct source *source, const struct source_set *set)
{
        struct source_fallback *f = fallback_of(source);
        int r = fallback_set_members(f, set), first, second;

        if (r < 0)
                log_message(LOG_ERR, "fallback: out of memory; some services stay with the source that they have");
        fallback_arm(f, usec_now() + f->grace_usec);
        first = fallback_update_first(f, set);
        second = fallback_update_second(f, set->report_again);
        if (r == 0)
                r = first < 0 && second != -ENOMEM ? first : second;
        return r;
}

/* ---- reports ---- */

static void fallback_on_first(void *userdata, const char *key, const struct finding *finding)
{
        struct source_fallback *f = userdata;
        struct member *m = fallback_find(f, key);

        if (m && !member_is_firsts(f, m)) /* found in its namespace, but registered with another source */
                return;
        if (m && finding->kind == FINDING_FAILURE) {
                m->reason = finding->reason;
                if (m->lost_usec == 0) {
                        m->lost_usec = usec_now();
                        fallback_arm(f, m->lost_usec + f->grace_usec);
                }
                if (m->fallen)
                        return;
        } else if (m) {
                m->lost_usec = 0;
                if (finding->kind == FINDING_WHOLE) {
                        m->not_headless = finding->not_headless;
                        m->service.has_data = finding->n_endpoints > 0;
                }
                f->n_returned += m->fallen;
                if (m->fallen)
                        fallback_arm(f, usec_now() + JOIN_USEC);
                m->fallen = false;
        }
        source_report(&f->source, key, finding);
}

static void fallback_on_discovered(void *userdata, const char *namespace, const char *name, bool present)
{
        struct source_fallback *f = userdata;

        source_discovered(&f->source, namespace, name, present);
}

static void fallback_on_second(void *userdata, const char *key, const struct finding *finding)
{
        struct source_fallback *f = userdata;
        const struct member *m = fallback_find(f, key);
        struct finding reasoned = *finding;

        if (!m || (member_is_firsts(f, m) && !m->fallen))
                return;
        if (m->fallen)
                reasoned.reason = m->reason;
        source_report(&f->source, key, &reasoned);
}

static void fallback_ignore_discovered(void *userdata, const char *namespace, const char *name, bool present)
{
        (void)userdata;
        (void)namespace;
        (void)name;
        (void)present;
}

static bool fallback_knows_hosts(const struct source *source, const struct source_service *service)
{
        const struct source_fallback *f = container_of(source, struct source_fallback, source);

        return service->source == f->wanted && f->first->ops->knows_hosts &&
               f->first->ops->knows_hosts(f->first, service);
}

static void fallback_free(struct source *source)
{
        struct source_fallback *f = fallback_of(source);

        source_free(f->first);
        source_free(f->second);
        timer_deinit(&f->timer);
        for (size_t i = 0; i < f->n_members; i++)
                member_free(f->members[i]);
        free(f->members);
        free(f);
}

static const struct source_ops fallback_ops = {
        .update = fallback_update,
        .free = fallback_free,
        .knows_hosts = fallback_knows_hosts,
        .serves_sections = true,
};

int source_fallback_new(struct source **ret, sd_event *event, struct source *first, struct source *second,
                        enum khs_source wanted, uint64_t grace_usec)
{
        struct source_fallback *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        r = timer_init(&f->timer, event, USEC_PER_MSEC, fallback_on_timer, f);
        if (r < 0) {
                free(f);
                return r;
        }
        f->source.ops = &fallback_ops;
        f->first = first;
        f->second = second;
        f->wanted = wanted;
        f->grace_usec = grace_usec;
        first->reports = (struct source_reports){ fallback_on_first, fallback_on_discovered, f };
        second->reports = (struct source_reports){ fallback_on_second, fallback_ignore_discovered, f };
        *ret = &f->source;
        return 0;
}
