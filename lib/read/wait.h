#pragma once

/*
 * Sleeping until the table changes, on a futex in the table itself: futex(2) works on a read-only shared map, so
 * waiting needs no descriptor, no socket and no thread.
 */

#include <stdint.h>

#include "read/map.h"

/* The table's change counter. Read it before what you wait for: a change in between then ends the sleep at once. */
uint32_t khs_wait_counter(const struct khs_view *view);

/**
 * khs_wait() - sleep until the counter differs from @seen
 * @view:         pinned by the caller, or NULL: there is no table
 * @timeout_usec: the caller's limit
 *
 * Sleeps at most KHS_WAIT_MAX_USEC, since a file may be replaced, or its daemon die, without anything being written to
 * it. May return early: the caller looks again, whatever the reason. Preserves errno.
 *
 * Return: 0; -EINTR: a signal handler ran, with SA_RESTART or without.
 */
int khs_wait(const struct khs_view *view, uint32_t seen, uint64_t timeout_usec);

#define KHS_WAIT_MAX_USEC 2000000ULL
