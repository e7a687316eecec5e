/*
 * Addresses that can't be a pod's.
 *
 * A name server that is wrong or hostile must not make programs connect to themselves, to the link or to a
 * group: such an address turns a lookup into an attack on what listens on loopback only. Every finding of a
 * source outside the machine passes here on its way into the model, and nowhere else.
 */

#include <netinet/in.h>
#include <string.h>

#include "model/filter.h"

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

bool filter_admits(struct filter *filter, uint8_t family, const uint8_t *bytes)
{
        bool admitted = !filter || filter->n_allow_cidr == 0;

        for (size_t i = 0; !admitted && i < filter->n_allow_cidr; i++)
                admitted = filter->allow_cidr[i].family == family && network_contains(&filter->allow_cidr[i], bytes);
        if (filter && (family == AF_INET ? is_special4(bytes) : is_special6(bytes)))
                admitted = false;
        if (!admitted)
                filter->n_dropped++;
        return admitted;
}
