/*
 * Scores, after rfc3484_sort() and check_pf.c of glibc 2.26 to 2.43. tests/integration/test-order.py compares them
 * with what glibc really does, in each kind of network.
 */

#include <endian.h>
#include <sys/socket.h>

#include "answer/score.h"

/*
 * Ranks of sources. On one interface: whether it is not deprecated, then the common bits. Among interfaces the prefix
 * of the subnet comes between the two.
 */
#define RANK_MATCH     0x01ffU /* 1 + common bits, up to 129 */
#define RANK_PREFERRED 0x0200U
#define RANK_ON_LINK   16 /* shift */

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

static void score_consider(struct khs_score_source *best, uint32_t rank, uint32_t least, uint32_t most, bool ties)
{
        if (rank > best->rank) {
                *best = (struct khs_score_source){ rank, (uint16_t)least, (uint16_t)most };
        } else if (ties && rank == best->rank) {
                best->least = best->least < least ? best->least : (uint16_t)least;
                best->most = best->most > most ? best->most : (uint16_t)most;
        }
}

/* That was the last address of an interface. */
static void score_end_interface(struct khs_score *score)
{
        for (int i = 0; i < 2; i++) {
                struct khs_score_source *here = &score->here[i];
                uint32_t preferred = here->rank & RANK_PREFERRED, match = here->rank & RANK_MATCH;

                if (here->rank > 0)
                        score_consider(&score->overall[i],
                                       preferred << RANK_ON_LINK | (uint32_t)score->on_link << RANK_ON_LINK | match,
                                       here->least, here->most, true);
                *here = (struct khs_score_source){ .rank = 0 };
        }
        score->on_link = 0;
}

/*
 * glibc's mask of a subnet is 0xffffffff << (32 - prefix), and a shift by 32 is one by 0 on the
 * machines that this is built for: what has prefix 0, or none that glibc knows, is a subnet of one
 * address, as with prefix 32. (Where the shift gives 0, as on 32-bit ARM, a namespace without IPv6 is
 * one large subnet to glibc.)
 */
void khs_score_own(struct khs_score *score, const struct khs_own *own)
{
        uint32_t size = score->family == AF_INET ? 32 : 128, bits, match;
        bool on_link;

        if (own->family != score->family)
                return;
        if (!(own->flags & KHS_OWN_SAME_INTERFACE))
                score_end_interface(score);
        bits = score_common_bits(score->address, own->address, size / 32);
        score->is_own = score->is_own || bits == size;
        on_link = own->prefix > 0 && bits >= own->prefix;
        if (score->family == AF_INET) {
                if (on_link && score->knows_subnets)
                        score_consider(&score->here[0], RANK_PREFERRED | own->prefix, bits, bits, false);
                return;
        }
        if (on_link && own->prefix > score->on_link)
                score->on_link = own->prefix;
        match = 1 + (bits < own->prefix ? bits : own->prefix);
        score_consider(&score->here[own->flags & KHS_OWN_TEMPORARY],
                       (own->flags & KHS_OWN_DEPRECATED ? 0 : RANK_PREFERRED) | match, bits, bits, false);
}

void khs_score_end(struct khs_score *score)
{
        struct khs_score_source best = { .rank = 0 };

        score_end_interface(score);
        for (int i = 0; i < 2; i++) { /* whichever it prefers, common bits come after that */
                const struct khs_score_source *source = &score->overall[i];

                if (source->rank > 0)
                        score_consider(&best, source->rank | RANK_MATCH, source->least, source->most, true);
        }
        if (score->is_own)
                best.least = best.most = score->family == AF_INET ? 32 : 128;
        score->least = best.least;
        score->most = best.most;
}
