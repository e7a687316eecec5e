#pragma once

/*
 * The accesses of table/atomic.h with a trap: test-view.c changes the table between two certain loads
 * of a reader, where another process would have to be lucky.
 */

#include <stdint.h>

void edge_trap(const uint32_t *word);

static inline uint32_t khs_load_relaxed(const uint32_t *word)
{
        edge_trap(word);
        return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint32_t khs_load_acquire(const uint32_t *word)
{
        edge_trap(word);
        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void khs_store_relaxed(uint32_t *word, uint32_t value)
{
        __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void khs_store_release(uint32_t *word, uint32_t value)
{
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline void khs_fence_acquire(void)
{
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void khs_fence_release(void)
{
        __atomic_thread_fence(__ATOMIC_RELEASE);
}
