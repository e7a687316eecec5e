/* Answer policy and rotation. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "order.h"
#include "process.h"

#define ROTATE_SINGLE khs_policy(1, KHS_ORDER_ROTATE, KHS_FAMILY_ANY)

Test(order, counts_by_policy)
{
        cr_expect_eq(khs_order_count(khs_policy(1, KHS_ORDER_ROTATE, KHS_FAMILY_ANY), 8), 1);
        cr_expect_eq(khs_order_count(khs_policy(KHS_ANSWERS_ALL, KHS_ORDER_ROTATE, KHS_FAMILY_ANY), 5000), 5000);
        cr_expect_eq(khs_order_count(khs_policy(1, KHS_ORDER_ROTATE, KHS_FAMILY_ANY), 0), 0);
        cr_expect_eq(khs_order_count(khs_policy(KHS_ANSWERS_AUTO, KHS_ORDER_ROTATE, KHS_FAMILY_ANY), 8), 1);
        cr_expect_eq(khs_order_count(khs_policy(4, KHS_ORDER_ROTATE, KHS_FAMILY_ANY), 8), 1);
}

Test(order, first_is_in_range_at_both_ends)
{
        static const uint32_t positions[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff };

        for (uint32_t n = 1; n <= 5000; n = n * 3 + 1) {
                for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
                        cr_expect_lt(khs_order_first(ROTATE_SINGLE, positions[i], n), n);
                        cr_expect_lt(khs_order_first(khs_policy(1, KHS_ORDER_RANDOM, KHS_FAMILY_ANY), positions[i], n),
                                     n);
                }
        }
        cr_expect_eq(khs_order_first(ROTATE_SINGLE, 0, 7), 0);
        cr_expect_eq(khs_order_first(ROTATE_SINGLE, 0xffffffff, 7), 6);
}

/* Largest count over the mean, of n_turns turns of which every `step`-th is looked at. */
static double unevenness(uint32_t tag, uint32_t n, unsigned int n_turns, unsigned int step)
{
        unsigned int counts[64] = { 0 }, max = 0, taken = 0;

        for (unsigned int i = 0; i < n_turns * step; i++) {
                uint32_t position = khs_process_turn(tag);

                if (i % step == 0) {
                        counts[khs_order_first(ROTATE_SINGLE, position, n)]++;
                        taken++;
                }
        }
        for (uint32_t i = 0; i < n; i++)
                max = counts[i] > max ? counts[i] : max;
        return (double)max * n / taken;
}

/* A program that looks up twice or three times for one connection must not skip pods. */
Test(order, spreads_every_stride_of_turns_evenly)
{
        khs_process_prepare();
        for (uint32_t n = 2; n <= 13; n++) {
                for (unsigned int step = 1; step <= 4; step++)
                        cr_expect_lt(unevenness(n * 2654435761U | 1, n, 1000, step), 1.05, "n %u step %u", n, step);
        }
}

/* Twenty-one services one after the other, each looked up once a round: each is spread by itself. */
Test(order, spreads_a_walk_through_many_services)
{
        unsigned int counts[21][3] = { 0 };

        khs_process_prepare();
        for (unsigned int round = 0; round < 900; round++) {
                for (uint32_t service = 0; service < 21; service++) {
                        uint32_t tag = (service * 0x10001 + 77) << 1 | 1;

                        counts[service][khs_order_first(ROTATE_SINGLE, khs_process_turn(tag), 3)]++;
                }
        }
        for (unsigned int service = 0; service < 21; service++) {
                for (unsigned int i = 0; i < 3; i++)
                        cr_expect(counts[service][i] > 290 && counts[service][i] < 310, "service %u: %u", service,
                                  counts[service][i]);
        }
}

/* Forked workers begin anew: neither with their parent's seed nor with its turns. */
Test(order, begins_anew_in_forked_children)
{
        enum { N_CHILDREN = 400, N_PODS = 4 };
        unsigned int counts[N_PODS] = { 0 };
        double chi2 = 0;

        khs_process_prepare();
        (void)khs_process_turn(5);
        cr_assert(khs_process_wiped_on_fork());
        for (int i = 0; i < N_CHILDREN; i++) {
                pid_t pid = fork();
                int status;

                if (pid == 0)
                        _exit((int)khs_order_first(ROTATE_SINGLE, khs_process_turn(5), N_PODS));
                cr_assert_eq(waitpid(pid, &status, 0), pid);
                cr_assert(WIFEXITED(status));
                counts[WEXITSTATUS(status)]++;
        }
        for (int i = 0; i < N_PODS; i++)
                chi2 += (counts[i] - 100.0) * (counts[i] - 100.0) / 100.0;
        /* 3 degrees of freedom: 30.66 is p = 1e-6 */
        cr_expect_lt(chi2, 30.66, "%u %u %u %u", counts[0], counts[1], counts[2], counts[3]);
}

Test(order, forgets_pins_and_locks_in_forked_children)
{
        pid_t pid;
        int status;

        khs_process_prepare();
        khs_process.pins[0].of_map[3] = 7;
        khs_process.remap_owner = 1;
        pid = fork();
        if (pid == 0)
                _exit(khs_process.pins[0].of_map[3] || khs_process.remap_owner);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_expect_eq(status, 0);
        cr_expect_eq(khs_process.pins[0].of_map[3], 7);
}
