#pragma once

/*
 * Following the configuration's files: says on the event loop that something may have changed.
 *
 * Knows where files are and nothing of what stands in them. Changes that follow each other are
 * joined. Where inotify can't be had, the files are looked at every second instead.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "config/config.h"

struct config_watch;

/* The files may have changed: all of them are to be read again. */
typedef void (*config_watch_fn)(void *userdata);

/**
 * config_watch_new() - watch all that configuration is read from, from now on
 * @origin: borrowed for the life of the watch
 * @fn:     called from the loop, never from within a function of this header
 *
 * What is read after this call and changes then is told. That nothing can be watched is logged, and
 * no failure.
 *
 * Return: 0; -ENOMEM or another negative errno of sd-event.
 */
int config_watch_new(struct config_watch **ret, sd_event *event, const struct config_origin *origin, config_watch_fn fn,
                     void *userdata);
struct config_watch *config_watch_free(struct config_watch *w);

/* To be called every second: for what inotify does not see. */
void config_watch_beat(struct config_watch *w);

/* As if something had changed: joined with what really has. */
void config_watch_ask(struct config_watch *w);

/**
 * config_watch_settled() - whether nothing has changed since @fn was called
 *
 * To be asked after reading: files that were moved while they were read may have been missed, or
 * seen twice. If something has changed, @fn is going to be called again.
 */
bool config_watch_settled(struct config_watch *w);
