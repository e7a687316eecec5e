/*
 * SipHash-1-3, after the paper: one round for each word of eight bytes, three at the end. Of private memory only: a
 * byte that changes between two loads would give a hash of neither state.
 */

#include "table/siphash.h"
#include "table/bytes.h"

struct sip {
        uint64_t v0, v1, v2, v3;
};

static inline uint64_t sip_rotate(uint64_t x, unsigned int n)
{
        return x << n | x >> (64 - n);
}

static inline void sip_round(struct sip *s)
{
        s->v0 += s->v1;
        s->v1 = sip_rotate(s->v1, 13) ^ s->v0;
        s->v0 = sip_rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = sip_rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = sip_rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = sip_rotate(s->v1, 17) ^ s->v2;
        s->v2 = sip_rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
        s->v3 ^= word;
        sip_round(s);
        s->v0 ^= word;
}

uint64_t khs_siphash13(const uint8_t key[static 16], const void *data, size_t n_data)
{
        const uint8_t *bytes = data;
        uint64_t k0 = khs_load64(key), k1 = khs_load64(key + 8);
        struct sip s = {
                .v0 = k0 ^ 0x736f6d6570736575ULL,
                .v1 = k1 ^ 0x646f72616e646f6dULL,
                .v2 = k0 ^ 0x6c7967656e657261ULL,
                .v3 = k1 ^ 0x7465646279746573ULL,
        };
        size_t n = n_data;

        for (; n >= 8; n -= 8, bytes += 8)
                sip_word(&s, khs_load64(bytes));
        sip_word(&s, khs_load_tail(bytes, n) | (uint64_t)n_data << 56);

        s.v2 ^= 0xff;
        sip_round(&s);
        sip_round(&s);
        sip_round(&s);
        return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
