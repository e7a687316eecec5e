#pragma once

/*
 * The word of the service manager: sd_notify(3), without waiting for it.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

struct notify;

/**
 * notify_new() - find out who wants to be told, from NOTIFY_SOCKET and WATCHDOG_USEC
 *
 * Where nobody does, the functions below do nothing.
 *
 * Return: 0; -ENOMEM or another negative errno of sd-event.
 */
int notify_new(struct notify **ret, sd_event *event);
struct notify *notify_free(struct notify *n);

/* A state that the service manager must hear of: it is told in order, and later where not now. */
void notify_ready(struct notify *n);
void notify_reloading(struct notify *n);
void notify_stopping(struct notify *n);

/* A line for people; only the last one counts. */
void notify_status(struct notify *n, const char *status);

/* To be called every second: tells what could not be told. */
void notify_beat(struct notify *n);
