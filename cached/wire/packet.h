#pragma once

/*
 * The bytes of DNS messages: numbers, names and records, read from a pointer and a length.
 *
 * Believes nothing else, and keeps these invariants:
 *
 *   - every read goes through struct dns_view, which knows where the message ends;
 *   - a compression pointer must point before the name it stands in, and a name has at most 128 of
 *     them: 64 KiB of pointers to pointers cost as much as an honest answer;
 *   - names come out in lower case, so that they compare by their bytes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/message.h" /* struct dns_name */

#define DNS_HEADER_SIZE 12U
#define DNS_CLASS_IN    1U

enum dns_rcode { DNS_RCODE_NOERROR = 0, DNS_RCODE_SERVFAIL = 2, DNS_RCODE_NXDOMAIN = 3 };

/* Where in the header the number of records of a section stands. */
enum dns_section { DNS_SECTION_ANSWER = 6, DNS_SECTION_AUTHORITY = 8, DNS_SECTION_ADDITIONAL = 10 };

struct dns_view {
        const uint8_t *packet;
        size_t n, at;
};

struct dns_record {
        uint16_t type, class, n_data;
        uint32_t ttl_s;
        size_t data; /* offset in the packet */
        struct dns_name owner;
};

static inline uint8_t dns_lower(uint8_t c)
{
        return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static inline uint16_t dns_get16(const uint8_t *p)
{
        return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t dns_get32(const uint8_t *p)
{
        return (uint32_t)dns_get16(p) << 16 | dns_get16(p + 2);
}

static inline void dns_put16(uint8_t *p, uint16_t value)
{
        p[0] = (uint8_t)(value >> 8);
        p[1] = (uint8_t)value;
}

static inline size_t dns_view_count(const struct dns_view *view, enum dns_section section)
{
        return dns_get16(view->packet + section);
}

/* Each reads what comes next and leaves the view behind it; false where the message has no such thing. */
bool dns_view_get_name(struct dns_view *view, struct dns_name *ret);
bool dns_view_get_record(struct dns_view *view, struct dns_record *ret);

/**
 * dns_reply_open() - judge what all replies have in common
 *
 * @ret_view:   stands at the answer section
 * @ret_answer: filled with why not
 *
 * A truncated reply is opened, too: look at dns_reply_is_cut().
 *
 * Return: whether it is a reply to @question that says something (NOERROR or NXDOMAIN).
 */
bool dns_reply_open(const struct dns_question *question, const uint8_t *packet, size_t n_packet,
                    struct dns_view *ret_view, struct dns_answer *ret_answer);

static inline uint8_t dns_reply_rcode(const struct dns_view *view)
{
        return view->packet[3] & 0x0f;
}

/* TC: a part is never taken for the whole. */
static inline bool dns_reply_is_cut(const struct dns_view *view)
{
        return view->packet[2] & 0x02;
}

/* The name and type that were asked for, the name in lower case. */
struct dns_name dns_question_name(const struct dns_question *question);
uint16_t dns_question_type(const struct dns_question *question);

/*
 * Whether a record of the answer section makes all of it worthless: the name asked for is an alias.
 * The records of a headless service are under its own name, and an alias leads out of the cluster.
 */
bool dns_record_is_alias(const struct dns_record *record, const struct dns_name *name);

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b);

/* Judges a reply without records of use; the view stands at its authority section. */
struct dns_answer dns_read_negative(const struct dns_rules *rules, const struct dns_name *name, struct dns_view *view);

static inline struct dns_answer dns_failure(enum khs_reason reason)
{
        return (struct dns_answer){ .kind = FINDING_FAILURE, .reason = (uint8_t)reason };
}
