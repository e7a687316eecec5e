/*
 * Scores of addresses as glibc has them. The expectations are read off rfc3484_sort() and what
 * getaddrinfo() was seen to do; tests/integration/test-order.py holds them against a real one.
 */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "answer/score.h"

#define MAX_OWN 6

/* "10.0.0.1/24 fd00::1/64", as `ip address` has them. */
static size_t parse_own(const char *text, struct khs_own ret[MAX_OWN])
{
        char copy[256], *save = NULL;
        size_t n = 0;

        cr_assert_lt(strlen(text), sizeof(copy));
        strcpy(copy, text);
        for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
                char *slash = strchr(word, '/');

                cr_assert(slash && n < MAX_OWN);
                *slash = '\0';
                ret[n] = (struct khs_own){ .family = strchr(word, ':') ? AF_INET6 : AF_INET,
                                           .prefix = (uint8_t)atoi(slash + 1) };
                cr_assert_eq(inet_pton(ret[n].family, word, ret[n].address), 1, "%s", word);
                n++;
        }
        return n;
}

static uint32_t score(const char *own, bool has_ipv6, const char *address)
{
        int family = strchr(address, ':') ? AF_INET6 : AF_INET;
        struct khs_own addresses[MAX_OWN];
        size_t n = parse_own(own, addresses);
        struct khs_score s;
        uint32_t words[4];

        cr_assert_eq(inet_pton(family, address, words), 1, "%s", address);
        khs_score_begin(&s, family, words, has_ipv6);
        for (size_t i = 0; i < n; i++)
                khs_score_own(&s, &addresses[i]);
        return s.bits;
}

struct expectation {
        const char *own;
        const char *address;
        uint32_t score;
};

static void check(const struct expectation *cases, size_t n, bool has_ipv6)
{
        for (size_t i = 0; i < n; i++)
                cr_expect_eq(score(cases[i].own, has_ipv6, cases[i].address), cases[i].score, "%s from %s: %u",
                             cases[i].address, cases[i].own, score(cases[i].own, has_ipv6, cases[i].address));
}

#define CHECK(cases, has_ipv6) check(cases, sizeof(cases) / sizeof((cases)[0]), has_ipv6)

Test(score, ipv4)
{
        static const struct expectation cases[] = {
                /* common bits inside the subnet */
                { "127.0.0.1/8 10.77.0.5/24", "10.77.0.4", 31 },
                { "127.0.0.1/8 10.77.0.5/24", "10.77.0.7", 30 },
                { "127.0.0.1/8 10.77.0.5/24", "10.77.0.6", 30 },
                { "127.0.0.1/8 10.77.0.5/24", "10.77.0.20", 27 },
                { "127.0.0.1/8 10.77.0.5/24", "10.77.0.100", 25 },
                { "127.0.0.1/8 10.77.0.5/24", "10.77.0.200", 24 },
                { "10.77.0.5/16", "10.77.200.9", 16 },
                { "10.77.0.5/31", "10.77.0.4", 31 },
                /* nothing outside */
                { "127.0.0.1/8 10.77.0.5/24", "10.77.1.5", 0 },
                { "127.0.0.1/8 10.77.0.5/24", "10.76.0.5", 0 },
                { "10.77.0.5/32", "10.77.0.4", 0 },
                /* the own address */
                { "10.77.0.5/24", "10.77.0.5", 32 },
                { "10.77.0.5/32", "10.77.0.5", 32 },
                { "10.77.0.5/16 10.77.0.6/31", "10.77.0.5", 32 },
                { "127.0.0.1/8", "127.0.0.1", 32 },
                { "127.0.0.1/8", "127.0.0.2", 30 },
                /* the longest prefix is where the kernel sends it */
                { "10.0.0.1/8 10.77.0.5/24", "10.77.0.4", 31 },
                { "10.77.0.5/24 10.0.0.1/8", "10.77.0.4", 31 },
                { "10.77.0.5/24 10.0.0.1/8", "10.76.0.4", 9 },
                { "10.77.0.4/25 10.77.0.200/24", "10.77.0.201", 31 },
                { "10.77.0.4/25 10.77.0.200/24", "10.77.0.5", 31 },
                /* the first of two equals */
                { "10.77.0.1/24 10.77.0.200/24", "10.77.0.201", 24 },
                { "10.77.0.200/24 10.77.0.1/24", "10.77.0.201", 31 },
                /* prefix 0 is as 32 to glibc, a shift by 32 being none */
                { "10.77.0.5/0", "10.77.0.4", 0 },
                { "10.77.0.5/0", "10.77.0.5", 32 },
                /* nothing known, or of the other family */
                { "", "10.77.0.4", 0 },
                { "fd00::1/64", "10.77.0.4", 0 },
        };

        CHECK(cases, true);
}

/* glibc throws the list of own addresses away. */
Test(score, ipv4_without_ipv6)
{
        static const struct expectation cases[] = {
                { "127.0.0.1/8 10.77.0.5/24", "10.77.0.4", 0 },
                { "127.0.0.1/8 10.77.0.5/24", "10.77.0.200", 0 },
                { "127.0.0.1/8 10.77.0.5/16", "10.77.200.9", 0 },
                { "127.0.0.1/8 10.77.0.5/24", "10.77.0.5", 32 },
                { "127.0.0.1/8", "127.0.0.1", 32 },
                { "127.0.0.1/8", "127.0.0.2", 0 },
        };

        CHECK(cases, false);
}

Test(score, ipv6)
{
        static const struct expectation cases[] = {
                /* common bits, whatever the prefix */
                { "fd77::5/64", "fd77::4", 127 },
                { "fd77::5/64", "fd77::c8", 120 },
                { "fd77::5/128", "fd77::4", 127 },
                { "fd77::5/64", "fd77:0:0:1::5", 63 },
                { "fd77::5/64", "2001:db8::1", 0 },
                { "2001:db8:77::5/64", "2001:db8:8000::9", 32 },
                { "fd77::5/64", "fd77::5", 128 },
                { "fd77::5/128", "fd77::5", 128 },
                /* on a link: its address, though another one has more bits in common */
                { "fd77::ffff:0:0:5/80 fd77::5/48", "fd77::ffff:0:0:4", 127 },
                { "fd77:0:0:1::5/64 fd77::1:0:0:5/48", "fd77:0:0:1:1::5", 79 },
                { "fd77::8000:0:0:1/48 fd77:0:0:2::1/64", "fd77::8000:0:0:2", 126 },
                /* else the nearest of them */
                { "fd77::5/64 2001:db8:77::5/64", "2001:db8:78::9", 44 },
                { "2001:db8:77::5/64 fd77::5/64", "fd77:0:0:9::9", 60 },
                { "2001:db8:77::5/64 fd77::5/64", "fe00::1", 6 },
                /* the first of equals */
                { "fd77::1/64 fd77::200/64", "fd77::201", 118 },
                { "fd77::200/64 fd77::1/64", "fd77::201", 127 },
                /* nothing known, or of the other family */
                { "", "fd77::4", 0 },
                { "10.0.0.1/8", "fd77::4", 0 },
        };

        CHECK(cases, true);
}

/* Words behind an IPv4 address must not matter. */
Test(score, reads_no_more_than_the_address)
{
        const uint32_t address[4] = { htonl(0x0a4d0004), 4, 5, 6 };
        const struct khs_own own = { .address = { htonl(0x0a4d0005), 1, 2, 3 }, .family = AF_INET, .prefix = 24 };
        struct khs_score s;

        khs_score_begin(&s, AF_INET, address, true);
        khs_score_own(&s, &own);
        cr_expect_eq(s.bits, 31);
}
