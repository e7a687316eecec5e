/*
 * What a server sends may be cut anywhere, or made to keep a reader busy. Therefore:
 *
 *   - every read goes through struct dns_view, which knows where the message ends;
 *   - a compression pointer must point before the name in which it stands, and a name may have at most
 *     128 of them: 64 KiB of pointers to pointers cost no more than an honest answer;
 *   - a TTL with its top bit set is 0 (RFC 2181, 8).
 */

#include <string.h>

#include "wire/packet.h"

#define NAME_HOPS_MAX 128 /* a name has at most 127 labels, an honest one a pointer or two */

static bool view_get(struct dns_view *view, size_t n, const uint8_t **ret)
{
        if (n > view->n - view->at)
                return false;
        *ret = view->packet + view->at;
        view->at += n;
        return true;
}

bool dns_view_get_name(struct dns_view *view, struct dns_name *ret)
{
        size_t at = view->at, start = view->at, end = 0, n = 0;

        for (unsigned int hops = 0; hops <= NAME_HOPS_MAX;) {
                uint8_t length;

                if (at >= view->n)
                        return false;
                length = view->packet[at];
                if (length >= 0xc0) {
                        if (at + 2 > view->n)
                                return false;
                        end = end ? end : at + 2;
                        at = dns_get16(view->packet + at) & 0x3fffU;
                        if (at >= start || at < DNS_HEADER_SIZE)
                                return false;
                        start = at;
                        hops++;
                        continue;
                }
                if (length > 63 || at + 1 + length > view->n || n + 1 + length > DNS_NAME_WIRE_MAX)
                        return false;
                ret->wire[n++] = length;
                for (size_t i = 1; i <= length; i++)
                        ret->wire[n++] = dns_lower(view->packet[at + i]);
                at += 1U + length;
                if (length == 0) {
                        ret->n = (uint8_t)n;
                        view->at = end ? end : at;
                        return true;
                }
        }
        return false;
}

bool dns_view_get_record(struct dns_view *view, struct dns_record *ret)
{
        const uint8_t *p;

        if (!dns_view_get_name(view, &ret->owner) || !view_get(view, 10, &p))
                return false;
        ret->type = dns_get16(p);
        ret->class = dns_get16(p + 2);
        ret->ttl_s = dns_get32(p + 4);
        if (ret->ttl_s >> 31)
                ret->ttl_s = 0;
        ret->n_data = dns_get16(p + 8);
        ret->data = view->at;
        return view_get(view, ret->n_data, &p);
}
