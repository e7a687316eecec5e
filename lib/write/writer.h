#pragma once

/*
 * Writing the table: the one writer of a directory, its files, and records put into them.
 *
 * What a reader may see at any moment, whatever happens to this process, is the record as it was
 * before or after a put, never in between: table/format.h. Nothing is ever written into a block
 * that a reader may find by its key, but for a few single words.
 *
 * A table that is full, or whose index has no room near a key's bucket, is copied into a larger
 * file, which then takes its name; ahead of need in khs_writer_tend(). Callers see -ENOSPC only when the
 * limit or the file system is full. Copying takes some 50 ms for 100,000 services; readers notice nothing.
 *
 * One thread. No logging; errors are returned.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table/row.h"

/* What the header says about the cluster; a change makes a new file. Strings are borrowed during the call. */
struct khs_table_params {
        const char *zone;      /* cluster domain, <= KHS_KEY_MAX bytes */
        const char *namespace; /* of callers without a search domain, <= 63 bytes; "" or NULL: none */
        uint32_t orphan_max_ds;
        bool reverse;        /* with an index from addresses to services */
        uint64_t max_bytes;  /* limit of the file */
        uint32_t n_services; /* room for so many to begin with; a hint */
};

struct khs_writer;

/**
 * khs_writer_lock() - become the writer of a directory
 * @dir_fd: the directory
 *
 * An open-file-description lock on a file that only the owner may open: a lock that readers could
 * take on the table would let any of them keep the daemon out.
 *
 * Return: a descriptor that holds the lock until it is closed; -EAGAIN another daemon has it;
 * another negative errno.
 */
int khs_writer_lock(int dir_fd);

/**
 * khs_writer_new() - make a writer with an empty table that has no name yet
 * @dir_fd:     the directory, borrowed for the writer's life; locked by the caller
 * @generation: of the first file; one more than that of the file it is to replace
 *
 * Removes what an earlier writer left unfinished.
 *
 * Return: 0; -ENOSPC, -EACCES and other errors of making a file; -ENOMEM; -EINVAL bad parameters.
 */
int khs_writer_new(struct khs_writer **ret, int dir_fd, const struct khs_table_params *params, uint32_t generation);

/**
 * khs_writer_adopt() - become the writer of the table that an earlier writer left
 * @dir_fd: the directory, borrowed for the writer's life; locked by the caller
 * @params: what the header must say
 *
 * The file is taken as it is, in place: its readers notice nothing. Everything in it is checked
 * first, CRCs too. Blocks that the earlier writer was filling or had freed when it ended are used
 * again after the grace time. Beats at once.
 *
 * Return: 0; -ENOENT there is none; -ESTALE it is of another boot, format or header, or superseded;
 * -EFBIG it is nearly empty, and a new one would be much smaller; -EBADMSG damaged; -ENOMEM. Then
 * khs_writer_new() is the way.
 */
int khs_writer_adopt(struct khs_writer **ret, int dir_fd, const struct khs_table_params *params, uint32_t now_ds);
struct khs_writer *khs_writer_free(struct khs_writer *w);

/**
 * khs_writer_put() - insert or update one key
 * @now_ds: CLOCK_BOOTTIME
 *
 * One that differs only in times, status and ttl is stored in place.
 *
 * Return: 0; -ENOSPC no room within max_bytes, or none on the file system; -ENOMEM; -EINVAL a size
 * is out of range. On failure the table says what it said before.
 */
int khs_writer_put(struct khs_writer *w, const struct khs_row *row, uint32_t now_ds);

/* Return: 0; -ENOENT. */
int khs_writer_delete(struct khs_writer *w, const char *key, size_t n_key, uint32_t now_ds);

/**
 * khs_writer_retain() - delete what nobody wants any more
 * @keep: called with each key, and with its target if it is an alias, else NULL
 */
void khs_writer_retain(struct khs_writer *w, bool (*keep)(void *userdata, const char *key, const char *target),
                       void *userdata, uint32_t now_ds);

/*
 * A batch of puts and deletes is complete: counted by commit, told to sleeping readers by wake. A
 * wake with many sleepers costs microseconds each, so it need not follow every commit.
 */
void khs_writer_commit(struct khs_writer *w);
void khs_writer_wake(struct khs_writer *w);

/**
 * khs_writer_publish() - give the table its name
 *
 * Beats, renames it over what is there and marks that superseded. Later growth does this by itself.
 *
 * Return: 0, or errors of rename(2).
 */
int khs_writer_publish(struct khs_writer *w);

/**
 * khs_writer_renew() - copy everything into a new file and publish that
 * @params: for the new file; NULL: as before
 *
 * For changed parameters, and when somebody has removed the file.
 */
int khs_writer_renew(struct khs_writer *w, const struct khs_table_params *params, uint32_t now_ds);

/**
 * khs_writer_tend() - grow ahead of need, and let go of the file before
 * @now_ds: CLOCK_BOOTTIME
 *
 * To be called with every heartbeat. Grows when three quarters of the arena or of an index are in use,
 * ten minutes after the last new file at the earliest. A superseded file is held for a minute, until its
 * readers have left it.
 *
 * Return: 0; a negative errno: no larger file can be made, and none is tried for ten minutes. The table is
 * what it was.
 */
int khs_writer_tend(struct khs_writer *w, uint32_t now_ds);

/* The heartbeat: to be called every KHS_BEAT_DS. */
void khs_writer_beat(struct khs_writer *w);

/**
 * khs_writer_check() - whether the table still has its name
 *
 * Return: 0; -ESTALE the file was removed or replaced: renew; -ENOTDIR the directory was removed.
 */
int khs_writer_check(const struct khs_writer *w);

/* Registrations refused for want of room, for the tool. */
void khs_writer_set_refused(struct khs_writer *w, uint32_t n_refused);

/* Size of the file in bytes; units of 64 bytes that are in use. */
uint64_t khs_writer_size(const struct khs_writer *w);
