#pragma once

/*
 * Sleeping until the table changes: a futex on a word of the table itself (futex(2) works on a
 * read-only shared map), so that there is no descriptor, no socket and no thread.
 */

#include <stdint.h>

#include "read/map.h"

/* The table's change counter: to be read before what it may wake up for is looked at. */
uint32_t khs_wait_counter(const struct khs_view *view);

/**
 * khs_wait() - sleep until the counter differs from @seen, at most for a while
 * @view:         pinned by the caller, or NULL: there is no table
 * @timeout_usec: the caller's limit
 *
 * Sleeps at most KHS_WAIT_MAX_USEC: the file may be replaced, or its daemon die, without a word on
 * it. May return early; the caller looks again whatever the reason. Preserves errno.
 *
 * Return: 0; -EINTR a signal handler ran, of SA_RESTART or not.
 */
int khs_wait(const struct khs_view *view, uint32_t seen, uint64_t timeout_usec);

#define KHS_WAIT_MAX_USEC 2000000ULL
