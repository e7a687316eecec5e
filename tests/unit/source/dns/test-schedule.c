/*
 * Timing as arithmetic: no clock, no sockets.
 */

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/due-queue.h"
#include "source/dns/schedule.h"

#define SEC 1000000ULL

static const uint32_t randoms[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff };

#define each_random(r) (size_t i_ = 0, r = 0; i_ < 5 && (r = randoms[i_], true); i_++)

Test(dns_schedule, answer_is_never_later_than_its_ttl_between_the_limits)
{
        static const struct {
                uint64_t min, max;
                uint32_t ttl_s;
                uint64_t want;
        } cases[] = {
                { 1 * SEC, 5 * SEC, 3, 3 * SEC },     { 1 * SEC, 5 * SEC, 0, 1 * SEC },
                { 1 * SEC, 5 * SEC, 30, 5 * SEC },    { 1 * SEC, 3600 * SEC, UINT32_MAX, 3600 * SEC },
                { SEC / 20, SEC / 20, 30, SEC / 20 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                for
                        each_random(r)
                        {
                                struct dns_schedule schedule = { 0 };
                                uint64_t delay = dns_schedule_answer(&schedule, cases[i].min, cases[i].max,
                                                                     cases[i].ttl_s, (uint32_t)r);

                                cr_assert_leq(delay, cases[i].want, "case %zu", i);
                                cr_assert_geq(delay, cases[i].want * 8 / 10, "case %zu", i);
                        }
}

Test(dns_schedule, jitter_spreads)
{
        struct dns_schedule schedule = { 0 };
        uint64_t low = dns_schedule_answer(&schedule, SEC, 5 * SEC, 5, 0);
        uint64_t high = dns_schedule_answer(&schedule, SEC, 5 * SEC, 5, UINT32_MAX);

        cr_assert_eq(low, 4 * SEC);
        cr_assert_eq(high, 5 * SEC);
}

Test(dns_schedule, three_negatives_are_two_seconds_apart)
{
        for
                each_random(r)
                {
                        struct dns_schedule schedule = { 0 };

                        for (int n = 0; n < 2; n++) {
                                uint64_t delay =
                                        dns_schedule_negative(&schedule, SEC / 20, 5 * SEC, 0, false, (uint32_t)r);

                                cr_assert_geq(delay, 2 * SEC);
                                cr_assert_leq(delay, 2 * SEC + SEC / 5);
                                (void)dns_schedule_failure(&schedule, (uint32_t)r); /* neither counts nor resets */
                        }
                        cr_assert_leq(dns_schedule_negative(&schedule, SEC / 20, 5 * SEC, 0, false, (uint32_t)r),
                                      SEC / 20);
                        /* A positive between begins again. */
                        (void)dns_schedule_answer(&schedule, SEC, 5 * SEC, 5, (uint32_t)r);
                        cr_assert_geq(dns_schedule_negative(&schedule, SEC / 20, 5 * SEC, 0, false, (uint32_t)r),
                                      2 * SEC);
                }
}

Test(dns_schedule, the_family_nobody_uses_is_asked_every_five_minutes)
{
        struct dns_schedule never = { 0 }, once = { 0 };
        uint64_t delay = 0;

        (void)dns_schedule_answer(&once, SEC, 5 * SEC, 5, 0);
        for (int n = 0; n < 3; n++)
                delay = dns_schedule_negative(&never, SEC, 5 * SEC, 5, true, 0);
        cr_assert_eq(delay, 240 * SEC);
        for (int n = 0; n < 3; n++)
                delay = dns_schedule_negative(&once, SEC, 5 * SEC, 5, true, 0);
        cr_assert_eq(delay, 4 * SEC, "it had addresses: they may come back");
        cr_assert_eq(dns_schedule_negative(&never, SEC, 5 * SEC, 5, false, 0), 4 * SEC);
}

Test(dns_schedule, failures_back_off_to_half_a_minute)
{
        static const uint64_t want[] = { 1, 2, 4, 8, 16, 30, 30, 30 };

        for
                each_random(r)
                {
                        struct dns_schedule schedule = { 0 };

                        for (size_t i = 0; i < 8; i++) {
                                uint64_t delay = dns_schedule_failure(&schedule, (uint32_t)r);

                                cr_assert_geq(delay, want[i] * SEC * 9 / 10);
                                cr_assert_leq(delay, want[i] * SEC * 11 / 10);
                        }
                        (void)dns_schedule_answer(&schedule, SEC, 5 * SEC, 5, (uint32_t)r);
                        cr_assert_leq(dns_schedule_failure(&schedule, (uint32_t)r), SEC * 11 / 10);
                }
}

Test(dns_schedule, first_question_of_adopted_names_is_spread)
{
        cr_assert_eq(dns_schedule_first(60 * SEC, 0), 0);
        cr_assert_eq(dns_schedule_first(60 * SEC, UINT32_MAX), 5 * SEC);
        cr_assert_eq(dns_schedule_first(2 * SEC, UINT32_MAX), 2 * SEC);
}

/* Takes as many tokens as there are in @seconds, looking whenever the bucket says so. */
static unsigned int drain(struct dns_bucket *bucket, uint32_t rate, uint64_t now, uint64_t seconds)
{
        unsigned int n = 0;

        for (uint64_t t = now; t < now + seconds * SEC;) {
                if (dns_bucket_take(bucket, rate, t)) {
                        n++;
                        continue;
                }
                cr_assert_gt(dns_bucket_next(bucket, rate), t);
                t = dns_bucket_next(bucket, rate);
        }
        return n;
}

Test(dns_schedule, bucket_keeps_the_rate)
{
        static const uint32_t rates[] = { 1, 2, 3, 4, 50, 200, 100000 };

        for (size_t i = 0; i < 7; i++) {
                struct dns_bucket bucket = { 0 };
                unsigned int n = drain(&bucket, rates[i], 1000 * SEC, 10);

                cr_assert_geq(n, rates[i] * 10, "rate %u: %u", rates[i], n);
                cr_assert_leq(n, rates[i] * 10 + rates[i] / 4 + 1, "rate %u: %u", rates[i], n);
        }
}

Test(dns_schedule, recovery_rate_comes_from_the_minute_before)
{
        struct dns_meter meter = { 0 };

        for (uint64_t t = 1000 * SEC; t < 1060 * SEC; t += SEC / 100)
                dns_meter_add(&meter, t);
        cr_assert_eq(dns_meter_mean(&meter, 1059 * SEC), 100);
        cr_assert_eq(dns_meter_mean(&meter, 1074 * SEC), 75);
        cr_assert_eq(dns_meter_mean(&meter, 1089 * SEC), 50);
        cr_assert_eq(dns_meter_mean(&meter, 1200 * SEC), 0);

        cr_assert_eq(dns_recovery_rate(0, 200), 40);
        cr_assert_eq(dns_recovery_rate(70, 200), 112);
        cr_assert_eq(dns_recovery_rate(150, 200), 200);
        cr_assert_eq(dns_recovery_rate(3, 10), 10);
        cr_assert_eq(dns_recovery_rate(UINT32_MAX, UINT32_MAX), UINT32_MAX);
}

Test(dns_schedule, a_meter_that_is_young_measures_its_life)
{
        struct dns_meter meter = { 0 };

        cr_assert_eq(dns_meter_mean(&meter, 5000 * SEC), 0);
        for (uint64_t t = 5000 * SEC; t < 5010 * SEC; t += SEC / 20)
                dns_meter_add(&meter, t);
        cr_assert_eq(dns_meter_mean(&meter, 5009 * SEC), 20);
        cr_assert_eq(dns_meter_mean(&meter, 5019 * SEC), 10);
        cr_assert_eq(dns_meter_mean(&meter, 5100 * SEC), 0);
}

/* Whatever the mean: in no second more than twice that, or 50. */
Test(dns_schedule, recovery_rate_counts_the_burst)
{
        for (uint32_t mean = 0; mean < 1000; mean += 7) {
                uint32_t limit = 2 * mean < 50 ? 50 : 2 * mean, rate = dns_recovery_rate(mean, 100000), n = 0;
                struct dns_bucket bucket = { 0 };

                for (uint64_t t = 100 * SEC; t < 101 * SEC; t += 100)
                        n += dns_bucket_take(&bucket, rate, t);
                cr_assert(n <= limit && n >= limit * 9 / 10, "%u in a second, %u allowed", n, limit);
        }
}

Test(due_queue, first_is_always_the_one_due_first)
{
        enum { N = 500 };
        static struct due_item items[N];
        struct due_queue queue = { 0 };
        unsigned int seed = 1;
        uint64_t last = 0;
        size_t n = 0;

        cr_assert_eq(due_queue_reserve(&queue, N), 0);
        cr_assert_null(due_queue_first(&queue));
        for (int round = 0; round < 5000; round++) {
                struct due_item *item = &items[(size_t)rand_r(&seed) % N];

                if (rand_r(&seed) % 3 == 0)
                        due_queue_remove(&queue, item);
                else
                        due_queue_put(&queue, item, (uint64_t)rand_r(&seed) % 1000);
        }
        for (size_t i = 0; i < N; i++)
                n += items[i].place > 0;
        cr_assert_eq(queue.n_items, n);
        for (struct due_item *item; (item = due_queue_first(&queue)); n--) {
                cr_assert_geq(item->due_usec, last);
                last = item->due_usec;
                due_queue_remove(&queue, item);
                cr_assert_eq(item->place, 0);
        }
        cr_assert_eq(n, 0);
        due_queue_deinit(&queue);
}

Test(dns_schedule, host_names_are_asked_for_every_five_minutes_or_after_a_growing_pause)
{
        static const struct {
                uint32_t n_open, n_single;
                uint64_t want;
        } cases[] = {
                { 0, 0, 300 * SEC }, { 0, 50, 350 * SEC }, { 0, 5000, 5300 * SEC }, { 1, 50, SEC },
                { 2, 0, 2 * SEC },   { 8, 0, 128 * SEC },  { 9, 0, 300 * SEC },     { UINT32_MAX, 7, 300 * SEC },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                cr_expect_eq(dns_schedule_hosts(cases[i].n_open, cases[i].n_single, 0), cases[i].want * 9 / 10,
                             "case %zu", i);
                cr_expect_eq(dns_schedule_hosts(cases[i].n_open, cases[i].n_single, UINT32_MAX),
                             cases[i].want * 11 / 10, "case %zu", i);
        }
}
