#pragma once

/*
 * Decides when the table says what the service model knows.
 *
 * The first change of a service is published at once; further changes within 25 ms are joined into one.
 * All publishes together are limited, so that a storm of changes cannot use up the blocks that rest
 * between two uses. When the table or the file system is full, new data is refused and old data stays:
 * what could not be published is reported, remembered and retried.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "model/service.h"
#include "publish/predecessor.h"
#include "write/writer.h"

struct publisher;

/* The publisher's side of a service; embedded in whoever owns both. */
struct publication {
        const struct service *service;
        uint64_t last_usec;    /* of the last publish; 0: never */
        uint64_t changed_usec; /* CLOCK_REALTIME at which what is to be published became so; 0: unknown */
        bool queued;
        bool refused;                     /* there was no room for it */
        struct publication *next, **link; /* in the queue; *link is this one */
};

/**
 * publisher_new() - begin to publish in a directory
 * @predecessor: whose table is there; or NULL
 *
 * Takes over that table if it is sound, of our clock and not nearly empty; then readers see every put below
 * at once. Otherwise begins with a new file of the next generation, which nobody sees before publisher_open().
 *
 * Return: 0, or an error of khs_writer_new().
 */
int publisher_new(struct publisher **ret, sd_event *event, int dir_fd, const struct khs_table_params *params,
                  const struct predecessor *predecessor);
struct publisher *publisher_free(struct publisher *p);

/* The service is new, or its addresses or policy changed. */
void publisher_update(struct publisher *p, struct publication *pub);
/* Only its times, state or ttl changed. */
void publisher_touch(struct publisher *p, struct publication *pub);
/* Removes the service from the table. */
void publisher_remove(struct publisher *p, struct publication *pub);

int publisher_put_alias(struct publisher *p, const char *alias, const char *target);
void publisher_remove_alias(struct publisher *p, const char *alias);

/* Removes what is not registered any more from a table that was taken over. All services must have been put. */
void publisher_retain(struct publisher *p, bool (*keep)(void *userdata, const char *key, const char *target),
                      void *userdata);

/* Gives the table its name, once everything that is known at the start has been put. */
int publisher_open(struct publisher *p);

/* A changed cluster domain, namespace, orphan-max or limit means a new file; equal parameters do nothing. */
int publisher_set_params(struct publisher *p, const struct khs_table_params *params);

/* The heartbeat, every second. Also writes the table again if its file was removed, and grows it ahead of need. */
void publisher_beat(struct publisher *p);

/* Adds to, or takes from, the number of aliases for which the table has no room. Their owner tries again. */
void publisher_count_refused_aliases(struct publisher *p, int change);

/* Number of services for which the table has no room. */
size_t publisher_n_refused(const struct publisher *p);
