/*
 * Tables that lie: each field at its edges, random bytes, files of the wrong kind. The reader must
 * refuse or answer, inside the map, in bounded time. The map lies against a page that can't be read.
 */

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "read/crc.h"
#include "table-fixture.h"
#include "table/crc32c.h"

/* A copy of a real table that ends at a page without access. */
struct copy {
        uint32_t *words;
        size_t size;
};

static void copy_make(struct copy *c, uint32_t n_services)
{
        struct khs_table_file file;
        struct khs_row row;
        struct fixture f;
        char key[64];

        fixture_init(&f, NULL);
        for (uint32_t i = 0; i < n_services; i++) {
                (void)snprintf(key, sizeof(key), "svc-%u.default", i);
                row = fixture_row(key, i, i % 20, i % 3);
                cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        }
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &file);
        c->size = (size_t)file.view.n_words * 4;
        c->words = mmap(NULL, c->size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        cr_assert_neq(c->words, MAP_FAILED);
        memcpy(c->words, file.view.map, c->size);
        cr_assert_eq(mprotect(c->words + c->size / 4, 4096, PROT_NONE), 0);
        khs_table_close(&file);
        fixture_deinit(&f);
}

static void sign(struct copy *c)
{
        struct khs_table_static *fixed = (struct khs_table_static *)c->words;
        uint32_t crc = KHS_CRC32C_INIT;

        fixed->checksum = 0;
        for (size_t i = 0; i < KHS_STATIC_SIZE / 4; i++)
                crc = khs_crc32c_word(crc, c->words[i]);
        fixed->checksum = khs_crc32c_end(crc);
}

/* Everything that a reader does, on whatever there is. Return: lookups that answered. */
static unsigned int exercise(const struct copy *c)
{
        static uint8_t out[KHS_MAX_ADDRS][16];
        unsigned int n_answers = 0;
        struct khs_view view;
        struct khs_found found;
        uint32_t cursor = 0;
        char key[256];

        if (khs_view_init(&view, c->words, -1, c->size) < 0)
                return 0;
        for (uint32_t i = 0; i < 60; i++) {
                int n = snprintf(key, sizeof(key), "svc-%u.default", i);

                if (khs_view_find(&view, key, (size_t)n, &found) < 0)
                        continue;
                n_answers++;
                khs_found_copy(&view, &found, AF_INET, 0, found.record.n4, out, 16);
                khs_found_copy(&view, &found, AF_INET6, 0, found.record.n6, out, 16);
                (void)khs_found_alias(&view, &found, key);
                (void)khs_found_intact(&view, &found);
        }
        while (khs_view_next(&view, &cursor, &found, key) == 0)
                (void)khs_found_intact(&view, &found);
        return n_answers;
}

Test(hostile, copy_itself_is_good)
{
        struct copy c;

        copy_make(&c, 50);
        sign(&c);
        cr_expect_eq(exercise(&c), 50);
}

/* Each byte of the static header, through values that mean trouble, with a good checksum. */
Test(hostile, survives_every_header_word)
{
        static const uint32_t values[] = { 0,      1,       2,          3,          7,          8,         16,
                                           17,     24,      25,         26,         0x7f,       0xff,      0x100,
                                           0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
        struct copy c;

        copy_make(&c, 50);
        for (size_t word = 0; word < KHS_STATIC_SIZE / 4; word++) {
                uint32_t *at = c.words + word, kept = *at;

                for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
                        *at = values[i];
                        sign(&c);
                        (void)exercise(&c);
                        *at = kept + values[i];
                        sign(&c);
                        (void)exercise(&c);
                }
                *at = kept;
        }
        sign(&c);
        cr_expect_eq(exercise(&c), 50);
}

Test(hostile, refuses_a_header_that_is_not_signed)
{
        struct khs_view view;
        struct copy c;

        copy_make(&c, 1);
        for (size_t byte = 0; byte < KHS_STATIC_SIZE; byte++) {
                ((uint8_t *)c.words)[byte] ^= 1;
                cr_expect_lt(khs_view_init(&view, c.words, -1, c.size), 0, "byte %zu", byte);
                ((uint8_t *)c.words)[byte] ^= 1;
        }
        cr_expect_eq(khs_view_init(&view, c.words, -1, c.size), 0);
}

Test(hostile, refuses_sizes_that_do_not_match)
{
        static const size_t sizes[] = { 0, 1, 1024, 4095, 4096, 8192, 12288 };
        struct khs_view view;
        struct copy c;

        copy_make(&c, 1);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
                cr_expect_lt(khs_view_init(&view, c.words, -1, sizes[i]), 0);
        cr_expect_lt(khs_view_init(&view, c.words, -1, c.size - 4096), 0);
        cr_expect_lt(khs_view_init(&view, c.words, -1, c.size + 4096), 0, "would read behind the file");
        cr_expect_lt(khs_view_init(&view, c.words, -1, c.size - 1), 0);
        cr_expect_lt(khs_view_init(&view, c.words, -1, 1ULL << 40), 0);
}

/* Any words in index and arena: refs into the middle of blocks, sizes beyond the file, equal tags. */
Test(hostile, survives_random_words_in_index_and_arena)
{
        struct copy c;

        copy_make(&c, 50);
        srandom(1);
        for (int round = 0; round < 3000; round++) {
                uint8_t *kept = malloc(c.size);

                cr_assert_not_null(kept);
                memcpy(kept, c.words, c.size);
                for (int i = 0; i < 40; i++) {
                        size_t at = (size_t)random() % (c.size / 4 - 1024);
                        static const uint32_t edges[] = { 0, 1, 2, 3, 0xff, 0x1388, 0x1389, 0x4000, 0xffffffff };

                        /* mostly where records are */
                        if (i & 1)
                                at = 1024 + (size_t)random() % 6400;
                        c.words[1024 + at] = i % 3 ? edges[random() % 9] : (uint32_t)random() << 1;
                }
                (void)exercise(&c);
                memcpy(c.words, kept, c.size);
                free(kept);
        }
        cr_expect_eq(exercise(&c), 50);
}

Test(hostile, is_bounded_when_every_entry_has_the_tag)
{
        struct khs_table_static *fixed;
        struct khs_view view;
        struct khs_found found;
        struct copy c;

        copy_make(&c, 50);
        fixed = (struct khs_table_static *)c.words;
        cr_assert_eq(khs_view_init(&view, c.words, -1, c.size), 0);
        cr_assert_eq(khs_view_find(&view, "svc-1.default", 13, &found), 0);
        for (uint32_t i = 0; i < 1U << fixed->idx_log2; i++) {
                struct khs_entry *entry = (struct khs_entry *)(c.words + 1024) + i;

                entry->tag = found.record.tag;
                if (!entry->ref || i % 2)
                        entry->ref = 1 + (i % 50);
        }
        for (int i = 0; i < 1000; i++) {
                int r = khs_view_find(&view, "svc-1.default", 13, &found);

                cr_expect(r == 0 || r == -EBADMSG || r == -ENOENT || r == -EBUSY, "%d", r);
        }
}

/* A block that is for ever being written costs eight tries, not for ever. */
Test(hostile, gives_up_on_an_odd_sequence)
{
        struct khs_view view;
        struct khs_found found;
        struct copy c;

        copy_make(&c, 2);
        cr_assert_eq(khs_view_init(&view, c.words, -1, c.size), 0);
        cr_assert_eq(khs_view_find(&view, "svc-1.default", 13, &found), 0);
        c.words[found.block] |= 1;
        cr_expect_eq(khs_view_find(&view, "svc-1.default", 13, &found), -EBUSY);
}

static int try_open(const struct fixture *f)
{
        struct khs_table_file file;
        int r = khs_table_open(f->dir, KHS_OPEN_MAP, NULL, &file);

        if (r == 0)
                khs_table_close(&file);
        return r;
}

/* Names that are not a table: refused, and never waited for. */
Test(hostile, refuses_files_of_the_wrong_kind)
{
        struct fixture f;
        char path[128], other[128];

        fixture_init(&f, NULL);
        (void)snprintf(path, sizeof(path), "%s/" KHS_TABLE_NAME, f.dir);
        (void)snprintf(other, sizeof(other), "%s/other", f.dir);
        cr_expect_eq(try_open(&f), -ENOENT);

        cr_assert_eq(mkfifo(path, 0644), 0);
        cr_expect_eq(try_open(&f), -EBADMSG);
        cr_assert_eq(unlink(path), 0);

        cr_assert_eq(mkdir(path, 0755), 0);
        cr_expect_lt(try_open(&f), 0);
        cr_assert_eq(rmdir(path), 0);

        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_expect_eq(try_open(&f), 0);
        cr_assert_eq(chmod(path, 0664), 0);
        cr_expect_eq(try_open(&f), -EPERM);
        cr_assert_eq(chmod(path, 0646), 0);
        cr_expect_eq(try_open(&f), -EPERM);
        cr_assert_eq(chmod(path, 0644), 0);

        cr_assert_eq(rename(path, other), 0);
        cr_assert_eq(symlink("other", path), 0);
        cr_expect_eq(try_open(&f), -ELOOP);
        fixture_deinit(&f);
}

Test(hostile, believes_only_root_and_the_owner_of_the_directory)
{
        struct fixture f;

        if (geteuid() != 0)
                cr_skip_test("needs root");
        fixture_init(&f, NULL);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_eq(fchownat(f.dir_fd, KHS_TABLE_NAME, 1234, 1234, 0), 0);
        cr_expect_eq(try_open(&f), -EPERM);
        cr_assert_eq(fchown(f.dir_fd, 1234, 1234), 0);
        cr_expect_eq(try_open(&f), 0);
        cr_assert_eq(fchown(f.dir_fd, 0, 0), 0);
        cr_assert_eq(fchownat(f.dir_fd, KHS_TABLE_NAME, 0, 0, 0), 0);
        fixture_deinit(&f);
}

Test(hostile, leaves_errno_and_no_descriptor)
{
        struct khs_table_file file;
        struct fixture f;
        int before, after;

        fixture_init(&f, NULL);
        before = dup(0);
        (void)close(before);
        errno = 4711;
        cr_expect_eq(khs_table_open(f.dir, KHS_OPEN_MAP, NULL, &file), -ENOENT);
        cr_expect_eq(khs_table_open("/nonexistent", KHS_OPEN_MAP, NULL, &file), -ENOENT);
        cr_expect_eq(errno, 4711);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        errno = 4711;
        fixture_open(&f, &file);
        khs_table_close(&file);
        cr_expect_eq(errno, 4711);
        after = dup(0);
        (void)close(after);
        cr_expect_eq(before, after);
        fixture_deinit(&f);
}
