#pragma once

/*
 * One table file as the writer holds it: made, filled, published. write/writer.c's.
 */

#include <stdint.h>
#include <sys/stat.h>

#include "table/format.h"
#include "write/pool.h"

/* What is chosen for each file. */
struct khs_geometry {
        uint32_t idx_log2;
        uint32_t ridx_log2; /* 0: no reverse index */
        uint32_t arena_units;
};

struct khs_file {
        uint32_t *map; /* the whole file, writable; all words through table/atomic.h once published */
        uint64_t size;
        uint64_t device, inode;
        const char *unfinished_name; /* until it gets its own; NULL: it was adopted */
        int fd;                      /* while it is allocated, else -1 */
        uint64_t n_allocated;
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
 * khs_file_begin() - begin a file without its name
 * @beside: a file that may have no name yet, too, and keeps what it has; or NULL
 *
 * Nothing of it is allocated, and it has no map, before khs_file_allocate() and khs_file_finish().
 */
int khs_file_begin(struct khs_file **ret, int dir_fd, const struct khs_geometry *geometry, uint64_t max_bytes,
                   const struct khs_file *beside);

/* Allocates another @n_bytes of it. Return: 1 there is more; 0 that was the last; a negative errno. */
int khs_file_allocate(struct khs_file *file, uint64_t n_bytes);

/**
 * khs_file_finish() - map the allocated file and fill its header: it is an empty table
 * @fixed: static header; geometry, hash key, boot id and checksum are filled in
 */
int khs_file_finish(struct khs_file *file, const struct khs_table_static *fixed);

/* All of that. */
int khs_file_new(struct khs_file **ret, int dir_fd, const struct khs_table_static *fixed,
                 const struct khs_geometry *geometry, uint64_t max_bytes);

/* Maps a whole file for writing and notes which one it is. @fd may be closed afterwards. */
int khs_file_map(struct khs_file *file, int fd, const struct stat *stat);

/**
 * khs_file_adopt() - take over the file that has the name, as it is; write/adopt.c
 * @fixed: static header that it must have, but for geometry, hash key, generation and checksum
 *
 * Return: as khs_writer_adopt().
 */
int khs_file_adopt(struct khs_file **ret, int dir_fd, const struct khs_table_static *fixed, uint64_t max_bytes,
                   uint32_t now_ds);

/* Unmaps it; takes away the unfinished file, if it never got its name. */
struct khs_file *khs_file_free(struct khs_file *file, int dir_fd);

/**
 * khs_file_unmap() - a part of khs_file_free(), for a file that is not written any more
 *
 * Return: 1 there is more to unmap; 0 only khs_file_free() is left to do.
 */
int khs_file_unmap(struct khs_file *file, uint64_t n_bytes);

/* Removes the files that a writer was making when it ended. */
void khs_file_discard_unfinished(int dir_fd);

/* Gives it its name and marks the file that had it superseded. */
int khs_file_publish(struct khs_file *file, int dir_fd);

/* Tells readers of a file that was published that there is a newer one. */
void khs_file_supersede(struct khs_file *file);

void khs_file_beat(struct khs_file *file);

/* Counts a batch of changes; wakes those who sleep on the counter. */
void khs_file_commit(struct khs_file *file);
void khs_file_wake(struct khs_file *file);

/* Bytes of a file with this geometry. */
uint64_t khs_file_size(const struct khs_geometry *geometry);
