#pragma once

/*
 * Timers of the event loop, on CLOCK_BOOTTIME: a machine that wakes up finds everything due that became due
 * while it slept.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

/* Embedded in its owner, which it must not outlive. */
struct timer {
        sd_event_source *source; /* NULL before timer_init() */
        uint64_t period_usec;    /* 0: one-shot */
        void (*fn)(void *userdata);
        void *userdata;
};

/**
 * timer_init() - add a timer to the loop; it is off
 * @slack_usec: how late it may fire, so that the kernel can join wake-ups
 *
 * Return: 0; -ENOMEM or another negative errno of sd-event.
 */
int timer_init(struct timer *timer, sd_event *event, uint64_t slack_usec, void (*fn)(void *userdata), void *userdata);
/* Fine on a zeroed one. */
void timer_deinit(struct timer *timer);

/* Fires once, at @at_usec of usec_now(). Replaces whatever was set. */
void timer_set(struct timer *timer, uint64_t at_usec);
/* Fires in @period_usec and every @period_usec from then on. */
void timer_set_period(struct timer *timer, uint64_t period_usec);
void timer_stop(struct timer *timer);

/* @usec +- up to @percent of it, at random: what was started together must not fire together for ever. */
uint64_t usec_jitter(uint64_t usec, unsigned int percent);
