#pragma once

/*
 * In which order, and how many, of a record's addresses are served.
 *
 * Pure: the position comes from khs_process_turn(), the rest from the record's policy.
 */

#include <stdbool.h>
#include <stdint.h>

#include "table-format.h"

/* A cyclic run of a record's addresses of one family: first, first + 1 ... modulo n. */
struct khs_run {
        uint32_t n;     /* addresses of this family in the record */
        uint32_t first; /* < n when n > 0 */
        uint32_t count; /* how many of them, <= n */
};

/**
 * khs_order_count() - how many of @n addresses getaddrinfo() is given
 * @policy: the record's policy word
 *
 * `single` = 1; `all`; N and auto are one address until the module knows which others glibc would
 * not sort to the front (RFC 6724, rule 9): more would give up the balance.
 */
uint32_t khs_order_count(uint32_t policy, uint32_t n);

/**
 * khs_order_first() - index of the first address
 * @policy:   the record's policy word
 * @position: from khs_process_turn(); both families of a lookup share it
 * @n:        number of addresses, > 0
 *
 * `rotate` follows the sequence; `random` hides it behind a hash, for those who must not see a
 * pattern. `sticky` and `zone` rotate until the sources know hosts and zones.
 */
uint32_t khs_order_first(uint32_t policy, uint32_t position, uint32_t n);

static inline uint32_t khs_policy(uint32_t answers, enum khs_order order, enum khs_family family)
{
        return (answers & 0xffffU) | (uint32_t)order << 16 | (uint32_t)family << 24;
}

static inline uint32_t khs_policy_answers(uint32_t policy)
{
        return policy & 0xffffU;
}

static inline enum khs_order khs_policy_order(uint32_t policy)
{
        return (enum khs_order)(policy >> 16 & 0xffU);
}

static inline enum khs_family khs_policy_family(uint32_t policy)
{
        return (enum khs_family)(policy >> 24);
}
