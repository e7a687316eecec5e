#pragma once

/*
 * The registered services: where configuration, sources, the service model and the publisher meet.
 *
 *     configuration --> registry_apply() --> registrations --> sources
 *                                                 |               |
 *     publisher <-- what changed <-- service <-- report() <-------'
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "publish/predecessor.h"
#include "publish/publisher.h"
#include "source/source.h"

struct registry;

struct registry_counts {
        size_t n_services, n_addresses;
        size_t n_pending, n_fresh, n_stale, n_empty, n_expired;
        uint64_t n_dropped; /* addresses that were reported so far and can't be a pod's, or are not allowed */
};

/**
 * registry_new() - no service is registered
 * @sources: who serves each enum khs_source; one may serve several. NULL: nobody
 *
 * Publisher and sources are borrowed for the registry's life. The registry starts the sources with the first
 * registry_apply().
 *
 * Return: 0; -ENOMEM.
 */
int registry_new(struct registry **ret, struct publisher *publisher,
                 struct source *const sources[KHS_SOURCE_STATIC + 1]);
/* The sources must have been freed, or report nothing more. */
struct registry *registry_free(struct registry *r);

/**
 * registry_apply() - register what the configuration names, and nothing else
 * @config:      borrowed until the next call
 * @predecessor: new services begin with what it knew of them; NULL after the start
 *
 * Touches only what differs. A service that can't be registered for want of memory is logged and left out; the
 * next call tries again.
 */
void registry_apply(struct registry *r, const struct config *config, struct predecessor *predecessor);

/* For every second: confirms and expires, and has the sources follow what was discovered. */
void registry_tick(struct registry *r);

void registry_count(const struct registry *r, struct registry_counts *ret);

/* Services of which nothing is known and that wait for their source's first word; in constant time. */
size_t registry_n_awaited(const struct registry *r);

/* For publisher_retain(): whether a key of the table is a registered service, or an alias of one. */
bool registry_keeps(void *registry, const char *key, const char *target);
