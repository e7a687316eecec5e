#pragma once

/*
 * The policy word of a record: how many addresses getaddrinfo() returns, in which order, of which family.
 * The daemon packs it, readers unpack it. Layout: answers in 16 bits, order in 8, family in 8.
 */

#include <stdbool.h>
#include <stdint.h>

#include "table/format.h"

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

/* Whether only the near addresses of a family are served, if it has any. */
static inline bool khs_policy_is_near(uint32_t policy)
{
        return khs_policy_order(policy) == KHS_ORDER_ZONE || khs_policy_order(policy) == KHS_ORDER_NODE;
}
