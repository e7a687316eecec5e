#pragma once

/*
 * A DNS question: built, kept until it is answered, and compared with what claims to answer it.
 * RFC 1035, 6891 (EDNS).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/packet.h"

#define DNS_EDNS_SIZE   1232U /* fits any path unfragmented: DNS flag day 2020 */
#define DNS_QUERY_MAX   (DNS_HEADER_SIZE + DNS_NAME_WIRE_MAX + 4U + 11U)
#define DNS_RANDOM_SIZE 34U

/* How a question is dressed. */
enum dns_dress {
        DNS_PLAIN = 0,
        DNS_MIXED_CASE = 1, /* a random case for each letter, which the reply must repeat (0x20) */
        DNS_EDNS = 2,       /* an OPT record that offers DNS_EDNS_SIZE */
};

struct dns_question {
        uint16_t n;
        uint8_t n_name; /* length of the name, at offset 12 */
        uint8_t dress;  /* set of enum dns_dress */
        uint8_t packet[DNS_QUERY_MAX];
};

/**
 * dns_question_build() - a query with RD set, ready to be sent
 *
 * @dress:  set of enum dns_dress
 * @random: 2 bytes of id and 32 bytes of case, from getrandom(2)
 */
void dns_question_build(struct dns_question *ret, const struct dns_name *name, uint16_t type, uint8_t dress,
                        const uint8_t random[static DNS_RANDOM_SIZE]);

/* The name in lower case, and the type. */
struct dns_name dns_question_name(const struct dns_question *question);
uint16_t dns_question_type(const struct dns_question *question);

/**
 * dns_question_matches() - does this message answer this question at all?
 *
 * The id is the transport's to compare: c-ares 1.20 and newer replace it by their own.
 * @ret_case: whether the question came back in the case in which it was sent
 */
bool dns_question_matches(const struct dns_question *question, const uint8_t *packet, size_t n_packet, bool *ret_case);
