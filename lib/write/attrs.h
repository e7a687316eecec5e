#pragma once

/*
 * Putting a record's attributes together, as table/format.h draws them. Pure: private memory in,
 * private memory out.
 */

#include <stddef.h>
#include <stdint.h>

#include "table/row.h"

struct khs_attrs_scratch;

/* Return: NULL without memory. Some 1.5 MiB, of which only what is used is ever touched. */
struct khs_attrs_scratch *khs_attrs_scratch_new(void);

/* Words that the attributes of a row need at most: no string, node, zone or port set twice. 0: none. */
uint64_t khs_attrs_words_max(const struct khs_row *row);

/**
 * khs_attrs_encode() - the attributes of a row
 * @row:     with endpoints
 * @ret:     receives them
 * @n_words: room in @ret
 *
 * Nodes, zones and port sets that do not fit into their numbers (65,535, 255, 255) are left out where
 * they occur.
 *
 * Return: words written; 0: they do not fit.
 */
uint32_t khs_attrs_encode(struct khs_attrs_scratch *scratch, const struct khs_row *row, uint32_t *ret, size_t n_words);
