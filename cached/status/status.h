#pragma once

/*
 * What the daemon shows over HTTP: /metrics, /healthz, /readyz, /api/services, and the status page.
 *
 * All of it but the counters is read from the table, as every other program reads it: what is shown is what is
 * served.
 */

#include <systemd/sd-event.h>

struct status;

/**
 * status_new() - listen nowhere
 * @directory: of the table; borrowed
 *
 * Return: 0; -ENOMEM or another negative errno.
 */
int status_new(struct status **ret, sd_event *event, const char *directory);
/* Takes NULL. Open connections end. Returns NULL. */
struct status *status_free(struct status *status);

/*
 * Listens on @where, "ADDR:PORT", and nowhere else; NULL: nowhere. An address that can't be listened on is logged, and
 * tried again every few seconds.
 */
void status_listen(struct status *status, const char *where);
