/*
 * Addresses and networks as people write them: what is read, and what is refused without touching the
 * result.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/address.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

Test(address, is_read_strictly)
{
        static const struct {
                const char *text;
                int family; /* 0: refused */
                uint16_t port;
                uint8_t bytes[16];
        } cases[] = {
                { "10.96.0.10", AF_INET, 0, { 10, 96, 0, 10 } },
                { "10.96.0.10:5353", AF_INET, 5353, { 10, 96, 0, 10 } },
                { "[fd00::a]", AF_INET6, 0, { 0xfd, [15] = 0xa } },
                { "[fd00::a]:53", AF_INET6, 53, { 0xfd, [15] = 0xa } },
                { "fd00::a", AF_INET6, 0, { 0xfd, [15] = 0xa } },
                { "::1", AF_INET6, 0, { [15] = 1 } },
                { "::ffff:10.0.0.1", AF_INET6, 0, { [10] = 0xff, 0xff, 10, 0, 0, 1 } },
                { "1.2.3.4:65535", AF_INET, 65535, { 1, 2, 3, 4 } },
                { "1.2.3.4:0" },
                { "1.2.3.4:65536" },
                { "1.2.3.4:99999" },
                { "1.2.3.4:" },
                { "1.2.3.4:x" },
                { "1.2.3" },
                { "1.2.3.4.5" },
                { "010.0.0.1" },
                { "1.2.3.256" },
                { "" },
                { ":53" },
                { "[" },
                { "[]" },
                { "[1.2.3.4]" },
                { "[1.2.3.4]:53" },
                { "[fd00::a" },
                { "[fd00::a]53" },
                { "[fd00::a]:" },
                { "[fd00::a]:0" },
                { "fe80::1%lo", AF_INET6, 0, { 0xfe, 0x80, [15] = 1 } },
                { "[fe80::1%1]:53", AF_INET6, 53, { 0xfe, 0x80, [15] = 1 } },
                { "fe80::1%" },
                { "fe80::1%no-such-card" },
                { "fe80::1%a-name-of-no-card" },
                { "fd00::a%lo" },
                { "10.0.0.1%lo" },
                { "dns.google" },
                { "dns.google:53" },
                { "12345:6789:12345:6789:12345:6789:12345:6789:12345" },
        };

        for (size_t i = 0; i < N(cases); i++) {
                struct address address = { .port = 7 };
                int r = address_from_text(cases[i].text, &address);

                cr_expect_eq(r, cases[i].family ? 0 : -EINVAL, "'%s'", cases[i].text);
                cr_expect_eq(address.family, cases[i].family, "'%s'", cases[i].text);
                cr_expect_eq(address.port, cases[i].family ? cases[i].port : 7, "'%s'", cases[i].text);
                cr_expect_arr_eq(address.bytes, cases[i].bytes, 16, "'%s'", cases[i].text);
                cr_expect_eq(address.scope, r == 0 && strchr(cases[i].text, '%') ? 1 : 0, "'%s'", cases[i].text);
        }
}

Test(address, networks_have_no_bits_beyond_the_prefix)
{
        static const struct {
                const char *text;
                int family; /* 0: refused */
                uint8_t prefix;
        } cases[] = {
                { "10.0.0.0/8", AF_INET, 8 },
                { "0.0.0.0/0", AF_INET, 0 },
                { "10.1.2.3", AF_INET, 32 },
                { "10.1.2.3/32", AF_INET, 32 },
                { "fd00::/8", AF_INET6, 8 },
                { "fd00::1", AF_INET6, 128 },
                { "::/0", AF_INET6, 0 },
                { "10.128.0.0/9", AF_INET, 9 },
                { "10.128.0.0/8" },
                { "10.1.2.3/8" },
                { "10.0.0.0/33" },
                { "fd00::/129" },
                { "10.0.0.0/" },
                { "10.0.0.0/x" },
                { "10.0.0.0/4294967304" },
                { "/8" },
                { "10/8" },
                { "[fd00::]/8" },
                { "fd00::1/64" },
                { "" },
        };

        for (size_t i = 0; i < N(cases); i++) {
                struct network network = { 0 };
                int r = network_from_text(cases[i].text, &network);

                cr_expect_eq(r, cases[i].family ? 0 : -EINVAL, "'%s'", cases[i].text);
                cr_expect_eq(network.family, cases[i].family, "'%s'", cases[i].text);
                cr_expect_eq(network.prefix, cases[i].prefix, "'%s'", cases[i].text);
        }
}
