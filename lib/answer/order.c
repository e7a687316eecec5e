/* Answer policy, see answer/order.h. */

#include <sys/socket.h>

#include "answer/order.h"
#include "table/bytes.h"

/* xorshift-multiply (Wellons' lowbias32): bijective, so uniform positions stay uniform. */
static uint32_t order_scramble(uint32_t x)
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
                position = order_scramble(position);
        return (uint32_t)((uint64_t)position * n >> 32);
}

/* SplitMix64's finaliser (public domain, Vigna): every input bit reaches every output bit. */
static uint64_t order_mix(uint64_t x)
{
        x ^= x >> 30;
        x *= 0xbf58476d1ce4e5b9ULL;
        x ^= x >> 27;
        x *= 0x94d049bb133111ebULL;
        return x ^ x >> 31;
}

uint64_t khs_order_weight(const uint8_t host[static 16], int family, const void *address)
{
        uint64_t drawn = order_mix(order_mix(khs_load64(host) + 1) ^ khs_load64(host + 8));

        if (family == AF_INET)
                return order_mix(drawn ^ khs_load32(address));
        return order_mix(order_mix(drawn ^ khs_load64(address)) ^ khs_load64((const uint8_t *)address + 8));
}
