/*
 * Scores, after rfc3484_sort() and check_pf.c of glibc 2.26 to 2.43. tests/integration/test-order.py compares them
 * with what glibc really does, in each kind of network.
 */

#include <endian.h>
#include <sys/socket.h>

#include "answer/score.h"

/* Ranks of source addresses: IPv6 without a common link 1 + common bits, on a link more, our own most. */
#define RANK_ON_LINK 256
#define RANK_OWN     512

/* Leading bits that two addresses share, both in network byte order. */
static uint32_t score_common_bits(const uint32_t *a, const uint32_t *b, uint32_t n_words)
{
        for (uint32_t i = 0; i < n_words; i++) {
                if (a[i] != b[i])
                        return 32 * i + (uint32_t)__builtin_clz(be32toh(a[i] ^ b[i]));
        }
        return 32 * n_words;
}

void khs_score_begin(struct khs_score *score, int family, const uint32_t *address, bool has_ipv6)
{
        *score = (struct khs_score){ .address = address, .family = (uint8_t)family, .knows_subnets = has_ipv6 };
}

/*
 * glibc's mask of a subnet is 0xffffffff << (32 - prefix), and a shift by 32 is one by 0 on the
 * machines that this is built for: what has prefix 0, or none that glibc knows, is a subnet of one
 * address, as with prefix 32. (Where the shift gives 0, as on 32-bit ARM, a namespace without IPv6 is
 * one large subnet to glibc.)
 */
static uint16_t score_rank(const struct khs_score *score, const struct khs_own *own, uint32_t bits)
{
        if (bits == (score->family == AF_INET ? 32U : 128U))
                return RANK_OWN;
        if (own->prefix > 0 && bits >= own->prefix)
                return (uint16_t)(RANK_ON_LINK + own->prefix);
        return score->family == AF_INET6 ? (uint16_t)(1 + bits) : 0;
}

void khs_score_own(struct khs_score *score, const struct khs_own *own)
{
        uint32_t bits;
        uint16_t rank;

        if (own->family != score->family)
                return;
        bits = score_common_bits(score->address, own->address, score->family == AF_INET ? 1 : 4);
        rank = score_rank(score, own, bits);
        if (rank <= score->rank)
                return;
        score->rank = rank;
        score->bits = score->family == AF_INET && !score->knows_subnets && rank < RANK_OWN ? 0 : bits;
}
