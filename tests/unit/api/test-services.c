/* k8shsvc_info() and k8shsvc_list(). */

#include "api-fixture.h"

static void put_state(struct fixture *f, const char *key, enum khs_service_state state, enum khs_reason reason,
                      int32_t stale_ds)
{
        struct khs_row row = fixture_row(key, 0, state == KHS_SERVICE_EMPTY ? 0 : 1, 0);

        row.status = khs_status(state, reason, KHS_SOURCE_DNS);
        row.stale_until_ds = fixture_now() + (uint32_t)stale_ds;
        row.policy = khs_policy(KHS_ANSWERS_ALL, KHS_ORDER_STICKY, KHS_FAMILY_IPV4);
        cr_assert_eq(khs_writer_put(f->writer, &row, fixture_now()), 0);
}

Test(services, tell_everything_of_one)
{
        struct khs_row alias = { .key = "users.internal", .n_key = 14, .target = "web.default", .n_target = 11 };
        static const char *const names[] = { "web.default",
                                             "WEB.default.svc",
                                             "users.internal",
                                             "web.default:grpc",
                                             "kubernetes://default/web:8080",
                                             "web-1.web.default" };
        struct k8shsvc_info info;
        k8shsvc *h = api_handle();
        struct fixture f;

        rundir_init(&f);
        api_put_web(&f, KHS_ORDER_ZONE);
        cr_assert_eq(khs_writer_put(f.writer, &alias, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                memset(&info, 0xa5, sizeof(info));
                cr_assert_eq(k8shsvc_info(h, names[i], sizeof(info), &info), 0, "%s", names[i]);
                cr_expect_str_eq(info.service, "web.default");
                cr_expect(info.age_ms >= 4800 && info.age_ms < 8000, "%llu", (unsigned long long)info.age_ms);
                cr_expect_eq(info.n_endpoints, 5);
                cr_expect_eq(info.n_ipv4, 3);
                cr_expect_eq(info.n_ipv6, 1);
                cr_expect_eq(info.version, 7);
                cr_expect_eq(info.generation, 1);
                cr_expect_eq(info.ttl_s, 5);
                cr_expect_eq(info.answers, 1);
                cr_expect_eq(info.port, 0);
                cr_expect_eq(info.order, K8SHSVC_ORDER_ZONE);
                cr_expect_eq(info.state, K8SHSVC_STATE_FRESH);
                cr_expect_eq(info.reason, K8SHSVC_REASON_NONE);
                cr_expect_eq(info.source, K8SHSVC_SOURCE_KUBERNETES);
                cr_expect_eq(info.flags, 0);
                cr_expect_eq(info.reserved[3], 0);
        }
        k8shsvc_close(h);
}

Test(services, are_in_one_of_five_states)
{
        static const struct {
                const char *name;
                uint8_t state, reason;
        } cases[] = {
                { "pending.b", K8SHSVC_STATE_PENDING, K8SHSVC_REASON_TIMEOUT },
                { "fresh.b", K8SHSVC_STATE_FRESH, K8SHSVC_REASON_NONE },
                { "stale.b", K8SHSVC_STATE_STALE, K8SHSVC_REASON_SERVFAIL },
                { "empty.b", K8SHSVC_STATE_EMPTY, K8SHSVC_REASON_NXDOMAIN },
                { "old.b", K8SHSVC_STATE_EXPIRED, K8SHSVC_REASON_RESTART },
        };
        struct k8shsvc_info info;
        k8shsvc *h = api_handle();
        struct fixture f;

        rundir_init(&f);
        put_state(&f, "pending.b", KHS_SERVICE_PENDING, KHS_REASON_TIMEOUT, 0);
        put_state(&f, "fresh.b", KHS_SERVICE_FRESH, KHS_REASON_NONE, 600);
        put_state(&f, "stale.b", KHS_SERVICE_STALE, KHS_REASON_SERVFAIL, 600);
        put_state(&f, "empty.b", KHS_SERVICE_EMPTY, KHS_REASON_NXDOMAIN, 600);
        put_state(&f, "old.b", KHS_SERVICE_FRESH, KHS_REASON_RESTART, -20); /* nobody has said so yet */
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                cr_assert_eq(k8shsvc_info(h, cases[i].name, sizeof(info), &info), 0, "%s", cases[i].name);
                cr_expect_eq(info.state, cases[i].state, "%s: %u", cases[i].name, info.state);
                cr_expect_eq(info.reason, cases[i].reason);
                cr_expect_eq(info.answers, K8SHSVC_ANSWERS_ALL);
                cr_expect_eq(info.order, K8SHSVC_ORDER_STICKY);
                cr_expect_eq(info.family, 1);
                cr_expect_eq(info.port, 8080);
        }
        k8shsvc_close(h);
}

Test(services, are_told_to_older_and_newer_programs)
{
        uint8_t room[512];
        struct k8shsvc_info *info = (void *)room;
        k8shsvc *h = api_handle();
        struct fixture f;

        rundir_init(&f);
        api_put(&f, "a.b", 3, 2);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        memset(room, 0xa5, sizeof(room));
        cr_expect_eq(k8shsvc_info(h, "a.b", 268, info), 0);
        cr_expect_eq(info->n_endpoints, 5);
        cr_expect_eq(room[268], 0xa5);
        cr_expect_eq(k8shsvc_info(h, "a.b", 400, info), 0);
        cr_expect_eq(info->port, 8080);
        for (int i = 304; i < 400; i++)
                cr_expect_eq(room[i], 0);
        cr_expect_eq(room[400], 0xa5);
        memset(room, 0xa5, sizeof(room));
        cr_expect_eq(k8shsvc_info(h, "c.b", sizeof(*info), info), -ENOENT);
        cr_expect_eq(k8shsvc_info(h, "pod.a.b", sizeof(*info), info), -ENOENT);
        cr_expect_eq(k8shsvc_info(h, "c/b", sizeof(*info), info), -EINVAL);
        cr_expect_eq(room[0], 0xa5);
        k8shsvc_close(h);
}

/* ---- all of them ---- */

struct seen {
        k8shsvc *h;
        unsigned int n[100], n_calls, stop_after;
};

static int see(const struct k8shsvc_info *info, void *user)
{
        struct k8shsvc_info one;
        struct seen *seen = user;
        unsigned int i;

        cr_assert_eq(sscanf(info->service, "service-%u.b", &i), 1);
        cr_assert_lt(i, 100);
        seen->n[i]++;
        cr_expect_eq(info->n_ipv4, i % 5 + 1);
        cr_expect_eq(((const uint8_t *)info)[sizeof(*info)], 0, "what a newer program knows");
        cr_assert_eq(k8shsvc_info(seen->h, info->service, sizeof(one), &one), 0, "looked up meanwhile");
        cr_expect_eq(one.n_ipv4, info->n_ipv4);
        return ++seen->n_calls == seen->stop_after ? 42 : 0;
}

Test(services, are_listed_once_each)
{
        struct seen seen = { .h = api_handle() };
        struct khs_row alias = { .key = "users.internal", .n_key = 14, .target = "service-1.b", .n_target = 11 };
        struct fixture f;

        rundir_init(&f);
        cr_expect_eq(k8shsvc_list(seen.h, sizeof(struct k8shsvc_info), see, &seen), -ENOTCONN);
        for (unsigned int i = 0; i < 100; i++) {
                char key[32];

                (void)snprintf(key, sizeof(key), "service-%u.b", i);
                api_put(&f, key, i % 5 + 1, 0);
        }
        cr_assert_eq(khs_writer_put(f.writer, &alias, fixture_now()), 0);
        cr_assert_eq(khs_writer_publish(f.writer), 0);
        (void)usleep(1200000);
        errno = 4711;
        cr_expect_eq(k8shsvc_list(seen.h, sizeof(struct k8shsvc_info) + 8, see, &seen), 0);
        cr_expect_eq(errno, 4711);
        for (unsigned int i = 0; i < 100; i++)
                cr_expect_eq(seen.n[i], 1, "%u", i);
        seen.n_calls = 0;
        seen.stop_after = 7;
        cr_expect_eq(k8shsvc_list(seen.h, sizeof(struct k8shsvc_info), see, &seen), 42);
        cr_expect_eq(seen.n_calls, 7);
        k8shsvc_close(seen.h);
}
