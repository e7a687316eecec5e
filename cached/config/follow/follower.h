#pragma once

/*
 * Following the configuration's files: says on the event loop that they have changed.
 *
 * Knows where files are and nothing of what is in them.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "config/origin.h"

struct config_follower;

/* The files may have changed: all of them are to be read again. */
typedef void (*config_follower_fn)(void *userdata);

/**
 * config_follower_new() - follow all that configuration is read from, from now on
 * @origin: borrowed for the life of the follower
 * @fn:     called from the loop, never from within a function of this header
 *
 * A change of what is read after this call is reported.
 *
 * Return: 0; -ENOMEM or another negative errno of sd-event.
 */
int config_follower_new(struct config_follower **ret, sd_event *event, const struct config_origin *origin,
                        config_follower_fn fn, void *userdata);
struct config_follower *config_follower_free(struct config_follower *follower);

/* What was told last could not be read: it is told again at the next look. */
void config_follower_again(struct config_follower *follower);

/* As if something had changed. */
void config_follower_ask(struct config_follower *follower);

/**
 * config_follower_settled() - whether nothing has changed since @fn was called
 *
 * To be asked after reading: files that move while they are read may be missed, or seen twice. If
 * something has changed, @fn is going to be called again.
 */
bool config_follower_settled(struct config_follower *follower);
