#pragma once

/*
 * The next file of a writer: how large it is, and how it is filled from the one in use.
 */

#include <stdbool.h>
#include <stdint.h>

#include "write/record/record.h"

struct khs_growth {
        int dir_fd;
        const struct khs_table_static *fixed; /* what its header says */
        const struct khs_file *from;          /* what it copies, and whose name it leaves alone; or NULL */
        uint64_t max_bytes;
        uint64_t n_keys, n_addresses; /* the indexes have room for half as many again */
        uint64_t units, wanted_units; /* of the arena: the least it must have; what it gets within max_bytes */
};

/**
 * khs_growth_plan() - the geometry of the next file
 *
 * Return: 0; -ENOSPC: there is not enough room within max_bytes.
 */
int khs_growth_plan(const struct khs_growth *g, struct khs_geometry *ret);

/**
 * khs_growth_build() - make the next file, without its name
 * @image: scratch space
 *
 * Starts over with another hash key and a larger index when a key finds no place near its bucket.
 *
 * Return: 0; -ENOSPC; -EXFULL: a key found no place in any index; other errors of creating a file.
 */
int khs_growth_build(const struct khs_growth *g, struct khs_file **ret, struct khs_image *image, uint32_t now_ds);

/* Whether so much fills three quarters of the arena, or of what an index may hold. */
bool khs_geometry_is_tight(const struct khs_geometry *g, uint64_t units, uint64_t n_keys, uint64_t n_reverse);
