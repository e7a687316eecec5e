#pragma once

/*
 * The next file of a writer: how large it is, and how it gets what the one in use says.
 */

#include <stdbool.h>
#include <stdint.h>

#include "write/record.h"

struct khs_growth {
        int dir_fd;
        const struct khs_table_static *fixed; /* what its header says */
        const struct khs_file *from;          /* what it says otherwise, and whose name it leaves alone; or NULL */
        uint64_t max_bytes;
        uint64_t n_keys, n_addresses; /* there is room for half as many again */
        uint64_t units, wanted_units; /* of the arena: at least; better */
};

/**
 * khs_growth_plan() - the geometry of the next file
 *
 * Return: 0; -ENOSPC there is no room for so much within max_bytes.
 */
int khs_growth_plan(const struct khs_growth *g, struct khs_geometry *ret);

/**
 * khs_growth_build() - make the next file, without its name
 * @image: scratch
 *
 * When the index has no room near a key's bucket, begins again with another hash key and a larger index.
 *
 * Return: 0; -ENOSPC; -EXFULL no index would do; other errors of making a file.
 */
int khs_growth_build(const struct khs_growth *g, struct khs_file **ret, struct khs_image *image, uint32_t now_ds);

/* Whether so much fills three quarters of what the arena or an index of a file takes. */
bool khs_geometry_is_tight(const struct khs_geometry *g, uint64_t units, uint64_t n_keys, uint64_t n_reverse);
