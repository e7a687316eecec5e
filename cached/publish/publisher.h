#pragma once

/*
 * When the table hears of what the service model knows.
 *
 * The first change of a service is published at once, further ones within 25 ms are joined into one.
 * All publishes together are limited, so that a storm of changes can't use up the blocks that rest
 * between two uses. A table that is full or a file system without room costs the new, never the
 * old: what could not be published is told, kept in mind and tried again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "model/service.h"
#include "write/writer.h"

struct publisher;

/* The publisher's side of a service; embedded in whoever owns both. */
struct publication {
        const struct service *service;
        uint64_t last_usec; /* of the last publish; 0: never */
        bool queued;
        bool refused; /* no room for it */
        struct publication *next;
};

/**
 * publisher_new() - begin to publish in a directory
 * @generation: of the file, if a new one must be made
 *
 * Takes over the table that is there, if it is sound and of this boot: then every put below is seen
 * at once. Otherwise begins with a new file, which nobody sees before publisher_open().
 *
 * Return: 0, or errors of khs_writer_new().
 */
int publisher_new(struct publisher **ret, sd_event *event, int dir_fd, const struct khs_table_params *params,
                  uint32_t generation);
struct publisher *publisher_free(struct publisher *p);

/* The service is new, or its addresses or policy changed. */
void publisher_update(struct publisher *p, struct publication *pub);
/* Only its times, state or ttl changed. */
void publisher_touch(struct publisher *p, struct publication *pub);
/* Takes the service out of the table. */
void publisher_remove(struct publisher *p, struct publication *pub);

int publisher_put_alias(struct publisher *p, const char *alias, const char *target);
void publisher_remove_alias(struct publisher *p, const char *alias);

/* Takes out what is not wanted: of a table that was taken over, once all services have been put. */
void publisher_retain(struct publisher *p, bool (*keep)(void *userdata, const char *key, const char *target),
                      void *userdata);

/* Gives the table its name, once everything that is known at start has been put. */
int publisher_open(struct publisher *p);

/* Another cluster domain, namespace, orphan-max or limit: a new file, if it differs. */
int publisher_set_params(struct publisher *p, const struct khs_table_params *params);

/**
 * publisher_beat() - the heartbeat, every second
 *
 * Also notices that the file was removed, and makes a new one.
 *
 * Return: 0; -ENOTDIR the directory was removed, nobody could ever find a new file.
 */
int publisher_beat(struct publisher *p);

/* Services that have no room in the table. */
size_t publisher_n_refused(const struct publisher *p);
