/* Services as JSON: every key, what is unknown, and what a newer daemon or a damaged table may hold. */

#include <errno.h>
#include <netinet/in.h>

#include "table-fixture.h"
#include "table/policy.h"
#include "view/catalog.h"
#include "view/service-json.h"

struct scene {
        struct fixture f;
        struct view_table table;
        struct view_catalog catalog;
};

static void scene_put(struct scene *s, struct khs_row *row)
{
        cr_assert_eq(khs_writer_put(s->f.writer, row, fixture_now()), 0);
}

static void scene_put_alias(struct scene *s, const char *alias, const char *target)
{
        scene_put(s, &(struct khs_row){
                             .key = alias, .n_key = strlen(alias), .target = target, .n_target = strlen(target) });
}

static void scene_open(struct scene *s)
{
        cr_assert_eq(khs_writer_publish(s->f.writer), 0);
        cr_assert_eq(view_table_open(&s->table, s->f.dir), 0);
        cr_assert_eq(view_catalog_read(&s->table, &s->catalog), 0);
}

static void scene_deinit(struct scene *s)
{
        view_catalog_deinit(&s->catalog);
        view_table_close(&s->table);
        fixture_deinit(&s->f);
}

/* The JSON of a service, for free(). */
static char *scene_json(struct scene *s, const char *key)
{
        struct view_service service;
        struct json_writer w = { 0 };
        char *text = NULL;
        size_t n;

        cr_assert_eq(view_catalog_whole(&s->catalog, &s->table, key, &service), 0);
        service.age_ds = 12;
        w.to = open_memstream(&text, &n);
        view_service_json(&w, NULL, &service);
        (void)fclose(w.to);
        view_service_deinit(&service);
        return text;
}

#define expect_json(scene, key, expected)                                                                              \
        do {                                                                                                           \
                char *json_text = scene_json(scene, key);                                                              \
                cr_expect_str_eq(json_text, expected);                                                                 \
                free(json_text);                                                                                       \
        } while (0)

static const struct khs_row_port web_ports[] = { { "http", 8080, IPPROTO_TCP }, { "dns", 53, IPPROTO_UDP } };
static const struct khs_row_endpoint web_endpoints[] = {
        { .host = "web-1",
          .node = "n1",
          .zone = "z1",
          .ordinal = 1,
          .flags = KHS_ATTR_READY | KHS_ATTR_SERVING,
          .n_ports = 2,
          .ports = web_ports },
        { .ordinal = -1, .flags = KHS_ATTR_SERVING | KHS_ATTR_TERMINATING },
        { .host = "web-9", .ordinal = 9, .n_ports = 1, .ports = web_ports + 1 },
};

Test(view_service, everything_that_a_service_has)
{
        static const uint16_t shared[] = { 0 };
        struct khs_row row = fixture_row("web.shop", 1, 1, 1);
        struct scene s;

        fixture_init(&s.f, NULL);
        row.endpoints = web_endpoints;
        row.n_shared = 1;
        row.shared = shared;
        row.port = 0;
        row.policy = khs_policy(KHS_ANSWERS_AUTO, KHS_ORDER_ZONE, KHS_FAMILY_ANY);
        row.status = khs_status(KHS_SERVICE_STALE, KHS_REASON_TLS, KHS_SOURCE_KUBERNETES);
        row.flags = KHS_REC_TRUNCATED;
        scene_put(&s, &row);
        scene_put_alias(&s, "web2", "web.shop");
        scene_put_alias(&s, "a.web", "web.shop");
        scene_open(&s);
        expect_json(&s, "web.shop",
                    "{\"service\":\"web.shop\",\"state\":\"stale\",\"source\":\"kubernetes\",\"reason\":\"tls\","
                    "\"age_ms\":1200,\"ttl_s\":null,\"answers\":\"auto\",\"order\":\"zone\",\"family\":\"any\","
                    "\"ports\":[{\"name\":\"http\",\"number\":8080,\"protocol\":\"TCP\"},"
                    "{\"name\":\"dns\",\"number\":53,\"protocol\":\"UDP\"}],"
                    "\"aliases\":[\"a.web\",\"web2\"],\"truncated\":true,\"version\":1,\"endpoints\":["
                    "{\"address\":\"10.0.0.1\",\"family\":\"ipv4\",\"port\":8080,\"ports\":["
                    "{\"name\":\"http\",\"number\":8080,\"protocol\":\"TCP\"},"
                    "{\"name\":\"dns\",\"number\":53,\"protocol\":\"UDP\"}],\"host\":\"web-1\",\"ordinal\":1,"
                    "\"node\":\"n1\",\"zone\":\"z1\",\"near\":false,\"ready\":true,\"serving\":true,"
                    "\"terminating\":false},"
                    "{\"address\":\"fd00::1\",\"family\":\"ipv6\",\"port\":null,\"ports\":null,\"host\":null,"
                    "\"ordinal\":null,\"node\":null,\"zone\":null,\"near\":false,\"ready\":false,\"serving\":true,"
                    "\"terminating\":true},"
                    "{\"address\":\"10.0.0.1\",\"family\":\"ipv4\",\"port\":53,\"ports\":["
                    "{\"name\":\"dns\",\"number\":53,\"protocol\":\"UDP\"}],\"host\":\"web-9\",\"ordinal\":9,"
                    "\"node\":null,\"zone\":null,\"near\":false,\"ready\":false,\"serving\":false,"
                    "\"terminating\":false}]}");
        scene_deinit(&s);
}

Test(view_service, what_dns_does_not_know_is_null)
{
        struct khs_row row = fixture_row("user.default", 1, 1, 0);
        struct scene s;

        fixture_init(&s.f, NULL);
        row.policy = khs_policy(1, KHS_ORDER_ROTATE, KHS_FAMILY_IPV4);
        row.status = khs_status(KHS_SERVICE_FRESH, KHS_REASON_NONE, KHS_SOURCE_DNS);
        row.ttl_s = 5;
        scene_put(&s, &row);
        scene_open(&s);
        expect_json(&s, "user.default",
                    "{\"service\":\"user.default\",\"state\":\"fresh\",\"source\":\"dns\",\"reason\":null,"
                    "\"age_ms\":1200,\"ttl_s\":5,\"answers\":\"single\",\"order\":\"rotate\",\"family\":\"ipv4\","
                    "\"ports\":[{\"name\":null,\"number\":8080,\"protocol\":\"TCP\"}],\"aliases\":[],"
                    "\"truncated\":false,\"version\":1,\"endpoints\":["
                    "{\"address\":\"10.0.0.1\",\"family\":\"ipv4\",\"port\":8080,\"ports\":null,\"host\":null,"
                    "\"ordinal\":null,\"node\":null,\"zone\":null,\"near\":null,\"ready\":null,\"serving\":null,"
                    "\"terminating\":null}]}");
        scene_deinit(&s);
}

Test(view_service, unknown_numbers_stay_numbers)
{
        struct khs_row row = fixture_row("future.default", 1, 0, 0);
        struct scene s;

        fixture_init(&s.f, NULL);
        row.policy = khs_policy(7, (enum khs_order)200, (enum khs_family)201);
        row.status = khs_status((enum khs_service_state)202, (enum khs_reason)203, (enum khs_source)204);
        row.port = 0;
        scene_put(&s, &row);
        scene_open(&s);
        expect_json(&s, "future.default",
                    "{\"service\":\"future.default\",\"state\":202,\"source\":204,\"reason\":203,\"age_ms\":1200,"
                    "\"ttl_s\":null,\"answers\":7,\"order\":200,\"family\":201,\"ports\":null,\"aliases\":[],"
                    "\"truncated\":false,\"version\":1,\"endpoints\":[]}");
        scene_deinit(&s);
}

/* In the table the near ones come first. */
Test(view_service, near_endpoints)
{
        static const struct khs_row_endpoint endpoints[] = {
                { .ordinal = -1 }, { .ordinal = -1, .near = true }, { .ordinal = -1 }, { .ordinal = -1 }
        };
        struct khs_row row = fixture_row("web.shop", 1, 3, 1);
        struct view_service service;
        struct scene s;

        fixture_init(&s.f, NULL);
        row.endpoints = endpoints;
        row.policy = khs_policy(KHS_ANSWERS_AUTO, KHS_ORDER_NODE, KHS_FAMILY_ANY);
        row.status = khs_status(KHS_SERVICE_FRESH, KHS_REASON_NONE, KHS_SOURCE_KUBERNETES);
        scene_put(&s, &row);
        row.key = "dns.shop";
        row.n_key = strlen(row.key);
        row.status = khs_status(KHS_SERVICE_FRESH, KHS_REASON_NONE, KHS_SOURCE_DNS);
        scene_put(&s, &row);
        scene_open(&s);

        cr_assert_eq(view_service_find(&s.table, "web.shop", VIEW_WHOLE, &service), 0);
        cr_expect_eq(service.endpoints[0].near, VIEW_YES);
        cr_expect_eq(service.endpoints[0].address[3], 2);
        for (size_t i = 1; i < 4; i++)
                cr_expect_eq(service.endpoints[i].near, VIEW_NO);
        cr_expect_eq(view_service_n_served(&service, AF_INET), 1);
        cr_expect_eq(view_service_n_served(&service, AF_INET6), 1, "all, since none is near");
        view_service_deinit(&service);

        cr_assert_eq(view_service_find(&s.table, "dns.shop", VIEW_WHOLE, &service), 0);
        for (size_t i = 0; i < 4; i++)
                cr_expect_eq(service.endpoints[i].near, VIEW_UNKNOWN);
        cr_expect_eq(view_service_n_served(&service, AF_INET), 3);
        view_service_deinit(&service);
        scene_deinit(&s);
}

Test(view_service, ports_by_ordinal)
{
        static const struct khs_row_endpoint endpoints[] = {
                { .host = "db-0", .ordinal = 0 },
                { .host = "db-9", .ordinal = 9 },
                { .ordinal = -1 },
                { .host = "db-65000", .ordinal = 65000 },
        };
        static const uint16_t ports[] = { 3000, 3009, 0, 0 };
        struct khs_row row = fixture_row("db.default", 1, 4, 0);
        struct view_service service;
        struct scene s;

        fixture_init(&s.f, NULL);
        row.port = 0;
        row.port_base = 3000;
        row.endpoints = endpoints;
        scene_put(&s, &row);
        scene_open(&s);
        cr_assert_eq(view_service_find(&s.table, "db.default", VIEW_WHOLE, &service), 0);
        for (size_t i = 0; i < 4; i++)
                cr_expect_eq(service.endpoints[i].port, ports[i], "%zu: %u", i, service.endpoints[i].port);
        view_service_deinit(&service);
        scene_deinit(&s);
}

Test(view_catalog, every_service_once_sorted_with_its_aliases)
{
        enum { N = 300 };
        struct scene s;

        fixture_init(&s.f, NULL);
        for (int i = 0; i < N; i++) {
                char key[32], alias[32];
                struct khs_row row;

                (void)snprintf(key, sizeof(key), "s%03d.default", i * 7 % N);
                row = fixture_row(key, (uint32_t)i, 2, 1);
                scene_put(&s, &row);
                (void)snprintf(alias, sizeof(alias), "alias-%d", i);
                scene_put_alias(&s, alias, key);
        }
        scene_open(&s);
        cr_assert_eq(s.catalog.n_services, N);
        cr_expect_eq(s.catalog.n_damaged, 0);
        for (int i = 0; i < N; i++) {
                const struct view_service *service = &s.catalog.services[i];
                char key[32];

                (void)snprintf(key, sizeof(key), "s%03d.default", i);
                cr_expect_str_eq(service->key, key);
                cr_expect_eq(service->n4 + service->n6, 3);
                cr_assert_eq(service->n_aliases, 1);
                cr_expect_eq(atoi(service->aliases[0] + strlen("alias-")) * 7 % N, i);
                cr_expect_eq(view_catalog_find(&s.catalog, key), service);
        }
        cr_expect_null(view_catalog_find(&s.catalog, "s300.default"));
        scene_deinit(&s);
}

/* A service may have 1,000 aliases, and there may be many such services. */
Test(view_catalog, as_many_aliases_as_the_table_has)
{
        enum { N = 300000 };
        struct scene s;
        char alias[16];

        fixture_init(&s.f, NULL);
        scene_put(&s, &(struct khs_row){ .key = "users.default", .n_key = 13 });
        for (int i = 0; i < N; i++) {
                (void)snprintf(alias, sizeof(alias), "a%d", i);
                scene_put_alias(&s, alias, "users.default");
        }
        scene_open(&s);
        cr_expect_eq(s.catalog.n_damaged, 0);
        cr_assert_eq(s.catalog.n_services, 1);
        cr_expect_eq(s.catalog.services[0].n_aliases, N);
        scene_deinit(&s);
}

Test(view_catalog, the_aliases_of_a_service_are_sorted)
{
        struct khs_row row = fixture_row("many.default", 1, 1, 0);
        struct scene s;

        fixture_init(&s.f, NULL);
        scene_put(&s, &row);
        for (int i = 0; i < 26; i++) {
                char alias[2] = { (char)('a' + i * 7 % 26), '\0' };

                scene_put_alias(&s, alias, "many.default");
        }
        scene_open(&s);
        cr_assert_eq(s.catalog.n_services, 1);
        cr_assert_eq(s.catalog.services[0].n_aliases, 26);
        for (int i = 0; i < 26; i++)
                cr_expect_eq(s.catalog.services[0].aliases[i][0], 'a' + i);
        scene_deinit(&s);
}

Test(view_table, one_that_others_may_write_is_read_but_not_believed)
{
        struct khs_row row = fixture_row("user.default", 1, 3, 0);
        struct view_service service;
        struct scene s;

        fixture_init(&s.f, NULL);
        scene_put(&s, &row);
        scene_open(&s);
        cr_expect(s.table.believed);
        view_table_close(&s.table);
        cr_assert_eq(fchmodat(s.f.dir_fd, KHS_TABLE_NAME, 0666, 0), 0);
        cr_assert_eq(view_table_open(&s.table, s.f.dir), 0);
        cr_expect_not(s.table.believed);
        cr_expect_null(s.table.file.view.map);
        cr_assert_eq(view_service_find(&s.table, "user.default", VIEW_WHOLE, &service), 0);
        cr_expect_eq(service.n_endpoints, 3);
        view_service_deinit(&service);
        cr_expect_eq(view_service_find(&s.table, "other.default", VIEW_WHOLE, &service), -ENOENT);
        scene_deinit(&s);
}
