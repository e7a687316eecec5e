#pragma once

/*
 * How near an address is to glibc: rule 9 of RFC 6724 as getaddrinfo() really applies it, computed from the
 * caller's interface addresses, where glibc connects a socket for each candidate.
 *
 *     IPv6    the bits that the address shares with the source address that the kernel would choose
 *     IPv4    the same, if the address lies in that source's subnet; else 0
 *             in a network namespace without an IPv6 address besides ::1, where glibc forgets the
 *             subnets: 0 for all but the own address
 *
 * Higher scores sort first; equal ones stay in the module's order. The kernel's choice is guessed: the
 * address itself if it is our own, else our address on its link (the longest prefix), else, for IPv6, the one with the
 * most common bits. A wrong guess, where a more specific route leads elsewhere, costs balance and nothing else.
 *
 * Pure. Own addresses are passed one by one, since they may lie in memory that others change:
 *
 *     khs_score_begin(&score, AF_INET, address, has_ipv6);
 *     for each own address
 *             khs_score_own(&score, &own);
 *     score.bits is the score
 */

#include <stdbool.h>
#include <stdint.h>

/* An address of an interface that the kernel may use as source; an IPv6 one has global scope. */
struct khs_own {
        uint32_t address[4]; /* network byte order; IPv4 in the first word, the others 0 */
        uint8_t family;
        uint8_t prefix; /* length of the subnet's */
};

struct khs_score {
        const uint32_t *address;
        uint8_t family;
        bool knows_subnets; /* IPv4 only */
        uint16_t rank;      /* of the best source address so far; 0: none */
        uint32_t bits;      /* what the candidate shares with it */
};

/**
 * khs_score_begin() - begin to score one candidate
 * @family:   AF_INET or AF_INET6
 * @address:  network byte order; 1 or 4 words that stay where they are
 * @has_ipv6: whether any interface has an IPv6 address besides ::1, of whatever state
 */
void khs_score_begin(struct khs_score *score, int family, const uint32_t *address, bool has_ipv6);

/* Considers one more own address. Of equally good ones the first counts. */
void khs_score_own(struct khs_score *score, const struct khs_own *own);
