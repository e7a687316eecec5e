#pragma once

/*
 * The bytes of a DNS message: numbers, names and records, read from a pointer and a length that are all
 * that is believed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/name.h"

#define DNS_HEADER_SIZE 12U
#define DNS_CLASS_IN    1U

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

enum dns_rcode {
        DNS_RCODE_NOERROR = 0,
        DNS_RCODE_FORMERR = 1,
        DNS_RCODE_SERVFAIL = 2,
        DNS_RCODE_NXDOMAIN = 3,
        DNS_RCODE_REFUSED = 5,
};

/* Where the header counts the records of a section. */
enum dns_section { DNS_SECTION_ANSWER = 6, DNS_SECTION_AUTHORITY = 8, DNS_SECTION_ADDITIONAL = 10 };

/* A message of at least a header, and what of it has been read. */
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

static inline uint8_t dns_view_rcode(const struct dns_view *view)
{
        return view->packet[3] & 0x0f;
}

/* AA: not from a cache */
static inline bool dns_view_is_authoritative(const struct dns_view *view)
{
        return view->packet[2] & 0x04;
}

/* TC: a part must never be taken for the whole. */
static inline bool dns_view_is_cut(const struct dns_view *view)
{
        return view->packet[2] & 0x02;
}

/* Of what did not fit, the beginning is what a server would have sent. */
static inline void dns_packet_cut(uint8_t *packet)
{
        packet[2] |= 0x02;
}

/* Each reads what comes next and moves the view past it; false where the message has no such thing. */
bool dns_view_get_name(struct dns_view *view, struct dns_name *ret);
bool dns_view_get_record(struct dns_view *view, struct dns_record *ret);
