/* A table that a writer left, taken over in place: as it was, half written, damaged, of another time. */

#include <errno.h>
#include <sys/socket.h>

#include "read/crc.h"
#include "table-fixture.h"
#include "table/atomic.h"
#include "table/crc32c.h"

#define N 300

static void leave(struct fixture *f)
{
        struct khs_row alias = { .key = "users", .n_key = 5, .target = "svc-7.b", .n_target = 7 };
        char key[64];

        fixture_init(f, NULL);
        cr_assert_eq(khs_writer_publish(f->writer), 0);
        for (uint32_t version = 1; version <= 3; version++) {
                for (uint32_t i = 0; i < N; i++) {
                        struct khs_row row;

                        (void)snprintf(key, sizeof(key), "svc-%u.b", i);
                        row = fixture_row(key, i * version, i % 60, i % 5);
                        row.version = version;
                        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
                }
        }
        cr_assert_eq(khs_writer_put(f->writer, &alias, fixture_now()), 0);
        cr_assert_eq(khs_writer_delete(f->writer, "svc-9.b", 7, fixture_now()), 0);
        f->writer = khs_writer_free(f->writer);
}

static int adopt(struct fixture *f)
{
        struct khs_table_params params = fixture_params();

        return khs_writer_adopt(&f->writer, f->dir_fd, &params, fixture_now());
}

/* The whole file, writable, as no other process would have it. */
static uint32_t *map_all(const struct fixture *f, size_t *ret_size)
{
        int fd = openat(f->dir_fd, KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);
        struct stat stat;
        uint32_t *map;

        cr_assert_eq(fstat(fd, &stat), 0);
        *ret_size = (size_t)stat.st_size;
        map = mmap(NULL, *ret_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        cr_assert_neq(map, MAP_FAILED);
        (void)close(fd);
        return map;
}

static void sign(uint32_t *map)
{
        struct khs_table_static *fixed = (struct khs_table_static *)map;
        uint32_t crc = KHS_CRC32C_INIT;

        fixed->checksum = 0;
        for (size_t i = 0; i < KHS_STATIC_SIZE / 4; i++)
                crc = khs_crc32c_word(crc, map[i]);
        fixed->checksum = khs_crc32c_end(crc);
}

static void expect_all(const struct khs_view *view, uint32_t version)
{
        static uint32_t v4[KHS_MAX_ADDRS];
        struct khs_found found;
        char key[64];

        for (uint32_t i = 0; i < N; i++) {
                struct khs_row row;

                (void)snprintf(key, sizeof(key), "svc-%u.b", i);
                row = fixture_row(key, i * version, i % 60, i % 5);
                if (i == 9) {
                        cr_expect_eq(khs_view_find(view, key, row.n_key, &found), -ENOENT);
                        continue;
                }
                cr_assert_eq(khs_view_find(view, key, row.n_key, &found), 0, "%s", key);
                cr_expect_eq(found.record.version, version);
                khs_found_copy(view, &found, AF_INET, 0, found.record.n4, v4, 4);
                cr_expect_eq(memcmp(v4, row.v4, row.n4 * 4), 0);
                cr_expect_eq(khs_found_intact(view, &found), 0);
        }
}

Test(adopt, takes_over_in_place_and_goes_on)
{
        struct khs_table_file before;
        struct khs_found found;
        struct fixture f;
        char key[64];

        leave(&f);
        fixture_open(&f, &before);
        cr_assert_eq(adopt(&f), 0);
        cr_expect_eq(khs_writer_check(f.writer), 0);
        cr_expect_eq(khs_view_load(&before.view, offsetof(struct khs_table_header, state) / 4), KHS_STATE_LIVE);
        expect_all(&before.view, 3);
        cr_expect_eq(khs_view_find(&before.view, "users", 5, &found), 0);
        for (uint32_t i = 0; i < N; i++) {
                struct khs_row row;

                if (i == 9)
                        continue;
                (void)snprintf(key, sizeof(key), "svc-%u.b", i);
                row = fixture_row(key, i * 4, i % 60, i % 5);
                row.version = 4;
                cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now() + KHS_GRACE_DS), 0);
        }
        khs_table_close(&before);
        fixture_open(&f, &before); /* a larger one, if that was due */
        expect_all(&before.view, 4);
        khs_table_close(&before);
        fixture_deinit(&f);
}

/* The blocks of earlier versions are free again, not lost: the file need not grow. */
Test(adopt, finds_free_blocks_again)
{
        struct khs_table_params params = fixture_params();
        struct fixture f;
        uint64_t size;
        char key[64];

        leave(&f);
        cr_assert_eq(adopt(&f), 0);
        size = khs_writer_size(f.writer);
        for (uint32_t version = 4; version < 8; version++) {
                f.writer = khs_writer_free(f.writer);
                cr_assert_eq(khs_writer_adopt(&f.writer, f.dir_fd, &params, fixture_now() + version * 1000), 0);
                for (uint32_t i = 0; i < N; i++) {
                        struct khs_row row;

                        (void)snprintf(key, sizeof(key), "svc-%u.b", i);
                        row = fixture_row(key, i * version, i % 60, i % 5);
                        row.version = version;
                        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now() + version * 1000 + 500), 0);
                }
                cr_expect_eq(khs_writer_size(f.writer), size);
        }
        fixture_deinit(&f);
}

static bool keep_odd(void *userdata, const char *key, const char *target)
{
        (void)userdata;
        return !target && (key[strlen(key) - 3] - '0') % 2;
}

Test(adopt, retains_only_what_is_wanted)
{
        struct khs_table_file file;
        struct khs_found found;
        struct fixture f;

        leave(&f);
        cr_assert_eq(adopt(&f), 0);
        khs_writer_retain(f.writer, keep_odd, NULL, fixture_now());
        fixture_open(&f, &file);
        cr_expect_eq(khs_view_find(&file.view, "svc-11.b", 8, &found), 0);
        cr_expect_eq(khs_view_find(&file.view, "svc-12.b", 8, &found), -ENOENT);
        cr_expect_eq(khs_view_find(&file.view, "users", 5, &found), -ENOENT);
        khs_table_close(&file);
        fixture_deinit(&f);
}

/* As a writer leaves it that is killed while it fills a block that it uses again. */
Test(adopt, reclaims_half_written_blocks)
{
        struct khs_found old, found;
        struct khs_table_file file;
        uint32_t *map, *block;
        struct fixture f;
        struct khs_row row;
        size_t size;

        leave(&f);
        cr_assert_eq(adopt(&f), 0);
        fixture_open(&f, &file);
        cr_assert_eq(khs_view_find(&file.view, "svc-0.b", 7, &old), 0);
        row = fixture_row("svc-0.b", 0, 0, 0);
        row.version = 3;
        row.port = 81;
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        f.writer = khs_writer_free(f.writer);

        /* nobody refers to it any more */
        map = map_all(&f, &size);
        block = map + old.block;
        block[0] |= 1;
        memset(block + 2, 0x5a, 14 * 4);
        cr_assert_eq(adopt(&f), 0);
        expect_all(&file.view, 3);
        for (uint32_t i = 0; i < 3 * N && block[0] % 2; i++) {
                row.version++;
                cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now() + KHS_GRACE_DS * (2 + i)), 0);
        }
        cr_expect_eq(block[0] % 2, 0, "used again");
        cr_assert_eq(khs_view_find(&file.view, "svc-0.b", 7, &found), 0);
        cr_expect_eq(found.record.seq % 2, 0, "parity survives: seq | 1, never seq + 1");
        cr_expect_eq(found.record.version, row.version);
        khs_table_close(&file);
        (void)munmap(map, size);
        fixture_deinit(&f);
}

/* Every kind of damage: refused as a whole, the file left as it was. */
Test(adopt, refuses_damage)
{
        struct khs_table_file file;
        struct khs_found found;
        struct fixture f;
        uint32_t *map, *entry = NULL, kept;
        size_t size;

        leave(&f);
        map = map_all(&f, &size);
        fixture_open(&f, &file);
        cr_assert_eq(khs_view_find(&file.view, "svc-42.b", 8, &found), 0);
        for (uint32_t i = 0; i < file.view.n_buckets * 8; i++) {
                if (map[file.view.idx_word + i * 2] == found.record.tag)
                        entry = map + file.view.idx_word + (size_t)i * 2;
        }
        cr_assert_not_null(entry);

        struct {
                uint32_t *word, value;
        } damages[] = {
                { map + found.v4_word, 0xdeadbeef },         /* an address: the CRC */
                { map + found.block, found.record.seq | 1 }, /* referred to, but odd */
                { map + found.block + 1, 17 },               /* no block size */
                { map + found.block + 1, 16384 },            /* beyond the arena */
                { map + found.block + 9, 1 },                /* another tag than its entry */
                { entry, found.record.tag ^ 2 },             /* not found by its key */
                { entry + 1, entry[1] + 1 },                 /* inside a block */
                { entry + 1, 0x7fffffff },                   /* outside the arena */
        };
        for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
                kept = *damages[i].word;
                *damages[i].word = damages[i].value;
                cr_expect_eq(adopt(&f), -EBADMSG, "damage %zu", i);
                *damages[i].word = kept;
        }
        /* two entries for one block */
        for (uint32_t i = 0; i < file.view.n_buckets * 8; i++) {
                uint32_t *other = map + file.view.idx_word + (size_t)i * 2;

                if (other != entry && other[1] != 0) {
                        kept = other[1];
                        other[1] = entry[1];
                        cr_expect_eq(adopt(&f), -EBADMSG);
                        other[1] = kept;
                        break;
                }
        }
        cr_expect_eq(adopt(&f), 0);
        khs_table_close(&file);
        (void)munmap(map, size);
        fixture_deinit(&f);
}

/* Made anew it is much smaller; readers of the old file notice nothing until the new one has the name. */
Test(adopt, leaves_what_is_nearly_empty)
{
        struct khs_table_file file;
        struct khs_found found;
        struct khs_row row;
        struct fixture f;
        char key[16];
        uint64_t size;

        fixture_init(&f, NULL);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (uint32_t i = 0; i < 50; i++) { /* some 80 of 4096 units and more */
                (void)snprintf(key, sizeof(key), "s%u.b", i);
                row = fixture_row(key, i, i < 30 ? KHS_MAX_ADDRS : 10, 0);
                cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        }
        size = khs_writer_size(f.writer);
        f.writer = khs_writer_free(f.writer);
        cr_assert_eq(adopt(&f), 0, "it is in use");
        for (uint32_t i = 0; i < 30; i++) {
                int n = snprintf(key, sizeof(key), "s%u.b", i);

                cr_assert_eq(khs_writer_delete(f.writer, key, (size_t)n, fixture_now()), 0);
        }
        f.writer = khs_writer_free(f.writer);
        cr_expect_eq(adopt(&f), -EFBIG);
        fixture_open(&f, &file);
        cr_expect_eq(khs_view_find(&file.view, "s40.b", 5, &found), 0);
        cr_expect_eq(khs_view_load(&file.view, offsetof(struct khs_table_header, state) / 4), KHS_STATE_LIVE);
        cr_expect_gt(size, 512 << 10);
        khs_table_close(&file);
        fixture_deinit(&f);
}

Test(adopt, refuses_another_boot_header_or_state)
{
        struct khs_table_params params = fixture_params();
        struct khs_table_static *fixed;
        struct khs_table_header *header;
        struct fixture f;
        uint32_t *map;
        size_t size;

        fixture_init(&f, NULL);
        f.writer = khs_writer_free(f.writer);
        cr_expect_eq(adopt(&f), -ENOENT);
        (void)rmdir(f.dir);
        leave(&f);
        map = map_all(&f, &size);
        fixed = (struct khs_table_static *)map;
        header = (struct khs_table_header *)map;

        fixed->boot_id[3] ^= 1;
        sign(map);
        cr_expect_eq(adopt(&f), -ESTALE);
        fixed->boot_id[3] ^= 1;
        fixed->minor++;
        sign(map);
        cr_expect_eq(adopt(&f), -ESTALE, "what a newer minor means is not known");
        fixed->minor--;
        fixed->major++;
        sign(map);
        cr_expect_eq(adopt(&f), -ESTALE);
        fixed->major--;
        sign(map);

        params.zone = "other.local";
        cr_expect_eq(khs_writer_adopt(&f.writer, f.dir_fd, &params, fixture_now()), -ESTALE);
        params = fixture_params();
        params.orphan_max_ds++;
        cr_expect_eq(khs_writer_adopt(&f.writer, f.dir_fd, &params, fixture_now()), -ESTALE);
        params = fixture_params();
        params.max_bytes = size - 1;
        cr_expect_eq(khs_writer_adopt(&f.writer, f.dir_fd, &params, fixture_now()), -ESTALE);

        header->state = KHS_STATE_SUPERSEDED;
        cr_expect_eq(adopt(&f), -ESTALE);
        header->state = KHS_STATE_LIVE;
        cr_assert_eq(fchmodat(f.dir_fd, KHS_TABLE_NAME, 0600, 0), 0);
        cr_expect_eq(adopt(&f), -ESTALE);
        cr_assert_eq(fchmodat(f.dir_fd, KHS_TABLE_NAME, 0644, 0), 0);
        cr_expect_eq(adopt(&f), 0);
        (void)munmap(map, size);
        fixture_deinit(&f);
}
