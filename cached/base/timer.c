/*
 * Timers of the event loop.
 *
 * sd-event 239 knows absolute times alone, disables a timer before it calls its handler, and quietly
 * disables one whose handler fails. So times are absolute here, a periodic timer is armed again by hand, and
 * a handler has no result.
 *
 * A periodic timer counts from the time that it was due, so that it does not drift. When a whole period was
 * missed, because the machine slept, it counts from now: nothing is made up for.
 */

#include "base/timer.h"
#include "base/util.h"

static void timer_arm(struct timer *timer, uint64_t at_usec)
{
        (void)sd_event_source_set_time(timer->source, at_usec);
        (void)sd_event_source_set_enabled(timer->source, SD_EVENT_ONESHOT);
}

static int timer_fire(sd_event_source *source, uint64_t due_usec, void *userdata)
{
        struct timer *timer = userdata;
        uint64_t now = usec_now();

        (void)source;
        if (timer->period_usec > 0)
                timer_arm(timer, (now - due_usec > timer->period_usec ? now : due_usec) + timer->period_usec);
        timer->fn(timer->userdata);
        return 0;
}

int timer_init(struct timer *timer, sd_event *event, uint64_t slack_usec, void (*fn)(void *userdata), void *userdata)
{
        int r;

        *timer = (struct timer){ .fn = fn, .userdata = userdata };
        r = sd_event_add_time(event, &timer->source, CLOCK_BOOTTIME, 0, slack_usec, timer_fire, timer);
        if (r >= 0)
                r = sd_event_source_set_enabled(timer->source, SD_EVENT_OFF);
        if (r < 0)
                timer_deinit(timer);
        return r < 0 ? r : 0;
}

void timer_deinit(struct timer *timer)
{
        if (timer->source)
                timer_stop(timer);
        timer->source = sd_event_source_unref(timer->source);
}

void timer_set(struct timer *timer, uint64_t at_usec)
{
        timer->period_usec = 0;
        timer_arm(timer, at_usec);
}

void timer_set_period(struct timer *timer, uint64_t period_usec)
{
        timer->period_usec = period_usec;
        timer_arm(timer, usec_now() + period_usec);
}

void timer_stop(struct timer *timer)
{
        timer->period_usec = 0;
        (void)sd_event_source_set_enabled(timer->source, SD_EVENT_OFF);
}

uint64_t usec_jitter(uint64_t usec, unsigned int percent)
{
        uint64_t range = usec / 100 * percent;

        return usec - range + 2 * range * (random_u32() % 1025U) / 1024U;
}
