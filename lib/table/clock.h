#pragma once

/* Clocks in the table's unit, deciseconds modulo 2^32. For the clocks that lookups read, clock_gettime() stays in
 * the vDSO. */

#include <stdint.h>
#include <time.h>

static inline uint32_t khs_clock_ds(clockid_t clock)
{
        struct timespec now = { 0 };

        (void)clock_gettime(clock, &now);
        return (uint32_t)((uint64_t)now.tv_sec * 10 + (uint64_t)now.tv_nsec / 100000000);
}
