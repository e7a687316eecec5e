/* Writer and reader together: what is put is found, and what a file has been through is not seen. */

#include <errno.h>
#include <sys/socket.h>

#include "read/crc.h"
#include "table-fixture.h"
#include "write/pool.h"

static void expect_row(const struct khs_view *view, const struct khs_row *row)
{
        static uint32_t v4[KHS_MAX_ADDRS];
        static uint8_t v6[KHS_MAX_ADDRS][16];
        struct khs_found found;

        cr_assert_eq(khs_view_find(view, row->key, row->n_key, &found), 0, "%s", row->key);
        cr_assert_eq(found.record.n4, row->n4);
        cr_assert_eq(found.record.n6, row->n6);
        khs_found_copy(view, &found, AF_INET, 0, row->n4, v4, 4);
        khs_found_copy(view, &found, AF_INET6, 0, row->n6, v6, 16);
        cr_expect(khs_found_valid(view, &found));
        cr_expect_eq(khs_found_intact(view, &found), 0);
        cr_expect_eq(memcmp(v4, row->v4, row->n4 * 4), 0);
        cr_expect_eq(memcmp(v6, row->v6, row->n6 * 16), 0);
        cr_expect_eq(found.record.version, row->version);
        cr_expect_eq(found.record.port, row->port);
        cr_expect_eq(found.record.policy, row->policy);
}

Test(table, finds_what_was_put_of_every_size)
{
        static const uint32_t sizes[] = { 0, 1, 2, 3, 15, 16, 17, 50, 73, 500, 4999, 5000 };
        struct khs_table_file map, fd;
        struct fixture f;
        char key[64];

        fixture_init(&f, NULL);
        for (size_t i = 0; i < 12; i++) {
                struct khs_row row;

                (void)snprintf(key, sizeof(key), "svc-%zu.default", i);
                row = fixture_row(key, (uint32_t)i * 10000, sizes[i], sizes[11 - i]);
                cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        }
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &map);
        cr_assert_eq(khs_table_open(f.dir, KHS_OPEN_PREAD, NULL, &fd), 0);
        for (size_t i = 0; i < 12; i++) {
                struct khs_row row;

                (void)snprintf(key, sizeof(key), "svc-%zu.default", i);
                row = fixture_row(key, (uint32_t)i * 10000, sizes[i], sizes[11 - i]);
                expect_row(&map.view, &row);
                expect_row(&fd.view, &row);
        }
        khs_table_close(&map);
        khs_table_close(&fd);
        fixture_deinit(&f);
}

/* Lengths 1..253: every way in which a key ends inside a word or a chunk. */
Test(table, tells_keys_of_every_length_apart)
{
        struct khs_table_file file;
        struct khs_found found;
        struct fixture f;
        char key[256];

        fixture_init(&f, NULL);
        memset(key, 'k', sizeof(key));
        for (size_t n = 1; n <= KHS_KEY_MAX; n++) {
                struct khs_row row = fixture_row("x", (uint32_t)n, 1, 0);

                row.key = key;
                row.n_key = n;
                cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        }
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &file);
        for (size_t n = 1; n <= KHS_KEY_MAX; n++) {
                uint32_t address;

                cr_assert_eq(khs_view_find(&file.view, key, n, &found), 0, "length %zu", n);
                khs_found_copy(&file.view, &found, AF_INET, 0, 1, &address, 4);
                cr_expect_eq(ntohl(address), 0x0a000000 + n);
                key[n - 1] = 'x';
                cr_expect_eq(khs_view_find(&file.view, key, n, &found), -ENOENT);
                key[n - 1] = 'k';
        }
        khs_table_close(&file);
        fixture_deinit(&f);
}

Test(table, copies_cyclically_from_any_start)
{
        struct khs_table_file file;
        struct khs_found found;
        struct khs_row row;
        struct fixture f;

        fixture_init(&f, NULL);
        row = fixture_row("a.b", 0, 37, 5);
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &file);
        cr_assert_eq(khs_view_find(&file.view, "a.b", 3, &found), 0);
        for (uint32_t first = 0; first < 37; first++) {
                for (uint32_t count = 0; count <= 37; count++) {
                        struct {
                                uint32_t address, guard;
                        } out[38];

                        memset(out, 0x55, sizeof(out));
                        khs_found_copy(&file.view, &found, AF_INET, first, count, out, sizeof(out[0]));
                        for (uint32_t i = 0; i < 38; i++) {
                                cr_assert_eq(out[i].guard, 0x55555555);
                                cr_assert_eq(out[i].address,
                                             i < count ? htonl(0x0a000000 + (first + i) % 37) : 0x55555555);
                        }
                }
        }
        for (uint32_t first = 0; first < 5; first++) {
                uint8_t out[5][16];

                khs_found_copy(&file.view, &found, AF_INET6, first, 5, out, 16);
                for (uint32_t i = 0; i < 5; i++)
                        cr_expect_eq(out[i][15], (first + i) % 5);
        }
        khs_table_close(&file);
        fixture_deinit(&f);
}

Test(table, updates_and_deletes)
{
        struct khs_table_file file;
        struct khs_found found;
        struct khs_row row;
        struct fixture f;

        fixture_init(&f, NULL);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &file);
        for (uint32_t version = 1; version < 200; version++) {
                row = fixture_row("a.b", version * 100, version % 50, version % 7);
                row.version = version;
                cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
                expect_row(&file.view, &row);
        }
        cr_expect_eq(khs_writer_delete(f.writer, "a.c", 3, fixture_now()), -ENOENT);
        cr_expect_eq(khs_writer_delete(f.writer, "a.b", 3, fixture_now()), 0);
        cr_expect_eq(khs_view_find(&file.view, "a.b", 3, &found), -ENOENT);
        cr_expect_eq(khs_writer_delete(f.writer, "a.b", 3, fixture_now()), -ENOENT);
        row = fixture_row("a.b", 1, 3, 3);
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        expect_row(&file.view, &row);
        khs_table_close(&file);
        fixture_deinit(&f);
}

/* Times and state must not cost a block each second, nor disturb a reader's copy. */
Test(table, stores_times_in_place)
{
        struct khs_table_file file;
        struct khs_found before, after;
        struct khs_row row;
        struct fixture f;

        fixture_init(&f, NULL);
        row = fixture_row("a.b", 1, 3, 0);
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &file);
        cr_assert_eq(khs_view_find(&file.view, "a.b", 3, &before), 0);
        row.fresh_until_ds = 77;
        row.stale_until_ds += 5;
        row.ttl_s = 9;
        row.status = khs_status(KHS_SERVICE_STALE, KHS_REASON_TIMEOUT, KHS_SOURCE_DNS);
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_expect(khs_found_valid(&file.view, &before));
        cr_assert_eq(khs_view_find(&file.view, "a.b", 3, &after), 0);
        cr_expect_eq(after.block, before.block);
        cr_expect_eq(after.record.fresh_until_ds, 77);
        cr_expect_eq(after.record.ttl_s, 9);
        cr_expect_eq(after.record.status, row.status);
        cr_expect_eq(khs_found_intact(&file.view, &after), 0);
        khs_table_close(&file);
        fixture_deinit(&f);
}

/* A reader between find and copy: its block is used again only after the grace time, and then it knows. */
Test(table, notices_a_block_that_was_used_again)
{
        struct khs_table_file file;
        struct khs_found held;
        struct fixture f;
        uint32_t now = fixture_now();

        fixture_init(&f, NULL);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &file);
        for (uint32_t version = 1; version <= 20; version++) {
                struct khs_row row = fixture_row("a.b", version * 100, 3, 0);

                row.version = version;
                cr_assert_eq(khs_writer_put(f.writer, &row, now), 0);
                if (version == 1)
                        cr_assert_eq(khs_view_find(&file.view, "a.b", 3, &held), 0);
        }
        cr_expect(khs_found_valid(&file.view, &held), "the block must rest for the grace time");
        for (uint32_t version = 21; version <= 40; version++) {
                struct khs_row row = fixture_row("a.b", version * 100, 3, 0);

                row.version = version;
                cr_assert_eq(khs_writer_put(f.writer, &row, now + KHS_GRACE_DS), 0);
        }
        cr_expect_not(khs_found_valid(&file.view, &held), "it was used again by now");
        khs_table_close(&file);
        fixture_deinit(&f);
}

Test(table, follows_aliases)
{
        const struct khs_row alias = { .key = "users.internal", .n_key = 14, .target = "a.b", .n_target = 3 };
        struct khs_table_file file;
        struct khs_found found;
        char target[256];
        struct fixture f;

        fixture_init(&f, NULL);
        cr_assert_eq(khs_writer_put(f.writer, &alias, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &file);
        cr_assert_eq(khs_view_find(&file.view, "users.internal", 14, &found), 0);
        cr_expect(found.record.key & KHS_REC_ALIAS);
        cr_expect_eq(khs_found_alias(&file.view, &found, target), 3);
        cr_expect_str_eq(target, "a.b");
        khs_table_close(&file);
        fixture_deinit(&f);
}

/* From 10 services' room to 20,000: every file change keeps everything, and old files say so. */
Test(table, grows_without_losing_a_record)
{
        struct khs_table_file first, file;
        struct fixture f;
        struct khs_row row;
        uint32_t cursor = 0;
        struct khs_found found;
        size_t n = 0;
        char key[256];

        fixture_init(&f, NULL);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &first);
        for (uint32_t i = 0; i < 20000; i++) {
                (void)snprintf(key, sizeof(key), "svc-%u.default", i);
                row = fixture_row(key, i * 3, 3, 0);
                row.version = i + 1;
                cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        }
        cr_expect_eq(khs_view_load(&first.view, offsetof(struct khs_table_header, state) / 4), KHS_STATE_SUPERSEDED);
        fixture_open(&f, &file);
        cr_expect_gt(khs_view_generation(&file.view), khs_view_generation(&first.view));
        for (uint32_t i = 0; i < 20000; i += 7) {
                (void)snprintf(key, sizeof(key), "svc-%u.default", i);
                row = fixture_row(key, i * 3, 3, 0);
                row.version = i + 1;
                expect_row(&file.view, &row);
        }
        while (khs_view_next(&file.view, &cursor, &found, key) == 0)
                n++;
        cr_expect_eq(n, 20000);
        khs_table_close(&first);
        khs_table_close(&file);
        fixture_deinit(&f);
}

Test(table, refuses_what_does_not_fit_and_keeps_the_rest)
{
        struct khs_table_params params = fixture_params();
        struct khs_table_file file;
        struct khs_row row;
        struct fixture f;
        uint32_t n;
        int r = 0;
        char key[64];

        params.max_bytes = 1 << 20;
        fixture_init(&f, &params);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (n = 0; n < 100000 && r == 0; n++) {
                (void)snprintf(key, sizeof(key), "svc-%u.default", n);
                row = fixture_row(key, n, 50, 0);
                r = khs_writer_put(f.writer, &row, fixture_now());
        }
        cr_expect_eq(r, -ENOSPC);
        cr_expect_gt(n, 1000, "%u", n);
        cr_expect_leq(khs_writer_size(f.writer), params.max_bytes);
        fixture_open(&f, &file);
        for (uint32_t i = 0; i < n - 1; i++) {
                (void)snprintf(key, sizeof(key), "svc-%u.default", i);
                row = fixture_row(key, i, 50, 0);
                expect_row(&file.view, &row);
        }
        khs_table_close(&file);
        fixture_deinit(&f);
}

/* As many as there is room for are better than none. */
Test(table, begins_small_where_there_is_no_room_for_all)
{
        struct khs_table_params params = fixture_params();
        const struct khs_row row = fixture_row("svc.default", 1, 50, 0);
        struct khs_table_file file;
        struct fixture f;

        params.max_bytes = 1 << 20;
        params.n_services = 100000;
        fixture_init(&f, &params);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        fixture_open(&f, &file);
        expect_row(&file.view, &row);
        khs_table_close(&file);
        fixture_deinit(&f);
}

Test(table, refuses_rows_out_of_range)
{
        struct khs_row row;
        struct fixture f;

        fixture_init(&f, NULL);
        row = fixture_row("a.b", 0, KHS_MAX_ADDRS, 0);
        row.n4++;
        cr_expect_eq(khs_writer_put(f.writer, &row, fixture_now()), -EINVAL);
        row = fixture_row("a.b", 0, 1, 0);
        row.n_key = 0;
        cr_expect_eq(khs_writer_put(f.writer, &row, fixture_now()), -EINVAL);
        row.n_key = KHS_KEY_MAX + 1;
        cr_expect_eq(khs_writer_put(f.writer, &row, fixture_now()), -EINVAL);
        fixture_deinit(&f);
}

static void expect_text(const struct khs_view *view, size_t offset, const char *expected)
{
        uint32_t words[64]; /* its length comes first */
        const char *text = (const char *)words;

        khs_view_copy(view, offset / 4, words, sizeof(words) / 4);
        cr_expect_eq((uint8_t)text[0], strlen(expected));
        cr_expect_eq(memcmp(text + 1, expected, strlen(expected) + 1), 0, "%s", text + 1);
}

/* Another namespace is another static header: a new file, with all that was in the old one. */
Test(table, renews_with_other_parameters)
{
        char long_name[257] = { 0 };
        struct khs_table_params params = fixture_params();
        struct khs_table_file old, new;
        struct khs_row row;
        struct fixture f;

        fixture_init(&f, NULL);
        row = fixture_row("a.b", 1, 3, 2);
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &old);
        params.namespace = "prod";
        params.orphan_max_ds = 110;
        params.node_zone = "eu-west-1a";
        params.node_name = memset(long_name, 'n', 256);
        cr_expect_eq(khs_writer_renew(f.writer, &params, fixture_now()), -EINVAL);
        params.node_name = "worker-1";
        cr_assert_eq(khs_writer_renew(f.writer, &params, fixture_now()), 0);
        fixture_open(&f, &new);
        expect_text(&new.view, offsetof(struct khs_table_static, node_zone_len), "eu-west-1a");
        expect_text(&new.view, offsetof(struct khs_table_static, node_name_len), "worker-1");
        cr_expect_eq(new.view.n_namespace, 4);
        cr_expect_str_eq(new.view.namespace, "prod");
        cr_expect_eq(khs_view_load(&new.view, offsetof(struct khs_table_static, orphan_max_ds) / 4), 110);
        cr_expect_eq(khs_view_generation(&new.view), khs_view_generation(&old.view) + 1);
        expect_row(&new.view, &row);
        cr_expect_eq(khs_view_load(&old.view, offsetof(struct khs_table_header, state) / 4), KHS_STATE_SUPERSEDED);
        khs_table_close(&old);
        khs_table_close(&new);
        fixture_deinit(&f);
}

/* What k8shsvc_wait() tells tables apart by: after `rm table.v1` the next daemon's has the same generation. */
Test(table, counts_changes_from_where_no_other_table_does)
{
        uint32_t generation[2], changes[2];

        for (unsigned int i = 0; i < 2; i++) {
                struct khs_table_file file;
                struct fixture f;

                fixture_init(&f, NULL);
                cr_assert_eq(khs_writer_publish(f.writer), 0);
                fixture_open(&f, &file);
                generation[i] = khs_view_generation(&file.view);
                changes[i] = khs_view_load(&file.view, offsetof(struct khs_table_header, changes) / 4);
                khs_table_close(&file);
                fixture_deinit(&f);
        }
        cr_expect_eq(generation[0], generation[1]);
        cr_expect_neq(changes[0], changes[1]);
}

Test(table, notices_that_its_file_is_gone)
{
        struct khs_table_file file;
        struct fixture f;
        char path[128];

        fixture_init(&f, NULL);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_eq(khs_writer_check(f.writer), 0);
        (void)snprintf(path, sizeof(path), "%s/" KHS_TABLE_NAME, f.dir);
        cr_assert_eq(unlink(path), 0);
        cr_expect_eq(khs_writer_check(f.writer), -ESTALE);
        cr_assert_eq(khs_writer_renew(f.writer, NULL, fixture_now()), 0);
        cr_expect_eq(khs_writer_check(f.writer), 0);
        fixture_open(&f, &file);
        khs_table_close(&file);
        fixture_deinit(&f);
}

Test(table, is_readable_by_all_whatever_the_umask)
{
        struct fixture f;
        struct stat stat;

        (void)umask(077);
        fixture_init(&f, NULL);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_eq(fstatat(f.dir_fd, KHS_TABLE_NAME, &stat, 0), 0);
        cr_expect_eq(stat.st_mode & 07777, 0644);
        cr_expect_eq((uint64_t)stat.st_blocks * 512, (uint64_t)stat.st_size, "allocated to the last page");
        fixture_deinit(&f);
}

Test(table, has_96_block_classes)
{
        cr_expect_eq(khs_pool_units(0), 1);
        cr_expect_eq(khs_pool_units(95), 16384);
        cr_expect_eq(khs_pool_class(UINT32_MAX), 95);
        for (unsigned int class = 0; class < KHS_N_CLASSES; class ++) {
                cr_expect_eq(khs_pool_class(khs_pool_units(class)), class);
                if (class == 0)
                        continue;
                cr_expect_eq(khs_pool_class(khs_pool_units(class - 1) + 1), class);
                cr_expect_leq((khs_pool_units(class) - khs_pool_units(class - 1) - 1) * 8, khs_pool_units(class),
                              "an eighth is waste at most");
        }
}
