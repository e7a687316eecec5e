#pragma once

/*
 * DNS messages: questions are built here, answers are judged here. Pure functions, no I/O.
 *
 * What an answer means for a headless service is decided in one place: it holds the addresses of
 * exactly the name that was asked, or it is a negative of a server that knows the cluster, or
 * nothing was learned. RFC 1035, 2181 (TTLs), 2308 (negatives), 6891 (EDNS).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "model/finding.h"

#define DNS_NAME_WIRE_MAX 255U  /* RFC 1035, 2.3.4 */
#define DNS_EDNS_SIZE     1232U /* what fits any path unfragmented: DNS flag day 2020 */
#define DNS_QUERY_MAX     (12U + DNS_NAME_WIRE_MAX + 4U + 11U)

enum dns_type {
        DNS_TYPE_A = 1,
        DNS_TYPE_CNAME = 5,
        DNS_TYPE_SOA = 6,
        DNS_TYPE_PTR = 12,
        DNS_TYPE_AAAA = 28,
        DNS_TYPE_SRV = 33,
        DNS_TYPE_DNAME = 39,
        DNS_TYPE_OPT = 41,
};

/* A name in wire form, lower case, with its root label. */
struct dns_name {
        uint8_t n;
        uint8_t wire[DNS_NAME_WIRE_MAX];
};

/* A query as it is sent, kept until it is answered. */
struct dns_question {
        uint16_t n;
        uint8_t n_name;  /* length of the name, at offset 12 */
        bool mixed_case; /* the name's case is random and must come back as it was (0x20) */
        uint8_t packet[DNS_QUERY_MAX];
};

/* What answers are judged by. */
struct dns_rules {
        struct dns_name domain; /* the cluster domain: whose SOA makes a negative believable */
        const struct network *allow_cidr;
        size_t n_allow_cidr;
};

struct dns_answer {
        uint8_t kind;   /* enum finding_kind */
        uint8_t reason; /* enum khs_reason; 0 with an answer */
        bool ask_tcp;   /* truncated, or the case was not kept: the same question by TCP may help */
        uint32_t ttl_s; /* lowest of the addresses; of a negative, the lower of SOA TTL and minimum */
        uint32_t n_addrs;
        uint32_t n_dropped; /* addresses that can't be a pod's */
};

/**
 * dns_name_parse() - turn text ("user-svc.default.svc.cluster.local", final dot or not) into a name
 *
 * Return: 0; -EINVAL for empty or too long labels or names.
 */
int dns_name_parse(struct dns_name *ret, const char *text);

/* Is @name equal to @domain or below it? */
bool dns_name_below(const struct dns_name *name, const struct dns_name *domain);

/**
 * dns_question_build() - a query with RD set, ready to be sent
 *
 * @udp:    for UDP: EDNS with DNS_EDNS_SIZE, and the case of each letter by a bit of @random
 * @random: 2 bytes of id and 32 bytes of case, from getrandom(2)
 */
void dns_question_build(struct dns_question *ret, const struct dns_name *name, uint16_t type, bool udp,
                        const uint8_t random[34]);

/**
 * dns_reply_matches() - does this message answer this question at all?
 *
 * The id is the transport's to compare: c-ares 1.20 and newer replace it by their own.
 * @ret_case: the question came back in the case it was sent in.
 */
bool dns_reply_matches(const struct dns_question *question, const uint8_t *packet, size_t n_packet, bool *ret_case);

/**
 * dns_answer_read() - judge the reply to a question for A or AAAA
 *
 * @question:  as it was sent
 * @packet:    the reply, @n_packet bytes from anywhere
 * @ret:       always filled; what can't be read is a FINDING_FAILURE
 * @ret_addrs: room for KHS_MAX_ADDRS x 4 or 16 bytes; sorted, no duplicates
 *
 * Work is bounded by the packet's length: a name is followed over at most 128 pointers.
 */
void dns_answer_read(const struct dns_rules *rules, const struct dns_question *question, const uint8_t *packet,
                     size_t n_packet, struct dns_answer *ret, uint8_t *ret_addrs);
