#pragma once

/*
 * Every access to a word that two processes share goes through these functions. A test may replace
 * them (-DKHS_TABLE_ATOMIC_H='"simulated.h"') to run the same inline code over a simulated memory, or
 * without one of the orderings.
 *
 * The protocol is a sequence lock on each block (Boehm, "Can Seqlocks Get Along With Programming
 * Language Memory Models?", MSPC 2012) behind a single published reference:
 *
 *     writer                                   reader
 *     seq = odd         relaxed                tag              relaxed
 *     fence             release  ----.         ref              acquire
 *     payload           relaxed      |         seq              acquire, must be even
 *     seq = even        release  --. |         payload          relaxed
 *     ref = block       release -. | '-------> fence            acquire
 *                                | '---------> (the acquire of seq)
 *                                '-----------> (the acquire of ref)
 *                                              seq again        relaxed, must be the same
 */

#include <stdint.h>

#ifdef KHS_TABLE_ATOMIC_H
#include KHS_TABLE_ATOMIC_H
#else

static inline uint32_t khs_load_relaxed(const uint32_t *word)
{
        return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint32_t khs_load_acquire(const uint32_t *word)
{
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

#endif

/*
 * Two neighbouring words, each as by khs_load_relaxed(), the first at a multiple of eight bytes. One load where the
 * machine has one of that width, which makes neither word less atomic.
 */
static inline uint64_t khs_load_pair(const uint32_t *words)
{
#if !defined(KHS_TABLE_ATOMIC_H) && __SIZEOF_POINTER__ == 8
        return __atomic_load_n((const uint64_t *)(const void *)words, __ATOMIC_RELAXED);
#else
        return khs_load_relaxed(words) | (uint64_t)khs_load_relaxed(words + 1) << 32;
#endif
}
