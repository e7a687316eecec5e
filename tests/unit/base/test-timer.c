/* Timers on a real loop: once, periodically, not at all; and how far jitter goes. */

#include <criterion/criterion.h>
#include <unistd.h>

#include "base/timer.h"
#include "base/util.h"

static sd_event *event;
static struct timer timer;
static unsigned int n_fired;

static void on_timer(void *userdata)
{
        (void)userdata;
        n_fired++;
}

static void setup(void)
{
        cr_assert_geq(sd_event_new(&event), 0);
        cr_assert_eq(timer_init(&timer, event, 1, on_timer, NULL), 0);
}

static void teardown(void)
{
        timer_deinit(&timer);
        timer_deinit(&timer); /* fine on a zeroed one */
        sd_event_unref(event);
}

static void run(uint64_t usec)
{
        for (uint64_t end = usec_now() + usec; usec_now() < end;)
                cr_assert_geq(sd_event_run(event, 2000), 0);
}

TestSuite(timer, .init = setup, .fini = teardown, .timeout = 20);

Test(timer, is_off_until_it_is_set)
{
        run(30 * USEC_PER_MSEC);
        cr_expect_eq(n_fired, 0);
        timer_set(&timer, usec_now() + 10 * USEC_PER_MSEC);
        run(60 * USEC_PER_MSEC);
        cr_expect_eq(n_fired, 1, "once");
        timer_set(&timer, 0);
        run(10 * USEC_PER_MSEC);
        cr_expect_eq(n_fired, 2, "what is long due is due now");
        timer_set(&timer, usec_now() + 10 * USEC_PER_MSEC);
        timer_stop(&timer);
        run(30 * USEC_PER_MSEC);
        cr_expect_eq(n_fired, 2);
}

Test(timer, period_does_not_drift_and_makes_up_for_nothing)
{
        timer_set_period(&timer, 20 * USEC_PER_MSEC);
        run(210 * USEC_PER_MSEC);
        cr_expect(n_fired >= 8 && n_fired <= 10, "%u", n_fired);
        usleep(200000); /* as if the machine had slept */
        n_fired = 0;
        run(10 * USEC_PER_MSEC);
        cr_expect_eq(n_fired, 1);
        timer_set(&timer, usec_now() + 10 * USEC_PER_MSEC);
        n_fired = 0;
        run(100 * USEC_PER_MSEC);
        cr_expect_eq(n_fired, 1, "one-shot again");
}

Test(timer, jitter_stays_within_its_percentage)
{
        uint64_t least = UINT64_MAX, most = 0;

        for (int i = 0; i < 10000; i++) {
                uint64_t usec = usec_jitter(USEC_PER_SEC, 10);

                least = usec < least ? usec : least;
                most = usec > most ? usec : most;
        }
        cr_expect(least >= 900000 && least < 910000, "%lu", (unsigned long)least);
        cr_expect(most <= 1100000 && most > 1090000, "%lu", (unsigned long)most);
        cr_expect_eq(usec_jitter(USEC_PER_SEC, 0), USEC_PER_SEC);
        cr_expect_eq(usec_jitter(0, 10), 0);
}
