/*
 * One namespace.
 *
 *     members, by name        groups: a watch each
 *       by selectors   ---->  up to four of label selectors, or one of all slices
 *       discovered     ---->  headless: the label that slices of headless services carry
 *       [pods]         ---->  one for each section
 *
 * A group whose names change gets another watch, and keeps the one it has until the other has listed: nobody
 * else's service notices. Each feed has a store of its own, since versions of two watches can't be compared.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "source/kube/area.h"
#include "source/kube/decode/pod.h"

static struct kube_member *area_member(struct kube_map_item *item)
{
        return item ? container_of(item, struct kube_member, item) : NULL;
}

struct kube_member *kube_area_find(const struct kube_area *area, const char *name)
{
        return area_member(kube_map_get(&area->members, name));
}

void kube_member_due(struct kube_member *member)
{
        struct kube_area_context *context = member->area->context;

        if (member->is_due)
                return;
        member->is_due = true;
        TAILQ_INSERT_TAIL(&context->due, member, due_link);
        context->wake(context->userdata);
}

void kube_area_all_due(struct kube_area *area)
{
        for (struct kube_map_item *i = kube_map_next(&area->members, NULL); i; i = kube_map_next(&area->members, i))
                kube_member_due(area_member(i));
}

/* ---- groups ---- */

/* Calls fn for each member that the group follows. */
static void group_each(struct kube_group *group, void (*fn)(struct kube_member *member, struct kube_feed *feed),
                       struct kube_feed *feed)
{
        struct kube_map *members = &group->area->members;

        for (struct kube_map_item *i = kube_map_next(members, NULL); i; i = kube_map_next(members, i)) {
                if (area_member(i)->group == group)
                        fn(area_member(i), feed);
        }
}

static void group_due(struct kube_member *member, struct kube_feed *feed)
{
        (void)feed;
        kube_member_due(member);
}

/* What the other feed has is as good as it ever was. */
static void group_failed(struct kube_member *member, struct kube_feed *feed)
{
        struct kube_area_context *context = member->area->context;
        const struct kube_group *group = member->group;

        if (feed == (group->feed && member->is_covered ? group->feed : group->next))
                context->failed(context->userdata, member, feed);
}

static void group_cover(struct kube_member *member, struct kube_feed *feed)
{
        (void)feed;
        member->is_covered = true;
        kube_member_due(member);
}

static void group_on_listed(void *userdata)
{
        struct kube_group *group = userdata;

        kube_feed_free(group->feed);
        group->feed = group->next;
        group->next = NULL;
        group_each(group, group_cover, NULL);
}

static void group_wake(void *userdata)
{
        struct kube_group *group = userdata;

        group->area->context->wake(group->area->context->userdata);
}

static void group_on_open(void *userdata)
{
        group_each(userdata, group_due, NULL);
}

static void group_on_lost(void *userdata)
{
        struct kube_group *group = userdata;

        if (group->feed && group->feed->is_lost)
                group_each(group, group_failed, group->feed);
        if (group->next && group->next->is_lost)
                group_each(group, group_failed, group->next);
}

static void group_on_seen(void *userdata, const struct kube_slice *slice)
{
        struct kube_group *group = userdata;

        group->area->context->seen(group->area->context->userdata, slice);
}

static bool group_wants(void *userdata, const char *service)
{
        struct kube_group *group = userdata;
        const struct kube_member *member;

        if (group == &group->area->headless || group->pods)
                return true;
        member = kube_area_find(group->area, service);
        return member && member->group == group;
}

static void group_clear(struct kube_group *group)
{
        group->feed = kube_feed_free(group->feed);
        group->next = kube_feed_free(group->next);
}

static int group_watch(struct kube_group *group, const char *selector)
{
        const struct kube_feed_events events = { group_on_listed, group_wake,  group_on_open, group_on_lost,
                                                 group_on_seen,   group_wants, group };
        const struct kube_feed_options options = {
                .namespace = group->area->item.name,
                .selector = selector,
                .service = group->pods ? group->pods->item.name : NULL,
                .go_micro = group->pods ? group->pods->go_micro : NULL,
        };

        group->next = kube_feed_free(group->next);
        return kube_feed_new(&group->next, group->area->context->event, group->area->context->transport, &options,
                             &events);
}

static int group_watch_names(struct kube_group *group, const struct kube_selector *names)
{
        _cleanup_(cleanup_free) char *selector = kube_selector_text(names);

        return selector ? group_watch(group, selector) : -ENOMEM;
}

static int group_watch_pods(struct kube_group *group)
{
        static const char prefix[] = "micro.mu/selector-";
        const struct kube_member *member = group->pods;
        char selector[320];

        if (member->selector)
                return group_watch(group, member->selector);
        if (strlen(member->go_micro) + sizeof(prefix) + sizeof("=service") > sizeof(selector))
                return -EINVAL;
        memcpy(selector, prefix, sizeof(prefix));
        kube_go_micro_name(member->go_micro, selector + strlen(selector));
        strcat(selector, "=service");
        return group_watch(group, selector);
}

/* ---- members ---- */

static void member_free(struct kube_member *member)
{
        if (member->is_due)
                TAILQ_REMOVE(&member->area->context->due, member, due_link);
        free(member->selector);
        free(member->go_micro);
        free((char *)member->item.name);
        free(member->key);
        free(member);
}

static struct kube_member *area_new_member(struct kube_area *area, const char *key)
{
        struct kube_member *member = calloc(1, sizeof(*member));
        size_t n_name = strcspn(key, ".");

        if (!member)
                return NULL;
        member->area = area;
        member->key = strdup(key);
        member->item.name = strndup(key, n_name);
        if (member->key && member->item.name && kube_map_put(&area->members, &member->item) == 0)
                return member;
        member_free(member);
        return NULL;
}

/* Return: 1 when it is another than before, 0, or -ENOMEM. */
static int member_set_text(char **what, const char *text)
{
        char *copy = NULL;

        if ((!text && !*what) || (text && *what && strcmp(text, *what) == 0))
                return 0;
        if (text && !(copy = strdup(text)))
                return -ENOMEM;
        free(*what);
        *what = copy;
        return 1;
}

static void area_drop_pods(struct kube_area *area, struct kube_group *group)
{
        group->pods->group = NULL;
        TAILQ_REMOVE(&area->pods, group, link);
        group_clear(group);
        free(group);
}

static int area_add_pods(struct kube_area *area, struct kube_member *member)
{
        struct kube_group *group = calloc(1, sizeof(*group));

        if (!group)
                return -ENOMEM;
        group->area = area;
        group->pods = member;
        member->group = group;
        member->is_covered = false;
        TAILQ_INSERT_TAIL(&area->pods, group, link);
        return 0;
}

static bool member_is_pods(const struct kube_member *member)
{
        return member->selector || member->go_micro;
}

/* A [pods] section has a group of its own, whose watch is another when it selects others. */
static int area_put_pods(struct kube_area *area, struct kube_member *member, bool changed)
{
        bool has_group = member->group && member->group->pods == member;
        int r = 0;

        if (has_group && !member_is_pods(member)) {
                area_drop_pods(area, member->group);
        } else if (!has_group && member_is_pods(member)) {
                r = area_add_pods(area, member);
                changed = true;
        }
        if (r == 0 && member_is_pods(member) && changed)
                member->group->is_old = true;
        return r;
}

int kube_area_put(struct kube_area *area, const struct source_service *service)
{
        char name[KHS_LABEL_MAX + 1];
        struct kube_member *member;
        int selector, go_micro;

        area->is_kept = true;
        if (snprintf(name, sizeof(name), "%.*s", (int)strcspn(service->key, "."), service->key) >= (int)sizeof(name))
                return -EINVAL;
        member = kube_area_find(area, name);
        if (!member)
                member = area_new_member(area, service->key);
        if (!member)
                return -ENOMEM;
        if (member->family != service->family || member->include != service->include || member->order != service->order)
                kube_member_due(member);
        member->is_kept = true;
        member->family = service->family;
        member->include = service->include;
        member->order = service->order;
        member->discovered = service->discovered;
        selector = member_set_text(&member->selector, service->selector);
        go_micro = member_set_text(&member->go_micro, service->go_micro);
        if (selector < 0 || go_micro < 0)
                return -ENOMEM;
        return area_put_pods(area, member, selector > 0 || go_micro > 0);
}

void kube_area_discover(struct kube_area *area, const struct source_service *section)
{
        area->is_kept = area->is_discovering = true;
        area->family = section->family;
        area->include = section->include;
        area->order = section->order;
}

/* ---- the whole ---- */

static void area_remove_members(struct kube_area *area)
{
        struct kube_map_item *next;

        for (struct kube_map_item *i = kube_map_next(&area->members, NULL); i; i = next) {
                struct kube_member *member = area_member(i);

                next = kube_map_next(&area->members, i);
                if (member->is_kept) {
                        member->is_kept = false;
                        continue;
                }
                if (member->group && member->group->pods)
                        area_drop_pods(area, member->group);
                kube_map_remove(&area->members, i);
                member_free(member);
        }
}

static int area_compare(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool area_is_by_selector(const struct kube_area *area, const struct kube_member *member)
{
        return !member_is_pods(member) && !(member->discovered && area->is_discovering);
}

/*
 * A member that moves to another group is reported from there once that has listed: the watch that it has did not
 * ask for this one, but where it brings all headless services.
 */
static void area_assign(struct kube_area *area)
{
        for (struct kube_map_item *i = kube_map_next(&area->members, NULL); i; i = kube_map_next(&area->members, i)) {
                struct kube_member *member = area_member(i);
                struct kube_group *group = &area->headless;

                if (member_is_pods(member))
                        continue;
                if (area_is_by_selector(area, member))
                        group = &area->groups[kube_selectors_find(&area->selectors, member->item.name)];
                if (member->group == group)
                        continue;
                member->group = group;
                member->is_covered = group == &area->headless && group->feed;
                kube_member_due(member);
        }
}

/* Return: the bits of groups whose names have changed; -ENOMEM. */
static int area_select(struct kube_area *area)
{
        _cleanup_(cleanup_free) const char **names = calloc(area->members.n_items + 1, sizeof(*names));
        unsigned int changed = 0;
        size_t n = 0;
        int r;

        if (!names)
                return -ENOMEM;
        for (struct kube_map_item *i = kube_map_next(&area->members, NULL); i; i = kube_map_next(&area->members, i)) {
                if (area_is_by_selector(area, area_member(i)))
                        names[n++] = i->name;
        }
        qsort(names, n, sizeof(*names), area_compare);
        r = kube_selectors_update(&area->selectors, names, n, &changed);
        return r < 0 ? r : (int)changed;
}

static int group_connect(struct kube_group *group)
{
        struct kube_area *area = group->area;
        int r;

        if (!area->context->transport || (!group->is_old && (group->feed || group->next)))
                return 0;
        if (group->pods)
                r = group_watch_pods(group);
        else if (group == &area->headless)
                r = group_watch(group, KUBE_LABEL_HEADLESS "," KUBE_LABEL_SERVICE);
        else
                r = group_watch_names(group, &area->selectors.groups[group - area->groups]);
        group->is_old = r < 0;
        return r;
}

int kube_area_connect(struct kube_area *area)
{
        int e, r = area->is_discovering ? group_connect(&area->headless) : 0;
        struct kube_group *group;

        for (size_t i = 0; i < KUBE_SELECTORS_MAX; i++) {
                e = area->selectors.groups[i].n_names > 0 ? group_connect(&area->groups[i]) : 0;
                r = r < 0 ? r : e;
        }
        TAILQ_FOREACH(group, &area->pods, link)
        {
                e = group_connect(group);
                r = r < 0 ? r : e;
        }
        return r;
}

int kube_area_follow(struct kube_area *area)
{
        int changed;

        area_remove_members(area);
        changed = area_select(area);
        if (changed < 0)
                return changed;
        area_assign(area);
        if (!area->is_discovering)
                group_clear(&area->headless);
        for (size_t i = 0; i < KUBE_SELECTORS_MAX; i++) {
                if (area->selectors.groups[i].n_names == 0)
                        group_clear(&area->groups[i]);
                else if (changed & 1 << i)
                        area->groups[i].is_old = true;
        }
        return kube_area_connect(area);
}

void kube_area_disconnect(struct kube_area *area)
{
        struct kube_group *group;

        group_clear(&area->headless);
        for (size_t i = 0; i < KUBE_SELECTORS_MAX; i++)
                group_clear(&area->groups[i]);
        TAILQ_FOREACH(group, &area->pods, link)
        group_clear(group);
}

struct kube_area *kube_area_get(struct kube_area_context *context, const char *namespace)
{
        struct kube_map_item *item = kube_map_get(&context->areas, namespace);
        struct kube_area *area;

        if (item)
                return container_of(item, struct kube_area, item);
        area = calloc(1, sizeof(*area));
        if (!area)
                return NULL;
        TAILQ_INIT(&area->pods);
        area->context = context;
        area->headless.area = area;
        for (size_t i = 0; i < KUBE_SELECTORS_MAX; i++)
                area->groups[i].area = area;
        area->item.name = strdup(namespace);
        if (area->item.name && kube_map_put(&context->areas, &area->item) == 0)
                return area;
        free((char *)area->item.name);
        free(area);
        return NULL;
}

struct kube_area *kube_area_free(struct kube_area *area)
{
        struct kube_map_item *next;

        for (struct kube_map_item *i = kube_map_next(&area->members, NULL); i; i = next) {
                struct kube_member *member = area_member(i);

                next = kube_map_next(&area->members, i);
                if (member->group && member->group->pods)
                        area_drop_pods(area, member->group);
                kube_map_remove(&area->members, i);
                member_free(member);
        }
        group_clear(&area->headless);
        for (size_t i = 0; i < KUBE_SELECTORS_MAX; i++)
                group_clear(&area->groups[i]);
        kube_selectors_deinit(&area->selectors);
        kube_map_deinit(&area->members);
        kube_map_remove(&area->context->areas, &area->item);
        free((char *)area->item.name);
        free(area);
        return NULL;
}
