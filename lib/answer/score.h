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
 * Higher scores sort first; equal ones stay in the module's order.
 *
 * The kernel's choice follows from the own addresses, but not always for certain. IPv4 goes out by the subnet of the
 * longest prefix, from our address in it. IPv6 takes the first of these that makes a difference (RFC 6724, section 5):
 *
 *     1  the address itself, if it is our own
 *     2  one that is not deprecated
 *     3  one on the interface that it goes out by: that of the longest prefix; unknown outside of all subnets
 *     4  a temporary one, or any but these: net.ipv6.conf.*.use_tempaddr says which, and is not known
 *     5  that with the most common bits, as far as its prefix goes
 *     6  of one interface, that which the kernel lists first; of several, one of them
 *
 * So a score is a range. Where the source is known, it is one number. A wrong guess, where a more specific route leads
 * elsewhere, costs balance and nothing else.
 *
 * Pure. Own addresses are passed one by one, since they may lie in memory that others change:
 *
 *     khs_score_begin(&score, AF_INET, address, has_ipv6);
 *     for each own address, in the kernel's order
 *             khs_score_own(&score, &own);
 *     khs_score_end(&score);
 */

#include <stdbool.h>
#include <stdint.h>

enum {
        KHS_OWN_TEMPORARY = 1,
        KHS_OWN_DEPRECATED = 2,
        KHS_OWN_SAME_INTERFACE = 4, /* as the own address of this family before it */
};

/* An address of an interface that the kernel may use as source; an IPv6 one has global scope. */
struct khs_own {
        uint32_t address[4]; /* network byte order; IPv4 in the first word, the others 0 */
        uint8_t family;
        uint8_t prefix; /* length of the subnet's */
        uint8_t flags;
};

/* Of the own addresses so far, the one that the kernel would choose, or several. */
struct khs_score_source {
        uint32_t rank;        /* 0: none */
        uint16_t least, most; /* bits that the candidate shares with it */
};

struct khs_score {
        const uint32_t *address;
        uint8_t family;
        bool knows_subnets;                 /* IPv4 only */
        bool is_own;                        /* the candidate itself */
        uint8_t on_link;                    /* longest prefix of a subnet of this interface that has the candidate */
        struct khs_score_source here[2];    /* on this interface: public ones, temporary ones */
        struct khs_score_source overall[2]; /* on those before it */
        uint16_t least, most;               /* the score, after khs_score_end() */
};

/**
 * khs_score_begin() - begin to score one candidate
 * @family:   AF_INET or AF_INET6
 * @address:  network byte order; 1 or 4 words that stay where they are
 * @has_ipv6: whether any interface has an IPv6 address besides ::1, of whatever state
 */
void khs_score_begin(struct khs_score *score, int family, const uint32_t *address, bool has_ipv6);

/* Considers one more own address. */
void khs_score_own(struct khs_score *score, const struct khs_own *own);

/* Sets the score: least and most. */
void khs_score_end(struct khs_score *score);
