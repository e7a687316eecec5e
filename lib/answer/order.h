#pragma once

/*
 * In which order, and how many, of a record's addresses are served.
 *
 * Pure: the position comes from khs_process_turn(), scores and the host's address from answer/interfaces.h,
 * the rest from the record's policy.
 */

#include <stdbool.h>
#include <stdint.h>

#include "table/policy.h"

#define KHS_AUTO_ANSWERS 4U
#define KHS_CANDIDATES   64U /* addresses that are looked at for one answer of N */

/*
 * Some of a record's addresses of one family, cyclically from the first: `count` of them without a gap,
 * or those whose bits are set in `kept`.
 */
struct khs_run {
        uint32_t n;     /* addresses of this family in the record */
        uint32_t first; /* < n when n > 0 */
        uint32_t count; /* how many of them, <= n */
        uint64_t kept;  /* bit i: the i-th from the first; 0: without a gap */
};

/**
 * khs_order_count() - how many of @n addresses getaddrinfo() is given, at most
 * @policy: the record's policy word
 *
 * `single` is 1, `auto` 4. Of N it may be fewer, see khs_order_keep().
 */
static inline uint32_t khs_order_count(uint32_t policy, uint32_t n)
{
        uint32_t answers = khs_policy_answers(policy);

        if (n <= 1 || answers == KHS_ANSWERS_ALL)
                return n;
        if (answers == KHS_ANSWERS_AUTO)
                answers = KHS_AUTO_ANSWERS;
        if (answers > KHS_CANDIDATES)
                answers = KHS_CANDIDATES;
        return n < answers ? n : answers;
}

/* Whether the others are chosen one by one: N of all, auto. */
static inline bool khs_order_keeps(uint32_t policy)
{
        uint32_t answers = khs_policy_answers(policy);

        return answers != KHS_ANSWERS_ALL && answers != 1;
}

/**
 * khs_order_first() - index of the first address
 * @policy:   the record's policy word
 * @position: from khs_process_turn(); both families of a lookup share it
 * @n:        number of addresses, > 0
 *
 * `rotate` follows the sequence; `random` hides it behind a hash, for those who must not see a
 * pattern. `zone` rotates while nothing is known of zones, `sticky` where nothing is known of the
 * host; else its first address is the one of the greatest khs_order_weight().
 */
uint32_t khs_order_first(uint32_t policy, uint32_t position, uint32_t n);

/* An answer of several addresses in the making. */
struct khs_keep {
        uint32_t wanted; /* at most, with the first */
        uint32_t first_score;
        uint32_t i; /* the candidate that is looked at next, counted from the first */
};

/**
 * khs_order_keep_first() - begin to choose the others of an answer: first-kept
 * @run:   n and first are set, count says how many are wanted at most, with the first
 * @score: of the first (answer/score.h)
 *
 * The first address was chosen by its turn. getaddrinfo() must not sort another one before it, or the
 * turn means nothing: so only addresses of no higher score follow it, the next ones first.
 *
 *     khs_order_keep_first(&keep, run, score of the first);
 *     while (khs_order_wants(&keep, run))
 *             khs_order_keep(&keep, run, score of the keep.i-th from the first);
 *
 * Sets run->kept, whose lowest bit is the first address, and run->count.
 */
static inline void khs_order_keep_first(struct khs_keep *keep, struct khs_run *run, uint32_t score)
{
        *keep = (struct khs_keep){ .wanted = run->count, .first_score = score, .i = 1 };
        run->kept = 1;
        run->count = 1;
}

static inline bool khs_order_wants(const struct khs_keep *keep, const struct khs_run *run)
{
        return run->count < keep->wanted && keep->i < run->n && keep->i < KHS_CANDIDATES;
}

static inline void khs_order_keep(struct khs_keep *keep, struct khs_run *run, uint32_t score)
{
        if (score <= keep->first_score) {
                run->kept |= 1ULL << keep->i;
                run->count++;
        }
        keep->i++;
}

/**
 * khs_order_weight() - how much a host is drawn to an address (rendezvous hashing)
 * @host:    16 bytes that stand for the host
 * @family:  AF_INET or AF_INET6
 * @address: 4 or 16 bytes, network byte order
 *
 * The same in every process and on every machine. Each host goes to the address of the greatest
 * weight: one that comes or goes moves only the hosts that it wins or had won, 1/n of them.
 */
uint64_t khs_order_weight(const uint8_t host[static 16], int family, const void *address);
