/*
 * What hardly ever happens to a table: a record that changes between two certain loads of its reader, and
 * calls of the writer that fail.
 *
 * The reader is built into this program once more, over edge-atomic.h. The writer's calls are wrapped by
 * the linker (--wrap, see meson.build).
 */

#define KHS_TABLE_ATOMIC_H "edge-atomic.h"
#include "read/attrs.c"
#include "read/view.c"

#include <sched.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/random.h>

#include "read/crc.h"
#include "table-fixture.h"
#include "write/file.h"
#include "write/record/record.h"

/* ---- traps ---- */

#define N_CHANGES 4

/* Before the nth load of `word` from now: stores. */
static struct trap {
        const uint32_t *word;
        unsigned int nth;
        struct {
                uint32_t *at, value;
        } changes[N_CHANGES];
} trap;

void edge_trap(const uint32_t *word)
{
        if (word != trap.word || --trap.nth > 0)
                return;
        trap.word = NULL;
        for (size_t i = 0; i < N_CHANGES && trap.changes[i].at; i++)
                *trap.changes[i].at = trap.changes[i].value;
}

/* ---- faults ---- */

static struct {
        const char *call; /* NULL: none */
        unsigned int nth, n_times;
        int error;
} fault;

static bool fails(const char *call)
{
        if (!fault.call || strcmp(fault.call, call) != 0 || --fault.nth > 0)
                return false;
        if (--fault.n_times > 0)
                fault.nth = 1;
        else
                fault.call = NULL;
        errno = fault.error;
        return true;
}

/* From the nth call from now, so many. */
static void inject_many(const char *call, unsigned int nth, unsigned int n_times, int error)
{
        fault.call = call;
        fault.nth = nth;
        fault.n_times = n_times;
        fault.error = error;
}

static void inject(const char *call, unsigned int nth, int error)
{
        inject_many(call, nth, 1, error);
}

#define WRAP(type, name, bad, params, args)                                                                            \
        type __real_##name params;                                                                                     \
        type __wrap_##name params;                                                                                     \
        type __wrap_##name params                                                                                      \
        {                                                                                                              \
                return fails(#name) ? (bad) : __real_##name args;                                                      \
        }

WRAP(void *, calloc, NULL, (size_t n, size_t size), (n, size))
WRAP(void *, mmap64, MAP_FAILED, (void *at, size_t n, int prot, int flags, int fd, off_t offset),
     (at, n, prot, flags, fd, offset))
WRAP(int, fstat64, -1, (int fd, struct stat *ret), (fd, ret))
WRAP(ssize_t, getrandom, -1, (void *ret, size_t n, unsigned int flags), (ret, n, flags))
WRAP(int, posix_fallocate64, fault.error, (int fd, off_t at, off_t n), (fd, at, n))
WRAP(int, fchmod, -1, (int fd, mode_t mode), (fd, mode))
WRAP(int, renameat, -1, (int from_fd, const char *from, int to_fd, const char *to), (from_fd, from, to_fd, to))
WRAP(bool, khs_boot_id, false, (uint8_t * ret), (ret))
WRAP(int, khs_file_put, -fault.error,
     (struct khs_file * file, const struct khs_row *row, struct khs_image *image, uint32_t now_ds),
     (file, row, image, now_ds))
WRAP(int, khs_file_copy, -fault.error,
     (struct khs_file * to, const struct khs_file *from, struct khs_image *image, uint32_t now_ds),
     (to, from, image, now_ds))

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
        va_list args;
        void *lock;

        va_start(args, command);
        lock = va_arg(args, void *);
        va_end(args);
        return fails("fcntl64") ? -1 : __real_fcntl64(fd, command, lock);
}

/* ---- tables ---- */

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

/* One service, one alias, and a writable view of them. */
struct edge {
        struct fixture f;
        struct khs_view view;
        uint32_t *map, *entry;
        struct khs_found found; /* of KEY */
        size_t size;
};

#define KEY   "service-a.default"
#define N_KEY (sizeof(KEY) - 1)

static void edge_init(struct edge *e)
{
        const struct khs_row alias = { .key = "users", .n_key = 5, .target = KEY, .n_target = N_KEY };
        struct khs_row row = fixture_row(KEY, 0, 20, 2);

        fixture_init(&e->f, NULL);
        cr_assert_eq(khs_writer_put(e->f.writer, &row, fixture_now()), 0);
        row = fixture_row("service-b.default", 50, 20, 2);
        cr_assert_eq(khs_writer_put(e->f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_put(e->f.writer, &alias, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(e->f.writer), 0);
        e->map = map_all(&e->f, &e->size);
        cr_assert_eq(khs_view_init(&e->view, e->map, -1, e->size), 0);
        cr_assert_eq(khs_view_find(&e->view, KEY, N_KEY, &e->found), 0);
        for (uint32_t i = 0; i < e->view.n_buckets * KHS_BUCKET_ENTRIES; i++) {
                if (e->map[e->view.idx_word + i * 2] == e->found.record.tag)
                        e->entry = e->map + e->view.idx_word + (size_t)i * 2;
        }
        cr_assert_not_null(e->entry);
}

static void edge_deinit(struct edge *e)
{
        (void)munmap(e->map, e->size);
        fixture_deinit(&e->f);
}

static int find(struct edge *e)
{
        struct khs_found found;

        return khs_view_find(&e->view, KEY, N_KEY, &found);
}

/* The last word of the key: 17 bytes are five words. */
static uint32_t *key_end(struct edge *e)
{
        return e->map + e->found.block + KHS_UNIT_WORDS + 4;
}

/* ---- races ---- */

Test(edges, searches_again_when_the_block_is_used_again)
{
        struct edge e;
        uint32_t *block, seq;

        edge_init(&e);
        block = e.map + e.found.block;
        seq = e.found.record.seq;

        /* after its header was copied */
        trap = (struct trap){ key_end(&e), 1, { { block, seq + 2 } } };
        cr_expect_eq(find(&e), 0);
        cr_expect_null(trap.word, "sprung");
        /* with another key; which it then is */
        trap = (struct trap){ key_end(&e), 1, { { block, seq + 4 }, { key_end(&e), 'x' } } };
        cr_expect_eq(find(&e), -ENOENT);
        *key_end(&e) = 't';
        /* while its header is copied: sizes that can't be */
        trap = (struct trap){ block + 1, 1, { { block, seq + 6 }, { block + 1, 0 } } };
        cr_expect_eq(find(&e), -EBADMSG, "the second search sees them without a change");
        block[1] = e.found.record.units;
        cr_expect_eq(find(&e), 0);
        edge_deinit(&e);
}

/* Another key behind our tag, or damage: unless the entry has moved on meanwhile. */
Test(edges, searches_again_when_the_entry_moves_on)
{
        struct edge e;
        uint32_t ref, tag;

        edge_init(&e);
        ref = e.entry[1];
        tag = e.entry[0];
        *key_end(&e) = 'x';
        trap = (struct trap){ e.entry + 1, 2, { { key_end(&e), 't' }, { e.entry + 1, 0 } } };
        cr_expect_eq(find(&e), -ENOENT, "deleted meanwhile");
        e.entry[1] = ref;
        *key_end(&e) = 'x';
        /* its first load is the search's */
        trap = (struct trap){ e.entry, 2, { { e.entry, tag ^ 2 } } };
        cr_expect_eq(find(&e), -ENOENT, "the entry is another key's now");
        e.entry[0] = tag;
        *key_end(&e) = 't';
        cr_expect_eq(find(&e), 0);
        edge_deinit(&e);
}

/* A pod's rows that move between the two searches for the first of them and for what is behind the last. */
Test(edges, finds_no_pod_whose_rows_change_meanwhile)
{
        const struct khs_row_endpoint endpoints[] = { { .host = "a", .ordinal = -1 },
                                                      { .host = "b", .ordinal = -1 },
                                                      { .host = "c", .ordinal = -1 } };
        struct khs_row row = fixture_row(KEY, 0, 3, 0);
        struct khs_attrs_at attrs;
        uint32_t *by_host, first;
        struct edge e;

        edge_init(&e);
        row.endpoints = endpoints;
        row.version = 99;
        cr_assert_eq(khs_writer_put(e.f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_view_find(&e.view, KEY, N_KEY, &e.found), 0);
        cr_assert_eq(khs_attrs_open(&e.view, &e.found, &attrs), 0);
        by_host = e.map + attrs.word + attrs.head.by_host;
        cr_assert_eq(by_host[0], 0 | 1U << 16);
        cr_expect_eq(khs_attrs_find_host(&e.view, &attrs, "b", 1, &first), 1);
        cr_expect_eq(first, 1);
        trap = (struct trap){ by_host, 4, { { by_host, 0 | 2U << 16 } } };
        cr_expect_eq(khs_attrs_find_host(&e.view, &attrs, "b", 1, &first), 0);
        cr_expect_null(trap.word, "sprung");
        edge_deinit(&e);
}

Test(edges, tells_that_an_entry_changed_while_it_was_walked_over)
{
        struct khs_found found;
        struct edge e;
        char key[256];
        uint32_t i;

        edge_init(&e);
        i = (uint32_t)(e.entry - e.map - e.view.idx_word) / 2;
        trap = (struct trap){ key_end(&e), 1, { { e.map + e.found.block, e.found.record.seq + 2 } } };
        cr_expect_eq(khs_view_entry(&e.view, i, &found, key), -EAGAIN);
        cr_expect_eq(khs_view_entry(&e.view, i, &found, key), 0);
        /* the entry is another block's before the seq of the one that it led to is looked at */
        trap = (struct trap){ e.entry + 1, 2, { { e.entry + 1, 0 } } };
        cr_expect_lt(khs_view_entry(&e.view, i, &found, key), 0);
        cr_expect_eq(khs_view_entry(&e.view, i, &found, key), -ENOENT);
        edge_deinit(&e);
}

Test(edges, tells_damage_of_an_alias_from_a_change)
{
        struct khs_found alias, full;
        struct khs_row row;
        struct edge e;
        char key[256];
        uint32_t *word;

        edge_init(&e);
        cr_assert_eq(khs_view_find(&e.view, "users", 5, &alias), 0);
        word = e.map + alias.v4_word;
        trap = (struct trap){ word + 1, 1, { { e.map + alias.block, alias.record.seq + 2 } } };
        cr_expect_eq(khs_found_alias(&e.view, &alias, key), -EBUSY);
        cr_assert_eq(khs_view_find(&e.view, "users", 5, &alias), 0);
        trap = (struct trap){ word, 1, { { e.map + alias.block, alias.record.seq + 2 }, { word, 254 } } };
        cr_expect_eq(khs_found_alias(&e.view, &alias, key), -EBUSY);
        cr_assert_eq(khs_view_find(&e.view, "users", 5, &alias), 0);
        cr_expect_eq(khs_found_alias(&e.view, &alias, key), -EBADMSG, "254");
        *word = 0;
        cr_expect_eq(khs_found_alias(&e.view, &alias, key), -EBADMSG);
        *word = 253;
        cr_expect_eq(khs_found_alias(&e.view, &alias, key), -EBADMSG, "not inside the block");

        /* a key that ends where its block does: no room for a target */
        memset(key, 'k', 192);
        row = fixture_row("x", 0, 0, 0);
        row.key = key;
        row.n_key = 192;
        cr_assert_eq(khs_writer_put(e.f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_view_find(&e.view, key, 192, &full), 0);
        cr_assert_eq(full.v4_word - full.block, full.record.units * KHS_UNIT_WORDS);
        cr_expect_eq(khs_found_alias(&e.view, &full, key), -EBADMSG);
        edge_deinit(&e);
}

Test(edges, notices_a_change_during_the_crc)
{
        struct edge e;

        edge_init(&e);
        /* read/crc.c has no trap: a seq that is not the found one is the same to it */
        e.map[e.found.block] += 2;
        cr_expect_eq(khs_found_intact(&e.view, &e.found), -EBUSY);
        edge_deinit(&e);
}

/* ---- bounds ---- */

Test(edges, ends_a_search_in_a_full_index)
{
        struct khs_found other;
        struct edge e;

        edge_init(&e);
        cr_assert_eq(khs_view_find(&e.view, "service-b.default", N_KEY, &other), 0);
        for (uint32_t i = 0; i < e.view.n_buckets * KHS_BUCKET_ENTRIES; i++) {
                e.map[e.view.idx_word + i * 2] = e.found.record.tag ^ 2;
                e.map[e.view.idx_word + i * 2 + 1] = 1;
        }
        cr_expect_eq(find(&e), -ENOENT, "no free entry within max_probe buckets");
        for (uint32_t i = 0; i < e.view.n_buckets * KHS_BUCKET_ENTRIES; i++) {
                e.map[e.view.idx_word + i * 2] = e.found.record.tag;
                e.map[e.view.idx_word + i * 2 + 1] = 1 + (other.block - e.view.arena_word) / KHS_UNIT_WORDS;
        }
        cr_expect_eq(find(&e), -EBADMSG, "so many keys have no equal tags");
        edge_deinit(&e);
}

/* As a map has it, in whole words and in what is left of the last. */
Test(edges, compares_keys_in_a_file_that_is_read)
{
        struct khs_row row = fixture_row("four.default", 100, 1, 0);
        struct khs_table_file file;
        struct khs_found found;
        struct edge e;

        edge_init(&e);
        cr_assert_eq(khs_writer_put(e.f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_table_open(e.f.dir, KHS_OPEN_PREAD, NULL, &file), 0);
        cr_expect_eq(khs_view_find(&file.view, row.key, row.n_key, &found), 0, "three words");
        cr_expect_eq(khs_view_find(&file.view, KEY, N_KEY, &found), 0);
        *key_end(&e) = 'x';
        cr_expect_eq(khs_view_find(&file.view, KEY, N_KEY, &found), -ENOENT);
        *key_end(&e) = 't';
        key_end(&e)[-4] ^= 1;
        cr_expect_eq(khs_view_find(&file.view, KEY, N_KEY, &found), -ENOENT);
        key_end(&e)[-4] ^= 1;
        cr_expect_eq(khs_view_find(&file.view, KEY, N_KEY, &found), 0);
        khs_table_close(&file);
        edge_deinit(&e);
}

Test(edges, takes_a_file_that_shrank_for_damaged)
{
        struct khs_table_file file;
        struct khs_found found;
        struct edge e;

        edge_init(&e);
        cr_assert_eq(khs_table_open(e.f.dir, KHS_OPEN_PREAD, NULL, &file), 0);
        cr_assert_eq(khs_view_find(&file.view, KEY, N_KEY, &found), 0);
        {
                int fd = openat(e.f.dir_fd, KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);

                cr_assert_eq(ftruncate(fd, (off_t)e.view.arena_word * 4), 0);
                cr_expect_eq(khs_view_find(&file.view, KEY, N_KEY, &found), -EBUSY, "every seq reads as odd");
                cr_assert_eq(ftruncate(fd, 4096), 0);
                (void)close(fd);
        }
        errno = 4711;
        cr_expect_eq(khs_view_find(&file.view, KEY, N_KEY, &found), -ENOENT, "no entry has this tag");
        cr_expect_eq(errno, 4711);
        khs_table_close(&file);
        edge_deinit(&e);
}

/* ---- the writer's rows ---- */

Test(edges, refuses_rows_and_aliases_out_of_range)
{
        struct khs_row row, alias = { .key = "users", .n_key = 5, .target = "a.b", .n_target = 3 };
        struct fixture f;

        fixture_init(&f, NULL);
        row = fixture_row("a.b", 0, 1, 0);
        row.n6 = KHS_MAX_ADDRS + 1;
        cr_expect_eq(khs_writer_put(f.writer, &row, fixture_now()), -EINVAL);
        alias.n_target = 0;
        cr_expect_eq(khs_writer_put(f.writer, &alias, fixture_now()), -EINVAL);
        alias.n_target = KHS_KEY_MAX + 1;
        cr_expect_eq(khs_writer_put(f.writer, &alias, fixture_now()), -EINVAL);
        alias.n_target = 3;
        alias.n4 = 1;
        cr_expect_eq(khs_writer_put(f.writer, &alias, fixture_now()), -EINVAL);
        alias.n4 = 0;
        alias.n6 = 1;
        cr_expect_eq(khs_writer_put(f.writer, &alias, fixture_now()), -EINVAL);
        alias.n6 = 0;
        cr_expect_eq(khs_writer_put(f.writer, &alias, fixture_now()), 0);
        fixture_deinit(&f);
}

/* Each single difference is a new record. */
Test(edges, sees_every_difference_between_two_records)
{
        struct khs_table_file file;
        struct khs_found before, after;
        struct khs_row row, other;
        struct fixture f;

        fixture_init(&f, NULL);
        row = fixture_row("a.b", 0, 3, 1);
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &file);
        for (int i = 0; i < 8; i++) {
                cr_assert_eq(khs_view_find(&file.view, "a.b", 3, &before), 0);
                other = fixture_row("a.b", i == 0 ? 1 : 0, i == 1 ? 4 : i == 7 ? 60 : 3, i == 2 ? 2 : 1);
                other.policy += i == 3;
                other.version += i == 4;
                other.port += i == 5;
                other.flags = i == 6 ? KHS_REC_TRUNCATED : 0;
                cr_assert_eq(khs_writer_put(f.writer, &other, fixture_now()), 0);
                cr_assert_eq(khs_view_find(&file.view, "a.b", 3, &after), 0);
                cr_expect_neq(after.block, before.block, "%d", i);
                row = fixture_row("a.b", 0, 3, 1);
                cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        }
        khs_table_close(&file);
        fixture_deinit(&f);
}

/* ---- one file ---- */

static struct khs_image image;

static struct khs_file *file_new(struct fixture *f, uint32_t idx_log2, uint32_t units)
{
        const struct khs_geometry geometry = { .idx_log2 = idx_log2, .arena_units = units };
        const struct khs_table_static fixed = {
                .magic = KHS_MAGIC,
                .endian = KHS_ENDIAN,
                .major = KHS_MAJOR,
                .header_size = KHS_HEADER_SIZE,
                .max_probe = KHS_PROBE_DEFAULT,
                .max_addr = KHS_MAX_ADDRS,
        };
        struct khs_file *file;

        cr_assert_eq(khs_file_new(&file, f->dir_fd, &fixed, &geometry, NULL), 0);
        return file;
}

static uint64_t hash_of(const struct khs_file *file, const char *key)
{
        return khs_siphash13(file->hash_key, key, strlen(key));
}

Test(edges, says_when_no_place_is_left_near_a_bucket)
{
        struct khs_file *file;
        struct khs_row row;
        struct fixture f;
        unsigned int n = 0;
        char key[32];
        int r = 0;

        fixture_init(&f, NULL);
        /* 32 buckets: eight of them are full long before half of all entries are */
        file = file_new(&f, 8, 1024);
        for (uint32_t i = 0; r == 0 && i < 1000000; i++) {
                (void)snprintf(key, sizeof(key), "s%u", i);
                if (hash_of(file, key) % 32 != 30)
                        continue;
                row = fixture_row(key, 0, 0, 0);
                r = khs_file_put(file, &row, &image, 100);
                n += r == 0;
        }
        cr_expect_eq(r, -EXFULL);
        cr_expect_eq(n, 64, "%u", n);
        cr_expect_eq(khs_file_delete(file, key, strlen(key), 100), -ENOENT);
        khs_file_free(file, f.dir_fd);

        /* a single bucket, full of what is no more */
        file = file_new(&f, 3, 64);
        for (uint32_t i = 0; i < 8; i++)
                file->map[file->idx_word + i * 2] = 1;
        row = fixture_row("a.b", 0, 1, 0);
        cr_expect_eq(khs_file_put(file, &row, &image, 100), 0);
        cr_expect_eq(khs_file_delete(file, "a.b", 3, 100), 0);
        khs_file_free(file, f.dir_fd);
        fixture_deinit(&f);
}

struct hashed {
        uint32_t tag, bucket, i;
};

static int compare_hashed(const void *a, const void *b)
{
        return memcmp(a, b, 2 * sizeof(uint32_t));
}

/* Two keys with one tag in one bucket: found by their birthdays. */
Test(edges, tells_keys_with_equal_tags_apart)
{
        enum { N = 3000000 };
        struct hashed *all = malloc(N * sizeof(*all));
        unsigned int n_equal_length = 0, n_other_length = 0;
        struct khs_file *file;
        struct khs_view view;
        struct khs_found found;
        struct fixture f;
        char a[32], b[32];

        fixture_init(&f, NULL);
        file = file_new(&f, 9, 4096);
        cr_assert_not_null(all);
        cr_assert_eq(khs_view_init(&view, file->map, -1, file->size), 0);
        for (uint32_t i = 0; i < N; i++) {
                uint64_t hash;

                (void)snprintf(a, sizeof(a), "s%u", i);
                hash = hash_of(file, a);
                all[i] = (struct hashed){ (uint32_t)(hash >> 32) | 1, (uint32_t)hash % 64, i };
        }
        qsort(all, N, sizeof(*all), compare_hashed);
        for (uint32_t i = 1; i < N && (n_equal_length < 2 || n_other_length < 2); i++) {
                struct khs_row row;

                if (compare_hashed(&all[i - 1], &all[i]) != 0)
                        continue;
                (void)snprintf(a, sizeof(a), "s%u", all[i - 1].i);
                (void)snprintf(b, sizeof(b), "s%u", all[i].i);
                n_equal_length += strlen(a) == strlen(b);
                n_other_length += strlen(a) != strlen(b);
                row = fixture_row(a, 1, 1, 0);
                cr_assert_eq(khs_file_put(file, &row, &image, 100), 0);
                cr_expect_eq(khs_view_find(&view, b, strlen(b), &found), -ENOENT);
                row = fixture_row(b, 2, 1, 0);
                cr_assert_eq(khs_file_put(file, &row, &image, 100), 0);
                for (uint32_t k = 1; k <= 2; k++) {
                        const char *key = k == 1 ? a : b;
                        uint32_t address;

                        cr_assert_eq(khs_view_find(&view, key, strlen(key), &found), 0);
                        khs_found_copy(&view, &found, AF_INET, 0, 1, &address, 4);
                        cr_expect_eq(ntohl(address), 0x0a000000 + k);
                }
        }
        cr_expect_gt(n_equal_length, 0);
        free(all);
        khs_file_free(file, f.dir_fd);
        fixture_deinit(&f);
}

Test(edges, copies_nothing_into_a_file_without_room)
{
        struct khs_file *from, *to;
        struct khs_row row;
        struct fixture f;

        fixture_init(&f, NULL);
        from = file_new(&f, 9, 64);
        row = fixture_row("a.b", 1, 50, 0);
        cr_assert_eq(khs_file_put(from, &row, &image, 100), 0);
        to = file_new(&f, 9, 2);
        cr_expect_eq(khs_file_copy(to, from, &image, 100), -ENOSPC);
        khs_file_free(to, f.dir_fd);
        to = file_new(&f, 9, 64);
        for (uint32_t i = 0; i < 512; i++) {
                to->map[to->idx_word + i * 2] = 1;
                to->map[to->idx_word + i * 2 + 1] = 1;
        }
        cr_expect_eq(khs_file_copy(to, from, &image, 100), -EXFULL);
        khs_file_free(to, f.dir_fd);
        khs_file_free(from, f.dir_fd);
        fixture_deinit(&f);
}

Test(edges, uses_the_only_free_block_of_its_class_again)
{
        struct khs_pool pool;
        uint32_t first, second, third;

        cr_assert_eq(khs_pool_init(&pool, 8), 0);
        cr_assert_eq(khs_pool_take(&pool, 1, 0, &first), 0);
        khs_pool_give(&pool, first, 100);
        cr_expect_eq(khs_pool_resting(&pool, 100), 2);
        cr_expect_eq(khs_pool_resting(&pool, 100 + KHS_GRACE_DS), 0);
        cr_assert_eq(khs_pool_take(&pool, 1, 100, &second), 0);
        cr_expect_neq(second, first);
        cr_assert_eq(khs_pool_take(&pool, 1, 100 + KHS_GRACE_DS, &third), 0);
        cr_expect_eq(third, first);
        cr_expect_eq(pool.n_free, 0);
        khs_pool_deinit(&pool);
}

/* ---- making files ---- */

static int names_in(const struct fixture *f, const char *name)
{
        return faccessat(f->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whatever fails while a file is made: the error is told, nothing is left, the next try is fine. */
Test(edges, leaves_nothing_when_a_file_can_not_be_made)
{
        static const struct {
                const char *call;
                unsigned int nth;
                int error, expected;
        } faults[] = {
                { "calloc", 1, ENOMEM, -ENOMEM },     { "calloc", 2, ENOMEM, -ENOMEM },
                { "calloc", 3, ENOMEM, -ENOMEM },     { "calloc", 4, ENOMEM, -ENOMEM },
                { "calloc", 5, ENOMEM, -ENOMEM },     { "posix_fallocate64", 1, ENOSPC, 0 }, /* a smaller one is made */
                { "posix_fallocate64", 1, EINTR, 0 }, { "fchmod", 1, EPERM, -EPERM },
                { "fstat64", 1, EIO, -EIO },          { "mmap64", 1, ENOMEM, -ENOMEM },
                { "getrandom", 1, EAGAIN, -EAGAIN },
        };
        struct khs_table_params params = fixture_params();
        struct fixture f;

        fixture_init(&f, NULL);
        f.writer = khs_writer_free(f.writer);
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
                int r;

                inject(faults[i].call, faults[i].nth, faults[i].error);
                r = khs_writer_new(&f.writer, f.dir_fd, &params, 1);
                cr_expect_eq(r, faults[i].expected, "%s: %d", faults[i].call, r);
                cr_expect_null(fault.call, "%s was called", faults[i].call);
                if (r == 0)
                        f.writer = khs_writer_free(f.writer);
                cr_expect_not(names_in(&f, KHS_TABLE_NAME ".new"), "%s", faults[i].call);
        }
        cr_assert_eq(khs_writer_new(&f.writer, f.dir_fd, &params, 1), 0);
        fixture_deinit(&f);
}

Test(edges, refuses_parameters_that_the_header_has_no_room_for)
{
        struct khs_table_params params = fixture_params();
        struct khs_writer *w = NULL;
        struct fixture f;
        char text[300];

        fixture_init(&f, NULL);
        memset(text, 'z', sizeof(text));
        text[254] = '\0';
        params.zone = text;
        cr_expect_eq(khs_writer_new(&w, f.dir_fd, &params, 1), -EINVAL);
        cr_expect_eq(khs_writer_adopt(&w, f.dir_fd, &params, 1), -EINVAL);
        cr_expect_eq(khs_writer_renew(f.writer, &params, 1), -EINVAL);
        text[253] = '\0';
        params.namespace = text + 253 - 64;
        cr_expect_eq(khs_writer_renew(f.writer, &params, 1), -EINVAL);
        params.namespace = NULL;
        cr_expect_eq(khs_writer_renew(f.writer, &params, 1), 0);
        cr_expect_null(w);

        params = fixture_params();
        params.max_bytes = 4096;
        cr_expect_eq(khs_writer_new(&w, f.dir_fd, &params, 1), -ENOSPC, "no table is that small");
        fixture_deinit(&f);
}

/* What stands in the way of the new file's name. */
Test(edges, says_why_the_new_file_can_not_be_made)
{
        struct khs_table_params params = fixture_params();
        struct khs_writer *w;
        struct fixture f;

        fixture_init(&f, NULL);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_eq(mkdirat(f.dir_fd, KHS_TABLE_NAME ".new", 0755), 0);
        cr_expect_lt(khs_writer_new(&w, f.dir_fd, &params, 1), 0);
        cr_expect_lt(khs_writer_renew(f.writer, NULL, 1), 0);
        cr_assert_eq(unlinkat(f.dir_fd, KHS_TABLE_NAME ".new", AT_REMOVEDIR), 0);

        /* somebody else's file of that name is not ours to remove when we end */
        (void)close(openat(f.dir_fd, KHS_TABLE_NAME ".new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        f.writer = khs_writer_free(f.writer);
        cr_expect(names_in(&f, KHS_TABLE_NAME ".new"));
        cr_assert_eq(unlinkat(f.dir_fd, KHS_TABLE_NAME ".new", 0), 0);
        cr_assert_eq(unlinkat(f.dir_fd, KHS_TABLE_NAME, 0), 0);

        cr_assert_eq(rmdir(f.dir), 0);
        cr_expect_eq(khs_writer_new(&w, f.dir_fd, &params, 1), -ENOENT);
        cr_assert_eq(mkdir(f.dir, 0755), 0);
        fixture_deinit(&f);
}

Test(edges, keeps_the_old_file_when_the_new_one_gets_no_name)
{
        struct khs_table_file file;
        struct khs_found found;
        struct khs_row row;
        struct fixture f;

        fixture_init(&f, NULL);
        row = fixture_row("a.b", 1, 3, 0);
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        inject("renameat", 1, EACCES);
        cr_expect_eq(khs_writer_publish(f.writer), -EACCES);
        cr_expect_not(names_in(&f, KHS_TABLE_NAME));
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        inject("renameat", 1, EACCES);
        cr_expect_eq(khs_writer_renew(f.writer, NULL, fixture_now()), -EACCES);
        cr_expect_eq(khs_writer_check(f.writer), 0);
        cr_expect_not(names_in(&f, KHS_TABLE_NAME ".new"));
        fixture_open(&f, &file);
        cr_expect_eq(khs_view_find(&file.view, "a.b", 3, &found), 0);
        cr_expect_eq(khs_view_load(&file.view, offsetof(struct khs_table_header, state) / 4), KHS_STATE_LIVE);
        khs_table_close(&file);
        fixture_deinit(&f);
}

/* Anything may lie under the name: it is replaced, and only a table is marked superseded. */
Test(edges, replaces_whatever_has_the_name)
{
        static const char *const kinds[] = { "fifo", "short", "foreign", "fstat64", "mmap64" };
        char path[128];
        struct fixture f;

        fixture_init(&f, NULL);
        (void)snprintf(path, sizeof(path), "%s/" KHS_TABLE_NAME, f.dir);
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                struct khs_table_params params = fixture_params();
                struct khs_table_file file;

                if (i == 0) {
                        cr_assert_eq(mkfifo(path, 0644), 0);
                } else {
                        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

                        cr_assert_eq(ftruncate(fd, i == 1 ? 100 : 8192), 0);
                        (void)close(fd);
                }
                if (i >= 3)
                        inject(kinds[i], 1, EIO);
                cr_expect_eq(khs_writer_publish(f.writer), 0, "%s", kinds[i]);
                cr_expect_null(fault.call);
                fixture_open(&f, &file);
                khs_table_close(&file);
                f.writer = khs_writer_free(f.writer);
                cr_assert_eq(unlink(path), 0);
                cr_assert_eq(khs_writer_new(&f.writer, f.dir_fd, &params, 1), 0);
        }
        fixture_deinit(&f);
}

/* ---- growth ---- */

Test(edges, tries_other_hash_keys_before_it_gives_up)
{
        struct khs_row row;
        struct fixture f;

        fixture_init(&f, NULL);
        row = fixture_row("a.b", 1, 3, 0);
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        inject("khs_file_copy", 1, EXFULL);
        cr_expect_eq(khs_writer_renew(f.writer, NULL, fixture_now()), 0);
        inject_many("khs_file_copy", 1, 4, EXFULL);
        cr_expect_eq(khs_writer_renew(f.writer, NULL, fixture_now()), -EXFULL);
        cr_expect_null(fault.call, "four tries");
        cr_expect_not(names_in(&f, KHS_TABLE_NAME ".new"));
        inject("khs_file_copy", 1, ENOSPC);
        cr_expect_eq(khs_writer_renew(f.writer, NULL, fixture_now()), -ENOSPC);
        inject("calloc", 1, ENOMEM);
        cr_expect_eq(khs_writer_renew(f.writer, NULL, fixture_now()), -ENOMEM);

        /* full, and so is the larger one */
        inject("khs_file_put", 1, EXFULL);
        row = fixture_row("a.c", 1, 3, 0);
        cr_expect_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        inject_many("khs_file_put", 1, 2, EXFULL);
        row = fixture_row("a.d", 1, 3, 0);
        cr_expect_eq(khs_writer_put(f.writer, &row, fixture_now()), -ENOSPC);
        fixture_deinit(&f);
}

/* Before it is published a file has only the name of an unfinished one: that must not be taken from it. */
Test(edges, keeps_an_unpublished_table_when_it_can_not_grow)
{
        struct khs_table_file file;
        struct khs_found found;
        struct khs_row row;
        struct fixture f;

        fixture_init(&f, NULL);
        row = fixture_row("a.b", 1, 3, 0);
        cr_assert_eq(khs_writer_put(f.writer, &row, fixture_now()), 0);
        for (unsigned int i = 0; i < 3; i++) {
                inject("posix_fallocate64", 1, ENOSPC);
                cr_expect_eq(khs_writer_renew(f.writer, NULL, fixture_now()), -ENOSPC);
                cr_expect_eq(khs_writer_renew(f.writer, NULL, fixture_now()), 0, "and then it can, once more");
        }
        inject("posix_fallocate64", 1, ENOSPC);
        cr_expect_eq(khs_writer_renew(f.writer, NULL, fixture_now()), -ENOSPC);
        cr_expect_eq(khs_writer_publish(f.writer), 0);
        fixture_open(&f, &file);
        cr_expect_eq(khs_view_find(&file.view, "a.b", 3, &found), 0);
        khs_table_close(&file);
        cr_expect_not(names_in(&f, KHS_TABLE_NAME ".new"));
        cr_expect_not(names_in(&f, KHS_TABLE_NAME ".newer"));
        fixture_deinit(&f);
}

/* ---- growth ahead of need ---- */

/* A published table with services "k<i>.b" of 50 addresses, the first of which is i. */
struct growing {
        struct fixture f;
        uint32_t n, now_ds;
};

static void put_another(struct growing *g)
{
        struct khs_row row;
        char key[32];

        (void)snprintf(key, sizeof(key), "k%u.b", g->n);
        row = fixture_row(key, g->n++, 50, 0);
        cr_assert_eq(khs_writer_put(g->f.writer, &row, g->now_ds), 0);
}

/* The generation of the file that has the name; it says all of it. */
static uint32_t check_services(const struct growing *g)
{
        struct khs_table_file file;
        struct khs_found found;
        char key[32];
        uint32_t ret, address;

        fixture_open(&g->f, &file);
        for (uint32_t i = 0; i < g->n; i++) {
                (void)snprintf(key, sizeof(key), "k%u.b", i);
                cr_assert_eq(khs_view_find(&file.view, key, strlen(key), &found), 0, "%s", key);
                khs_found_copy(&file.view, &found, AF_INET, 0, 1, &address, 4);
                cr_assert_eq(ntohl(address), 0x0a000000 + i, "%s", key);
        }
        cr_expect_eq(khs_view_load(&file.view, offsetof(struct khs_table_header, state) / 4), KHS_STATE_LIVE);
        cr_expect_eq(khs_view_load(&file.view, offsetof(struct khs_table_header, n_services) / 4), g->n);
        cr_expect_eq(khs_view_load(&file.view, offsetof(struct khs_table_header, n_addresses) / 4), g->n * 50);
        ret = khs_view_generation(&file.view);
        khs_table_close(&file);
        return ret;
}

/* Heartbeats until a larger file was made, or something failed. */
static void grow_ahead(struct growing *g)
{
        uint64_t size = khs_writer_size(g->f.writer);

        while (fault.call && khs_writer_size(g->f.writer) == size) {
                put_another(g);
                (void)khs_writer_tend(g->f.writer, g->now_ds);
        }
}

/* Whatever fails: the table is what it was, nothing is left, and it is not tried again at once. */
Test(edges, gives_growth_up_when_a_call_fails)
{
        static const struct {
                const char *call;
                unsigned int nth;
                int error;
                bool is_overcome;
        } faults[] = {
                { "calloc", 1, ENOMEM, false },          { "calloc", 2, ENOMEM, false },
                { "calloc", 3, ENOMEM, false },          { "calloc", 4, ENOMEM, false },
                { "fchmod", 1, EPERM, false },           { "fstat64", 1, EIO, false },
                { "mmap64", 1, ENOMEM, false },          { "posix_fallocate64", 1, ENOSPC, false },
                { "posix_fallocate64", 1, EINTR, true }, { "getrandom", 1, EAGAIN, false },
                { "renameat", 1, EACCES, false },        { "khs_file_copy", 1, EXFULL, true },
                { "khs_file_copy", 1, ENOSPC, false },
        };

        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
                struct growing g = { .now_ds = fixture_now() };

                fixture_init(&g.f, NULL);
                cr_assert_eq(khs_writer_publish(g.f.writer), 0);
                inject(faults[i].call, faults[i].nth, faults[i].error);
                grow_ahead(&g);
                cr_expect_null(fault.call, "%s was called", faults[i].call);
                cr_expect_eq(check_services(&g), faults[i].is_overcome ? 2 : 1, "%s", faults[i].call);
                cr_expect_not(names_in(&g.f, KHS_TABLE_NAME ".new"), "%s", faults[i].call);
                if (!faults[i].is_overcome) {
                        inject("calloc", 1, ENOMEM); /* what a new file begins with */
                        cr_expect_eq(khs_writer_tend(g.f.writer, g.now_ds + 5999), 0);
                        cr_expect_not_null(fault.call, "%s: it was tried again at once", faults[i].call);
                        cr_expect_eq(khs_writer_tend(g.f.writer, g.now_ds + 6000), -ENOMEM);
                        cr_expect_null(fault.call, "%s: it was not tried again ten minutes later", faults[i].call);
                        cr_expect_eq(check_services(&g), 1);
                }
                fixture_deinit(&g.f);
        }
}

/* A full file system: the put is refused, the table stays as it was, and there is room again later. */
Test(edges, refuses_a_put_when_the_file_system_is_full)
{
        struct khs_table_params params = fixture_params();
        uint32_t n_put = 0;
        struct fixture f;
        struct khs_row row;
        char key[32];
        int r = 0;

        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
                cr_skip_test("needs root and a mount namespace");
        cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        cr_assert_eq(mount("tmpfs", "/run", "tmpfs", 0, "mode=755,size=1m"), 0);
        strcpy(f.dir, "/run/khs");
        cr_assert_eq(mkdir(f.dir, 0755), 0);
        f.dir_fd = open(f.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_eq(khs_writer_new(&f.writer, f.dir_fd, &params, 1), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (uint32_t i = 0; r == 0 && i < 10000; i++) {
                (void)snprintf(key, sizeof(key), "svc-%u.b", i);
                row = fixture_row(key, i, 50, 0);
                r = khs_writer_put(f.writer, &row, fixture_now());
                n_put += r == 0;
        }
        cr_expect_eq(r, -ENOSPC);
        cr_expect_gt(n_put, 100);
        cr_expect_eq(khs_writer_check(f.writer), 0);
        for (uint32_t i = 0; i < n_put; i++) {
                (void)snprintf(key, sizeof(key), "svc-%u.b", i);
                cr_expect_eq(khs_writer_delete(f.writer, key, strlen(key), fixture_now()), 0);
        }
        row = fixture_row("a.b", 1, 50, 0);
        cr_expect_eq(khs_writer_put(f.writer, &row, fixture_now() + KHS_GRACE_DS), 0);
        fixture_deinit(&f);
}

/* ---- locks and names ---- */

Test(edges, says_why_the_lock_can_not_be_taken)
{
        struct fixture f;
        bool created;

        fixture_init(&f, NULL);
        cr_assert_eq(symlinkat("elsewhere", f.dir_fd, "lock"), 0);
        cr_expect_eq(khs_lock_take(f.dir_fd, &created), -ELOOP);
        cr_assert_eq(unlinkat(f.dir_fd, "lock", 0), 0);
        inject("fcntl64", 1, EACCES);
        cr_expect_eq(khs_lock_take(f.dir_fd, &created), -EAGAIN, "POSIX leaves the choice");
        inject("fcntl64", 1, ENOLCK);
        cr_expect_eq(khs_lock_take(f.dir_fd, &created), -ENOLCK);
        fixture_deinit(&f);
}

Test(edges, notices_that_another_file_has_its_name)
{
        struct fixture f;
        int dir_fd;

        fixture_init(&f, NULL);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        cr_assert_eq(unlinkat(f.dir_fd, KHS_TABLE_NAME, 0), 0);
        (void)close(openat(f.dir_fd, KHS_TABLE_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        cr_expect_eq(khs_writer_check(f.writer), -ESTALE);

        dir_fd = dup(f.dir_fd);
        (void)close(f.dir_fd);
        cr_expect_eq(khs_writer_check(f.writer), -ESTALE);
        cr_assert_eq(dup2(dir_fd, f.dir_fd), f.dir_fd);
        (void)close(dir_fd);
        fixture_deinit(&f);
}

/* ---- adoption ---- */

static int adopt(struct edge *e)
{
        struct khs_table_params params = fixture_params();

        return khs_writer_adopt(&e->f.writer, e->f.dir_fd, &params, fixture_now());
}

Test(edges, adopts_nothing_when_a_call_fails)
{
        static const struct {
                const char *call;
                unsigned int nth;
                int error, expected;
        } faults[] = {
                { "calloc", 1, ENOMEM, -ENOMEM }, { "calloc", 2, ENOMEM, -ENOMEM }, { "calloc", 3, ENOMEM, -ENOMEM },
                { "calloc", 4, ENOMEM, -ENOMEM }, { "calloc", 5, ENOMEM, -ENOMEM }, { "calloc", 6, ENOMEM, -ENOMEM },
                { "calloc", 7, ENOMEM, -ENOMEM }, { "fstat64", 1, EIO, -EIO },      { "mmap64", 1, ENOMEM, -ENOMEM },
                { "khs_boot_id", 1, 0, -ESTALE },
        };
        struct edge e;

        edge_init(&e);
        e.f.writer = khs_writer_free(e.f.writer);
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
                inject(faults[i].call, faults[i].nth, faults[i].error);
                cr_expect_eq(adopt(&e), faults[i].expected, "%s", faults[i].call);
                cr_expect_null(fault.call, "%s was called", faults[i].call);
        }
        cr_expect_eq(adopt(&e), 0);
        edge_deinit(&e);
}

Test(edges, adopts_only_whole_files_of_its_own)
{
        struct edge e;
        char path[128];
        int fd;

        if (geteuid() != 0)
                cr_skip_test("needs root");
        edge_init(&e);
        e.f.writer = khs_writer_free(e.f.writer);
        (void)snprintf(path, sizeof(path), "%s/" KHS_TABLE_NAME, e.f.dir);
        cr_assert_eq(chown(path, 1234, 1234), 0);
        cr_expect_eq(adopt(&e), -ESTALE);
        cr_assert_eq(chown(path, 0, 0), 0);
        fd = open(path, O_RDWR | O_CLOEXEC);
        cr_assert_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)e.size - 4096, 4096), 0);
        cr_expect_eq(adopt(&e), -ESTALE, "a hole");
        cr_assert_eq(ftruncate(fd, 100), 0);
        cr_expect_eq(adopt(&e), -ESTALE);
        (void)close(fd);
        cr_assert_eq(unlink(path), 0);
        cr_assert_eq(mkfifo(path, 0644), 0);
        cr_expect_eq(adopt(&e), -ESTALE);
        edge_deinit(&e);
}

static void sign_record(uint32_t *block)
{
        struct khs_record *record = (struct khs_record *)block;

        record->crc = khs_record_crc(record);
}

/* Damage that every checksum confirms. */
Test(edges, adopts_no_table_that_contradicts_itself)
{
        struct khs_found other, alias;
        uint32_t *block, *inner, kept[KHS_UNIT_WORDS], *free_entry;
        struct edge e;

        edge_init(&e);
        e.f.writer = khs_writer_free(e.f.writer);
        cr_assert_eq(khs_view_find(&e.view, "users", 5, &alias), 0);
        cr_assert_eq(khs_view_find(&e.view, "service-b.default", N_KEY, &other), 0);
        block = e.map + e.found.block;

        /* a size that no block has */
        block[1] = KHS_MAX_UNITS + 1;
        cr_expect_eq(adopt(&e), -EBADMSG);
        block[1] = e.found.record.units;

        /* a target of no length */
        e.map[alias.v4_word] = 0;
        sign_record(e.map + alias.block);
        cr_expect_eq(adopt(&e), -EBADMSG);
        e.map[alias.v4_word] = N_KEY;
        sign_record(e.map + alias.block);

        /* a record inside another's addresses */
        inner = block + (size_t)(e.found.record.units - 1) * KHS_UNIT_WORDS;
        memcpy(kept, inner, sizeof(kept));
        memcpy(inner, block, sizeof(kept));
        inner[1] = 1;
        inner[2] = 0;
        inner[3] = inner[4] = 0;
        e.entry[1] += e.found.record.units - 1;
        cr_expect_eq(adopt(&e), -EBADMSG);
        e.entry[1] -= e.found.record.units - 1;
        memcpy(inner, kept, sizeof(kept));

        /* one key twice: the second is never found */
        memcpy(e.map + other.block + KHS_UNIT_WORDS, block + KHS_UNIT_WORDS, 20);
        e.map[other.block + 9] = e.found.record.tag;
        sign_record(e.map + other.block);
        free_entry = e.entry + ((uintptr_t)e.entry / 8 % KHS_BUCKET_ENTRIES == 7 ? -2 : 2);
        memcpy(kept, free_entry, 8);
        free_entry[0] = e.found.record.tag;
        free_entry[1] = 1 + (other.block - e.view.arena_word) / KHS_UNIT_WORDS;
        cr_expect_eq(adopt(&e), -EBADMSG);
        memcpy(free_entry, kept, 8);
        edge_deinit(&e);
}

/* Blocks up to the last unit of the arena. */
Test(edges, adopts_a_full_arena)
{
        struct khs_found found;
        struct edge e;
        struct khs_row row;
        uint32_t unit = 0;

        edge_init(&e);
        e.f.writer = khs_writer_free(e.f.writer);
        while (e.map[e.view.arena_word + unit * KHS_UNIT_WORDS + 1] != 0)
                unit += e.map[e.view.arena_word + unit * KHS_UNIT_WORDS + 1];
        for (uint32_t units; unit < e.view.arena_units; unit += units) {
                units = (e.view.arena_units - unit) % 2 ? 1 : 2;
                e.map[e.view.arena_word + unit * KHS_UNIT_WORDS + 1] = units;
        }
        cr_assert_eq(adopt(&e), 0);
        row = fixture_row("c.d", 0, 0, 0);
        cr_expect_eq(khs_writer_put(e.f.writer, &row, fixture_now() + KHS_GRACE_DS), 0);
        cr_expect_eq(khs_view_find(&e.view, "c.d", 3, &found), 0, "in a block that was free");
        edge_deinit(&e);
}
