#pragma once

/*
 * The services of the contract tests' table: what table.c writes and what the callers expect. Libc only
 * and of one layout for 32-bit and 64-bit programs.
 *
 * Address n of service i is 10.0.0.0 + i x 8192 + n, and fd00:i::n: whoever gets one knows whose it is.
 */

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "table/format.h"

#define ZONE          "cluster.local"
#define ALIAS         "users.internal"
#define ALIAS_SERVICE "all-2-2.sweep"
#define LABEL_63      "a23456789b23456789c23456789d23456789e23456789f23456789g23456789"

/* How much the table knows. */
enum knowledge { KNOWN, PENDING, HALF, EXPIRED, STALE };

/* Of how many addresses it knows the pod's host name: that of number n, of either family, is "pod-n". */
enum hosts { NO_HOSTS, FIRST_HOST, ALL_HOSTS };

struct service {
        char key[KHS_KEY_MAX + 1];
        uint32_t i;
        uint32_t n4, n6;
        uint32_t answers;
        enum khs_order order;
        enum knowledge knowledge; /* HALF: IPv6 was never resolved */
        enum hosts hosts;
        uint32_t pod; /* 1 + number, where it is the name of one pod */
};

/* n4, n6: each size of interest, in each family and in both. */
#define SIZES_OF(n)                                                                                                    \
        { NULL, (n), 0, KHS_ANSWERS_ALL }, { NULL, 0, (n), KHS_ANSWERS_ALL },                                          \
        {                                                                                                              \
                NULL, (n), (n), KHS_ANSWERS_ALL                                                                        \
        }

static const struct service_row {
        const char *key; /* NULL: all-N4-N6.sweep */
        uint32_t n4, n6;
        uint32_t answers;
        enum khs_order order;
        enum knowledge knowledge;
        enum hosts hosts;
} service_rows[] = {
        { NULL, 0, 0, KHS_ANSWERS_ALL },
        SIZES_OF(1),
        SIZES_OF(2),
        SIZES_OF(24),
        SIZES_OF(25),
        SIZES_OF(100),
        SIZES_OF(5000),
        { NULL, 5000, 1, KHS_ANSWERS_ALL },
        { "single.sweep", 25, 25, 1 },
        { "three.sweep", 25, 25, 3 },
        { "auto.sweep", 25, 25, KHS_ANSWERS_AUTO },
        { "large.sweep", 5000, 5000, KHS_ANSWERS_AUTO },
        { "random.sweep", 25, 25, KHS_ANSWERS_ALL, KHS_ORDER_RANDOM },
        { "sticky.sweep", 25, 25, KHS_ANSWERS_AUTO, KHS_ORDER_STICKY },
        { LABEL_63 "." LABEL_63, 3, 3, KHS_ANSWERS_ALL },
        { "pending.sweep", 0, 0, KHS_ANSWERS_ALL, KHS_ORDER_ROTATE, PENDING },
        { "half.sweep", 3, 0, KHS_ANSWERS_ALL, KHS_ORDER_ROTATE, HALF },
        { "none4.sweep", 0, 0, KHS_ANSWERS_ALL, KHS_ORDER_ROTATE, HALF },
        { "expired.sweep", 3, 3, KHS_ANSWERS_ALL, KHS_ORDER_ROTATE, EXPIRED },
        { "stale.sweep", 3, 3, KHS_ANSWERS_ALL, KHS_ORDER_ROTATE, STALE },
        { "pods.sweep", 3, 3, KHS_ANSWERS_ALL, KHS_ORDER_ROTATE, KNOWN, ALL_HOSTS },
        { "some.sweep", 3, 3, KHS_ANSWERS_ALL, KHS_ORDER_ROTATE, KNOWN, FIRST_HOST },
        { "some4.sweep", 3, 0, KHS_ANSWERS_ALL, KHS_ORDER_ROTATE, KNOWN, FIRST_HOST },
};

#define N_SERVICES ((uint32_t)(sizeof(service_rows) / sizeof(service_rows[0])))

static inline struct service service_of(uint32_t i)
{
        const struct service_row *row = &service_rows[i];
        struct service s = { .i = i,
                             .n4 = row->n4,
                             .n6 = row->n6,
                             .answers = row->answers,
                             .order = row->order,
                             .knowledge = row->knowledge,
                             .hosts = row->hosts };

        if (row->key)
                (void)snprintf(s.key, sizeof(s.key), "%s", row->key);
        else
                (void)snprintf(s.key, sizeof(s.key), "all-%u-%u.sweep", row->n4, row->n6);
        return s;
}

static inline uint32_t v4_of(uint32_t i, uint32_t n)
{
        return htonl(0x0a000000U + (i << 13) + n);
}

static inline void v6_of(uint32_t i, uint32_t n, void *ret)
{
        uint32_t words[4] = { htonl(0xfd000000U | i), 0, 0, htonl(n) };

        memcpy(ret, words, sizeof(words));
}

static inline bool has_host(const struct service *s, uint32_t n)
{
        return s->hosts == ALL_HOSTS || (s->hosts == FIRST_HOST && n == 0);
}

/* One pod of a service, under its name. */
static inline struct service pod_of(const struct service *s, uint32_t n)
{
        struct service pod = *s;

        (void)snprintf(pod.key, sizeof(pod.key), "pod-%u.%.200s", n, s->key);
        pod.pod = n + 1;
        return pod;
}

/* The number of an address in its service, or -1 when it is none of its addresses. */
static inline int32_t number_of(const struct service *s, bool is_v4, const void *address)
{
        uint32_t words[4] = { 0 }, wanted[4] = { 0 }, n;

        memcpy(words, address, is_v4 ? 4 : 16);
        n = is_v4 ? (ntohl(words[0]) & 8191) : ntohl(words[3]);
        if (is_v4)
                wanted[0] = v4_of(s->i, n);
        else
                v6_of(s->i, n, wanted);
        if (n >= (is_v4 ? s->n4 : s->n6) || (s->pod && n != s->pod - 1) || memcmp(words, wanted, is_v4 ? 4 : 16) != 0)
                return -1;
        return (int32_t)n;
}
