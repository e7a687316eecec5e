/*
 * Names into groups.
 *
 *     few names     one group    kubernetes.io/service-name in (a,b,c)            up to 4 KiB
 *     more          two to four such groups
 *     still more    one group    kubernetes.io/service-name                       the label exists: every slice
 *
 * The plan is made anew from the groups that there are, and the result compared with them: a group whose
 * new names its watch does not cover needs another one. Beside a group of all there may be selectors of
 * names that came later: to list a whole namespace again for one name is what this is to avoid.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "source/kube/decode/slice.h"
#include "source/kube/watch/selectors.h"

#define SELECTOR_HEAD   KUBE_LABEL_SERVICE " in ("
#define NAMES_BYTES_MAX (KUBE_SELECTOR_MAX - sizeof(SELECTOR_HEAD ")"))

static void selector_clear(struct kube_selector *group)
{
        for (size_t i = 0; i < group->n_names; i++)
                free(group->names[i]);
        free(group->names);
        *group = (struct kube_selector){ 0 };
}

void kube_selectors_deinit(struct kube_selectors *s)
{
        for (size_t i = 0; i < KUBE_SELECTORS_MAX; i++)
                selector_clear(&s->groups[i]);
}

static int selector_compare(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool selector_has(char *const *names, size_t n_names, const char *name)
{
        return n_names > 0 && bsearch(&name, names, n_names, sizeof(*names), selector_compare);
}

int kube_selectors_find(const struct kube_selectors *s, const char *name)
{
        for (size_t i = 0; i < KUBE_SELECTORS_MAX; i++) {
                if (selector_has(s->groups[i].names, s->groups[i].n_names, name))
                        return (int)i;
        }
        return -1;
}

/* Unsorted until selector_finish(). Room for all names is made beforehand. */
static int selector_add(struct kube_selector *group, const char *name, size_t room)
{
        if (!group->names) {
                group->names = calloc(room, sizeof(*group->names));
                if (!group->names)
                        return -ENOMEM;
        }
        group->names[group->n_names] = strdup(name);
        if (!group->names[group->n_names])
                return -ENOMEM;
        group->n_names++;
        group->n_bytes += strlen(name) + 1;
        return 0;
}

/* The first one with room that is in use, else the first that is not; NULL when all are full. */
static struct kube_selector *selectors_room(struct kube_selectors *s, const char *name)
{
        struct kube_selector *unused = NULL;

        for (size_t i = 0; i < KUBE_SELECTORS_MAX; i++) {
                struct kube_selector *group = &s->groups[i];

                if (group->n_names == 0 && !unused)
                        unused = group;
                if (group->n_names > 0 && !group->is_all && group->n_bytes + strlen(name) + 1 <= NAMES_BYTES_MAX)
                        return group;
        }
        return unused;
}

/* What has a group keeps it; what has none gets one. Return: -ENOSPC when there is no room for all. */
static int selectors_plan(struct kube_selectors *new, const struct kube_selectors *old, const char *const *names,
                          size_t n_names)
{
        int r = 0;

        for (size_t i = 0; i < n_names && r == 0; i++) {
                int at = kube_selectors_find(old, names[i]);

                if (at >= 0) {
                        new->groups[at].is_all = old->groups[at].is_all;
                        r = selector_add(&new->groups[at], names[i], n_names);
                }
        }
        for (size_t i = 0; i < n_names && r == 0; i++) {
                struct kube_selector *group;

                if (kube_selectors_find(old, names[i]) >= 0)
                        continue;
                group = selectors_room(new, names[i]);
                r = group ? selector_add(group, names[i], n_names) : -ENOSPC;
        }
        return r;
}

static int selectors_plan_all(struct kube_selectors *new, const char *const *names, size_t n_names)
{
        int r = 0;

        kube_selectors_deinit(new);
        new->groups[0].is_all = true;
        for (size_t i = 0; i < n_names && r == 0; i++)
                r = selector_add(&new->groups[0], names[i], n_names);
        return r;
}

/* Few enough that one of everything is no longer worth it: half of what would make it necessary. */
static bool selectors_want_fewer(const struct kube_selectors *old, const char *const *names, size_t n_names)
{
        size_t n_bytes = 0;
        bool all = false;

        for (size_t i = 0; i < n_names; i++)
                n_bytes += strlen(names[i]) + 1;
        for (size_t i = 0; i < KUBE_SELECTORS_MAX; i++)
                all = all || old->groups[i].is_all;
        return all && n_bytes <= NAMES_BYTES_MAX * KUBE_SELECTORS_MAX / 2;
}

/* A watch covers what its group had when it began, so only names that came count. */
static bool selector_needs_watch(const struct kube_selector *old, const struct kube_selector *new)
{
        if (new->n_names == 0 || old->n_names == 0 || old->is_all != new->is_all)
                return new->n_names > 0 || old->n_names > 0;
        for (size_t i = 0; i < new->n_names; i++) {
                if (!selector_has(old->names, old->n_names, new->names[i]))
                        return true;
        }
        return false;
}

int kube_selectors_update(struct kube_selectors *s, const char *const *names, size_t n_names, unsigned int *ret_changed)
{
        static const struct kube_selectors none = { 0 };
        _cleanup_(kube_selectors_deinit) struct kube_selectors new = { 0 };
        bool fewer = selectors_want_fewer(s, names, n_names);
        struct kube_selectors old;
        int r = selectors_plan(&new, fewer ? &none : s, names, n_names);

        if (r == -ENOSPC)
                r = selectors_plan_all(&new, names, n_names);
        if (r < 0)
                return r;
        *ret_changed = 0;
        for (size_t i = 0; i < KUBE_SELECTORS_MAX; i++) {
                if (new.groups[i].n_names > 0)
                        qsort(new.groups[i].names, new.groups[i].n_names, sizeof(char *), selector_compare);
                if (selector_needs_watch(&s->groups[i], &new.groups[i]))
                        *ret_changed |= 1U << i;
        }
        old = *s;
        *s = new;
        new = old;
        return 0;
}

char *kube_selector_text(const struct kube_selector *group)
{
        char *text, *at;

        if (group->is_all)
                return strdup(KUBE_LABEL_SERVICE);
        text = malloc(sizeof(SELECTOR_HEAD ")") + group->n_bytes);
        if (!text)
                return NULL;
        at = stpcpy(text, SELECTOR_HEAD);
        for (size_t i = 0; i < group->n_names; i++) {
                at = stpcpy(at, group->names[i]);
                *at++ = i + 1 < group->n_names ? ',' : ')';
        }
        *at = '\0';
        return text;
}
