/* A pool of names: one copy of each, as long as somebody holds it. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/names.h"

Test(names, are_kept_once)
{
        struct names names = { 0 };
        char text[] = "node-1";
        const char *first = names_take(&names, text), *second = names_take(&names, "node-1"),
                   *other = names_take(&names, "node-2");

        text[0] = 'x';
        cr_expect_str_eq(first, "node-1", "a copy");
        cr_expect_eq(first, second);
        cr_expect_neq(first, other);
        cr_expect_eq(names.n_names, 2);
        names_drop(&names, first);
        cr_expect_str_eq(second, "node-1", "somebody still holds it");
        cr_expect_eq(names_take(&names, "node-1"), second);
        names_drop(&names, second);
        names_drop(&names, second);
        cr_expect_eq(names.n_names, 1);
        names_drop(&names, other);
        cr_expect_eq(names.n_names, 0);
        names_deinit(&names);
}

Test(names, are_found_among_many)
{
        enum { N = 1000 };
        const char *taken[N];
        struct names names = { 0 };
        char text[32];

        for (int i = 0; i < N; i++) {
                (void)snprintf(text, sizeof(text), "node-%d", i);
                taken[i] = names_take(&names, text);
        }
        cr_expect_eq(names.n_names, N);
        for (int i = 0; i < N; i++) {
                (void)snprintf(text, sizeof(text), "node-%d", i);
                cr_expect_eq(names_take(&names, text), taken[i]);
        }
        for (int i = 0; i < 2 * N; i++)
                names_drop(&names, taken[i * 7 % N]);
        cr_expect_eq(names.n_names, 0);
        names_deinit(&names);
}

Test(names, without_a_pool_are_copies)
{
        const char *first = names_take(NULL, "node-1"), *second = names_take(NULL, "node-1");

        cr_expect_str_eq(first, "node-1");
        cr_expect_neq(first, second);
        names_drop(NULL, first);
        names_drop(NULL, second);
        cr_expect_null(names_take(NULL, NULL));
        names_drop(NULL, NULL);
}
