/*
 * Which address comes first, as arithmetic.
 *
 * A position in 0..2^32-1 becomes an index by multiplication instead of by a remainder, so that neighbouring positions
 * stay neighbours and every index gets an equal share.
 */

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

void khs_order_keep(struct khs_run *run, uint32_t (*score)(uint32_t i, void *user), void *user)
{
        uint32_t wanted = run->count, first = wanted > 1 ? score(0, user) : 0;

        run->kept = 1;
        run->count = 1;
        for (uint32_t i = 1; run->count < wanted && i < run->n && i < KHS_CANDIDATES; i++) {
                if (score(i, user) <= first) {
                        run->kept |= 1ULL << i;
                        run->count++;
                }
        }
}

/* SplitMix64's finaliser (public domain, Vigna): each input bit affects each output bit. */
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
