#pragma once

/*
 * The little that every module of the daemon needs: cleanup of locals, time, randomness, and the way from a
 * member to its owner.
 */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

/* The object that has *@p as its @member. */
#define container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void cleanup_free(void *p)
{
        free(*(void **)p);
}

#define USEC_PER_SEC  1000000ULL
#define USEC_PER_MSEC 1000ULL

/* CLOCK_BOOTTIME: ages go on while the machine sleeps, and nobody can set it. */
static inline uint64_t usec_now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000U;
}

/* Never waits for the kernel's pool, which is not ready only in the first moments of a boot. */
static inline int random_fill(void *ret, size_t n)
{
        ssize_t got = getrandom(ret, n, GRND_NONBLOCK);

        if (got < 0)
                return -errno;
        return (size_t)got == n ? 0 : -EAGAIN;
}

/* For jitter alone, which a zero spoils but does not break. */
static inline uint32_t random_u32(void)
{
        uint32_t random = 0;

        (void)random_fill(&random, sizeof(random));
        return random;
}
