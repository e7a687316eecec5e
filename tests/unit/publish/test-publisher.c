/* Publishing: when the table hears of a change, and what happens when it has no room. */

#include <errno.h>
#include <sys/socket.h>

#include "base/util.h"
#include "publish/publisher.h"
#include "service-fixture.h"
#include "table-fixture.h"

struct bench {
        struct fixture f; /* its writer is not used */
        sd_event *event;
        struct publisher *publisher;
};

/* With a file that has no name yet. */
static void bench_init_new(struct bench *b, uint64_t max_bytes)
{
        struct khs_table_params params = fixture_params();

        fixture_init(&b->f, NULL);
        b->f.writer = khs_writer_free(b->f.writer);
        params.max_bytes = max_bytes;
        cr_assert_geq(sd_event_new(&b->event), 0);
        cr_assert_eq(publisher_new(&b->publisher, b->event, b->f.dir_fd, &params, NULL), 0);
}

static void bench_init(struct bench *b, uint64_t max_bytes)
{
        bench_init_new(b, max_bytes);
        cr_assert_eq(publisher_open(b->publisher), 0);
}

static void bench_deinit(struct bench *b)
{
        publisher_free(b->publisher);
        sd_event_unref(b->event);
        fixture_deinit(&b->f);
}

static struct service *make_service(const char *key)
{
        struct service *s;

        cr_assert_eq(service_new(&s, key, 1, usec_now()), 0);
        (void)service_configure_port(s, 1, 80, KHS_FAMILY_IPV4, 3600 * USEC_PER_SEC);
        return s;
}

/* n addresses 10.first.x.y */
static void answer(struct service *s, uint8_t first, uint32_t n)
{
        static uint8_t addrs[KHS_MAX_ADDRS][4];
        const struct finding result = { .family = AF_INET,
                                        .kind = FINDING_ANSWER,
                                        .source = KHS_SOURCE_DNS,
                                        .ttl_s = 5,
                                        .n_addrs = n,
                                        .addrs = addrs };

        for (uint32_t i = 0; i < n; i++) {
                addrs[i][0] = 10;
                addrs[i][1] = first;
                addrs[i][2] = (uint8_t)(i >> 8);
                addrs[i][3] = (uint8_t)i;
        }
        cr_assert_geq(service_apply(s, &result, usec_now()), 0);
}

/* Number of IPv4 addresses that the table has for a key; -1 not registered. */
static int in_table(const struct bench *b, const char *key, uint8_t *ret_first)
{
        struct khs_table_file file;
        struct khs_found found;
        uint8_t addrs[KHS_MAX_ADDRS][4];
        int n = -1;

        fixture_open(&b->f, &file);
        if (khs_view_find(&file.view, key, strlen(key), &found) == 0) {
                n = (int)found.record.n4;
                khs_found_copy(&file.view, &found, AF_INET, 0, found.record.n4, addrs, 4);
                if (ret_first && n > 0)
                        *ret_first = addrs[0][1];
        }
        khs_table_close(&file);
        return n;
}

static void run_for(struct bench *b, uint64_t usec)
{
        uint64_t end = usec_now() + usec;

        for (uint64_t now = usec_now(); now < end; now = usec_now())
                cr_assert_geq(sd_event_run(b->event, end - now), 0);
}

Test(publish, first_change_at_once_further_ones_joined)
{
        struct service *s = make_service("a.b");
        struct publication pub = { .service = s };
        struct bench b;
        uint8_t first;

        bench_init(&b, 1 << 20);
        answer(s, 1, 2);
        publisher_update(b.publisher, &pub);
        cr_expect_eq(in_table(&b, "a.b", NULL), 2, "at once");
        for (uint8_t i = 2; i < 10; i++) {
                answer(s, i, i);
                publisher_update(b.publisher, &pub);
        }
        cr_expect_eq(in_table(&b, "a.b", NULL), 2, "within 25 ms: joined");
        run_for(&b, 200000);
        cr_expect_eq(in_table(&b, "a.b", &first), 9, "the last of them");
        cr_expect_eq(first, 9);
        bench_deinit(&b);
        service_free(s);
}

Test(publish, times_are_stored_with_the_waiting_change_or_at_once)
{
        struct service *s = make_service("a.b");
        struct publication pub = { .service = s };
        struct bench b;

        bench_init(&b, 1 << 20);
        answer(s, 1, 2);
        publisher_touch(b.publisher, &pub);
        cr_expect_eq(in_table(&b, "a.b", NULL), 2);
        bench_deinit(&b);
        service_free(s);
}

Test(publish, removed_service_does_not_come_back)
{
        struct service *s = make_service("a.b");
        struct publication pub = { .service = s };
        struct bench b;

        bench_init(&b, 1 << 20);
        answer(s, 1, 2);
        publisher_update(b.publisher, &pub);
        answer(s, 2, 3);
        publisher_update(b.publisher, &pub);
        cr_expect(pub.queued);
        publisher_remove(b.publisher, &pub);
        cr_expect_eq(in_table(&b, "a.b", NULL), -1);
        run_for(&b, 100000);
        cr_expect_eq(in_table(&b, "a.b", NULL), -1);
        bench_deinit(&b);
        service_free(s);
}

Test(publish, full_table_refuses_the_new_keeps_the_old_and_tries_again)
{
        enum { N = 40 };
        struct publication pubs[N] = { { 0 } };
        struct service *services[N];
        struct bench b;
        size_t n_refused;
        char key[16];

        bench_init(&b, 160 << 10);
        for (int i = 0; i < N; i++) {
                (void)snprintf(key, sizeof(key), "s%d.b", i);
                services[i] = make_service(key);
                pubs[i].service = services[i];
                answer(services[i], 1, 1000);
                publisher_update(b.publisher, &pubs[i]);
        }
        n_refused = publisher_n_refused(b.publisher);
        cr_expect(n_refused > 0 && n_refused < N, "%zu", n_refused);
        cr_expect_eq(in_table(&b, "s0.b", NULL), 1000);

        for (int i = 0; i < N / 2; i++)
                publisher_remove(b.publisher, &pubs[i]);
        run_for(&b, 6 * USEC_PER_SEC);
        cr_expect_lt(publisher_n_refused(b.publisher), n_refused);
        cr_expect_eq(in_table(&b, "s39.b", NULL), 1000, "there is room now");
        bench_deinit(&b);
        for (int i = 0; i < N; i++)
                service_free(services[i]);
}

/* Each attempt may fill a file before it fails. */
Test(publish, aliases_without_room_are_not_tried_one_by_one)
{
        struct bench b;
        char key[32];
        int n = 0, r;

        bench_init(&b, 160 << 10);
        do
                (void)snprintf(key, sizeof(key), "alias-%d.internal", n++);
        while ((r = publisher_put_alias(b.publisher, key, "a.b")) == 0);
        cr_expect_lt(r, 0);
        for (int i = 0; i < n / 2; i++) {
                (void)snprintf(key, sizeof(key), "alias-%d.internal", i);
                publisher_remove_alias(b.publisher, key);
        }
        run_for(&b, 3 * USEC_PER_SEC); /* their blocks can be used again */
        cr_expect_eq(publisher_put_alias(b.publisher, "new.internal", "a.b"), -ENOSPC);
        run_for(&b, 3 * USEC_PER_SEC);
        cr_expect_eq(publisher_put_alias(b.publisher, "new.internal", "a.b"), 0);
        bench_deinit(&b);
}

/* Registered services that nobody has resolved yet are no reason to serve none. */
Test(publish, table_full_of_pending_services_makes_room_for_their_answers)
{
        enum { N = 2000 };
        static struct publication pubs[N];
        struct service *services[N];
        size_t n_served = 0;
        struct bench b;
        char key[16];

        bench_init(&b, 160 << 10);
        for (int i = 0; i < N; i++) {
                (void)snprintf(key, sizeof(key), "s%d.b", i);
                services[i] = make_service(key);
                pubs[i].service = services[i];
                publisher_update(b.publisher, &pubs[i]);
        }
        run_for(&b, 300 * USEC_PER_MSEC);
        cr_assert_gt(publisher_n_refused(b.publisher), 0);
        for (int i = 0; i < N; i++) {
                answer(services[i], 1, 1);
                publisher_update(b.publisher, &pubs[i]);
        }
        run_for(&b, 6 * USEC_PER_SEC);
        for (int i = 0; i < N; i++) {
                (void)snprintf(key, sizeof(key), "s%d.b", i);
                n_served += in_table(&b, key, NULL) == 1;
        }
        cr_expect_gt(n_served, 0);
        cr_expect_eq(publisher_n_refused(b.publisher), N - n_served, "all that wait for room are counted");
        bench_deinit(&b);
        for (int i = 0; i < N; i++)
                service_free(services[i]);
}

Test(publish, storm_of_changes_is_limited_and_nothing_is_lost)
{
        enum { N = 2000 };
        struct publication *pubs = calloc(N, sizeof(*pubs));
        struct service **services = calloc(N, sizeof(struct service *));
        struct bench b;
        char key[16];
        int n_queued = 0;

        bench_init(&b, 64 << 20);
        for (int i = 0; i < N; i++) {
                (void)snprintf(key, sizeof(key), "s%d.b", i);
                services[i] = make_service(key);
                pubs[i].service = services[i];
                answer(services[i], 1, 3);
                publisher_update(b.publisher, &pubs[i]);
                n_queued += pubs[i].queued;
        }
        cr_expect_gt(n_queued, 0, "more than 500 in 25 ms wait");
        run_for(&b, 300000);
        for (int i = 0; i < N; i++) {
                (void)snprintf(key, sizeof(key), "s%d.b", i);
                cr_assert_not(pubs[i].queued);
                if (i % 97 == 0)
                        cr_expect_eq(in_table(&b, key, NULL), 3, "%s", key);
        }
        bench_deinit(&b);
        for (int i = 0; i < N; i++)
                service_free(services[i]);
        free(services);
        free(pubs);
}

/* What the previous daemon knew: none of it may be missing when the new file takes the place of the old one. */
Test(publish, before_the_file_has_its_name_nothing_waits)
{
        enum { N = 2000 };
        struct publication *pubs = calloc(N, sizeof(*pubs));
        struct service **services = calloc(N, sizeof(struct service *));
        struct bench b;
        char key[16];

        bench_init_new(&b, 64 << 20);
        for (int i = 0; i < N; i++) {
                (void)snprintf(key, sizeof(key), "s%d.b", i);
                services[i] = make_service(key);
                pubs[i].service = services[i];
                publisher_update(b.publisher, &pubs[i]);
                answer(services[i], 1, 3);
                publisher_update(b.publisher, &pubs[i]);
        }
        cr_assert_eq(publisher_open(b.publisher), 0);
        for (int i = 0; i < N; i++) {
                (void)snprintf(key, sizeof(key), "s%d.b", i);
                cr_assert_eq(in_table(&b, key, NULL), 3, "%s", key);
        }
        bench_deinit(&b);
        for (int i = 0; i < N; i++)
                service_free(services[i]);
        free(services);
        free(pubs);
}

Test(publish, grows_ahead_of_need_with_a_heartbeat)
{
        struct publication pubs[200] = { { 0 } };
        struct service *services[200];
        struct stat before, now;
        struct bench b;
        char key[16];
        int n = 0;

        bench_init(&b, 64 << 20);
        cr_assert_eq(fstatat(b.f.dir_fd, KHS_TABLE_NAME, &before, 0), 0);
        do {
                cr_assert_lt(n, 200);
                (void)snprintf(key, sizeof(key), "s%d.b", n);
                services[n] = make_service(key);
                pubs[n].service = services[n];
                answer(services[n], 1, 50);
                publisher_update(b.publisher, &pubs[n++]);
                cr_assert_eq(fstatat(b.f.dir_fd, KHS_TABLE_NAME, &now, 0), 0);
                cr_assert_eq(now.st_ino, before.st_ino, "a publish found the table full");
                publisher_beat(b.publisher);
                cr_assert_eq(fstatat(b.f.dir_fd, KHS_TABLE_NAME, &now, 0), 0);
        } while (now.st_ino == before.st_ino);
        cr_expect_gt(now.st_size, before.st_size);
        for (int i = 0; i < n; i++) {
                (void)snprintf(key, sizeof(key), "s%d.b", i);
                cr_assert_eq(in_table(&b, key, NULL), 50, "%s", key);
        }
        bench_deinit(&b);
        for (int i = 0; i < n; i++)
                service_free(services[i]);
}

Test(publish, makes_a_removed_file_again)
{
        struct service *s = make_service("a.b");
        struct publication pub = { .service = s };
        struct bench b;

        bench_init(&b, 1 << 20);
        answer(s, 1, 2);
        publisher_update(b.publisher, &pub);
        publisher_beat(b.publisher);
        cr_assert_eq(unlinkat(b.f.dir_fd, KHS_TABLE_NAME, 0), 0);
        publisher_beat(b.publisher);
        cr_expect_eq(in_table(&b, "a.b", NULL), 2);
        bench_deinit(&b);
        service_free(s);
}

/* A reload that drops every second service of a full table must not cost the heartbeat. */
Test(publish, many_that_wait_for_room_go_at_once)
{
        enum { N = 100000 };
        static struct publication pubs[N];
        struct service *first = make_service("a.b"), *s = make_service("c.d");
        uint64_t start;
        struct bench b;

        bench_init(&b, 1 << 20);
        answer(first, 1, 5000);
        for (size_t i = 0; i < N; i++)
                pubs[i].service = i == 0 ? first : s;
        for (uint32_t n = 5000; publisher_n_refused(b.publisher) == 0; n--) {
                char key[16];

                (void)snprintf(key, sizeof(key), "s%u.x", n);
                free(first->key);
                first->key = strdup(key);
                pubs[0].last_usec = 0;
                publisher_update(b.publisher, &pubs[0]);
        }
        for (size_t i = 1; i < N; i++)
                publisher_update(b.publisher, &pubs[i]);
        start = usec_now();
        for (size_t i = 1; i < N; i += 2)
                publisher_remove(b.publisher, &pubs[i]);
        cr_expect_lt(usec_now() - start, USEC_PER_SEC);
        for (size_t i = 0; i < N; i += 2)
                publisher_remove(b.publisher, &pubs[i]);
        bench_deinit(&b);
        service_free(first);
        service_free(s);
}
