#pragma once

/*
 * The writer's side of the reverse index, from addresses to the index entries whose records have them.
 * Readers check that the record really has the address, so it does not matter whether the reverse index
 * or the record is published first.
 */

#include <stdbool.h>
#include <stdint.h>

#include "write/file.h"

/* The eight entries of a bucket of either index. */
static inline uint32_t *khs_bucket(uint32_t *index, uint32_t n_buckets, uint32_t bucket)
{
        return index + (size_t)(bucket & (n_buckets - 1)) * KHS_BUCKET_ENTRIES * 2;
}

/* Publishes a ref in an entry of either index, one that is free or has this tag. */
void khs_entry_publish(uint32_t *entry, uint32_t tag, uint32_t ref);

/* A record that is in a block, or about to be: a copy of its head, whose sizes were checked, and the rest. */
struct khs_written {
        struct khs_record head;
        const uint32_t *payload;
};

/* Whether there is room for as many addresses as `new` has more than `old` (which may be NULL). */
bool khs_reverse_room(const struct khs_file *file, const struct khs_written *old, const struct khs_written *new);

/**
 * khs_reverse_update() - follow the change of one record
 * @number: of the record's index entry
 * @old:    the record before; NULL: there was none
 * @new:    the record now; NULL: it was deleted
 *
 * Touches only addresses that come or go. Leaves out an address that more services have than its bucket's
 * neighbourhood has room for.
 */
void khs_reverse_update(struct khs_file *file, uint32_t number, const struct khs_written *old,
                        const struct khs_written *new);
