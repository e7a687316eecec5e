#pragma once

/*
 * A source that holds two: services are followed by the first, and by the second while the first can't reach
 * its server. It is made of the Kubernetes API, else DNS.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "source/source.h"

#define FALLBACK_GRACE_USEC (10 * 1000000ULL)

/**
 * source_fallback_new() - hold two sources
 * @first:  reports whole findings, and failures while it can't
 * @second: asks for services one by one
 * @wanted: enum khs_source of the services that the first is for; all others are the second's
 * @grace_usec: for so long a failure of the first changes nothing but its services' state
 *
 * On success both are the fallback's to free.
 *
 * Return: 0; -ENOMEM or another negative errno of sd-event.
 */
int source_fallback_new(struct source **ret, sd_event *event, struct source *first, struct source *second,
                        enum khs_source wanted, uint64_t grace_usec);
