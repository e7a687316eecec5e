/*
 * Addresses and sorted sets of them.
 *
 * Every stage keeps the addresses of a service as one array of 4- or 16-byte elements, sorted bytewise and
 * without duplicates. So two sets are compared by one memcmp(), merged by one walk, and written into the
 * table as they are.
 */

#include <stdlib.h>

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
