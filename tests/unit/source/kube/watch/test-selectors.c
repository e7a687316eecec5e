/* Names into selectors: few, bounded, and undisturbed by each other's changes. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/kube/watch/selectors.h"

#define N_MAX 12000

static char texts[N_MAX][64];
static const char *names[N_MAX];

/* "service-00007" ... */
static void make_names(size_t n)
{
        for (size_t i = 0; i < n; i++) {
                snprintf(texts[i], sizeof(texts[i]), "service-%05zu", i);
                names[i] = texts[i];
        }
}

static unsigned int update(struct kube_selectors *s, const char *const *list, size_t n)
{
        unsigned int changed = 77;
        size_t n_all = 0;

        cr_assert_eq(kube_selectors_update(s, list, n, &changed), 0);
        for (size_t i = 0; i < KUBE_SELECTORS_MAX; i++) {
                char *text = kube_selector_text(&s->groups[i]);

                n_all += s->groups[i].n_names;
                cr_assert_leq(strlen(text), KUBE_SELECTOR_MAX);
                free(text);
        }
        cr_assert_eq(n_all, n);
        for (size_t i = 0; i < n; i++)
                cr_assert_geq(kube_selectors_find(s, list[i]), 0);
        return changed;
}

static void expect_text(const struct kube_selectors *s, size_t i, const char *want)
{
        char *text = kube_selector_text(&s->groups[i]);

        cr_assert_str_eq(text, want);
        free(text);
}

Test(kube_selectors, texts)
{
        static const char *const one[] = { "web" }, *const three[] = { "a", "b", "web" };
        struct kube_selectors s = { 0 };

        cr_assert_eq(update(&s, NULL, 0), 0);
        cr_assert_eq(update(&s, one, 1), 1);
        expect_text(&s, 0, "kubernetes.io/service-name in (web)");
        cr_assert_eq(update(&s, three, 3), 1);
        expect_text(&s, 0, "kubernetes.io/service-name in (a,b,web)");
        cr_assert_eq(update(&s, three, 3), 0, "the same");
        cr_assert_eq(update(&s, one, 1), 0, "the watch covers it");
        cr_assert_eq(kube_selectors_find(&s, "a"), -1);
        cr_assert_eq(update(&s, three, 3), 1, "the watch may cover it, but it was not kept");
        cr_assert_eq(update(&s, NULL, 0), 1);
        kube_selectors_deinit(&s);
}

Test(kube_selectors, as_few_as_hold_them)
{
        static const struct {
                size_t n;
                unsigned int groups;
                bool all;
        } rows[] = { { 1, 1, false },     { 280, 1, false }, { 300, 3, false },
                     { 1100, 15, false }, { 1200, 1, true }, { 12000, 1, true } };

        make_names(N_MAX);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct kube_selectors s = { 0 };

                cr_expect_eq(update(&s, names, rows[i].n), rows[i].groups, "%zu", rows[i].n);
                cr_expect_eq(s.groups[0].is_all, rows[i].all);
                kube_selectors_deinit(&s);
        }
}

Test(kube_selectors, one_more_changes_one_group)
{
        struct kube_selectors s = { 0 };

        make_names(N_MAX);
        update(&s, names, 700); /* three, the third with room */
        cr_assert_eq(update(&s, names, 701), 4);
        cr_assert_eq(update(&s, names + 1, 700), 0);
        /* what comes back takes the room of what went */
        cr_assert_eq(update(&s, names, 701), 1);
        kube_selectors_deinit(&s);
}

Test(kube_selectors, names_that_come_to_a_group_of_all_get_one_of_their_own)
{
        struct kube_selectors s = { 0 };

        make_names(N_MAX);
        update(&s, names, 5000);
        cr_assert_eq(update(&s, names, 5001), 2);
        expect_text(&s, 0, "kubernetes.io/service-name");
        expect_text(&s, 1, "kubernetes.io/service-name in (service-05000)");
        cr_assert_eq(update(&s, names, 5002), 2);
        cr_assert_eq(update(&s, names, 5800), 2 | 4 | 8);
        /* no room: one of all that has them, too */
        cr_assert_eq(update(&s, names, 6000), 1 | 2 | 4 | 8);
        cr_assert_eq(s.groups[0].n_names, 6000);
        cr_assert(s.groups[0].is_all);
        kube_selectors_deinit(&s);
}

Test(kube_selectors, back_to_selectors_when_few_are_left)
{
        struct kube_selectors s = { 0 };

        make_names(N_MAX);
        update(&s, names, 2000);
        cr_assert_eq(update(&s, names, 700), 0, "it would soon be too many again");
        cr_assert(s.groups[0].is_all);
        cr_assert_eq(update(&s, names, 500), 1 | 2);
        cr_assert_not(s.groups[0].is_all);
        kube_selectors_deinit(&s);
}
