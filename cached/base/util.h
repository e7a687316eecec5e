#pragma once

/*
 * The little that every module of the daemon needs: locals that clean up after themselves.
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

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
