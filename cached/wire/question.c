/*
 * Questions are our own packets rather than c-ares's, so that what comes back can be compared with every
 * byte that was sent. By UDP, anybody who guesses an id of 16 bits and a port could answer; the random case
 * of the letters adds a bit for each of them.
 */

#include <string.h>

#include "wire/question.h"

#define OPT_SIZE 11U

static void question_mix_case(struct dns_question *question, const uint8_t *bits)
{
        for (size_t i = 0; i < question->n_name; i++) {
                uint8_t *c = &question->packet[DNS_HEADER_SIZE + i];

                /* Lengths of labels are below 64, so only letters are touched. */
                if (*c >= 'a' && *c <= 'z' && (bits[i / 8] >> (i % 8) & 1))
                        *c = (uint8_t)(*c - 'a' + 'A');
        }
}

void dns_question_build(struct dns_question *ret, const struct dns_name *name, uint16_t type, uint8_t dress,
                        const uint8_t random[static DNS_RANDOM_SIZE])
{
        struct dns_question question = { .n_name = name->n, .dress = dress };
        uint8_t *p = question.packet;
        size_t n = DNS_HEADER_SIZE;

        memcpy(p, random, 2);
        p[2] = 1; /* RD: a resolver in front of the cluster's would not ask on without it */
        dns_put16(p + 4, 1);
        memcpy(p + n, name->wire, name->n);
        n += name->n;
        dns_put16(p + n, type);
        dns_put16(p + n + 2, DNS_CLASS_IN);
        n += 4;
        if (dress & DNS_MIXED_CASE)
                question_mix_case(&question, random + 2);
        if (dress & DNS_EDNS) {
                dns_put16(p + 10, 1);
                dns_put16(p + n + 1, DNS_TYPE_OPT); /* owner: the root, one zero byte */
                dns_put16(p + n + 3, DNS_EDNS_SIZE);
                n += OPT_SIZE; /* extended rcode, version, flags, no options */
        }
        question.n = (uint16_t)n;
        *ret = question;
}

struct dns_name dns_question_name(const struct dns_question *question)
{
        struct dns_name name = { .n = question->n_name };

        for (size_t i = 0; i < name.n; i++)
                name.wire[i] = dns_lower(question->packet[DNS_HEADER_SIZE + i]);
        return name;
}

uint16_t dns_question_type(const struct dns_question *question)
{
        return dns_get16(question->packet + DNS_HEADER_SIZE + question->n_name);
}

bool dns_question_matches(const struct dns_question *question, const uint8_t *packet, size_t n_packet, bool *ret_case)
{
        const uint8_t *ours = question->packet + DNS_HEADER_SIZE, *theirs = packet + DNS_HEADER_SIZE;
        size_t n = question->n_name;

        if (n_packet < DNS_HEADER_SIZE + n + 4)
                return false;
        if ((packet[2] & 0xf8) != 0x80 || dns_get16(packet + 4) != 1) /* QR, opcode QUERY, one question */
                return false;
        for (size_t i = 0; i < n; i++)
                if (dns_lower(ours[i]) != dns_lower(theirs[i]))
                        return false;
        *ret_case = memcmp(ours, theirs, n) == 0;
        return memcmp(ours + n, theirs + n, 4) == 0;
}
