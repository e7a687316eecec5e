#pragma once

/*
 * sd_notify(3) that never blocks: readiness, reloads, status and the watchdog's sign of life.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

struct notify;

/**
 * notify_new() - find out who listens, from NOTIFY_SOCKET and WATCHDOG_USEC
 *
 * Where nobody does, the functions below do nothing. Where a watchdog does, the loop sends its sign of life.
 *
 * Return: 0; -ENOMEM or another negative errno of sd-event.
 */
int notify_new(struct notify **ret, sd_event *event);
struct notify *notify_free(struct notify *n);

/* States that the service manager must know: sent in order, and later where they can't be sent now. */
void notify_ready(struct notify *n);
void notify_reloading(struct notify *n);
void notify_stopping(struct notify *n);

/* A line for people; only the last one counts. */
void notify_status(struct notify *n, const char *status);

/* For every second: sends what could not be sent. */
void notify_beat(struct notify *n);
