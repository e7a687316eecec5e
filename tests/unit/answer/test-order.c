/* Answer policy and rotation. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "answer/order.h"
#include "read/process.h"
#include "wipe-fixture.h"

#define ROTATE_SINGLE khs_policy(1, KHS_ORDER_ROTATE, KHS_FAMILY_ANY)

Test(order, counts_by_policy)
{
        static const struct {
                uint32_t answers, n, count;
                bool keeps;
        } cases[] = {
                { 1, 8, 1, false },
                { 1, 0, 0, false },
                { KHS_ANSWERS_ALL, 5000, 5000, false },
                { KHS_ANSWERS_AUTO, 8, 4, true },
                { KHS_ANSWERS_AUTO, 3, 3, true },
                { KHS_ANSWERS_AUTO, 0, 0, true },
                { 2, 8, 2, true },
                { 7, 5, 5, true },
                { 5000, 5000, 64, true }, /* no more are looked at */
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                uint32_t policy = khs_policy(cases[i].answers, KHS_ORDER_STICKY, KHS_FAMILY_IPV6);

                cr_expect_eq(khs_order_count(policy, cases[i].n), cases[i].count, "answers %u, n %u", cases[i].answers,
                             cases[i].n);
                cr_expect_eq(khs_order_keeps(policy), cases[i].keeps, "answers %u", cases[i].answers);
        }
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

        wipe_or_skip();
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

        wipe_or_skip();
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

/* ---- first-kept ---- */

static struct {
        const uint32_t *scores;
        unsigned int n_asked;
} known;

static uint32_t score_of(uint32_t i, void *user)
{
        (void)user;
        known.n_asked++;
        return known.scores[i];
}

/* Return: how many scores had to be known. */
static unsigned int keep_by(struct khs_run *run, const uint32_t *scores)
{
        known.scores = scores;
        known.n_asked = 0;
        khs_order_keep(run, score_of, NULL);
        return known.n_asked;
}

Test(order, keeps_what_is_not_nearer_than_the_first)
{
        static const struct {
                uint32_t n, wanted;
                uint32_t scores[8];
                uint64_t kept;
                unsigned int n_asked;
        } cases[] = {
                { 8, 4, { 0, 0, 0, 0, 0, 0, 0, 0 }, 0xf, 4 },         /* the next ones, and no more are looked at */
                { 8, 4, { 24, 25, 26, 24, 30, 0, 31, 23 }, 0xa9, 8 }, /* equal and lower ones */
                { 8, 4, { 0, 24, 25, 26, 24, 30, 31, 23 }, 0x1, 8 },  /* it is the farthest */
                { 8, 4, { 31, 1, 2, 3, 4, 5, 6, 7 }, 0xf, 4 },        /* it is the nearest */
                { 8, 8, { 1, 2, 1, 2, 1, 2, 1, 2 }, 0x55, 8 },
                { 3, 3, { 128, 64, 128 }, 0x7, 3 },
                { 2, 2, { 0, 1 }, 0x1, 2 },
                { 8, 1, { 5 }, 0x1, 0 }, /* one is wanted: no score matters */
                { 1, 1, { 5 }, 0x1, 0 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct khs_run run = { .n = cases[i].n, .first = 3, .count = cases[i].wanted };
                unsigned int n_asked = keep_by(&run, cases[i].scores);

                cr_expect_eq(run.kept, cases[i].kept, "case %zu: %#llx", i, (unsigned long long)run.kept);
                cr_expect_eq(run.count, (uint32_t)__builtin_popcountll(cases[i].kept), "case %zu", i);
                cr_expect_eq(run.first, 3);
                cr_expect_eq(n_asked, cases[i].n_asked, "case %zu: %u", i, n_asked);
        }
}

Test(order, looks_at_no_more_than_64_candidates)
{
        uint32_t far[200] = { 0 };
        struct khs_run run = { .n = 200, .count = 64 };

        cr_expect_eq(keep_by(&run, far), 64);
        cr_expect_eq(run.kept, UINT64_MAX);
        cr_expect_eq(run.count, 64);

        for (int i = 1; i < 200; i++)
                far[i] = 1;
        run.count = 2;
        cr_expect_eq(keep_by(&run, far), 64);
        cr_expect_eq(run.kept, 1);
}

/* ---- sticky ---- */

enum { N_HOSTS = 4000, N_PODS = 12 };

/* Hosts and pods with addresses that differ in few bits, as they do. */
static uint32_t winner(uint32_t host, int family, uint32_t n_pods, uint32_t without)
{
        uint8_t own[16] = { [10] = 0xff, [11] = 0xff, [12] = 10, [14] = (uint8_t)(host >> 8), [15] = (uint8_t)host };
        uint64_t most = 0;
        uint32_t best = N_PODS;

        for (uint32_t pod = 0; pod < n_pods; pod++) {
                uint8_t v4[4] = { 10, 244, 0, (uint8_t)(pod + 10) }, v6[16] = { 0xfd, [15] = (uint8_t)(pod + 10) };
                uint64_t weight = khs_order_weight(own, family, family == AF_INET ? v4 : v6);

                if (pod != without && weight > most) {
                        most = weight;
                        best = pod;
                }
        }
        return best;
}

static void check_sticky(int family)
{
        unsigned int counts[N_PODS] = { 0 }, n_moved = 0;
        double chi2 = 0;

        for (uint32_t host = 0; host < N_HOSTS; host++) {
                uint32_t pod = winner(host, family, N_PODS, N_PODS), fewer = winner(host, family, N_PODS, 5),
                         more = winner(host, family, N_PODS - 1, N_PODS);

                cr_assert_eq(winner(host, family, N_PODS, N_PODS), pod);
                cr_assert(fewer == pod || pod == 5, "host %u leaves pod %u, which is still there", host, pod);
                cr_assert(more == pod || pod == N_PODS - 1, "host %u leaves pod %u for one that was there", host, more);
                n_moved += more != pod;
                counts[pod]++;
        }
        for (int i = 0; i < N_PODS; i++) {
                double mean = (double)N_HOSTS / N_PODS;

                chi2 += (counts[i] - mean) * (counts[i] - mean) / mean;
        }
        /* 11 degrees of freedom: 49.8 is p = 1e-6. The hash is always the same: so is the result. */
        cr_expect_lt(chi2, 49.8, "hosts are not spread evenly over pods: %f", chi2);
        cr_expect(n_moved > N_HOSTS / N_PODS / 2 && n_moved < N_HOSTS / N_PODS * 2, "%u of %d hosts move to a new pod",
                  n_moved, N_HOSTS);
}

Test(order, sticks_and_moves_one_of_n_with_a_change)
{
        check_sticky(AF_INET);
        check_sticky(AF_INET6);
}

/* The module, the library and their next versions must agree on it. */
Test(order, weights_never_change)
{
        static const uint8_t host[16] = { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = 244, [14] = 1, [15] = 7 };
        static const uint8_t v4[4] = { 10, 244, 0, 10 }, v6[16] = { 0xfd, [15] = 10 };

        cr_expect_eq(khs_order_weight(host, AF_INET, v4), 0xbdb0364bd1e9c03cULL, "%#llx",
                     (unsigned long long)khs_order_weight(host, AF_INET, v4));
        cr_expect_eq(khs_order_weight(host, AF_INET6, v6), 0xda8d4b82233554aeULL, "%#llx",
                     (unsigned long long)khs_order_weight(host, AF_INET6, v6));
}
