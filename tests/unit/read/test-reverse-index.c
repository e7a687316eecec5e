/* The reverse index: it follows every change, and never says what a record does not. */

#include <errno.h>
#include <sys/socket.h>

#include "table-fixture.h"
#include "table/policy.h"

static void reverse_init(struct fixture *f)
{
        struct khs_table_params params = fixture_params();

        params.reverse = true;
        fixture_init(f, &params);
        cr_assert_eq(khs_writer_publish(f->writer), 0);
}

static void put(struct fixture *f, const char *key, uint32_t first, uint32_t n4, uint32_t n6)
{
        struct khs_row row = fixture_row(key, first, n4, n6);
        static uint32_t version;

        row.version = ++version;
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
}

/* The key that has 10.x.y.z (and fd00::n, which must say the same), or "" for none. */
static const char *owner(const struct fixture *f, uint32_t n, bool v6)
{
        static char key[256];
        struct khs_table_file file;
        struct khs_found found;
        uint32_t v4 = htonl(0x0a000000 + n), low = htonl(n);
        uint8_t address[16] = { 0xfd };
        int r;

        memcpy(address + 12, &low, 4);
        fixture_open(f, &file);
        r = v6 ? khs_view_reverse(&file.view, AF_INET6, address, &found, key)
               : khs_view_reverse(&file.view, AF_INET, &v4, &found, key);
        khs_table_close(&file);
        cr_assert(r == 0 || r == -ENOENT, "%d", r);
        return r == 0 ? key : "";
}

Test(reverse, follows_inserts_updates_and_deletes)
{
        struct fixture f;

        reverse_init(&f);
        cr_expect_str_eq(owner(&f, 5, false), "");
        put(&f, "a.b", 0, 10, 5);
        put(&f, "c.d", 100, 10, 0);
        cr_expect_str_eq(owner(&f, 5, false), "a.b");
        cr_expect_str_eq(owner(&f, 4, true), "a.b");
        cr_expect_str_eq(owner(&f, 5, true), "");
        cr_expect_str_eq(owner(&f, 105, false), "c.d");

        put(&f, "a.b", 5, 10, 0); /* 0..4 go, 5..9 stay, 10..14 come */
        for (uint32_t n = 0; n < 20; n++)
                cr_expect_str_eq(owner(&f, n, false), n >= 5 && n < 15 ? "a.b" : "", "%u", n);
        cr_expect_str_eq(owner(&f, 4, true), "");

        put(&f, "c.d", 7, 1, 0); /* shared: either may be told */
        cr_expect_neq(strlen(owner(&f, 7, false)), 0);
        cr_assert_eq(khs_writer_delete(f.writer, "a.b", 3, fixture_now()), 0);
        cr_expect_str_eq(owner(&f, 7, false), "c.d");
        cr_expect_str_eq(owner(&f, 8, false), "");
        fixture_deinit(&f);
}

/* In a record with `order = zone`, near addresses come first: two runs of sorted addresses, not one. */
Test(reverse, follows_addresses_that_become_near)
{
        struct khs_row_endpoint endpoints[20];
        struct fixture f;

        srand(1);
        reverse_init(&f);
        for (uint32_t version = 1; version <= 300; version++) {
                struct khs_row row = fixture_row("a.b", 0, 0, 0);
                uint32_t n, v4[20];
                bool there[20];

                row.v4 = v4;
                for (n = 0; n < 20; n++) {
                        there[n] = rand() % 3;
                        if (!there[n])
                                continue;
                        endpoints[row.n4] = (struct khs_row_endpoint){ .near = rand() % 2, .flags = KHS_ATTR_READY };
                        v4[row.n4++] = htonl(0x0a000000 + n);
                }
                row.endpoints = endpoints;
                row.policy = khs_policy(1, rand() % 3 ? KHS_ORDER_ZONE : KHS_ORDER_ROTATE, KHS_FAMILY_ANY);
                row.version = version;
                cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
                for (n = 0; n < 20; n++)
                        cr_assert_str_eq(owner(&f, n, false), there[n] ? "a.b" : "", "%u, change %u", n, version);
        }
        fixture_deinit(&f);
}

Test(reverse, survives_growth_and_many_addresses)
{
        struct fixture f;
        char key[64];

        reverse_init(&f);
        for (uint32_t i = 0; i < 500; i++) {
                (void)snprintf(key, sizeof(key), "svc-%u.b", i);
                put(&f, key, i * 50, 50, 3);
        }
        for (uint32_t n = 0; n < 25000; n += 13) {
                (void)snprintf(key, sizeof(key), "svc-%u.b", n / 50);
                cr_assert_str_eq(owner(&f, n, false), key);
        }
        cr_expect_str_eq(owner(&f, 25000, false), "");
        fixture_deinit(&f);
}

/* More services with one address than a neighbourhood of buckets has entries: some are left out. */
Test(reverse, one_address_in_many_services_is_bounded)
{
        struct fixture f;
        uint64_t size;
        char key[64];

        reverse_init(&f);
        for (uint32_t i = 0; i < 200; i++) {
                (void)snprintf(key, sizeof(key), "svc-%u.b", i);
                put(&f, key, 7, 1, 0);
        }
        size = khs_writer_size(f.writer);
        cr_expect_lt(size, 1 << 20);
        cr_expect_neq(strlen(owner(&f, 7, false)), 0);
        fixture_deinit(&f);
}

Test(reverse, is_adopted_and_completed)
{
        struct khs_table_params params = fixture_params();
        struct khs_table_header *header;
        struct fixture f;
        uint32_t *map;
        int fd;

        params.reverse = true;
        reverse_init(&f);
        put(&f, "a.b", 0, 10, 0);
        f.writer = khs_writer_free(f.writer);

        /* as a writer leaves it that is killed between a record and its addresses */
        fd = openat(f.dir_fd, KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);
        header = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        cr_assert_neq(header, MAP_FAILED);
        (void)close(fd);
        map = (uint32_t *)header + header->fixed.ridx_off_pg * 1024;
        for (uint32_t i = 0; i < 1U << header->fixed.ridx_log2; i++)
                map[i * 2 + 1] = 0;
        cr_expect_str_eq(owner(&f, 5, false), "");
        cr_assert_eq(khs_writer_adopt(&f.writer, f.dir_fd, &params, fixture_now()), 0);
        cr_expect_str_eq(owner(&f, 5, false), "a.b");

        params.reverse = false;
        f.writer = khs_writer_free(f.writer);
        cr_expect_eq(khs_writer_adopt(&f.writer, f.dir_fd, &params, fixture_now()), -ESTALE);
        (void)munmap(header, 65536);
        fixture_deinit(&f);
}

Test(reverse, is_off_unless_asked_for)
{
        struct khs_table_file file;
        struct khs_found found;
        struct khs_row row;
        struct fixture f;
        char key[256];

        fixture_init(&f, NULL);
        row = fixture_row("a.b", 0, 1, 0);
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &file);
        cr_expect_eq(khs_view_reverse(&file.view, AF_INET, row.v4, &found, key), -EOPNOTSUPP);
        khs_table_close(&file);
        fixture_deinit(&f);
}
