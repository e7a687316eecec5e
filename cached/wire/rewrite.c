/*
 * Why not ares_send(), whose callback gets bytes: from 1.28 on these are not the server's but what
 * ares_dns_write() makes of the records, and that fails on large replies. It writes pointers to names
 * beyond 16 KiB, where no pointer reaches; it compresses less than servers do, and refuses what then has
 * more than 65,535 bytes; and it compares each name with every earlier one.
 *
 * Here every name but the question's is written in full. The result may be longer than a message on the
 * wire: readers use offsets that are wide enough.
 */

#include "wire/rewrite.h"

#if DNS_HAVE_RECORDS

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wire/packet.h"

#define RECORD_MAX (10 + 6 + 2 * DNS_NAME_WIRE_MAX) /* at most: SRV, with both names in full */

/* Has room for everything that there can be. */
struct pen {
        uint8_t *bytes;
        size_t n;
};

static void pen_put8(struct pen *pen, uint8_t value)
{
        pen->bytes[pen->n++] = value;
}

static void pen_put16(struct pen *pen, uint16_t value)
{
        dns_put16(pen->bytes + pen->n, value);
        pen->n += 2;
}

static void pen_put32(struct pen *pen, uint32_t value)
{
        pen_put16(pen, (uint16_t)(value >> 16));
        pen_put16(pen, (uint16_t)value);
}

static void pen_put_bytes(struct pen *pen, const void *bytes, size_t n)
{
        memcpy(pen->bytes + pen->n, bytes, n);
        pen->n += n;
}

/* The next byte of a name as RFC 1035 (5.1) writes it: "\." and "\046" are no ends of labels. */
static bool pen_next_byte(const char **text, uint8_t *ret, bool *ret_dot)
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

static bool pen_put_name(struct pen *pen, const char *text)
{
        uint8_t *wire = pen->bytes + pen->n;
        size_t label = 0, n = 1;

        while (*text) {
                uint8_t byte;
                bool dot;

                if (!pen_next_byte(&text, &byte, &dot) || n + 2 > DNS_NAME_WIRE_MAX)
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

static bool pen_put_owner(struct pen *pen, const char *owner, const char *asked)
{
        if (strcmp(owner, asked) != 0)
                return pen_put_name(pen, owner);
        pen_put16(pen, 0xc000 | DNS_HEADER_SIZE);
        return true;
}

static bool pen_put_string(struct pen *pen, const ares_dns_rr_t *record, ares_dns_rr_key_t key)
{
        const char *name = ares_dns_rr_get_str(record, key);

        return name && pen_put_name(pen, name);
}

static bool pen_put_address(struct pen *pen, const void *address, size_t n)
{
        if (address)
                pen_put_bytes(pen, address, n);
        return address;
}

/* Of types that nobody reads, the type is all there is to say. */
static bool pen_put_data(struct pen *pen, const ares_dns_rr_t *record)
{
        switch (ares_dns_rr_get_type(record)) {
        case ARES_REC_TYPE_A:
                return pen_put_address(pen, ares_dns_rr_get_addr(record, ARES_RR_A_ADDR), 4);
        case ARES_REC_TYPE_AAAA:
                return pen_put_address(pen, ares_dns_rr_get_addr6(record, ARES_RR_AAAA_ADDR), 16);
        case ARES_REC_TYPE_PTR:
                return pen_put_string(pen, record, ARES_RR_PTR_DNAME);
        case ARES_REC_TYPE_SRV:
                pen_put16(pen, ares_dns_rr_get_u16(record, ARES_RR_SRV_PRIORITY));
                pen_put16(pen, ares_dns_rr_get_u16(record, ARES_RR_SRV_WEIGHT));
                pen_put16(pen, ares_dns_rr_get_u16(record, ARES_RR_SRV_PORT));
                return pen_put_string(pen, record, ARES_RR_SRV_TARGET);
        case ARES_REC_TYPE_SOA:
                pen_put16(pen, 0); /* two root names */
                pen_put32(pen, ares_dns_rr_get_u32(record, ARES_RR_SOA_SERIAL));
                pen_put32(pen, ares_dns_rr_get_u32(record, ARES_RR_SOA_REFRESH));
                pen_put32(pen, ares_dns_rr_get_u32(record, ARES_RR_SOA_RETRY));
                pen_put32(pen, ares_dns_rr_get_u32(record, ARES_RR_SOA_EXPIRE));
                pen_put32(pen, ares_dns_rr_get_u32(record, ARES_RR_SOA_MINIMUM));
                return true;
        default:
                return true;
        }
}

static uint16_t pen_type(const ares_dns_rr_t *record)
{
        ares_dns_rec_type_t type = ares_dns_rr_get_type(record);

        return type == ARES_REC_TYPE_RAW_RR ? ares_dns_rr_get_u16(record, ARES_RR_RAW_RR_TYPE) : (uint16_t)type;
}

static bool pen_put_record(struct pen *pen, const ares_dns_rr_t *record, const char *asked)
{
        size_t length;

        if (!pen_put_owner(pen, ares_dns_rr_get_name(record), asked))
                return false;
        pen_put16(pen, pen_type(record));
        pen_put16(pen, (uint16_t)ares_dns_rr_get_class(record));
        pen_put32(pen, ares_dns_rr_get_ttl(record));
        length = pen->n;
        pen_put16(pen, 0);
        if (!pen_put_data(pen, record))
                return false;
        dns_put16(pen->bytes + length, (uint16_t)(pen->n - length - 2));
        return true;
}

/* Codes that need EDNS do not fit into the header; all of them are failures. */
static void pen_put_header(struct pen *pen, const ares_dns_record_t *reply)
{
        unsigned int flags = ares_dns_record_get_flags(reply);
        unsigned int rcode = (unsigned int)ares_dns_record_get_rcode(reply);

        pen_put16(pen, ares_dns_record_get_id(reply));
        pen_put8(pen,
                 (uint8_t)((flags & ARES_FLAG_QR ? 0x80 : 0) | (unsigned int)ares_dns_record_get_opcode(reply) << 3 |
                           (flags & ARES_FLAG_AA ? 0x04 : 0) | (flags & ARES_FLAG_TC ? 0x02 : 0)));
        pen_put8(pen, (uint8_t)(rcode > 15 ? 15 : rcode));
        pen_put16(pen, 1);
        pen_put16(pen, (uint16_t)ares_dns_record_rr_cnt(reply, ARES_SECTION_ANSWER));
        pen_put16(pen, (uint16_t)ares_dns_record_rr_cnt(reply, ARES_SECTION_AUTHORITY));
        pen_put16(pen, (uint16_t)ares_dns_record_rr_cnt(reply, ARES_SECTION_ADDITIONAL));
}

static const ares_dns_section_t sections[] = { ARES_SECTION_ANSWER, ARES_SECTION_AUTHORITY, ARES_SECTION_ADDITIONAL };

static bool pen_put_reply(struct pen *pen, const ares_dns_record_t *reply)
{
        const char *asked = NULL;
        ares_dns_rec_type_t type;
        ares_dns_class_t class;

        if (ares_dns_record_query_get(reply, 0, &asked, &type, &class) != ARES_SUCCESS)
                return false;
        pen_put_header(pen, reply);
        if (!pen_put_name(pen, asked))
                return false;
        pen_put16(pen, (uint16_t)type);
        pen_put16(pen, (uint16_t) class);
        for (size_t s = 0; s < 3; s++)
                for (size_t i = 0; i < ares_dns_record_rr_cnt(reply, sections[s]); i++)
                        if (!pen_put_record(pen, ares_dns_record_rr_get_const(reply, sections[s], i), asked))
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
        if (!pen_put_reply(&pen, reply)) {
                free(pen.bytes);
                return -EBADMSG;
        }
        *ret = pen.bytes;
        *ret_n = pen.n;
        return 0;
}

#endif
