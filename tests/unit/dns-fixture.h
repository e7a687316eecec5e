#pragma once

/* Questions, and replies put together byte by byte: what servers may send, and what they should not. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "wire/question.h"

struct reply {
        uint8_t *packet;
        size_t n;
};

static inline struct dns_question question_of(const char *text, uint16_t type, bool udp)
{
        struct dns_question question;
        struct dns_name name;
        uint8_t random[DNS_RANDOM_SIZE];

        memset(random, 0x5a, sizeof(random));
        cr_assert_eq(dns_name_parse(&name, text), 0);
        dns_question_build(&question, &name, type, udp ? DNS_MIXED_CASE | DNS_EDNS : DNS_PLAIN, random);
        return question;
}

static inline void put(struct reply *reply, const void *bytes, size_t n)
{
        memcpy(reply->packet + reply->n, bytes, n);
        reply->n += n;
}

static inline void put16(struct reply *reply, unsigned int value)
{
        put(reply, (uint8_t[]){ (uint8_t)(value >> 8), (uint8_t)value }, 2);
}

static inline void put32(struct reply *reply, uint32_t value)
{
        put16(reply, value >> 16);
        put16(reply, value & 0xffff);
}

/* A reply with the question copied. The buffers are used in turn: a test has a process of its own. */
static inline struct reply begin(const struct dns_question *question, uint8_t rcode)
{
        static uint8_t buffers[16][1 << 17];
        static unsigned int n_used;
        struct reply reply = { buffers[n_used++ % 16], 0 };

        put(&reply, question->packet, 12U + question->n_name + 4U);
        reply.packet[2] = 0x85;
        reply.packet[3] = (uint8_t)(0x80 | rcode);
        memset(reply.packet + 6, 0, 6);
        return reply;
}

/* @owner: text, or NULL for a pointer to the question. @section: 0 answer, 1 authority, 2 additional. */
static inline void record(struct reply *reply, int section, const char *owner, uint16_t type, uint32_t ttl_s,
                          const void *data, size_t n_data)
{
        uint8_t *count = reply->packet + 6 + 2 * section;
        struct dns_name name;

        if (owner) {
                cr_assert_eq(dns_name_parse(&name, owner), 0);
                put(reply, name.wire, name.n);
        } else {
                put16(reply, 0xc00c);
        }
        put16(reply, type);
        put16(reply, 1);
        put32(reply, ttl_s);
        put16(reply, (unsigned int)n_data);
        put(reply, data, n_data);
        if (++count[1] == 0)
                count[0]++;
}

static inline void soa(struct reply *reply, const char *owner, uint32_t ttl_s, uint32_t minimum)
{
        uint8_t data[22] = { 0 };

        data[18] = (uint8_t)(minimum >> 24);
        data[20] = (uint8_t)(minimum >> 8);
        data[21] = (uint8_t)minimum;
        record(reply, 1, owner, DNS_TYPE_SOA, ttl_s, data, sizeof(data));
}

/* Of the very size, so that the sanitizer sees one byte too far. To be freed. */
static inline uint8_t *copy_of(const struct reply *reply)
{
        uint8_t *copy = malloc(reply->n ? reply->n : 1);

        memcpy(copy, reply->packet, reply->n);
        return copy;
}
