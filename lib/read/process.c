/*
 * Turns: where in a record's addresses the answer of each lookup begins.
 *
 *     position = process_mix(seed, tag) + turn x 2^32/phi
 *
 * Steps by the golden ratio spread any number of consecutive turns, and every second or third of them, as evenly as a
 * sequence can (three-gap theorem): it does not matter how many endpoints there are, nor how often a program looks
 * up for one connection. The random start spreads processes that look up only once.
 *
 * Nothing here needs a lock, thread-local storage or, after the first turn and where the kernel wipes the page, a
 * system call.
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
#define NO_ADVICE (-1)

_Static_assert(sizeof(struct khs_process) == KHS_PAGE_ALIGN, "one page, nothing else in it");

struct khs_process khs_process;

/* Outside the page: the kernel's promise holds in children, too. */
static KHS_WARM uint32_t fork_rule;
enum { FORK_RULE_UNKNOWN, FORK_RULE_WIPES, FORK_RULE_KEEPS };

/* Emulators say yes to every advice that they don't know: one that nobody knows must be refused first. */
static bool process_ask_to_be_wiped(void)
{
        return madvise(&khs_process, sizeof(khs_process), NO_ADVICE) < 0 &&
               madvise(&khs_process, sizeof(khs_process), MADV_WIPEONFORK) == 0;
}

void khs_process_prepare(void)
{
        int saved_errno;

        if (__atomic_load_n(&fork_rule, __ATOMIC_RELAXED) != FORK_RULE_UNKNOWN)
                return;
        saved_errno = errno;
        /* Two threads may both do this; the result is the same. */
        __atomic_store_n(&fork_rule, process_ask_to_be_wiped() ? FORK_RULE_WIPES : FORK_RULE_KEEPS, __ATOMIC_RELAXED);
        errno = saved_errno;
}

bool khs_process_wiped_on_fork(void)
{
        return __atomic_load_n(&fork_rule, __ATOMIC_RELAXED) == FORK_RULE_WIPES;
}

bool khs_process_trylock(uint32_t *owner)
{
        uint32_t old = 0, me = khs_process_wiped_on_fork() ? 1 : (uint32_t)getpid();

        /* Written at once: a page that is read before it is written costs two faults. */
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

/* The kernel gives each exec 16 random bytes; the clock and the pid distinguish forked processes. */
static uint32_t process_make_seed(void)
{
        static const uint8_t no_random[16];
        const uint8_t *key = (const uint8_t *)getauxval(AT_RANDOM); /* NOLINT(performance-no-int-to-ptr) */
        uint64_t salt[2] = { process_clock_ns(), (uint64_t)getpid() };
        uint32_t seed = (uint32_t)khs_siphash13(key ? key : no_random, salt, sizeof(salt));

        return seed ? seed : 1;
}

/* The first turn of a process, and of a forked child. */
static uint32_t process_set_seed(void)
{
        uint32_t seed = process_make_seed(), expected = 0;

        if (__atomic_compare_exchange_n(&khs_process.seed, &expected, seed, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                return seed;
        return expected; /* another thread was first */
}

/* MurmurHash3's finaliser (public domain, Appleby): each input bit affects each output bit. */
static uint32_t process_mix(uint32_t x)
{
        x ^= x >> 16;
        x *= 0x85ebca6bU;
        x ^= x >> 13;
        x *= 0xc2b2ae35U;
        return x ^ x >> 16;
}

/* Where the kernel keeps the page on fork: not that of a parent. */
static uint32_t process_own_seed(uint32_t seed)
{
        uint32_t pid = (uint32_t)getpid();

        if (__atomic_load_n(&khs_process.seed_pid, __ATOMIC_ACQUIRE) == pid)
                return seed;
        seed = process_make_seed();
        __atomic_store_n(&khs_process.seed, seed, __ATOMIC_RELAXED);
        __atomic_store_n(&khs_process.seed_pid, pid, __ATOMIC_RELEASE);
        return seed;
}

uint32_t khs_process_turn(uint32_t tag)
{
        uint32_t *counter = &khs_process.turns[(tag >> 1) % KHS_N_TURNS];
        uint32_t turn = __atomic_load_n(counter, __ATOMIC_RELAXED);
        uint32_t seed = __atomic_load_n(&khs_process.seed, __ATOMIC_RELAXED);

        /*
         * Not one atomic step, which would cost a third as much as the rest: two threads that share a turn
         * lose neither order nor balance.
         */
        __atomic_store_n(counter, turn + 1, __ATOMIC_RELAXED);
        if (__builtin_expect(!khs_process_wiped_on_fork(), false))
                seed = process_own_seed(seed);
        else if (__builtin_expect(seed == 0, false))
                seed = process_set_seed();
        return process_mix(seed ^ tag) + turn * GOLDEN_RATIO;
}
