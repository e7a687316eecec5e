#pragma once

/*
 * Writing the table: the only writer of a directory, its files, and the records in them.
 *
 * At any moment, whatever happens to this process, a reader sees a record as it was before a put or as
 * it is after it, never anything in between (table/format.h). A block that a reader can find by its key
 * is never written to, except for a few words that are stored one by one.
 *
 * A table that is full, or whose index has no room near a key's bucket, is copied into a larger file,
 * which then takes over the name; khs_writer_tend() does so ahead of need. Callers see -ENOSPC only when
 * the limit is reached or the file system is full. Copying takes less than 100 ms for 100,000 services of
 * 50 addresses; readers do not notice.
 *
 * For one thread. Logs nothing; errors are returned.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table/row.h"

/* What the header says about the cluster; a change means a new file. Strings are borrowed during the call. */
struct khs_table_params {
        const char *zone;      /* cluster domain, <= KHS_KEY_MAX bytes */
        const char *namespace; /* of callers without a search domain, <= 63 bytes; "" or NULL: none */
        const char *node_name; /* of this node, <= 255 bytes; "" or NULL: unknown */
        const char *node_zone; /* of this node, <= 63 bytes; "" or NULL: unknown */
        uint32_t orphan_max_ds;
        bool reverse;        /* with an index from addresses to services */
        uint64_t max_bytes;  /* upper bound of the file's size */
        uint32_t n_services; /* a hint: the first file has room for so many */
};

struct khs_writer;

/**
 * khs_writer_new() - create a writer with an empty table that has no name yet
 * @dir_fd:     the directory, borrowed for the writer's life; the caller holds its lock
 * @generation: of the first file; one more than that of the file it replaces
 *
 * Removes what a previous writer left unfinished.
 *
 * Return: 0; -ENOSPC, -EACCES and other errors of creating a file; -ENOMEM; -EINVAL: bad parameters.
 */
int khs_writer_new(struct khs_writer **ret, int dir_fd, const struct khs_table_params *params, uint32_t generation);

/**
 * khs_writer_adopt() - become the writer of the table that a previous writer left
 * @dir_fd: the directory, borrowed for the writer's life; the caller holds its lock
 * @params: what the header must say
 *
 * Takes the file over in place; its readers do not notice. Everything in it is checked first, CRCs
 * included. Blocks that the previous writer was filling or had freed when it ended are reused after the
 * grace time. Beats at once.
 *
 * Return: 0; -ENOENT: there is no table; -ESTALE: it is of another boot, format or header, or superseded;
 * -EFBIG: it is nearly empty, and a new one would be much smaller; -EBADMSG: it is damaged; -ENOMEM. On
 * failure the caller goes on with khs_writer_new().
 */
int khs_writer_adopt(struct khs_writer **ret, int dir_fd, const struct khs_table_params *params, uint32_t now_ds);
struct khs_writer *khs_writer_free(struct khs_writer *w);

/**
 * khs_writer_put() - insert or update one key
 * @now_ds: CLOCK_BOOTTIME
 *
 * A row that differs only in its times, status and ttl is stored in place.
 *
 * Return: 0; -ENOSPC: no room within max_bytes, or none on the file system; -ENOMEM; -EINVAL: a size
 * is out of range. On failure the table still says what it said before.
 */
int khs_writer_put(struct khs_writer *w, const struct khs_row *row, uint32_t now_ds);

/* Return: 0; -ENOENT. */
int khs_writer_delete(struct khs_writer *w, const char *key, size_t n_key, uint32_t now_ds);

/* Deletes the key if it is a service that was never resolved, whose lookups fail with and without a record. */
void khs_writer_drop_pending(struct khs_writer *w, const char *key, size_t n_key, uint32_t now_ds);

/**
 * khs_writer_retain() - delete every key that @keep does not want
 * @keep: called with each key, and with its target if it is an alias, else with NULL
 */
void khs_writer_retain(struct khs_writer *w, bool (*keep)(void *userdata, const char *key, const char *target),
                       void *userdata, uint32_t now_ds);

/*
 * A batch of puts and deletes is complete: commit counts it, wake wakes the readers that sleep on the
 * count. Waking costs microseconds for each sleeper, so it need not follow every commit.
 */
void khs_writer_commit(struct khs_writer *w);
void khs_writer_wake(struct khs_writer *w);

/**
 * khs_writer_publish() - give the table its name
 *
 * Beats, renames the file over the one that has the name, and marks that one superseded. Files that follow
 * are published by the call that makes them.
 *
 * Return: 0, or an error of rename(2).
 */
int khs_writer_publish(struct khs_writer *w);

/**
 * khs_writer_renew() - copy everything into a new file of the same size and publish that
 * @params: of the new file; NULL: as before
 *
 * For changed parameters, and after somebody removed the file.
 */
int khs_writer_renew(struct khs_writer *w, const struct khs_table_params *params, uint32_t now_ds);

/**
 * khs_writer_tend() - grow ahead of need, and release the superseded file
 * @now_ds: CLOCK_BOOTTIME
 *
 * To be called with every heartbeat. Grows when three quarters of the arena or of an index are in use, but
 * not within ten minutes of the last new file. Releases a superseded file after a minute, when its readers
 * have left it.
 *
 * Return: 0; a negative errno: a larger file cannot be made, and is not tried again for ten minutes. The
 * table is unchanged.
 */
int khs_writer_tend(struct khs_writer *w, uint32_t now_ds);

/* The heartbeat, to be called every KHS_BEAT_DS. */
void khs_writer_beat(struct khs_writer *w);

/**
 * khs_writer_check() - whether the table still has its name
 *
 * Return: 0; -ESTALE: the file was removed or replaced, renew it.
 */
int khs_writer_check(const struct khs_writer *w);

/* Registrations that were refused for lack of room, for the tool. */
void khs_writer_set_refused(struct khs_writer *w, uint32_t n_refused);

/* Size of the file in bytes. */
uint64_t khs_writer_size(const struct khs_writer *w);
