/* A new file that is made ahead of need, in slices, while the one in use is written to. */

#include <errno.h>

#include "table-fixture.h"

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

/* New services, as many as it takes until a larger file is due; at least `n`. Return: how many there are. */
static uint32_t fill(struct world *w, uint32_t n)
{
        uint32_t i;

        for (i = 0; i < n || !khs_writer_wants_step(w->f.writer); i++) {
                cr_assert_lt(i, N_KEYS);
                cr_assert_eq(put(w, i), 0);
                while (i < n && khs_writer_wants_step(w->f.writer))
                        cr_assert_geq(khs_writer_step(w->f.writer, w->now_ds), 0);
        }
        return i;
}

/* All steps that are due. Return: how many. */
static unsigned int run(struct world *w)
{
        unsigned int n = 0;

        while (khs_writer_wants_step(w->f.writer)) {
                cr_assert_geq(khs_writer_step(w->f.writer, w->now_ds), 0);
                cr_assert_lt(++n, 100000);
        }
        return n;
}

Test(growth, comes_in_slices_before_the_table_is_full)
{
        struct khs_table_file old;
        struct world w;
        unsigned int n_steps;
        uint32_t before;
        uint64_t size;

        init(&w, NULL, 1);
        (void)fill(&w, 2000);
        before = generation(&w);
        size = khs_writer_size(w.f.writer);
        fixture_open(&w.f, &old);
        n_steps = run(&w);
        cr_expect_gt(n_steps, 8, "%u", n_steps);
        cr_expect_eq(generation(&w), before + 1);
        cr_expect_gt(khs_writer_size(w.f.writer), size / 8 * 9);
        cr_expect_eq(khs_view_load(&old.view, offsetof(struct khs_table_header, state) / 4), KHS_STATE_SUPERSEDED);
        cr_expect_eq(khs_writer_check(w.f.writer), 0);
        cr_expect_not(names_new(&w));
        check(&w);
        cr_expect_eq(khs_writer_step(w.f.writer, w.now_ds), 0, "there is nothing left to do");
        khs_table_close(&old);
        fixture_deinit(&w.f);
}

/* One change after each slice, all over the index: what is behind the copy, before it, new, or gone. */
static void change_something(struct world *w, uint32_t n)
{
        uint32_t i = next_random(w, n + 50);

        if (i >= N_KEYS)
                i = N_KEYS - 1;
        if (next_random(w, 4) == 0)
                delete (w, i);
        else
                cr_assert_eq(put(w, i), 0);
}

Test(growth, loses_no_change_that_is_made_meanwhile)
{
        for (uint64_t seed = 1; seed <= 20; seed++) {
                struct khs_table_params params = fixture_params();
                struct world w;
                uint32_t n, before;

                params.reverse = seed % 2;
                init(&w, &params, seed);
                n = fill(&w, 500 + (uint32_t)seed * 100);
                before = generation(&w);
                for (unsigned int k = 0; generation(&w) == before; k++) {
                        for (uint32_t j = next_random(&w, 30); j > 0; j--)
                                change_something(&w, n);
                        cr_assert_geq(khs_writer_step(w.f.writer, w.now_ds), 0);
                        if (k % 4 == 0)
                                check(&w);
                }
                check(&w);
                fixture_deinit(&w.f);
        }
}

/* Puts alone carry it on, in step with the room that they take. */
Test(growth, is_over_in_time_without_steps_once_it_is_due)
{
        struct world w;
        uint32_t n, before;

        init(&w, NULL, 3);
        n = fill(&w, 1000);
        before = generation(&w);
        for (uint32_t i = n; generation(&w) == before; i++) {
                cr_assert_lt(i, n + n / 3, "the old file is full");
                cr_assert_eq(put(&w, i), 0);
        }
        check(&w);
        fixture_deinit(&w.f);
}

/* A record for which there is no room is not refused because there will be room soon. */
Test(growth, is_finished_at_once_when_the_table_is_full)
{
        for (unsigned int n_slices = 0; n_slices < 12; n_slices++) {
                struct khs_row row = fixture_row("large.growth", 0, KHS_MAX_ADDRS, KHS_MAX_ADDRS);
                struct khs_table_file file;
                struct khs_found found;
                struct world w;

                init(&w, NULL, 4);
                (void)fill(&w, 300);
                for (unsigned int i = 0; i < n_slices; i++)
                        cr_assert_geq(khs_writer_step(w.f.writer, w.now_ds), 0);
                row = fixture_row("large.growth", 0, KHS_MAX_ADDRS, KHS_MAX_ADDRS);
                cr_assert_eq(khs_writer_put(w.f.writer, &row, w.now_ds), 0);
                fixture_open(&w.f, &file);
                cr_expect_eq(khs_view_find(&file.view, "large.growth", 12, &found), 0);
                khs_table_close(&file);
                cr_assert_eq(khs_writer_delete(w.f.writer, "large.growth", 12, w.now_ds), 0);
                run(&w);
                check(&w);
                fixture_deinit(&w.f);
        }
}

Test(growth, is_due_when_the_index_is_tight)
{
        struct khs_row row;
        struct world w;
        char key[32];
        uint64_t size;
        uint32_t i;

        init(&w, NULL, 5);
        size = khs_writer_size(w.f.writer);
        for (i = 0; !khs_writer_wants_step(w.f.writer); i++) {
                cr_assert_lt(i, 256);
                (void)snprintf(key, sizeof(key), "k%u", i);
                row = fixture_row(key, i, 0, 0);
                cr_assert_eq(khs_writer_put(w.f.writer, &row, w.now_ds), 0);
        }
        cr_expect_eq(i, 192, "three quarters of the 256 keys that the index takes: %u", i);
        run(&w);
        cr_expect_gt(khs_writer_size(w.f.writer), size);
        fixture_deinit(&w.f);
}

/* ---- less ---- */

Test(growth, shrinks_what_is_nearly_empty_for_ten_minutes)
{
        struct world w;
        uint32_t n, before;
        uint64_t size;

        init(&w, NULL, 7);
        n = fill(&w, 4000);
        run(&w);
        before = generation(&w);
        size = khs_writer_size(w.f.writer);
        for (uint32_t i = 200; i < n; i++)
                delete (&w, i);
        w.now_ds += KHS_GRACE_DS; /* what was freed has rested */
        cr_expect_eq(khs_writer_step(w.f.writer, w.now_ds), 0);
        w.now_ds += 10 * MINUTES - 1;
        while (khs_writer_step(w.f.writer, w.now_ds) > 0)
                continue; /* the file before */
        cr_expect_eq(generation(&w), before);
        w.now_ds += 1;
        for (unsigned int k = 0; khs_writer_step(w.f.writer, w.now_ds) > 0; k++) {
                cr_assert_lt(k, 10000);
                cr_assert_eq(put(&w, k % 200), 0);
        }
        cr_expect_eq(generation(&w), before + 1);
        cr_expect_lt(khs_writer_size(w.f.writer), size / 2);
        check(&w);

        /* and no other one before another ten minutes are over */
        for (uint32_t i = 10; i < 200; i++)
                delete (&w, i);
        for (uint32_t k = 0; k < 10 * MINUTES; k += 10, w.now_ds += 10)
                while (khs_writer_step(w.f.writer, w.now_ds) > 0)
                        continue;
        cr_expect_eq(generation(&w), before + 1);
        check(&w);
        fixture_deinit(&w.f);
}

Test(growth, does_not_shrink_what_is_empty_for_a_moment)
{
        struct world w;
        uint32_t n, before;

        init(&w, NULL, 8);
        n = fill(&w, 2000);
        run(&w);
        before = generation(&w);
        for (unsigned int round = 0; round < 5; round++) {
                for (uint32_t i = 100; i < n; i++)
                        delete (&w, i);
                for (uint32_t k = 0; k < 9 * MINUTES; k += 10, w.now_ds += 10)
                        while (khs_writer_step(w.f.writer, w.now_ds) > 0)
                                continue;
                for (uint32_t i = 100; i < n; i++)
                        cr_assert_eq(put(&w, i), 0);
                cr_assert_eq(khs_writer_step(w.f.writer, w.now_ds), 0);
        }
        cr_expect_eq(generation(&w), before);
        check(&w);
        fixture_deinit(&w.f);
}

/* ---- limits ---- */

Test(growth, is_given_up_for_ten_minutes_at_the_limit)
{
        struct khs_table_params params = fixture_params();
        struct world w;
        uint32_t n, before;
        int r = 0;

        params.max_bytes = 512 << 10;
        init(&w, &params, 9);
        for (n = 0; r >= 0 && n < N_KEYS; n++) {
                cr_assert_eq(put(&w, n), 0);
                while (khs_writer_wants_step(w.f.writer) && r >= 0)
                        r = khs_writer_step(w.f.writer, w.now_ds);
        }
        cr_expect_eq(r, -ENOSPC);
        cr_expect_not(khs_writer_wants_step(w.f.writer));
        cr_expect_not(names_new(&w));
        before = generation(&w);
        cr_assert_eq(put(&w, n++), 0);
        cr_expect_not(khs_writer_wants_step(w.f.writer), "it has just been tried");
        cr_expect_eq(generation(&w), before);

        /* not by puts that only use blocks again, however full it is */
        for (uint32_t i = 0; i < 20; i++) {
                struct khs_row row = fixture_row("same.growth", i, 10, 0);

                row.version = i + 1;
                cr_assert_eq(khs_writer_put(w.f.writer, &row, w.now_ds), 0);
                w.now_ds += i < 10 ? KHS_GRACE_DS : 10 * MINUTES;
        }
        cr_expect_not(khs_writer_wants_step(w.f.writer));
        cr_assert_eq(khs_writer_delete(w.f.writer, "same.growth", 11, w.now_ds), 0);

        for (uint32_t i = 0; i < 100; i++)
                delete (&w, i);
        w.now_ds += KHS_GRACE_DS;
        for (uint32_t i = 0; i < 100 && !khs_writer_wants_step(w.f.writer); i++)
                cr_assert_eq(put(&w, i), 0);
        cr_expect(khs_writer_wants_step(w.f.writer), "it is tried again");
        while ((r = khs_writer_step(w.f.writer, w.now_ds)) > 0)
                continue;
        cr_expect_leq(r, 0);
        check(&w);

        /* what there is no room for is refused, as before */
        for (r = 0; r == 0 && n < N_KEYS; n++)
                r = put(&w, n);
        cr_expect_eq(r, -ENOSPC);
        check(&w);
        fixture_deinit(&w.f);
}

static bool keep_even(void *userdata, const char *key, const char *target)
{
        (void)userdata;
        (void)target;
        return strtoul(key + 1, NULL, 10) % 2 == 0;
}

Test(growth, makes_way_for_whatever_else_happens)
{
        static const char *const what[] = { "retain", "renew", "free" };

        for (unsigned int kind = 0; kind < 3; kind++) {
                struct khs_table_params params = fixture_params();
                struct world w;
                uint32_t n;

                init(&w, NULL, 10);
                n = fill(&w, 1000);
                for (unsigned int i = 0; i < 6; i++)
                        cr_assert_eq(khs_writer_step(w.f.writer, w.now_ds), 1);
                cr_assert(names_new(&w));
                if (kind == 0) {
                        khs_writer_retain(w.f.writer, keep_even, NULL, w.now_ds);
                        for (uint32_t i = 1; i < n; i += 2)
                                w.versions[i] = 0;
                } else if (kind == 1) {
                        cr_assert_eq(khs_writer_renew(w.f.writer, NULL, w.now_ds), 0);
                } else {
                        w.f.writer = khs_writer_free(w.f.writer);
                }
                cr_expect_not(names_new(&w), "%s", what[kind]);
                check(&w);
                if (kind == 2)
                        cr_assert_eq(khs_writer_adopt(&w.f.writer, w.f.dir_fd, &params, w.now_ds), 0);
                run(&w);
                check(&w);
                fixture_deinit(&w.f);
        }
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
        unsigned int n_steps = 0;
        struct khs_row row;
        struct world w;
        char key[32];

        init(&w, NULL, 11);
        for (uint32_t i = 0; i < 40; i++) { /* 5 MiB */
                (void)snprintf(key, sizeof(key), "large%u.growth", i);
                row = fixture_row(key, i, KHS_MAX_ADDRS, KHS_MAX_ADDRS);
                cr_assert_eq(khs_writer_put(w.f.writer, &row, w.now_ds), 0);
        }
        cr_assert_eq(khs_writer_renew(w.f.writer, NULL, w.now_ds), 0);
        cr_expect_eq(n_deleted_maps(), 1, "%u", n_deleted_maps());
        cr_expect_eq(khs_writer_step(w.f.writer, w.now_ds + MINUTES - 1), 0);
        cr_expect_eq(n_deleted_maps(), 1);
        while (khs_writer_step(w.f.writer, w.now_ds + MINUTES) > 0)
                n_steps++;
        cr_expect_gt(n_steps, 0, "in slices");
        cr_expect_eq(n_deleted_maps(), 0);
        fixture_deinit(&w.f);
}
