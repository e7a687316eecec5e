#pragma once

/* Instead of table/atomic.h's functions: the same words in a simulated memory, see simulation.h. */

#include "simulation.h"

static inline uint32_t khs_load_relaxed(const uint32_t *word)
{
        return sim_load(word, false);
}

static inline uint32_t khs_load_acquire(const uint32_t *word)
{
        return sim_load(word, true);
}

static inline void khs_store_relaxed(uint32_t *word, uint32_t value)
{
        sim_store(word, value, false);
}

static inline void khs_store_release(uint32_t *word, uint32_t value)
{
        sim_store(word, value, true);
}

static inline void khs_fence_acquire(void)
{
        sim_fence_acquire();
}

static inline void khs_fence_release(void)
{
        sim_fence_release();
}
