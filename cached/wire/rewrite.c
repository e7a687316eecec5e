/*
 * Replies from c-ares's records, see wire/rewrite.h.
 *
 * Why not ares_send(), whose callback gets bytes: from 1.28 on these are not the server's but
 * what ares_dns_write() makes of the records, and that is not up to 64 KiB. It writes pointers
 * to names beyond 16 KiB, where no pointer reaches; it compresses less than servers do, and what
 * then has more than 65,535 bytes it refuses; and it compares each name with all names before.
 *
 * Here a name is written in full, but for that of the question, and length is no matter: it is read
 * by offsets that are wide enough.
 */

#include "wire/rewrite.h"

#if DNS_HAVE_RECORDS

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wire/packet.h"

#define RECORD_MAX (10 + 6 + 2 * DNS_NAME_WIRE_MAX) /* at most: SRV, with both names in full */

/* It has room for all there can be. */
struct pen {
        uint8_t *bytes;
        size_t n;
};

static void put8(struct pen *pen, uint8_t value)
{
        pen->bytes[pen->n++] = value;
}

static void put16(struct pen *pen, uint16_t value)
{
        dns_put16(pen->bytes + pen->n, value);
        pen->n += 2;
}

static void put32(struct pen *pen, uint32_t value)
{
        put16(pen, (uint16_t)(value >> 16));
        put16(pen, (uint16_t)value);
}

static void put_bytes(struct pen *pen, const void *bytes, size_t n)
{
        memcpy(pen->bytes + pen->n, bytes, n);
        pen->n += n;
}

/* The next byte of a name as RFC 1035 (5.1) writes it: "\." and "\046" are no ends of labels. */
static bool next_byte(const char **text, uint8_t *ret, bool *ret_dot)
{
        const char *p = *text;
        unsigned int value = (uint8_t)*p++;

        *ret_dot = value == '.';
        if (value == '\\' && p[0] >= '0' && p[0] <= '2' && p[1] >= '0' && p[1] <= '9' && p[2] >= '0' && p[2] <= '9') {
                value = (unsigned int)((p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0'));
                p += 3;
        } else if (value == '\\' && *p) {
                value = (uint8_t)*p++;
        } else if (value == '\\') {
                return false;
        }
        *text = p;
        *ret = (uint8_t)value;
        return value <= 255;
}

static bool put_name(struct pen *pen, const char *text)
{
        uint8_t *wire = pen->bytes + pen->n;
        size_t label = 0, n = 1;

        while (*text) {
                uint8_t byte;
                bool dot;

                if (!next_byte(&text, &byte, &dot) || n + 2 > DNS_NAME_WIRE_MAX)
                        return false;
                if (!dot) {
                        if (n - label > 63)
                                return false;
                        wire[n++] = byte;
                        continue;
                }
                if (n - label == 1)
                        return false;
                wire[label] = (uint8_t)(n - label - 1);
                label = n++;
        }
        wire[label] = (uint8_t)(n - label - 1);
        if (wire[label] > 0)
                wire[n++] = 0;
        pen->n += n;
        return true;
}

static bool put_owner(struct pen *pen, const char *owner, const char *asked)
{
        if (strcmp(owner, asked) != 0)
                return put_name(pen, owner);
        put16(pen, 0xc000 | DNS_HEADER_SIZE);
        return true;
}

static bool put_string(struct pen *pen, const ares_dns_rr_t *record, ares_dns_rr_key_t key)
{
        const char *name = ares_dns_rr_get_str(record, key);

        return name && put_name(pen, name);
}

static bool put_address(struct pen *pen, const void *address, size_t n)
{
        if (address)
                put_bytes(pen, address, n);
        return address;
}

/* Of types that nobody reads, the type is all there is to say. */
static bool put_data(struct pen *pen, const ares_dns_rr_t *record)
{
        switch (ares_dns_rr_get_type(record)) {
        case ARES_REC_TYPE_A:
                return put_address(pen, ares_dns_rr_get_addr(record, ARES_RR_A_ADDR), 4);
        case ARES_REC_TYPE_AAAA:
                return put_address(pen, ares_dns_rr_get_addr6(record, ARES_RR_AAAA_ADDR), 16);
        case ARES_REC_TYPE_PTR:
                return put_string(pen, record, ARES_RR_PTR_DNAME);
        case ARES_REC_TYPE_SRV:
                put16(pen, ares_dns_rr_get_u16(record, ARES_RR_SRV_PRIORITY));
                put16(pen, ares_dns_rr_get_u16(record, ARES_RR_SRV_WEIGHT));
                put16(pen, ares_dns_rr_get_u16(record, ARES_RR_SRV_PORT));
                return put_string(pen, record, ARES_RR_SRV_TARGET);
        case ARES_REC_TYPE_SOA:
                put16(pen, 0); /* two root names */
                put32(pen, ares_dns_rr_get_u32(record, ARES_RR_SOA_SERIAL));
                put32(pen, ares_dns_rr_get_u32(record, ARES_RR_SOA_REFRESH));
                put32(pen, ares_dns_rr_get_u32(record, ARES_RR_SOA_RETRY));
                put32(pen, ares_dns_rr_get_u32(record, ARES_RR_SOA_EXPIRE));
                put32(pen, ares_dns_rr_get_u32(record, ARES_RR_SOA_MINIMUM));
                return true;
        default:
                return true;
        }
}

static uint16_t type_of(const ares_dns_rr_t *record)
{
        ares_dns_rec_type_t type = ares_dns_rr_get_type(record);

        return type == ARES_REC_TYPE_RAW_RR ? ares_dns_rr_get_u16(record, ARES_RR_RAW_RR_TYPE) : (uint16_t)type;
}

static bool put_record(struct pen *pen, const ares_dns_rr_t *record, const char *asked)
{
        size_t length;

        if (!put_owner(pen, ares_dns_rr_get_name(record), asked))
                return false;
        put16(pen, type_of(record));
        put16(pen, (uint16_t)ares_dns_rr_get_class(record));
        put32(pen, ares_dns_rr_get_ttl(record));
        length = pen->n;
        put16(pen, 0);
        if (!put_data(pen, record))
                return false;
        dns_put16(pen->bytes + length, (uint16_t)(pen->n - length - 2));
        return true;
}

/* Codes that need EDNS have no room in the header; they are failures, one like the other. */
static void put_header(struct pen *pen, const ares_dns_record_t *reply)
{
        unsigned int flags = ares_dns_record_get_flags(reply);
        unsigned int rcode = (unsigned int)ares_dns_record_get_rcode(reply);

        put16(pen, ares_dns_record_get_id(reply));
        put8(pen, (uint8_t)((flags & ARES_FLAG_QR ? 0x80 : 0) | (unsigned int)ares_dns_record_get_opcode(reply) << 3 |
                            (flags & ARES_FLAG_TC ? 0x02 : 0)));
        put8(pen, (uint8_t)(rcode > 15 ? 15 : rcode));
        put16(pen, 1);
        put16(pen, (uint16_t)ares_dns_record_rr_cnt(reply, ARES_SECTION_ANSWER));
        put16(pen, (uint16_t)ares_dns_record_rr_cnt(reply, ARES_SECTION_AUTHORITY));
        put16(pen, (uint16_t)ares_dns_record_rr_cnt(reply, ARES_SECTION_ADDITIONAL));
}

static const ares_dns_section_t sections[] = { ARES_SECTION_ANSWER, ARES_SECTION_AUTHORITY, ARES_SECTION_ADDITIONAL };

static bool put_reply(struct pen *pen, const ares_dns_record_t *reply)
{
        const char *asked = NULL;
        ares_dns_rec_type_t type;
        ares_dns_class_t class;

        if (ares_dns_record_query_get(reply, 0, &asked, &type, &class) != ARES_SUCCESS)
                return false;
        put_header(pen, reply);
        if (!put_name(pen, asked))
                return false;
        put16(pen, (uint16_t)type);
        put16(pen, (uint16_t) class);
        for (size_t s = 0; s < 3; s++)
                for (size_t i = 0; i < ares_dns_record_rr_cnt(reply, sections[s]); i++)
                        if (!put_record(pen, ares_dns_record_rr_get_const(reply, sections[s], i), asked))
                                return false;
        return true;
}

int dns_rewrite(const ares_dns_record_t *reply, uint8_t **ret, size_t *ret_n)
{
        size_t n_max = DNS_HEADER_SIZE + DNS_NAME_WIRE_MAX + 4;
        struct pen pen = { .n = 0 };

        if (ares_dns_record_query_cnt(reply) != 1)
                return -EBADMSG;
        for (size_t s = 0; s < 3; s++)
                n_max += ares_dns_record_rr_cnt(reply, sections[s]) * RECORD_MAX;
        pen.bytes = malloc(n_max);
        if (!pen.bytes)
                return -ENOMEM;
        if (!put_reply(&pen, reply)) {
                free(pen.bytes);
                return -EBADMSG;
        }
        *ret = pen.bytes;
        *ret_n = pen.n;
        return 0;
}

#endif
