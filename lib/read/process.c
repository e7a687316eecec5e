/*
 * Per-process state of the reader, see read/process.h.
 *
 * The position is process_mix(seed, tag) + turn x 2^32/phi: steps by the golden ratio spread any number of
 * consecutive turns, and every second or third of them, as evenly as a sequence can (three-gap
 * theorem), so it does not matter how many endpoints there are or how often a program looks up
 * for one connection. The random start spreads processes that look up only once.
 */

#include <errno.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "read/process.h"
#include "table/siphash.h"

#define GOLDEN_RATIO 0x9E3779B9U /* 2^32 / phi */

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

static_assert(sizeof(struct khs_process) == KHS_PAGE_ALIGN, "one page, nothing else in it");

struct khs_process khs_process;

/* Outside the page: the kernel's promise holds for children, too. */
static KHS_WARM uint32_t fork_rule;
enum { FORK_RULE_UNKNOWN, FORK_RULE_WIPES, FORK_RULE_KEEPS };

void khs_process_prepare(void)
{
        int saved_errno;

        if (__atomic_load_n(&fork_rule, __ATOMIC_RELAXED) != FORK_RULE_UNKNOWN)
                return;
        saved_errno = errno;
        /* Two threads may both do this at first; it is the same twice. */
        __atomic_store_n(&fork_rule,
                         madvise(&khs_process, sizeof(khs_process), MADV_WIPEONFORK) == 0 ? FORK_RULE_WIPES
                                                                                          : FORK_RULE_KEEPS,
                         __ATOMIC_RELAXED);
        errno = saved_errno;
}

bool khs_process_wiped_on_fork(void)
{
        return __atomic_load_n(&fork_rule, __ATOMIC_RELAXED) == FORK_RULE_WIPES;
}

bool khs_process_trylock(uint32_t *owner)
{
        uint32_t old = 0, me = khs_process_wiped_on_fork() ? 1 : (uint32_t)getpid();

        /* At once, since a page that is read before it is written costs two faults. */
        if (__atomic_compare_exchange_n(owner, &old, me, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
                return true;
        if (old == me || me == 1)
                return false;
        return __atomic_compare_exchange_n(owner, &old, me, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void khs_process_unlock(uint32_t *owner)
{
        __atomic_store_n(owner, 0, __ATOMIC_RELEASE);
}

static uint64_t process_clock_ns(void)
{
        struct timespec now = { 0 };

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* 16 random bytes of the kernel's for each exec; the clock and the pid set forked processes apart. */
static uint32_t process_make_seed(void)
{
        static const uint8_t no_random[16];
        const uint8_t *key = (const uint8_t *)getauxval(AT_RANDOM); /* NOLINT(performance-no-int-to-ptr) */
        uint64_t salt[2] = { process_clock_ns(), (uint64_t)getpid() };
        uint32_t seed = (uint32_t)khs_siphash13(key ? key : no_random, salt, sizeof(salt));

        return seed ? seed : 1;
}

/* The first turn of a process, and of a forked child. */
static __attribute__((noinline, cold)) uint32_t process_set_seed(void)
{
        uint32_t seed = process_make_seed(), expected = 0;

        if (__atomic_compare_exchange_n(&khs_process.seed, &expected, seed, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                return seed;
        return expected; /* another thread was first */
}

/* MurmurHash3's finaliser (public domain, Appleby): every input bit reaches every output bit. */
static uint32_t process_mix(uint32_t x)
{
        x ^= x >> 16;
        x *= 0x85ebca6bU;
        x ^= x >> 13;
        x *= 0xc2b2ae35U;
        return x ^ x >> 16;
}

/* Sets parent and child apart where the kernel keeps the page on fork. */
static __attribute__((noinline, cold)) uint32_t process_mixed_clock(void)
{
        return process_mix((uint32_t)process_clock_ns());
}

uint32_t khs_process_turn(uint32_t tag)
{
        uint32_t *counter = &khs_process.turns[(tag >> 1) % KHS_N_TURNS];
        uint32_t turn = __atomic_load_n(counter, __ATOMIC_RELAXED);
        uint32_t seed = __atomic_load_n(&khs_process.seed, __ATOMIC_RELAXED);

        /*
         * Not one indivisible step, which would cost as much as a third of the rest: two threads at the
         * same instant may share a turn, and neither order nor balance is lost by that.
         */
        __atomic_store_n(counter, turn + 1, __ATOMIC_RELAXED);
        if (__builtin_expect(seed == 0, false))
                seed = process_set_seed();
        if (__builtin_expect(!khs_process_wiped_on_fork(), false))
                seed ^= process_mixed_clock();
        return process_mix(seed ^ tag) + turn * GOLDEN_RATIO;
}
