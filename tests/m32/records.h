#pragma once

/* The records that the 64-bit writer writes and the 32-bit reader expects. */

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define N_RECORDS 300U

struct record {
        char key[64], target[64]; /* target: "" or an alias's */
        uint32_t n4, n6;
        uint32_t version;
};

static inline struct record record_of(uint32_t i)
{
        struct record r = { .version = i + 1 };

        (void)snprintf(r.key, sizeof(r.key), "svc-%u.default", i);
        if (i % 50 == 49) {
                (void)snprintf(r.key, sizeof(r.key), "alias-%u", i);
                (void)snprintf(r.target, sizeof(r.target), "svc-%u.default", i - 1);
                return r;
        }
        r.n4 = i % 7 == 0 ? 0 : i * i % 211;
        r.n6 = i % 3 == 0 ? i % 17 : 0;
        if (i == 100)
                r.n4 = r.n6 = 5000;
        return r;
}

static inline uint32_t v4_of(uint32_t i, uint32_t n)
{
        return htonl(0x0a000000U + (i << 13) + n);
}

static inline void v6_of(uint32_t i, uint32_t n, uint8_t ret[16])
{
        uint32_t words[4] = { htonl(0xfd000000U), htonl(i), 0, htonl(n) };

        memcpy(ret, words, 16);
}
