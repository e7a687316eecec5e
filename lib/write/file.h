#pragma once

/*
 * One table file as the writer holds it, from its creation to its end.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "table/format.h"
#include "write/pool.h"

/* What differs from file to file. */
struct khs_geometry {
        uint32_t idx_log2;
        uint32_t ridx_log2; /* 0: no reverse index */
        uint32_t arena_units;
};

struct khs_file {
        uint32_t *map; /* the whole file, writable; all words through table/atomic.h once published */
        uint64_t size;
        uint64_t device, inode;
        const char *unfinished_name; /* until it has its own; then NULL */
        uint8_t hash_key[16];
        struct khs_geometry geometry;
        uint32_t idx_word, n_buckets;
        uint32_t ridx_word, n_rbuckets; /* n_rbuckets is 0 without a reverse index */
        uint32_t arena_word;
        struct khs_pool pool;
        uint32_t n_keys; /* entries with a record, aliases too */
        uint32_t n_services, n_addresses;
        uint32_t n_reverse; /* entries of the reverse index that are in use */
};

/**
 * khs_file_new() - create an empty table that does not have its name yet
 * @fixed:  static header; geometry, hash key, boot id and checksum are filled in
 * @beside: another file that may still be unfinished and keeps its unfinished name; or NULL
 *
 * Return: 0; -ENOSPC: no room on the file system; -ENOMEM; other errors of creating a file. Nothing is left
 * behind on failure.
 */
int khs_file_new(struct khs_file **ret, int dir_fd, const struct khs_table_static *fixed,
                 const struct khs_geometry *geometry, const struct khs_file *beside);

/* Maps a whole file for writing and remembers its inode. @fd may be closed afterwards. */
int khs_file_map(struct khs_file *file, int fd, const struct stat *stat);

/**
 * khs_file_adopt() - take over the file that has the name, in place; write/adopt.c
 * @fixed: static header that it must have, except for geometry, hash key, generation and checksum
 *
 * Return: as khs_writer_adopt().
 */
int khs_file_adopt(struct khs_file **ret, int dir_fd, const struct khs_table_static *fixed, uint64_t max_bytes,
                   uint32_t now_ds);

/* Unmaps it, and removes the file if it is still unfinished. Accepts NULL, returns NULL. */
struct khs_file *khs_file_free(struct khs_file *file, int dir_fd);

/* Removes the files that a previous writer left unfinished. */
void khs_file_discard_unfinished(int dir_fd);

/* Whether this file has that name in the directory. */
bool khs_file_has_name(const struct khs_file *file, int dir_fd, const char *name);

/* Gives it its name, and marks the file that had the name superseded. */
int khs_file_publish(struct khs_file *file, int dir_fd);

/* Sends readers of a published file to the newer one. */
void khs_file_supersede(struct khs_file *file);

void khs_file_beat(struct khs_file *file);

/* Count a batch of changes; wake the readers that sleep on the counter. */
void khs_file_commit(struct khs_file *file);
void khs_file_wake(struct khs_file *file);

/* Size in bytes of a file with this geometry. */
uint64_t khs_file_size(const struct khs_geometry *geometry);
