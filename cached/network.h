#pragma once

/*
 * The sources that need a network, as one: the Kubernetes API, else DNS; DNS alone where the other was left out of
 * the build.
 */

#include <systemd/sd-event.h>

#include "config/config.h"
#include "source/source.h"

struct network;

/* @dns is the network's to free, on success. Return: 0; -ENOMEM or another negative errno of sd-event. */
int network_new(struct network **ret, sd_event *event, struct source *dns, const struct config *config);
/* Its source goes with it. */
struct network *network_free(struct network *n);

struct source *network_source(const struct network *n);
/* Server, credentials, zone and node are those of the configuration from now on. */
void network_reconfigure(struct network *n, const struct config *config);
