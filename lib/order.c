/* Answer policy, see order.h. */

#include "order.h"

uint32_t khs_order_count(uint32_t policy, uint32_t n)
{
        if (khs_policy_answers(policy) == KHS_ANSWERS_ALL)
                return n;
        return n > 1 ? 1 : n;
}

/* xorshift-multiply (Wellons' lowbias32): bijective, so uniform positions stay uniform. */
static uint32_t scramble(uint32_t x)
{
        x ^= x >> 16;
        x *= 0x7feb352dU;
        x ^= x >> 15;
        x *= 0x846ca68bU;
        return x ^ x >> 16;
}

uint32_t khs_order_first(uint32_t policy, uint32_t position, uint32_t n)
{
        if (khs_policy_order(policy) == KHS_ORDER_RANDOM)
                position = scramble(position);
        return (uint32_t)((uint64_t)position * n >> 32);
}
