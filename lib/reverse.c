/* Names of addresses, see reverse.h. */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "reverse.h"
#include "table-map.h"
#include "table-reader-attrs.h"

#define SVC        ".svc."
#define HOST_MAX   256U /* with the NUL */
#define N_V6_PARTS 8
#define MAX_TRIES  8 /* as in lookup.c */

/* ---- addresses with dashes: "10-244-0-11", "fd00--1", "fd00--0" ---- */

/* Decimal or hexadecimal, without leading zeros. The text's new end. */
static char *write_number(char *at, unsigned int number, unsigned int base)
{
        if (number >= base)
                at = write_number(at, number / base, base);
        *at = "0123456789abcdef"[number % base];
        return at + 1;
}

static char *write_v4(char *at, const uint8_t *address)
{
        for (int i = 0; i < 4; i++) {
                if (i > 0)
                        *at++ = '-';
                at = write_number(at, address[i], 10);
        }
        return at;
}

/* Where the zeros are that RFC 5952 shortens: the first longest run of two or more parts. */
static int find_zeros(const unsigned int *parts, int *ret_n)
{
        int best = -1, n = 0;

        *ret_n = 1;
        for (int i = 0; i < N_V6_PARTS; i++) {
                n = parts[i] == 0 ? n + 1 : 0;
                if (n > *ret_n) {
                        *ret_n = n;
                        best = i + 1 - n;
                }
        }
        return best;
}

static char *write_v6(char *at, const uint8_t *address)
{
        unsigned int parts[N_V6_PARTS];
        int zeros, n_zeros;

        for (int i = 0; i < N_V6_PARTS; i++)
                parts[i] = (unsigned int)address[2 * i] << 8 | address[2 * i + 1];
        zeros = find_zeros(parts, &n_zeros);
        for (int i = 0; i < N_V6_PARTS; i++) {
                if (i == zeros) {
                        *at++ = '-';
                        i += n_zeros - 1;
                        if (i == N_V6_PARTS - 1)
                                *at++ = '-';
                        continue;
                }
                if (i > 0)
                        *at++ = '-';
                at = write_number(at, parts[i], 16);
        }
        if (at[-1] == '-') /* no label ends so: CoreDNS, endpointHostname() */
                *at++ = '0';
        return at;
}

/* ---- the name ---- */

/* Which of the record's addresses it is, counted as rows are; n4 + n6 when it is gone meanwhile. */
static uint32_t row_of(const struct khs_view *view, const struct khs_found *found, int family, const uint8_t *address)
{
        uint32_t low = family == AF_INET ? 0 : found->record.n4;
        uint32_t n = family == AF_INET ? found->record.n4 : found->record.n6;
        size_t size = family == AF_INET ? 4 : 16;
        char candidate[16];

        for (uint32_t i = 0; i < n; i++) {
                khs_found_copy(view, found, family, i, 1, candidate, size);
                if (memcmp(candidate, address, size) == 0)
                        return low + i;
        }
        return found->record.n4 + found->record.n6;
}

/* The first label of the name, the pod's host name if one is known; its length. */
static size_t host_label(const struct khs_view *view, const struct khs_found *found, int family, const uint8_t *address,
                         char ret[static HOST_MAX])
{
        struct khs_attrs_at attrs;
        struct khs_attr_row row;
        uint32_t i = row_of(view, found, family, address);
        size_t n = 0;

        if (khs_attrs_open(view, found, &attrs) == 0 && i < attrs.n_rows) {
                khs_attrs_row(view, &attrs, i, &row);
                n = khs_attrs_string(view, &attrs, row.host, ret);
        }
        return n > 0 ? n : (size_t)((family == AF_INET ? write_v4(ret, address) : write_v6(ret, address)) - ret);
}

static char *append(char *at, const char *text, size_t n)
{
        memcpy(at, text, n);
        return at + n;
}

static int write_name(const struct khs_view *view, const char *host, size_t n_host, const char *key, size_t n_key,
                      char *ret, size_t n_max)
{
        if (n_host + 1 + n_key + strlen(SVC) + view->n_zone + 1 > n_max)
                return -ENOBUFS;
        ret = append(ret, host, n_host);
        ret = append(ret, ".", 1);
        ret = append(ret, key, n_key);
        ret = append(ret, SVC, strlen(SVC));
        ret = append(ret, view->zone, view->n_zone);
        *ret = '\0';
        return 0;
}

static __attribute__((noinline)) int name_of(const struct khs_pin *pin, int family, const uint8_t *address, char *ret, size_t n_max)
{
        char key[256], host[HOST_MAX];
        struct khs_found found;

        for (int i = 0; i < MAX_TRIES; i++) {
                int r = khs_view_reverse(pin->view, family, address, &found, key);
                size_t n_host;

                if (r < 0)
                        return r;
                if ((int32_t)(found.record.stale_until_ds - pin->now_ds) < 0)
                        return -ENOENT;
                n_host = host_label(pin->view, &found, family, address, host);
                if (khs_found_valid(pin->view, &found))
                        return write_name(pin->view, host, n_host, key, found.n_key, ret, n_max);
        }
        return -EBUSY;
}

static bool is_mapped(int family, const uint8_t *address)
{
        static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

        return family == AF_INET6 && memcmp(address, prefix, sizeof(prefix)) == 0;
}

/* After the table has been looked for, which needs stack, too. */
static __attribute__((noinline)) int name_in(struct khs_table_file *own, int family, const uint8_t *address, char *ret,
                                             size_t n_max)
{
        struct khs_pin pin = { .own = own };
        int r;

        r = khs_map_enter(&pin);
        if (r < 0)
                return r;
        r = name_of(&pin, family, address, ret, n_max);
        khs_map_leave(&pin);
        return r;
}

/* In a function of its own, so that all others do without the room for a table. */
static __attribute__((noinline, cold)) int name_by_file(int family, const uint8_t *address, char *ret, size_t n_max)
{
        struct khs_table_file own;

        return name_in(&own, family, address, ret, n_max);
}

int khs_reverse_name(int family, const void *address, char *ret, size_t n_max)
{
        const uint8_t *bytes = address;
        int r;

        if (is_mapped(family, bytes)) {
                family = AF_INET;
                bytes += 12;
        }
        r = name_in(NULL, family, bytes, ret, n_max);
        return r == -EXDEV ? name_by_file(family, bytes, ret, n_max) : r;
}
