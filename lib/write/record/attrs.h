#pragma once

/*
 * Encodes the attributes of a record as table/format.h lays them out. Pure: private memory in, private
 * memory out.
 */

#include <stddef.h>
#include <stdint.h>

#include "table/row.h"

struct khs_attrs_scratch;

/* Some 1.5 MiB, of which only the used part is ever touched. Return: NULL when there is no memory. */
struct khs_attrs_scratch *khs_attrs_scratch_new(void);

/* Upper bound of the attributes' size in words, 0 without attributes: as if nothing occurred twice. */
uint64_t khs_attrs_words_max(const struct khs_row *row);

/**
 * khs_attrs_encode() - encode the attributes of a row
 * @row:     with endpoints, the near addresses first (write/record/near.h)
 * @ret:     receives them
 * @n_words: capacity of @ret
 *
 * Leaves out nodes, zones and port sets beyond what their numbers can count (65,535, 255 and 255). An endpoint without
 * a port set still has its first port.
 *
 * Return: words written; 0: they do not fit.
 */
uint32_t khs_attrs_encode(struct khs_attrs_scratch *scratch, const struct khs_row *row, uint32_t *ret, size_t n_words);
