#pragma once

/*
 * The Kubernetes API as a source: EndpointSlices and pods, by list and watch.
 */

#include <systemd/sd-event.h>

#include "source/kube/options.h"
#include "source/source.h"

/**
 * source_kube_new() - follow services by the API
 *
 * Without usable credentials it reports failures, and looks for some every 30 s.
 *
 * Return: 0; -ENOMEM or another negative errno of sd-event.
 */
int source_kube_new(struct source **ret, sd_event *event, const struct source_kube_options *options);

/* Takes other options; watches begin anew where they name another server or other credentials. Return: 0 or -ENOMEM. */
int source_kube_reconfigure(struct source *source, const struct source_kube_options *options);
