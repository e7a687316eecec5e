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

/*
 * "10.0.0.1/24 fd00::1/64", as `ip address` has them, in the kernel's order; behind a bar those of another interface;
 * "/64t" is temporary, "/64d" deprecated.
 */
static size_t parse_own(const char *text, struct khs_own ret[MAX_OWN])
{
        char copy[256], *save = NULL;
        bool same = false;
        size_t n = 0;

        cr_assert_lt(strlen(text), sizeof(copy));
        strcpy(copy, text);
        for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
                char *slash = strchr(word, '/');

                if (*word == '|') {
                        same = false;
                        continue;
                }
                cr_assert(slash && n < MAX_OWN);
                *slash = '\0';
                ret[n] = (struct khs_own){ .family = strchr(word, ':') ? AF_INET6 : AF_INET,
                                           .prefix = (uint8_t)atoi(slash + 1) };
                cr_assert_eq(inet_pton(ret[n].family, word, ret[n].address), 1, "%s", word);
                ret[n].flags = (uint8_t)((same ? KHS_OWN_SAME_INTERFACE : 0) |
                                         (strchr(slash + 1, 't') ? KHS_OWN_TEMPORARY : 0) |
                                         (strchr(slash + 1, 'd') ? KHS_OWN_DEPRECATED : 0));
                same = true;
                n++;
        }
        return n;
}

/* Least and most, equal where the source is known. */
static struct khs_score score(const char *own, bool has_ipv6, const char *address)
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
        khs_score_end(&s);
        s.address = NULL;
        return s;
}

struct expectation {
        const char *own;
        const char *address;
        uint32_t least;
        uint32_t most; /* 0: the same */
};

static void check(const struct expectation *cases, size_t n, bool has_ipv6)
{
        for (size_t i = 0; i < n; i++) {
                struct khs_score s = score(cases[i].own, has_ipv6, cases[i].address);

                cr_expect(s.least == cases[i].least && s.most == (cases[i].most ? cases[i].most : cases[i].least),
                          "%s from %s: %u to %u", cases[i].address, cases[i].own, s.least, s.most);
        }
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
                /* the first of two equals; any of two interfaces */
                { "10.77.0.1/24 10.77.0.200/24", "10.77.0.201", 24 },
                { "10.77.0.200/24 10.77.0.1/24", "10.77.0.201", 31 },
                { "10.77.0.1/24 | 10.77.0.200/24", "10.77.0.201", 24, 31 },
                { "10.77.0.200/24 | 10.77.0.1/24", "10.77.0.200", 32 },
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
                { "fd77::8000:0:0:1/48 | fd77:0:0:2::1/64", "fd77::8000:0:0:2", 126 },
                /* of one interface: common bits, as far as the prefix goes */
                { "fd77::8000:0:0:1/48 fd77:0:0:2::1/64", "fd77::8000:0:0:2", 62 },
                { "fd77::aaaa:1/64 fd77::5/128", "fd77::4", 127 },
                { "fd77::5/128 fd77::aaaa:1/64", "fd77::4", 127 },
                { "fd77::aaaa:1/64 fd77::5/128", "fd77::aaaa:2", 96 },
                { "fd77::aaaa:1/64 fd77::5/64", "fd77::4", 96 },
                /* a deprecated one: last of all */
                { "fd77::5/64d fd77::aaaa:1/64", "fd77::4", 96 },
                { "fd77::5/64d | 2001:db8::1/64", "fd77::4", 0 },
                { "fd77::5/64d", "fd77::4", 127 },
                { "fd77::5/64d fd77::6/128d", "fd77::4", 126 },
                /* a temporary one: perhaps */
                { "fd77::5/64 fd77:0:0:0:1e97::1/64t", "fd77::4", 67, 127 },
                { "fd77:0:0:0:1e97::1/64t", "fd77::4", 67 },
                { "fd77::5/64d fd77:0:0:0:1e97::1/64t", "fd77::4", 67 },
                { "fd77::5/64 fd77:0:0:0:1e97::1/64t", "fd77:0:0:1::1", 63 },
                { "fd77::5/128 fd77:0:0:0:1e97::1/64t", "fd77::4", 67, 127 },
                /* two interfaces in one subnet */
                { "fd77::5/64 | fd77::aaaa:1/64", "fd77::4", 96, 127 },
                { "fd77::5/64 | fd77::aaaa:1/64", "fd77::5", 128 },
                { "fd77::5/64 | fd77::aaaa:1/128", "fd77::aaaa:2", 96 },
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
        khs_score_end(&s);
        cr_expect_eq(s.least, 31);
}
