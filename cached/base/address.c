/*
 * Addresses, sorted sets of them, and how people write them.
 *
 * Every stage keeps the addresses of a service as one array of 4- or 16-byte elements, sorted bytewise and
 * without duplicates. So two sets are compared by one memcmp(), merged by one walk, and written into the
 * table as they are.
 *
 * Text is read strictly on purpose: what a tolerant parser makes of "010.0.0.1" or "10.1.2.3/8" is seldom what
 * was meant, so both are refused.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"

static int address_compare_ipv4(const void *a, const void *b)
{
        return address_compare(AF_INET, a, b);
}

static int address_compare_ipv6(const void *a, const void *b)
{
        return address_compare(AF_INET6, a, b);
}

bool network_contains(const struct network *network, const uint8_t *bytes)
{
        unsigned int n_whole = network->prefix / 8U, n_rest = network->prefix % 8U;
        uint8_t mask = (uint8_t)(0xff00U >> n_rest);

        if (memcmp(bytes, network->bytes, n_whole) != 0)
                return false;
        return n_rest == 0 || ((bytes[n_whole] ^ network->bytes[n_whole]) & mask) == 0;
}

uint32_t addresses_sort(int family, void *addresses, uint32_t n)
{
        size_t size = address_size(family);
        uint8_t *at = addresses;
        uint32_t n_kept = 1;

        if (n < 2)
                return n;
        qsort(at, n, size, family == AF_INET ? address_compare_ipv4 : address_compare_ipv6);
        for (uint32_t i = 1; i < n; i++) {
                if (address_compare(family, at + i * size, at + (n_kept - 1) * size) != 0)
                        memmove(at + n_kept++ * size, at + i * size, size);
        }
        return n_kept;
}

/* ---- from text ---- */

/* All of @text, digits alone. */
static int number_from_text(const char *text, unsigned int max, unsigned int *ret)
{
        unsigned int number = 0;

        if (*text == '\0')
                return -EINVAL;
        for (; *text; text++) {
                if (*text < '0' || *text > '9')
                        return -EINVAL;
                number = number * 10 + (unsigned int)(*text - '0');
                if (number > max)
                        return -EINVAL;
        }
        *ret = number;
        return 0;
}

static int port_from_text(const char *text, uint16_t *ret)
{
        unsigned int number;

        if (number_from_text(text, UINT16_MAX, &number) < 0 || number == 0)
                return -EINVAL;
        *ret = (uint16_t)number;
        return 0;
}

bool address_scope_from_text(const char *text, struct address *address)
{
        unsigned int index = 0;
        bool link_local =
                address->family == AF_INET6 && address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;

        if (!link_local)
                return false;
        if (number_from_text(text, INT32_MAX, &index) < 0)
                index = if_nametoindex(text);
        if (index == 0)
                return false;
        address->scope = index;
        return true;
}

/* inet_pton() takes neither names nor short or octal forms. */
static int bytes_from_text(const char *text, size_t n_text, uint8_t *ret_family, uint8_t ret[static 16])
{
        char copy[INET6_ADDRSTRLEN];
        uint8_t bytes[16] = { 0 };
        int family;

        if (n_text >= sizeof(copy))
                return -EINVAL;
        memcpy(copy, text, n_text);
        copy[n_text] = '\0';

        family = strchr(copy, ':') ? AF_INET6 : AF_INET;
        if (inet_pton(family, copy, bytes) != 1)
                return -EINVAL;
        *ret_family = (uint8_t)family;
        memcpy(ret, bytes, sizeof(bytes));
        return 0;
}

/* With a scope where it is link-local. */
static int ip_from_text(const char *text, size_t n_text, struct address *ret)
{
        const char *percent = memchr(text, '%', n_text);
        size_t n_ip = percent ? (size_t)(percent - text) : n_text;
        char scope[IF_NAMESIZE] = "";

        if (bytes_from_text(text, n_ip, &ret->family, ret->bytes) < 0)
                return -EINVAL;
        if (!percent)
                return 0;
        if (n_text - n_ip > sizeof(scope))
                return -EINVAL;
        memcpy(scope, percent + 1, n_text - n_ip - 1);
        return address_scope_from_text(scope, ret) ? 0 : -EINVAL;
}

static int bracketed_from_text(const char *text, struct address *ret)
{
        struct address address = { 0 };
        const char *end = strchr(text, ']');

        if (!end || ip_from_text(text + 1, (size_t)(end - text - 1), &address) < 0)
                return -EINVAL;
        if (address.family != AF_INET6 || (end[1] != '\0' && end[1] != ':'))
                return -EINVAL;
        if (end[1] == ':' && port_from_text(end + 2, &address.port) < 0)
                return -EINVAL;
        *ret = address;
        return 0;
}

int address_from_text(const char *text, struct address *ret)
{
        struct address address = { 0 };
        const char *colon = strchr(text, ':');
        size_t n_text = strlen(text);

        if (*text == '[')
                return bracketed_from_text(text, ret);
        /* One colon ends an IPv4 address, more are an IPv6 address without a port. */
        if (colon && !strchr(colon + 1, ':')) {
                if (port_from_text(colon + 1, &address.port) < 0)
                        return -EINVAL;
                n_text = (size_t)(colon - text);
        }
        if (ip_from_text(text, n_text, &address) < 0)
                return -EINVAL;
        *ret = address;
        return 0;
}

int network_from_text(const char *text, struct network *ret)
{
        struct network network = { 0 };
        size_t n_text = strcspn(text, "/");
        unsigned int prefix, n_bits;

        if (bytes_from_text(text, n_text, &network.family, network.bytes) < 0)
                return -EINVAL;
        n_bits = prefix = network.family == AF_INET ? 32 : 128;
        if (text[n_text] == '/' && number_from_text(text + n_text + 1, n_bits, &prefix) < 0)
                return -EINVAL;
        for (unsigned int i = prefix; i < n_bits; i++)
                if (network.bytes[i / 8] & (0x80U >> (i % 8)))
                        return -EINVAL;
        network.prefix = (uint8_t)prefix;
        *ret = network;
        return 0;
}
