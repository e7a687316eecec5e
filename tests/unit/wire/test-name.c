/*
 * Names as they are sent, and the names at which a service's records stand.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "wire/name.h"

#define SERVICE "web.default.svc.cluster.local"
#define GRPC    "_grpc._tcp." SERVICE

static struct dns_name parse(const char *text)
{
        struct dns_name name;

        cr_assert_eq(dns_name_parse(&name, text), 0, "%s", text);
        return name;
}

Test(dns_name, text_is_checked_and_folded)
{
        char label64[65] = { 0 }, longest[300] = { 0 };
        struct dns_name name, other;

        memset(label64, 'a', 64);
        for (int i = 0; i < 127; i++)
                strcat(longest, "a.");
        cr_assert_eq(dns_name_parse(&name, ""), -EINVAL);
        cr_assert_eq(dns_name_parse(&name, "."), -EINVAL);
        cr_assert_eq(dns_name_parse(&name, "a..b"), -EINVAL);
        cr_assert_eq(dns_name_parse(&name, label64), -EINVAL);
        cr_assert_eq(dns_name_parse(&name, label64 + 1), 0);
        cr_assert_eq(dns_name_parse(&name, longest), 0);
        cr_assert_eq(name.n, 255);
        strcat(longest, "a");
        cr_assert_eq(dns_name_parse(&name, longest), -EINVAL);

        cr_assert_eq(dns_name_parse(&name, "a.Cluster.LOCAL."), 0);
        cr_assert_eq(dns_name_parse(&other, "cluster.local"), 0);
        cr_assert(dns_name_below(&name, &other));
        cr_assert(dns_name_below(&other, &other));
        cr_assert_not(dns_name_below(&other, &name));
        cr_assert_eq(dns_name_parse(&name, "xcluster.local"), 0);
        cr_assert_not(dns_name_below(&name, &other));
}

Test(dns_name, names_to_ask_for)
{
        const struct khs_port grpc = { .kind = KHS_PORT_NAME, .name = "grpc" },
                              dns = { .kind = KHS_PORT_NAME, .udp = true, .name = "dns" };
        const struct dns_name service = parse(SERVICE);
        struct khs_port longest = { .kind = KHS_PORT_NAME };
        struct dns_name name, expected;
        char text[256];

        cr_assert_eq(dns_name_of_port(&name, &grpc, &service), 0);
        cr_assert_eq(dns_name_parse(&expected, GRPC), 0);
        cr_expect(dns_name_below(&name, &expected) && name.n == expected.n);
        cr_assert_eq(dns_name_of_port(&name, &dns, &service), 0);
        cr_assert_eq(dns_name_parse(&expected, "_dns._udp." SERVICE), 0);
        cr_expect(dns_name_below(&name, &expected) && name.n == expected.n);
        cr_assert_eq(dns_name_of_host(&name, "web-0", &service), 0);
        cr_assert_eq(dns_name_parse(&expected, "web-0." SERVICE), 0);
        cr_expect(dns_name_below(&name, &expected) && name.n == expected.n);

        memset(longest.name, 'p', KHS_LABEL_MAX);
        cr_expect_eq(dns_name_of_port(&name, &longest, &service), -EINVAL, "a label of 64 bytes");
        longest.name[KHS_LABEL_MAX - 1] = '\0';
        cr_expect_eq(dns_name_of_port(&name, &longest, &service), 0);
        memset(text, 'a', sizeof(text));
        for (size_t i = 60; i < 250; i += 61)
                text[i] = '.';
        text[248] = '\0';
        cr_assert_eq(dns_name_parse(&expected, text), 0);
        cr_expect_eq(dns_name_of_host(&name, "123", &expected), 0);
        cr_expect_eq(dns_name_of_host(&name, "12345", &expected), -EINVAL, "a name of 256 bytes");
        cr_expect_eq(dns_name_of_host(&name, "", &expected), -EINVAL);
}

Test(dns_name, reverse_names)
{
        struct dns_name name, expected;

        dns_name_of_address(&name, AF_INET, (uint8_t[]){ 10, 244, 0, 11 });
        cr_assert_eq(dns_name_parse(&expected, "11.0.244.10.in-addr.arpa"), 0);
        cr_expect(name.n == expected.n && memcmp(name.wire, expected.wire, name.n) == 0);
        dns_name_of_address(&name, AF_INET6, (uint8_t[16]){ 0x20, 0x01, 0x0d, 0xb8, [14] = 0xab, [15] = 0xcd });
        cr_assert_eq(
                dns_name_parse(&expected, "d.c.b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
                0);
        cr_expect(name.n == expected.n && memcmp(name.wire, expected.wire, name.n) == 0);
        dns_name_of_address(&name, AF_INET, (uint8_t[]){ 255, 255, 255, 255 });
        cr_assert_eq(dns_name_parse(&expected, "255.255.255.255.in-addr.arpa"), 0);
        cr_expect_eq(name.n, expected.n);
}

Test(dns_name, of_a_service)
{
        const struct dns_name domain = parse("cluster.local"), expected = parse(SERVICE);
        struct dns_name name = { .n = 7 };
        char longest[256];

        cr_assert_eq(dns_name_of_service(&name, "web.default", &domain), 0);
        cr_expect(dns_name_equal(&name, &expected));
        memset(longest, 'a', sizeof(longest));
        for (size_t i = 60; i < sizeof(longest); i += 61)
                longest[i] = '.';
        longest[240] = '\0';
        name.n = 7;
        cr_expect_eq(dns_name_of_service(&name, longest, &domain), -EINVAL);
        cr_expect_eq(name.n, 7, "untouched");
}

Test(dns_name, hosts_are_one_plain_label_below_the_service)
{
        static const struct {
                const char *name, *host;
        } cases[] = {
                { "web-0." SERVICE, "web-0" },
                { "WEB_0." SERVICE, "web_0" },
                { "10-1-0-1." SERVICE, "10-1-0-1" },
                { SERVICE, NULL },
                { "a.b." SERVICE, NULL },
                { "web-0.default.svc.cluster.local", NULL },
                { "we*b." SERVICE, NULL },
                { "evil", NULL },
        };
        const struct dns_name service = parse(SERVICE);

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct dns_name name = parse(cases[i].name);
                char host[KHS_LABEL_MAX + 1];

                cr_assert_eq(dns_name_get_host(&name, &service, host), cases[i].host != NULL, "%s", cases[i].name);
                if (cases[i].host)
                        cr_expect_str_eq(host, cases[i].host);
        }
}
