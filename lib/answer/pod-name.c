/*
 * Names of addresses.
 *
 *     address -> service (reverse index) -> row -> host name, or the address with dashes
 *
 *     web-0 . web.default .svc. cluster.local
 *     10-244-0-11 . user-svc.default .svc. cluster.local
 *
 * A name is composed where the caller wants it, since a stack may be small: glibc's buffers are large enough at the
 * first or second attempt.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "answer/pod-name.h"
#include "read/attrs.h"
#include "read/map.h"
#include "table/bytes.h"

#define SVC        ".svc."
#define DASHED_MAX 40U /* eight parts of four digits, and a zero at the end instead of one */
#define N_V6_PARTS 8
#define MAX_TRIES  8 /* as in answer/lookup.c */

/* ---- addresses with dashes: "10-244-0-11", "fd00--1", "fd00--0" ---- */

/* Decimal or hexadecimal, without leading zeros. Return: the new end of the text. */
static char *pod_name_write_number(char *at, unsigned int number, unsigned int base)
{
        if (number >= base)
                at = pod_name_write_number(at, number / base, base);
        *at = "0123456789abcdef"[number % base];
        return at + 1;
}

static char *pod_name_write_v4(char *at, const uint8_t *address)
{
        for (int i = 0; i < 4; i++) {
                if (i > 0)
                        *at++ = '-';
                at = pod_name_write_number(at, address[i], 10);
        }
        return at;
}

/* The zeros that RFC 5952 shortens: the first of the longest runs of two or more parts. */
static int pod_name_find_zeros(const unsigned int *parts, int *ret_n)
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

static char *pod_name_write_v6(char *at, const uint8_t *address)
{
        unsigned int parts[N_V6_PARTS];
        int zeros, n_zeros;

        for (int i = 0; i < N_V6_PARTS; i++)
                parts[i] = (unsigned int)address[2 * i] << 8 | address[2 * i + 1];
        zeros = pod_name_find_zeros(parts, &n_zeros);
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
                at = pod_name_write_number(at, parts[i], 16);
        }
        if (at[-1] == '-') /* no label may end so; as CoreDNS, endpointHostname() */
                *at++ = '0';
        return at;
}

/* ---- the name ---- */

/* The row of an address; n4 + n6 if it is gone meanwhile. */
static uint32_t pod_name_row(const struct khs_view *view, const struct khs_found *found, int family,
                             const uint8_t *address)
{
        uint32_t low = family == AF_INET ? 0 : found->record.n4, n_words = family == AF_INET ? 1 : 4;
        uint32_t n = family == AF_INET ? found->record.n4 : found->record.n6, candidate[4];
        uint32_t word = family == AF_INET ? found->v4_word : found->v6_word;

        for (uint32_t i = 0; i < n; i++, word += n_words) {
                khs_view_copy(view, word, candidate, n_words);
                if (memcmp(candidate, address, (size_t)n_words * 4) == 0)
                        return low + i;
        }
        return found->record.n4 + found->record.n6;
}

/* Writes the pod's host name unless it is longer than n_max. Return: its length; 0: it is not known. */
static size_t pod_name_known_host(const struct khs_view *view, const struct khs_found *found, uint32_t i, char *ret,
                                  size_t n_max)
{
        struct khs_attrs_at attrs;
        struct khs_attr_row row;

        if (khs_attrs_open(view, found, &attrs) < 0 || i >= attrs.n_rows)
                return 0;
        khs_attrs_row(view, &attrs, i, &row);
        return khs_attrs_text(view, &attrs, row.host, ret, n_max);
}

/* Writes the first label unless it is longer than n_max. Return: its length. */
static size_t pod_name_write_host(const struct khs_view *view, const struct khs_found *found, int family,
                                  const uint8_t *address, char *ret, size_t n_max)
{
        size_t n = pod_name_known_host(view, found, pod_name_row(view, found, family, address), ret, n_max);
        char dashed[DASHED_MAX];

        if (n > 0)
                return n;
        n = (size_t)((family == AF_INET ? pod_name_write_v4(dashed, address) : pod_name_write_v6(dashed, address)) -
                     dashed);
        if (n <= n_max)
                memcpy(ret, dashed, n);
        return n;
}

/* Writes the name unless it is larger than n_max. Return: its size with the NUL. */
static size_t pod_name_write(const struct khs_view *view, const struct khs_found *found, int family,
                             const uint8_t *address, char *ret, size_t n_max)
{
        size_t n_rest = 1 + found->n_key + strlen(SVC) + view->n_zone + 1, n_host;

        n_host = pod_name_write_host(view, found, family, address, ret, n_max > n_rest ? n_max - n_rest : 0);
        if (n_host + n_rest > n_max)
                return n_host + n_rest;
        ret += n_host;
        *ret++ = '.';
        khs_view_copy_bytes(view, found->block + KHS_UNIT_WORDS, found->n_key, ret);
        ret += found->n_key;
        memcpy(ret, SVC, strlen(SVC));
        ret += strlen(SVC);
        memcpy(ret, view->zone, view->n_zone + 1U);
        return n_host + n_rest;
}

static int pod_name_find(const struct khs_pin *pin, int family, const uint8_t *address, char *ret, size_t n_max)
{
        struct khs_found found;

        for (int i = 0; i < MAX_TRIES; i++) {
                int r = khs_view_reverse(pin->view, family, address, &found, NULL);
                size_t n;

                if (r < 0)
                        return r;
                if ((int32_t)(found.record.stale_until_ds - pin->now_ds) < 0)
                        return -ENOENT;
                n = pod_name_write(pin->view, &found, family, address, ret, n_max);
                if (khs_found_valid(pin->view, &found))
                        return n > n_max ? -ENOBUFS : 0;
        }
        return -EBUSY;
}

static bool pod_name_is_mapped_v4(int family, const uint8_t *address)
{
        static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

        return family == AF_INET6 && memcmp(address, prefix, sizeof(prefix)) == 0;
}

int khs_reverse_name(int family, const void *address, char *ret, size_t n_max)
{
        const uint8_t *bytes = address;
        struct khs_pin pin;
        int r;

        if (pod_name_is_mapped_v4(family, bytes)) {
                family = AF_INET;
                bytes += 12;
        }
        r = khs_map_enter(&pin);
        if (r < 0)
                return r;
        r = pod_name_find(&pin, family, bytes, ret, n_max);
        khs_map_leave(&pin);
        return r;
}
