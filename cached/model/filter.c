/*
 * Addresses that can't be a pod's, see model/filter.h.
 *
 * A name server that is wrong or hostile must not make programs connect to themselves, to the
 * link or to a group: such an address turns a lookup into an attack on what listens on loopback
 * only. The list is that of design.md section 8.
 */

#include <netinet/in.h>
#include <string.h>

#include "model/filter.h"

static bool in_network(const uint8_t *bytes, const struct network *network)
{
        unsigned int n_whole = network->prefix / 8U, n_rest = network->prefix % 8U;
        uint8_t mask = (uint8_t)(0xff00U >> n_rest);

        if (memcmp(bytes, network->bytes, n_whole) != 0)
                return false;
        return n_rest == 0 || ((bytes[n_whole] ^ network->bytes[n_whole]) & mask) == 0;
}

static bool is_special4(const uint8_t *b)
{
        return b[0] == 0 || b[0] == 127 || (b[0] == 169 && b[1] == 254) || b[0] >= 224;
}

static bool is_special6(const uint8_t *b)
{
        static const uint8_t zero[16] = { 0 }, mapped[12] = { [10] = 0xff, [11] = 0xff };

        if (memcmp(b, zero, 15) == 0 && b[15] <= 1)
                return true;
        return b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || memcmp(b, mapped, 12) == 0;
}

bool address_is_pod(uint8_t family, const uint8_t *bytes, const struct network *allow_cidr, size_t n_allow_cidr)
{
        if (family == AF_INET ? is_special4(bytes) : is_special6(bytes))
                return false;
        for (size_t i = 0; i < n_allow_cidr; i++)
                if (allow_cidr[i].family == family && in_network(bytes, &allow_cidr[i]))
                        return true;
        return n_allow_cidr == 0;
}
