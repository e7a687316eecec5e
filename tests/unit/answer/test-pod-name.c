/* Names of addresses, through the process's own table. */

#include <errno.h>
#include <sys/socket.h>

#include "answer/pod-name.h"
#include "rundir-fixture.h"

static void table_init(struct fixture *f)
{
        struct khs_table_params params = fixture_params();

        rundir_init(f);
        params.reverse = true;
        cr_assert_eq(khs_writer_renew(f->writer, &params, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f->writer), 0);
}

static void put_one(struct fixture *f, const char *key, int family, const void *address, uint32_t stale_until_ds)
{
        struct khs_row row = fixture_row(key, 0, 0, 0);
        static uint32_t version;

        row.version = ++version;
        row.stale_until_ds = stale_until_ds;
        row.n4 = family == AF_INET;
        row.n6 = family == AF_INET6;
        if (row.n4)
                row.v4 = address;
        else
                row.v6 = address;
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
}

static const char *name_of(int family, const void *address)
{
        static char name[KHS_REVERSE_NAME_MAX];
        int r;

        strcpy(name, "untouched");
        r = khs_reverse_name(family, address, name, sizeof(name));
        cr_assert(r == 0 || strcmp(name, "untouched") == 0, "%d leaves %s", r, name);
        return r == 0 ? name : r == -ENOENT ? "none" : "another error";
}

/* inet_ntop()'s text with dashes is what CoreDNS makes of an address, but for IPv4 ones in IPv6 clothes. */
static void check_label(struct fixture *f, int family, const uint8_t *address)
{
        char text[INET6_ADDRSTRLEN], expected[128];

        cr_assert_not_null(inet_ntop(family, address, text, sizeof(text)));
        for (char *c = text; *c; c++)
                *c = *c == '.' || *c == ':' ? '-' : *c;
        (void)snprintf(expected, sizeof(expected), "%s%s.a.b.svc.cluster.local", text,
                       text[strlen(text) - 1] == '-' ? "0" : "");
        put_one(f, "a.b", family, address, fixture_now() + 1000);
        cr_assert_str_eq(name_of(family, address), expected);
}

Test(reverse_name, is_the_address_with_dashes)
{
        static const char *const texts[] = {
                "10.244.0.11",
                "255.255.255.255",
                "1.2.3.4",
                "100.64.9.10",
                "fd00::1",
                "fd00:10:244:1::a",
                "2001:db8::1:0:0:1",
                "2001:0:0:1::1",
                "2001:db8:0:1:1:1:1:1",
                "1::",
                "::1:2:3",
                "fe80::",
                "1:0:0:2::",
                "abcd:ef01:2345:6789:abcd:ef01:2345:6789",
        };
        struct fixture f;
        uint8_t address[16];

        table_init(&f);
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                int family = strchr(texts[i], ':') ? AF_INET6 : AF_INET;

                cr_assert_eq(inet_pton(family, texts[i], address), 1);
                check_label(&f, family, address);
        }
        /* every pattern of zero parts; the first part is not zero, as in every address of a pod */
        for (unsigned int zeros = 0; zeros < 256; zeros += 2) {
                for (unsigned int i = 0; i < 16; i++)
                        address[i] = zeros >> i / 2 & 1 ? 0 : (uint8_t)(0x10 + i);
                check_label(&f, AF_INET6, address);
        }
        fixture_deinit(&f);
}

Test(reverse_name, is_the_pods_host_name_where_there_is_one)
{
        struct khs_row row = fixture_row("web.b", 7, 3, 2);
        struct khs_row_endpoint endpoints[5];
        uint8_t v4[4] = { 10, 0, 0, 8 }, v6[16] = { 0xfd, [15] = 8 };
        struct fixture f;

        for (uint32_t i = 0; i < 5; i++)
                endpoints[i] = (struct khs_row_endpoint){ .host = i == 1   ? "web-1"
                                                                  : i == 4 ? "web-2"
                                                                           : NULL,
                                                          .ordinal = -1 };
        row.endpoints = endpoints;
        table_init(&f);
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_expect_str_eq(name_of(AF_INET, v4), "web-1.web.b.svc.cluster.local");
        cr_expect_str_eq(name_of(AF_INET6, v6), "web-2.web.b.svc.cluster.local");
        v4[3] = 9;
        v6[15] = 7;
        cr_expect_str_eq(name_of(AF_INET, v4), "10-0-0-9.web.b.svc.cluster.local");
        cr_expect_str_eq(name_of(AF_INET6, v6), "fd00--7.web.b.svc.cluster.local");
        fixture_deinit(&f);
}

Test(reverse_name, of_ipv4_in_ipv6_is_that_of_ipv4)
{
        static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 7 };
        struct fixture f;

        table_init(&f);
        put_one(&f, "a.b", AF_INET, mapped + 12, fixture_now() + 1000);
        cr_expect_str_eq(name_of(AF_INET6, mapped), "10-0-0-7.a.b.svc.cluster.local");
        fixture_deinit(&f);
}

Test(reverse_name, of_what_is_too_old_is_none)
{
        static const uint8_t v4[4] = { 10, 0, 0, 7 };
        struct fixture f;

        table_init(&f);
        put_one(&f, "a.b", AF_INET, v4, fixture_now() + 1000);
        cr_expect_str_neq(name_of(AF_INET, v4), "none");
        put_one(&f, "a.b", AF_INET, v4, fixture_now() - 20);
        cr_expect_str_eq(name_of(AF_INET, v4), "none");
        fixture_deinit(&f);
}

Test(reverse_name, needs_room_for_all_of_it)
{
        static const uint8_t v4[4] = { 10, 0, 0, 7 };
        static const char expected[] = "10-0-0-7.a.b.svc.cluster.local";
        struct fixture f;
        char name[64];

        table_init(&f);
        put_one(&f, "a.b", AF_INET, v4, fixture_now() + 1000);
        for (size_t n = 0; n < sizeof(name); n++) {
                memset(name, 'x', sizeof(name));
                cr_expect_eq(khs_reverse_name(AF_INET, v4, n ? name : NULL, n), n < sizeof(expected) ? -ENOBUFS : 0);
                for (size_t i = n < sizeof(expected) ? 0 : sizeof(expected); i < sizeof(name); i++)
                        cr_assert_eq(name[i], 'x', "byte %zu of a buffer of %zu", i, n);
        }
        fixture_deinit(&f);
}

Test(reverse_name, says_when_there_is_no_index)
{
        static const uint8_t v4[4] = { 10, 0, 0, 7 };
        struct fixture f;
        char name[64];

        cr_expect_eq(khs_reverse_name(AF_INET, v4, name, sizeof(name)), -ENOTCONN);
        rundir_init(&f);
        put_one(&f, "a.b", AF_INET, v4, fixture_now() + 1000);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (int i = 0; i < 100 && khs_reverse_name(AF_INET, v4, name, sizeof(name)) == -ENOTCONN; i++)
                (void)usleep(100000); /* a table is looked for once a second */
        cr_expect_eq(khs_reverse_name(AF_INET, v4, name, sizeof(name)), -EOPNOTSUPP);
        fixture_deinit(&f);
}
