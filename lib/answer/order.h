#pragma once

/*
 * Which of a record's addresses are served, and in which order.
 *
 * Pure: the position comes from khs_process_turn(), scores and the host's address come from answer/interfaces.h,
 * everything else from the record's policy.
 */

#include <stdbool.h>
#include <stdint.h>

#include "table/policy.h"

#define KHS_AUTO_ANSWERS 4U
#define KHS_CANDIDATES   64U /* addresses that are considered for one answer of N */

/*
 * Some of a record's addresses of one family, or of its near ones, cyclically from the first: `count` consecutive ones,
 * or those whose bits are set in `kept`.
 */
struct khs_run {
        uint32_t n;       /* addresses of this family to choose from, or endpoints */
        uint32_t first;   /* < n when n > 0 */
        uint32_t count;   /* how many of them, <= n */
        uint32_t n_addrs; /* of endpoints: so many are addresses, the others share one of these */
        uint64_t kept;    /* bit i: the i-th from the first; 0: consecutive */
};

/**
 * khs_order_count() - how many of @n addresses getaddrinfo() returns, at most
 * @policy: the record's policy word
 *
 * `single` is 1, `auto` is 4. With N it may be fewer, see khs_order_keep().
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

/* Whether the others are chosen one by one: N, auto. */
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
 * `rotate` follows the sequence, and so do `zone` and `node` among the addresses that they serve. `random` hides it
 * behind a hash, for those who must not see a pattern. `sticky` rotates while the host's address is not known;
 * otherwise it begins with the address of the greatest khs_order_weight().
 */
uint32_t khs_order_first(uint32_t policy, uint32_t position, uint32_t n);

/**
 * khs_order_keep() - choose the others of an answer: first-kept
 * @run:   n and first are set; count is how many are wanted, including the first
 * @score: of the i-th address from the first (answer/score.h), where it is a range the least of the first and the most
 * of the others; asked no more often than necessary
 *
 * The turn chose the first address. If getaddrinfo() sorted another one before it, turns would mean nothing: so only
 * addresses of no higher score follow it, the next ones first.
 *
 * Sets run->kept, whose lowest bit is the first address, and run->count.
 */
void khs_order_keep(struct khs_run *run, uint32_t (*score)(uint32_t i, void *user), void *user);

/**
 * khs_order_weight() - how much a host is drawn to an address (rendezvous hashing)
 * @host:    16 bytes that stand for the host
 * @family:  AF_INET or AF_INET6
 * @address: 4 or 16 bytes, network byte order
 *
 * The same in every process and on every machine. Each host uses the address of the greatest weight: one
 * that comes or goes moves only the hosts that it wins or had won, 1/n of them.
 */
uint64_t khs_order_weight(const uint8_t host[static 16], int family, const void *address);
