/* When a larger file takes the place of the one in use, how large it is, and that nothing is lost. */

#include <errno.h>

#include "table-fixture.h"
#include "write/record/record.h"

#define N_KEYS  6000 /* at most */
#define NEW     KHS_TABLE_NAME ".new"
#define MINUTES 600 /* deciseconds */

/* What the table must say: the version of each service; 0: it is not there. */
struct world {
        struct fixture f;
        uint32_t versions[N_KEYS];
        uint32_t now_ds;
        uint64_t random;
};

static uint32_t next_random(struct world *w, uint32_t n)
{
        w->random = w->random * 6364136223846793005ULL + 1442695040888963407ULL;
        return (uint32_t)(w->random >> 33) % n;
}

static uint32_t n_addresses(uint32_t i, uint32_t version)
{
        return 1 + (i * 7 + version * 3) % 60;
}

static int put(struct world *w, uint32_t i)
{
        uint32_t version = w->versions[i] + 1;
        struct khs_row row;
        char key[32];
        int r;

        (void)snprintf(key, sizeof(key), "s%u.growth", i);
        row = fixture_row(key, i * 64 + version, n_addresses(i, version), i % 3);
        row.version = version;
        r = khs_writer_put(w->f.writer, &row, w->now_ds);
        if (r == 0)
                w->versions[i] = version;
        return r;
}

static void delete (struct world *w, uint32_t i)
{
        char key[32];
        int n = snprintf(key, sizeof(key), "s%u.growth", i);

        cr_expect_eq(khs_writer_delete(w->f.writer, key, (size_t)n, w->now_ds), w->versions[i] ? 0 : -ENOENT);
        w->versions[i] = 0;
}

static void init(struct world *w, const struct khs_table_params *params, uint64_t seed)
{
        *w = (struct world){ .random = seed };
        fixture_init(&w->f, params);
        w->now_ds = fixture_now();
        cr_assert_eq(khs_writer_publish(w->f.writer), 0);
}

static void check_service(const struct world *w, const struct khs_view *view, uint32_t i)
{
        uint32_t version = w->versions[i], address;
        struct khs_found found;
        char key[32];
        int n = snprintf(key, sizeof(key), "s%u.growth", i), r;

        r = khs_view_find(view, key, (size_t)n, &found);
        cr_assert_eq(r, version ? 0 : -ENOENT, "%s: %d, version %u", key, r, version);
        if (r < 0)
                return;
        cr_assert_eq(found.record.version, version, "%s has version %u, not %u", key, found.record.version, version);
        cr_assert_eq(found.record.n4, n_addresses(i, version));
        cr_assert_eq(found.record.n6, i % 3);
        khs_found_copy(view, &found, AF_INET, found.record.n4 - 1, 1, &address, 4);
        cr_assert_eq(ntohl(address), 0x0a000000 + i * 64 + version + found.record.n4 - 1);
}

/* The file that has the name says all of it, and nothing else. */
static void check(const struct world *w)
{
        uint32_t cursor = 0, n = 0, n_found = 0;
        struct khs_table_file file;
        struct khs_found found;
        char key[256];

        fixture_open(&w->f, &file);
        for (uint32_t i = 0; i < N_KEYS; i++) {
                check_service(w, &file.view, i);
                n += w->versions[i] > 0;
        }
        while (khs_view_next(&file.view, &cursor, &found, key) == 0)
                n_found++;
        cr_assert_eq(n_found, n);
        cr_assert_eq(khs_view_load(&file.view, offsetof(struct khs_table_header, n_services) / 4), n);
        khs_table_close(&file);
}

static uint32_t generation(const struct world *w)
{
        struct khs_table_file file;
        uint32_t ret;

        fixture_open(&w->f, &file);
        ret = khs_view_generation(&file.view);
        khs_table_close(&file);
        return ret;
}

static bool names_new(const struct world *w)
{
        return faccessat(w->f.dir_fd, NEW, F_OK, 0) == 0;
}

/* New services from `from` on, up to the heartbeat that grows. Return: how many there are. */
static uint32_t grow_ahead(struct world *w, uint32_t from)
{
        uint32_t before = generation(w), i;

        for (i = from; generation(w) == before; i++) {
                cr_assert_lt(i, N_KEYS);
                cr_assert_eq(put(w, i), 0);
                cr_assert_eq(generation(w), before, "a put found it full");
                cr_assert_eq(khs_writer_tend(w->f.writer, w->now_ds), 0);
        }
        return i;
}

Test(growth, comes_with_a_heartbeat_when_three_quarters_are_used)
{
        struct khs_table_file old;
        uint32_t n, before;
        struct world w;
        uint64_t size;

        init(&w, NULL, 1);
        before = generation(&w);
        size = khs_writer_size(w.f.writer);
        fixture_open(&w.f, &old);
        n = grow_ahead(&w, 0);
        cr_expect_gt(n, 50, "%u", n);
        cr_expect_eq(generation(&w), before + 1);
        cr_expect_gt(khs_writer_size(w.f.writer), size / 8 * 10, "twice three quarters, and the index");
        cr_expect_lt(khs_writer_size(w.f.writer), size / 8 * 14);
        cr_expect_eq(khs_view_load(&old.view, offsetof(struct khs_table_header, state) / 4), KHS_STATE_SUPERSEDED);
        cr_expect_eq(khs_writer_check(w.f.writer), 0);
        cr_expect_not(names_new(&w));
        check(&w);
        khs_table_close(&old);
        fixture_deinit(&w.f);
}

/* At the beginning twice what is needed, of a large table two fifths more than that. */
Test(growth, leaves_little_of_a_large_table_free)
{
        uint64_t used = 0, most = 0;
        struct khs_row row;
        struct world w;
        char key[32];

        init(&w, NULL, 3);
        for (uint32_t i = 0; i < 5000; i++) {
                uint64_t room, size;

                (void)snprintf(key, sizeof(key), "k%u", i);
                row = fixture_row(key, i, KHS_MAX_ADDRS, 0);
                cr_assert_eq(khs_writer_put(w.f.writer, &row, w.now_ds), 0);
                used += (uint64_t)khs_row_units(&row) * KHS_UNIT;
                room = used / 5 * 2 > (uint64_t)16 << 20 ? used / 5 * 2 : (uint64_t)16 << 20;
                size = khs_writer_size(w.f.writer);
                cr_assert_leq(size, used + (used < room ? used : room) + ((uint64_t)1 << 20), "%u", i);
                most = size - used > most ? size - used : most;
        }
        cr_expect_gt(most, (uint64_t)16 << 20);
        fixture_deinit(&w.f);
}

Test(growth, comes_when_an_index_is_three_quarters_full)
{
        for (unsigned int reverse = 0; reverse < 2; reverse++) {
                struct khs_table_params params = fixture_params();
                struct khs_row row;
                struct world w;
                char key[32];
                uint32_t i;

                params.reverse = reverse;
                init(&w, &params, 5);
                for (i = 0; generation(&w) == 1; i++) {
                        cr_assert_lt(i, 256);
                        (void)snprintf(key, sizeof(key), "k%u", i);
                        row = fixture_row(key, i * 2, reverse * 2, 0);
                        cr_assert_eq(khs_writer_put(w.f.writer, &row, w.now_ds), 0);
                        cr_assert_eq(khs_writer_tend(w.f.writer, w.now_ds), 0);
                }
                cr_expect_eq(i, reverse ? 96 : 192, "three quarters of the 256 entries that are used: %u", i);
                fixture_deinit(&w.f);
        }
}

/* A record for which there is no room is not refused because there has just been a larger file. */
Test(growth, comes_at_once_when_the_table_is_full)
{
        struct khs_row row;
        struct khs_table_file file;
        struct khs_found found;
        uint32_t before;
        struct world w;

        init(&w, NULL, 4);
        (void)grow_ahead(&w, 0);
        before = generation(&w);
        row = fixture_row("large.growth", 0, KHS_MAX_ADDRS, KHS_MAX_ADDRS);
        cr_assert_eq(khs_writer_put(w.f.writer, &row, w.now_ds), 0);
        cr_expect_eq(generation(&w), before + 1);
        fixture_open(&w.f, &file);
        cr_expect_eq(khs_view_find(&file.view, "large.growth", 12, &found), 0);
        khs_table_close(&file);
        cr_assert_eq(khs_writer_delete(w.f.writer, "large.growth", 12, w.now_ds), 0);
        check(&w);
        fixture_deinit(&w.f);
}

Test(growth, is_ahead_of_need_once_in_ten_minutes)
{
        uint32_t n, before;
        struct world w;

        init(&w, NULL, 6);
        n = grow_ahead(&w, 0);
        before = generation(&w);
        for (uint32_t i = n; i < n + n / 2; i++)
                cr_assert_eq(put(&w, i), 0);
        cr_assert_eq(generation(&w), before);
        w.now_ds += 10 * MINUTES - 1;
        cr_expect_eq(khs_writer_tend(w.f.writer, w.now_ds), 0);
        cr_expect_eq(generation(&w), before);
        w.now_ds += 1;
        cr_expect_eq(khs_writer_tend(w.f.writer, w.now_ds), 0);
        cr_expect_eq(generation(&w), before + 1);
        check(&w);
        fixture_deinit(&w.f);
}

Test(growth, loses_no_change)
{
        for (uint64_t seed = 1; seed <= 20; seed++) {
                struct khs_table_params params = fixture_params();
                struct world w;

                params.reverse = seed % 2;
                init(&w, &params, seed);
                for (unsigned int k = 0; k < 3000; k++) {
                        uint32_t i = next_random(&w, 100 + k);

                        if (next_random(&w, 4) == 0)
                                delete (&w, i);
                        else
                                cr_assert_eq(put(&w, i), 0);
                        if (k % 100 == 0)
                                cr_assert_eq(khs_writer_tend(w.f.writer, w.now_ds += 10 * MINUTES), 0);
                        if (k % 300 == 0)
                                check(&w);
                }
                check(&w);
                cr_expect_gt(generation(&w), 4);
                fixture_deinit(&w.f);
        }
}

/* ---- limits ---- */

/* At the limit another file would be as full as this one: readers are not sent there every ten minutes. */
Test(growth, is_not_tried_where_it_is_of_no_use)
{
        struct khs_table_params params = fixture_params();
        uint32_t n = 0, before;
        struct world w;
        int r = 0;

        params.max_bytes = 512 << 10;
        init(&w, &params, 9);
        while (r == 0 && n < N_KEYS)
                r = put(&w, n++);
        cr_expect_eq(r, -ENOSPC);
        cr_expect_not(names_new(&w));
        before = generation(&w);
        for (unsigned int i = 0; i < 3; i++)
                cr_expect_eq(khs_writer_tend(w.f.writer, w.now_ds += 10 * MINUTES), 0);
        cr_expect_eq(generation(&w), before);
        check(&w);

        /* blocks of sizes that nobody wants any more are room for others in a new file */
        for (uint32_t i = 0; i < n; i++)
                if (i % 2 && w.versions[i])
                        delete (&w, i);
        cr_expect_eq(khs_writer_tend(w.f.writer, w.now_ds += 10 * MINUTES), 0);
        cr_expect_eq(generation(&w), before + 1);
        cr_expect_leq(khs_writer_size(w.f.writer), params.max_bytes);
        check(&w);
        fixture_deinit(&w.f);
}

/* A file of a changed header, or one that somebody removed, is as large as before. */
Test(growth, is_no_part_of_a_renewal)
{
        struct world w;
        uint64_t size;

        init(&w, NULL, 10);
        (void)grow_ahead(&w, 0);
        size = khs_writer_size(w.f.writer);
        for (unsigned int i = 0; i < 3; i++)
                cr_assert_eq(khs_writer_renew(w.f.writer, NULL, w.now_ds), 0);
        cr_expect_eq(khs_writer_size(w.f.writer), size);
        check(&w);
        fixture_deinit(&w.f);
}

/* ---- damage ---- */

/* Words of index and arena that somebody else writes, or that memory has lost. */
static void damage(struct world *w, unsigned int n_words)
{
        uint32_t *map, word;
        struct stat stat;
        int fd;

        fd = openat(w->f.dir_fd, KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);
        cr_assert_eq(fstat(fd, &stat), 0);
        map = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        cr_assert_neq(map, MAP_FAILED);
        (void)close(fd);
        while (n_words-- > 0) {
                word = KHS_TABLE_PAGE / 4 + next_random(w, (uint32_t)stat.st_size / 4 - KHS_TABLE_PAGE / 4);
                if (next_random(w, 4) == 0)
                        map[word] = next_random(w, UINT32_MAX);
                else /* more like what is there */
                        map[word] ^= 1U << next_random(w, 32);
        }
        (void)munmap(map, (size_t)stat.st_size);
}

static bool keep_all(void *userdata, const char *key, const char *target)
{
        (void)userdata;
        return key[0] && (!target || target[0]);
}

/* The writer believes its map no more than a reader does: it goes on, and what is put anew is right. */
Test(growth, outlives_damage_to_its_table)
{
        for (uint64_t seed = 1; seed <= 100; seed++) {
                struct khs_table_params params = fixture_params();
                struct khs_row row = { .key = "users", .n_key = 5, .target = "s1.growth", .n_target = 9 };
                struct world w;

                params.reverse = seed % 2;
                init(&w, &params, seed);
                for (uint32_t i = 0; i < 100; i++)
                        cr_assert_eq(put(&w, i), 0);
                for (unsigned int round = 0; round < 10; round++) {
                        cr_assert_eq(khs_writer_put(w.f.writer, &row, w.now_ds), 0);
                        damage(&w, 1 + next_random(&w, 400));
                        if (round % 5 == 0)
                                cr_assert_eq(khs_writer_renew(w.f.writer, NULL, w.now_ds), 0);
                        if (round % 5 == 1)
                                khs_writer_retain(w.f.writer, keep_all, NULL, w.now_ds);
                        if (round % 5 == 2)
                                cr_assert_leq(khs_writer_delete(w.f.writer, "s7.growth", 9, w.now_ds), 0);
                        cr_assert_geq(khs_writer_tend(w.f.writer, w.now_ds += 10 * MINUTES), 0);
                        for (uint32_t i = 0; i < 100; i++)
                                cr_assert_eq(put(&w, i), 0);
                }
                cr_assert_eq(khs_writer_renew(w.f.writer, NULL, w.now_ds), 0);
                for (uint32_t i = 0; i < 100; i++)
                        cr_assert_eq(put(&w, i), 0);
                for (uint32_t i = 0; i < 100; i++) {
                        struct khs_table_file file;

                        fixture_open(&w.f, &file);
                        check_service(&w, &file.view, i);
                        khs_table_close(&file);
                }
                fixture_deinit(&w.f);
        }
}

/* Flips a bit of the first address of a service. */
static void damage_address(const struct world *w, uint32_t i)
{
        struct khs_table_file file;
        struct khs_found found;
        uint32_t *map;
        char key[32];
        int n = snprintf(key, sizeof(key), "s%u.growth", i), fd;

        fixture_open(&w->f, &file);
        cr_assert_eq(khs_view_find(&file.view, key, (size_t)n, &found), 0);
        fd = openat(w->f.dir_fd, KHS_TABLE_NAME, O_RDWR | O_CLOEXEC);
        map = mmap(NULL, (size_t)file.view.n_words * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        cr_assert_neq(map, MAP_FAILED);
        (void)close(fd);
        map[found.block + KHS_UNIT_WORDS + ((uint32_t)n + 3) / 4] ^= 1;
        (void)munmap(map, (size_t)file.view.n_words * 4);
        khs_table_close(&file);
}

/* A copy gets a CRC of its own, so a wrong address would look right from then on. */
Test(growth, does_not_take_silent_damage_along)
{
        struct khs_table_params params = fixture_params();
        struct world w;

        init(&w, &params, 1);
        for (uint32_t i = 0; i < 10; i++)
                cr_assert_eq(put(&w, i), 0);
        damage_address(&w, 7);
        cr_assert_eq(khs_writer_renew(w.f.writer, NULL, w.now_ds), 0);
        w.versions[7] = 0;
        check(&w);
        cr_assert_eq(put(&w, 7), 0);
        check(&w);
        fixture_deinit(&w.f);
}

/* ---- the file before ---- */

/* Maps of files that have no name any more. */
static unsigned int n_deleted_maps(void)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        unsigned int n = 0;
        char line[512];

        while (maps && fgets(line, sizeof(line), maps))
                n += strstr(line, KHS_TABLE_NAME) && strstr(line, "(deleted)");
        if (maps)
                (void)fclose(maps);
        return n;
}

Test(growth, lets_go_of_the_file_before_when_readers_have_gone)
{
        struct world w;

        init(&w, NULL, 11);
        cr_assert_eq(put(&w, 1), 0);
        for (unsigned int i = 0; i < 3; i++)
                cr_assert_eq(khs_writer_renew(w.f.writer, NULL, w.now_ds), 0);
        cr_expect_eq(n_deleted_maps(), 1, "%u", n_deleted_maps());
        cr_expect_eq(khs_writer_tend(w.f.writer, w.now_ds + MINUTES - 1), 0);
        cr_expect_eq(n_deleted_maps(), 1);
        cr_expect_eq(khs_writer_tend(w.f.writer, w.now_ds + MINUTES), 0);
        cr_expect_eq(n_deleted_maps(), 0);
        fixture_deinit(&w.f);
}
