#pragma once

/*
 * What a reply to one of our questions means for a headless service: it holds the addresses of exactly the
 * name that was asked, or it is a negative of a server that knows the cluster, or nothing was learned.
 * RFC 1035, 2308 (negatives).
 *
 * The message is reported as it was sent: which of its addresses may be served is the service model's to say.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/finding.h"
#include "wire/question.h"

struct dns_answer {
        uint8_t kind;     /* FINDING_ANSWER, FINDING_NEGATIVE or FINDING_FAILURE */
        uint8_t reason;   /* enum khs_reason; 0 with an answer */
        bool ask_tcp;     /* truncated, or the case was not kept: the same question by TCP may help */
        uint32_t ttl_s;   /* lowest of the addresses; of a negative, the lower of SOA TTL and minimum */
        uint32_t n_addrs; /* 1..KHS_MAX_ADDRS with an answer */
};

static inline struct dns_answer dns_failure(enum khs_reason reason)
{
        return (struct dns_answer){ .kind = FINDING_FAILURE, .reason = (uint8_t)reason };
}

/**
 * dns_answer_read() - judge the reply to a question for A or AAAA
 *
 * @domain:    the cluster domain, whose SOA makes a negative believable
 * @question:  as it was sent
 * @packet:    the reply, @n_packet bytes from anywhere
 * @ret_addrs: room for KHS_MAX_ADDRS x 4 or 16 bytes; sorted, no duplicates
 *
 * Return: the answer; a FINDING_FAILURE for what cannot be read.
 */
struct dns_answer dns_answer_read(const struct dns_name *domain, const struct dns_question *question,
                                  const uint8_t *packet, size_t n_packet, uint8_t *ret_addrs);

/* Does this reply to our question for the SOA of @domain hold it? Only a server of the cluster has it. */
bool dns_answer_shows_domain(const struct dns_name *domain, const struct dns_question *question, const uint8_t *packet,
                             size_t n_packet);

/* For readers of other types: */

/**
 * dns_answer_open() - judge what all replies have in common
 *
 * @ret_view:    stands at the answer section
 * @ret_failure: why not
 *
 * A truncated reply is opened, too: look at dns_view_is_cut().
 *
 * Return: whether it is a reply to @question that says something (NOERROR or NXDOMAIN).
 */
bool dns_answer_open(const struct dns_question *question, const uint8_t *packet, size_t n_packet,
                     struct dns_view *ret_view, struct dns_answer *ret_failure);

/*
 * What a record of the answer section is. An alias of the name that was asked makes the whole section
 * worthless: a headless service's records stand under its own name, and an alias leads out of the cluster.
 */
enum dns_relation { DNS_OTHER, DNS_ASKED, DNS_ALIAS };

enum dns_relation dns_answer_relation(const struct dns_record *record, const struct dns_name *name, uint16_t type);

/* Judges a reply without records of use; the view stands at its authority section. */
struct dns_answer dns_answer_negative(const struct dns_name *domain, const struct dns_name *name,
                                      struct dns_view *view);
