/*
 * The Kubernetes source.
 *
 *     watch --> feed (decode, store) --> area: which member is due --> here: join, report
 *
 * - What has changed is reported in the same turn of the loop, each service once however many of its slices
 *   changed; a list of 10,000 services takes several turns of 20 ms, between which the heart beats.
 * - While a watch is open its findings stand: nobody has to confirm them. When it is lost, all its services fail
 *   at once, with the time at which they were last known to be true.
 * - A service of which there is no slice is empty (NO_SLICE), not unknown: only the API can tell.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "source/kube/area.h"
#include "source/kube/connection.h"
#include "source/kube/decode/join.h"
#include "source/kube/place.h"
#include "source/kube/source.h"

#define TURN_USEC (20 * USEC_PER_MSEC)

struct source_kube {
        struct source source;
        sd_event *event;
        sd_event_source *flush;
        struct kube_connection connection;
        struct kube_place place;
        struct kube_area_context context;
};

static struct kube_area *kube_next_area(const struct source_kube *k, const struct kube_area *area)
{
        struct kube_map_item *item = kube_map_next(&k->context.areas, area ? &area->item : NULL);

        return item ? container_of(item, struct kube_area, item) : NULL;
}

static void kube_wake(void *userdata)
{
        struct source_kube *k = userdata;

        (void)sd_event_source_set_enabled(k->flush, SD_EVENT_ONESHOT);
}

/* ---- reports ---- */

static void kube_report_failure(void *userdata, struct kube_member *member, const struct kube_feed *feed)
{
        struct source_kube *k = userdata;
        const struct finding finding = {
                .kind = FINDING_FAILURE,
                .source = KHS_SOURCE_KUBERNETES,
                .family = AF_UNSPEC,
                .reason = feed ? feed->reason : KHS_REASON_UNAUTHORIZED,
                .heard_usec = feed ? feed->true_usec : 0,
        };

        source_report(&k->source, member->key, &finding);
}

static void kube_log_oddities(struct kube_member *member, const struct kube_joined *joined,
                              const struct finding *finding)
{
        if (joined->truncated && !member->told_truncated)
                log_service(LOG_WARNING, member->key,
                            "more than %u addresses; the first ones in their order are served", KHS_MAX_ADDRS);
        member->told_truncated = joined->truncated;
        if (finding->not_headless && !member->told_not_headless)
                log_service(LOG_NOTICE, member->key,
                            "not a headless service: its pods are served, while DNS has its cluster IP");
        member->told_not_headless = finding->not_headless;
}

/* Return: 0 or -ENOMEM. */
static int kube_report(struct source_kube *k, struct kube_member *member, const struct kube_feed *feed)
{
        const struct kube_stored *stored = kube_store_get(&feed->store, member->item.name);
        size_t n_slices = stored ? stored->n_slices : 0;
        const struct kube_view view = {
                .include = (enum source_include)member->include,
                .family = (enum khs_family)member->family,
                .order = (enum khs_order)member->order,
                .zone = k->place.zone,
                .node = k->place.node,
        };
        struct finding finding = { .kind = FINDING_WHOLE, .source = KHS_SOURCE_KUBERNETES };
        struct kube_joined joined;
        int r = kube_join(&joined, stored ? stored->slices : NULL, n_slices, &view);

        if (r < 0)
                return r;
        if (joined.n_endpoints == 0)
                finding.reason = n_slices > 0 ? KHS_REASON_NONE_READY : KHS_REASON_NO_SLICE;
        finding.changed_usec = stored ? stored->changed_usec : 0;
        finding.truncated = joined.truncated;
        finding.not_headless = n_slices > 0 && !joined.headless && !feed->service;
        finding.n_endpoints = joined.n_endpoints;
        finding.endpoints = joined.endpoints;
        kube_log_oddities(member, &joined, &finding);
        source_report(&k->source, member->key, &finding);
        kube_joined_deinit(&joined);
        return 0;
}

/* The registry knows it from now on, and its next set will have it. */
static void kube_discover(struct source_kube *k, struct kube_area *area, const char *name)
{
        struct kube_member member = { .item = { .name = name },
                                      .area = area,
                                      .family = area->family,
                                      .include = area->include,
                                      .order = area->order,
                                      .told_truncated = true };
        char key[KHS_KEY_MAX + 1];

        if (snprintf(key, sizeof(key), "%s.%s", name, area->item.name) >= (int)sizeof(key))
                return;
        member.key = key;
        source_discovered(&k->source, area->item.name, name, true);
        (void)kube_report(k, &member, area->headless.feed);
}

/* ---- what is due ---- */

struct flush {
        struct source_kube *k;
        struct kube_area *area;
        struct kube_group *group;
};

static void flush_take(void *userdata, const struct kube_stored *stored)
{
        struct flush *flush = userdata;
        struct kube_member *member = kube_area_find(flush->area, stored->item.name);

        if (member && member->group == flush->group)
                kube_member_due(member);
        else if (!member && flush->group == &flush->area->headless && stored->n_slices > 0)
                kube_discover(flush->k, flush->area, stored->item.name);
}

static bool flush_is_over(uint64_t end_usec, unsigned int *n)
{
        return ++*n % 16 == 0 && usec_now() >= end_usec;
}

/* Return: whether the turn ended first. */
static bool flush_group(struct flush *flush, uint64_t end_usec)
{
        struct kube_feed *feed = flush->group->feed;
        unsigned int n = 0;

        if (!feed || feed->in_list)
                return false;
        while (kube_store_take(&feed->store, flush_take, flush)) {
                if (flush_is_over(end_usec, &n))
                        return true;
        }
        return false;
}

static bool flush_areas(struct source_kube *k, uint64_t end_usec)
{
        bool over = false;

        for (struct kube_area *area = kube_next_area(k, NULL); area && !over; area = kube_next_area(k, area)) {
                struct flush flush = { k, area, &area->headless };

                over = flush_group(&flush, end_usec);
                for (size_t i = 0; i < KUBE_SELECTORS_MAX && !over; i++) {
                        flush.group = &area->groups[i];
                        over = flush_group(&flush, end_usec);
                }
                TAILQ_FOREACH(flush.group, &area->pods, link)
                over = over || flush_group(&flush, end_usec);
        }
        return over;
}

/* One that was discovered is gone when there is nothing left of it; one that is registered by name is empty. */
static void flush_member(struct source_kube *k, struct kube_member *member)
{
        struct kube_group *group = member->group;
        struct kube_feed *feed = group ? group->feed : NULL;

        if (!feed || !member->is_covered || !kube_feed_is_standing(feed))
                return;
        if (kube_report(k, member, feed) < 0) {
                log_service(LOG_ERR, member->key, "out of memory; what was known stays");
                return;
        }
        if (group == &member->area->headless && !kube_store_get(&feed->store, member->item.name))
                source_discovered(&k->source, member->area->item.name, member->item.name, false);
}

static int kube_on_flush(sd_event_source *source, void *userdata)
{
        struct source_kube *k = userdata;
        uint64_t end = usec_now() + TURN_USEC;
        struct kube_member *member, *next;
        bool over = flush_areas(k, end);
        unsigned int n = 0;

        (void)source;
        for (member = TAILQ_FIRST(&k->context.due); member && !over; member = next) {
                next = TAILQ_NEXT(member, due_link);
                over = flush_is_over(end, &n);
                if (member->group && member->group->feed && member->group->feed->in_list)
                        continue;
                TAILQ_REMOVE(&k->context.due, member, due_link);
                member->is_due = false;
                flush_member(k, member);
        }
        if (over)
                kube_wake(k);
        return 0;
}

/* ---- where we are ---- */

static void kube_on_seen(void *userdata, const struct kube_slice *slice)
{
        struct source_kube *k = userdata;

        kube_place_see(&k->place, slice);
}

static bool kube_is_near_order(uint8_t order)
{
        return order == KHS_ORDER_ZONE || order == KHS_ORDER_NODE;
}

static void kube_on_place(void *userdata)
{
        struct source_kube *k = userdata;

        for (struct kube_area *area = kube_next_area(k, NULL); area; area = kube_next_area(k, area))
                kube_area_all_due(area);
}

/* What is here already was seen when nobody asked. */
static void kube_look_around(struct source_kube *k, const struct kube_group *group)
{
        const struct kube_map *services = group->feed ? &group->feed->store.services : NULL;

        if (!services)
                return;
        for (struct kube_map_item *i = kube_map_next(services, NULL); i; i = kube_map_next(services, i)) {
                const struct kube_stored *stored = container_of(i, struct kube_stored, item);

                for (size_t n = 0; n < stored->n_slices; n++)
                        kube_place_see(&k->place, stored->slices[n]);
        }
}

static void kube_want_place(struct source_kube *k)
{
        bool before = k->place.is_wanted;

        kube_place_want(&k->place, k->context.transport);
        if (before)
                return;
        for (struct kube_area *area = kube_next_area(k, NULL); area; area = kube_next_area(k, area)) {
                kube_look_around(k, &area->headless);
                for (size_t i = 0; i < KUBE_SELECTORS_MAX; i++)
                        kube_look_around(k, &area->groups[i]);
        }
}

/* ---- the server ---- */

/* Nothing is asked of the machine before something is to be followed. */
static void kube_connect(struct source_kube *k)
{
        if (kube_next_area(k, NULL))
                k->context.transport = kube_connection_open(&k->connection);
}

static void kube_disconnect(struct source_kube *k)
{
        kube_place_disconnect(&k->place);
        k->context.transport = NULL;
        for (struct kube_area *area = kube_next_area(k, NULL); area; area = kube_next_area(k, area))
                kube_area_disconnect(area);
}

static void kube_fail_all(struct source_kube *k)
{
        for (struct kube_area *area = kube_next_area(k, NULL); area; area = kube_next_area(k, area)) {
                for (struct kube_map_item *i = kube_map_next(&area->members, NULL); i;
                     i = kube_map_next(&area->members, i))
                        kube_report_failure(k, container_of(i, struct kube_member, item), NULL);
        }
}

/* ---- the seam ---- */

static struct source_kube *kube_of(struct source *source)
{
        return container_of(source, struct source_kube, source);
}

static int kube_put_all(struct source_kube *k, const struct source_set *set)
{
        int r = 0;

        for (size_t i = 0; i < set->n_namespaces; i++) {
                struct kube_area *area = kube_area_get(&k->context, set->namespaces[i].namespace);

                if (area)
                        kube_area_discover(area, &set->namespaces[i]);
                r = area ? r : -ENOMEM;
        }
        for (size_t i = 0; i < set->n_services; i++) {
                const char *dot = strchr(set->services[i].key, '.');
                struct kube_area *area = dot ? kube_area_get(&k->context, dot + 1) : NULL;
                int e = area ? kube_area_put(area, &set->services[i]) : -ENOMEM;

                r = r < 0 ? r : e;
        }
        return r;
}

/* A service that lost its section is discovered again: its slices are looked at once more. */
static void kube_touch_undiscovered(struct kube_area *area)
{
        const struct kube_map *services = area->headless.feed ? &area->headless.feed->store.services : NULL;

        for (struct kube_map_item *i = services ? kube_map_next(services, NULL) : NULL; i;
             i = kube_map_next(services, i)) {
                if (!kube_area_find(area, i->name))
                        kube_store_touch(&area->headless.feed->store, i->name);
        }
}

static int kube_follow(struct source_kube *k, bool report_again)
{
        struct kube_area *next;
        bool near = false;
        int r = 0;

        for (struct kube_area *area = kube_next_area(k, NULL); area; area = next) {
                int e;

                next = kube_next_area(k, area);
                if (!area->is_kept) {
                        kube_area_free(area);
                        continue;
                }
                area->is_kept = false;
                e = kube_area_follow(area);
                r = r < 0 ? r : e;
                if (report_again)
                        kube_area_all_due(area);
                kube_touch_undiscovered(area);
                near = near || (area->is_discovering && kube_is_near_order(area->order));
                for (struct kube_map_item *i = kube_map_next(&area->members, NULL); i && !near;
                     i = kube_map_next(&area->members, i))
                        near = kube_is_near_order(container_of(i, struct kube_member, item)->order);
        }
        if (near)
                kube_want_place(k);
        kube_wake(k);
        return r;
}

static int kube_update(struct source *source, const struct source_set *set)
{
        struct source_kube *k = kube_of(source);
        int r, e;

        for (struct kube_area *area = kube_next_area(k, NULL); area; area = kube_next_area(k, area))
                area->is_discovering = false;
        r = kube_put_all(k, set);
        kube_connect(k);
        e = kube_follow(k, set->report_again);
        r = r < 0 ? r : e;
        if (!k->context.transport)
                kube_fail_all(k);
        if (r < 0)
                log_message(LOG_ERR, "kubernetes: %s; some services stay as they were", strerror(-r));
        return r;
}

/* With a transport the watches that are missing begin. */
static void kube_on_retry(void *userdata)
{
        struct source_kube *k = userdata;

        if (kube_connection_has_changed(&k->connection))
                kube_disconnect(k);
        else if (k->context.transport)
                return;
        kube_connect(k);
        for (struct kube_area *area = kube_next_area(k, NULL); area && k->context.transport;
             area = kube_next_area(k, area)) {
                if (kube_area_connect(area) < 0)
                        log_message(LOG_ERR, "kubernetes: out of memory; not all of namespace %s is followed",
                                    area->item.name);
        }
        if (k->place.is_wanted && k->context.transport)
                kube_place_want(&k->place, k->context.transport);
}

static void kube_free(struct source *source)
{
        struct source_kube *k = kube_of(source);
        struct kube_area *area;

        while ((area = kube_next_area(k, NULL)))
                kube_area_free(area);
        kube_map_deinit(&k->context.areas);
        kube_place_deinit(&k->place);
        kube_connection_deinit(&k->connection);
        if (k->flush)
                (void)sd_event_source_set_enabled(k->flush, SD_EVENT_OFF);
        sd_event_source_unref(k->flush);
        sd_event_unref(k->event);
        free(k);
}

static bool kube_knows_hosts(const struct source *source, const struct source_service *service)
{
        (void)source;
        (void)service;
        return true;
}

int source_kube_new(struct source **ret, sd_event *event, const struct source_kube_options *options)
{
        static const struct source_ops ops = {
                .update = kube_update,
                .free = kube_free,
                .knows_hosts = kube_knows_hosts,
                .serves_sections = true,
        };
        struct source_kube *k = calloc(1, sizeof(*k));
        int r;

        if (!k)
                return -ENOMEM;
        k->source.ops = &ops;
        k->event = sd_event_ref(event);
        k->context = (struct kube_area_context){
                .event = event, .wake = kube_wake, .failed = kube_report_failure, .seen = kube_on_seen, .userdata = k
        };
        TAILQ_INIT(&k->context.due);
        r = kube_connection_init(&k->connection, event, kube_on_retry, k);
        if (r >= 0)
                r = kube_connection_configure(&k->connection, options);
        if (r >= 0)
                r = kube_place_init(&k->place, event, kube_on_place, k);
        if (r >= 0)
                r = kube_place_configure(&k->place, options->zone, options->node, options->host);
        if (r >= 0)
                r = sd_event_add_defer(event, &k->flush, kube_on_flush, k);
        if (r >= 0)
                r = sd_event_source_set_enabled(k->flush, SD_EVENT_OFF);
        if (r < 0) {
                kube_free(&k->source);
                return r;
        }
        *ret = &k->source;
        return 0;
}

/* Place and server are looked at separately: another zone is no reason to list everything again. */
int source_kube_reconfigure(struct source *source, const struct source_kube_options *options)
{
        struct source_kube *k = kube_of(source);
        int r = 0;

        if (!kube_connection_is_same(&k->connection, options)) {
                kube_disconnect(k);
                r = kube_connection_configure(&k->connection, options);
        }
        return r < 0 ? r : kube_place_configure(&k->place, options->zone, options->node, options->host);
}
