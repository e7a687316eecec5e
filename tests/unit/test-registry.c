/* The registry between configuration, fake sources, and a real table. */

#include <netinet/in.h>

#include "base/util.h"
#include "registry.h"
#include "source/fake-source.h"
#include "table-fixture.h"

static struct fixture f; /* its writer is not used */
static sd_event *event;
static struct publisher *publisher;
static struct registry *registry;
static struct fake_source dns, kube, fixed;
static struct config_service services[8], pods[2], namespaces[2];
static struct config config = { .services = services, .pods = pods, .namespaces = namespaces };

static void setup(void)
{
        struct khs_table_params params = fixture_params();
        struct source *const sources[] = {
                [KHS_SOURCE_DNS] = &dns.source,
                [KHS_SOURCE_KUBERNETES] = &kube.source,
                [KHS_SOURCE_STATIC] = &fixed.source,
        };

        fixture_init(&f, NULL);
        f.writer = khs_writer_free(f.writer);
        dns = fixed = (struct fake_source){ .source.ops = &fake_dns_ops };
        kube = (struct fake_source){ .source.ops = &fake_kube_ops };
        cr_assert_geq(sd_event_new(&event), 0);
        cr_assert_eq(publisher_new(&publisher, event, f.dir_fd, &params, NULL), 0);
        cr_assert_eq(registry_new(&registry, publisher, sources), 0);
        cr_assert_eq(publisher_open(publisher), 0);
}

static void teardown(void)
{
        registry_free(registry);
        publisher_free(publisher);
        sd_event_unref(event);
        fixture_deinit(&f);
}

TestSuite(registry, .init = setup, .fini = teardown, .timeout = 20);

static char origin[] = "test:1", www[] = "www.example", app[] = "app=worker";

static struct config_service section(const char *key, enum khs_source source)
{
        return (struct config_service){
                .key = (char *)(uintptr_t)key,
                .namespace = (char *)(uintptr_t)(strchr(key, '.') ? strchr(key, '.') + 1 : key),
                .source = (uint8_t)source,
                .answers = 1,
                .refresh_min = USEC_PER_SEC,
                .refresh_max = 5 * USEC_PER_SEC,
                .max_stale = 3600 * USEC_PER_SEC,
                .origin = origin,
        };
}

/* Services in the order of their keys. */
static void apply(size_t n_services)
{
        config.n_services = n_services;
        registry_apply(registry, &config, NULL);
}

/* Lets the publisher join and publish. */
static void settle(void)
{
        for (uint64_t end = usec_now() + 60 * USEC_PER_MSEC; usec_now() < end;)
                cr_assert_geq(sd_event_run(event, 5000), 0);
}

/* IPv4 addresses that the table has for a key; -1: not registered. */
static int in_table(const char *key, struct khs_record *ret)
{
        struct khs_table_file file;
        struct khs_found found;
        int n = -1;

        settle();
        fixture_open(&f, &file);
        if (khs_view_find(&file.view, key, strlen(key), &found) == 0) {
                n = (int)found.record.n4;
                if (ret)
                        *ret = found.record;
        }
        khs_table_close(&file);
        return n;
}

static unsigned int state_in_table(const char *key)
{
        struct khs_record record = { .status = UINT32_MAX };

        (void)in_table(key, &record);
        return record.status & 0xff;
}

/* What somebody remembers of a table that is gone must not fit into the next. */
Test(registry, begins_with_any_version)
{
        struct khs_record record;
        uint32_t versions[4];

        services[0] = section("a.default", KHS_SOURCE_STATIC);
        for (size_t i = 0; i < 4; i++) {
                apply(1);
                settle();
                cr_assert_geq(in_table("a.default", &record), 0);
                versions[i] = record.version;
                cr_expect_lt(record.version, UINT32_MAX - 1000000, "room to count");
                for (size_t k = 0; k < i; k++)
                        cr_expect_neq(versions[i], versions[k]);
                teardown();
                setup();
        }
}

Test(registry, each_source_follows_its_own_all_at_once)
{
        services[0] = section("a.x", KHS_SOURCE_DNS);
        services[1] = section("b.x", KHS_SOURCE_KUBERNETES);
        services[2] = section("c.x", KHS_SOURCE_STATIC);
        services[3] = section("d.x", KHS_SOURCE_DNS);
        apply(4);
        cr_expect_str_eq(dns.services, "a.x d.x");
        cr_expect_str_eq(kube.services, "b.x");
        cr_expect_str_eq(fixed.services, "c.x");
        cr_expect_eq(dns.n_updates, 1);
        cr_expect_eq(registry_n_awaited(registry), 4);

        fake_answer(&dns, "a.x", KHS_SOURCE_DNS, 1);
        fake_answer(&dns, "nobody.x", KHS_SOURCE_DNS, 1);
        cr_expect_eq(in_table("a.x", NULL), 1);
        cr_expect_eq(in_table("nobody.x", NULL), -1);

        /* One moves to another source, one goes. */
        services[1].source = KHS_SOURCE_DNS;
        services[2] = services[3];
        apply(3);
        cr_expect_str_eq(dns.services, "a.x b.x d.x");
        cr_expect_str_eq(kube.services, "");
        cr_expect_str_eq(fixed.services, "");
        cr_expect_eq(in_table("c.x", NULL), -1);
        cr_expect_eq(in_table("a.x", NULL), 1, "what stays is not disturbed");
        cr_expect_not(dns.report_again);
}

Test(registry, alias_moves_from_one_service_to_another)
{
        char *alias[] = { www };

        services[0] = section("a.x", KHS_SOURCE_DNS);
        services[1] = section("b.x", KHS_SOURCE_DNS);
        services[0].aliases = alias;
        services[0].n_aliases = 1;
        apply(2);
        cr_expect(registry_keeps(registry, "www.example", "a.x"));
        services[0].n_aliases = 0;
        services[1].aliases = alias;
        services[1].n_aliases = 1;
        apply(2);
        cr_expect_not(registry_keeps(registry, "www.example", "a.x"));
        cr_expect(registry_keeps(registry, "www.example", "b.x"));
        cr_expect(registry_keeps(registry, "b.x", NULL));
        cr_expect_neq(in_table("www.example", NULL), -1);
}

Test(registry, hosts_that_cost_nothing_are_kept)
{
        services[0] = section("a.x", KHS_SOURCE_DNS);
        services[1] = section("b.x", KHS_SOURCE_KUBERNETES);
        apply(2);
        cr_expect_not(dns.last.hosts, "no port needs them");
        cr_expect_not(kube.last.hosts);
        fake_whole(&kube, "b.x", 1, false);
        {
                struct khs_record record;

                cr_assert_eq(in_table("b.x", &record), 1);
                cr_expect_neq(record.attrs, 0, "the host name that came with the address");
        }
}

/* "db.default" in a file is what the file says, whoever makes a service of that name. */
Test(registry, what_the_api_finds_counts_only_where_it_is_asked)
{
        services[0] = section("a.x", KHS_SOURCE_DNS);
        services[1] = section("c.x", KHS_SOURCE_STATIC);
        namespaces[0] = section("x", KHS_SOURCE_KUBERNETES);
        namespaces[0].key = NULL;
        config.n_namespaces = 1;
        apply(2);
        fake_answer(&dns, "a.x", KHS_SOURCE_DNS, 1);
        fake_answer(&fixed, "c.x", KHS_SOURCE_STATIC, 1);
        source_discovered(&kube.source, "x", "a", true);
        source_discovered(&kube.source, "x", "c", true);
        fake_whole(&kube, "a.x", 0, false);
        fake_whole(&kube, "c.x", 0, false);
        cr_expect_eq(in_table("a.x", NULL), 1);
        cr_expect_eq(in_table("c.x", NULL), 1);
        config.n_namespaces = 0;
}

Test(registry, an_alias_and_a_service_that_is_found_do_not_share_a_record)
{
        static char *alias[] = { (char *)"db.x" };

        namespaces[0] = section("x", KHS_SOURCE_KUBERNETES);
        namespaces[0].key = NULL;
        config.n_namespaces = 1;
        services[0] = section("a.y", KHS_SOURCE_DNS);
        services[0].aliases = alias;
        services[0].n_aliases = 1;
        apply(1);
        fake_answer(&dns, "a.y", KHS_SOURCE_DNS, 1);
        source_discovered(&kube.source, "x", "db", true);
        cr_expect(registry_keeps(registry, "db.x", "a.y"), "the first stays");
        source_discovered(&kube.source, "x", "db", false);
        cr_expect_neq(in_table("db.x", NULL), -1, "and is still there");

        services[0].n_aliases = 0;
        apply(1);
        source_discovered(&kube.source, "x", "db", true);
        fake_whole(&kube, "db.x", 1, false);
        services[0].n_aliases = 1;
        apply(1);
        cr_expect_eq(in_table("db.x", NULL), 1, "now the service was first");
        cr_expect_not(registry_keeps(registry, "db.x", "a.y"));
        services[0].n_aliases = 0;
        apply(1);
        cr_expect_eq(in_table("db.x", NULL), 1, "an alias that was never put takes nothing along");
        config.n_namespaces = 0;
}

/* The API server may be away at the time. */
Test(registry, what_loses_its_section_to_a_namespace_stays)
{
        namespaces[0] = section("x", KHS_SOURCE_KUBERNETES);
        namespaces[0].key = namespaces[0].name = NULL;
        services[0] = section("web.x", KHS_SOURCE_KUBERNETES);
        services[1] = section("web.y", KHS_SOURCE_KUBERNETES);
        apply(2);
        fake_whole(&kube, "web.x", 1, false);
        fake_whole(&kube, "web.y", 1, false);
        config.n_namespaces = 1;
        apply(0);
        cr_expect_eq(in_table("web.x", NULL), 1);
        cr_expect_eq(in_table("web.y", NULL), -1);
        cr_expect_str_eq(kube.services, "web.x");
        cr_expect(kube.last.discovered, "until the source has seen for itself");
        source_discovered(&kube.source, "x", "web", false);
        cr_expect_eq(in_table("web.x", NULL), -1);
        config.n_namespaces = 0;
}

/* What came while they were not kept is no news to the source. */
Test(registry, hosts_that_are_kept_from_now_on_are_asked_for_again)
{
        services[0] = section("b.x", KHS_SOURCE_KUBERNETES);
        services[0].hosts = CONFIG_HOSTS_NO;
        apply(1);
        fake_whole(&kube, "b.x", 1, false);
        apply(1);
        cr_expect_not(kube.report_again);
        services[0].hosts = CONFIG_HOSTS_AUTO;
        apply(1);
        cr_expect(kube.report_again);
        apply(1);
        cr_expect_not(kube.report_again);
}

Test(registry, update_for_which_memory_was_short_is_made_again)
{
        services[0] = section("a.x", KHS_SOURCE_DNS);
        dns.result = -ENOMEM;
        apply(1);
        cr_expect_eq(dns.n_updates, 1);
        registry_tick(registry);
        cr_expect_eq(dns.n_updates, 2);
        registry_tick(registry);
        cr_expect_eq(dns.n_updates, 2);
}

Test(registry, whole_finding_without_endpoints_is_the_end_of_waiting)
{
        services[0] = section("b.x", KHS_SOURCE_KUBERNETES);
        apply(1);
        cr_expect_eq(registry_n_awaited(registry), 1);
        fake_whole(&kube, "b.x", 0, false);
        cr_expect_eq(registry_n_awaited(registry), 0);
        cr_expect_eq(state_in_table("b.x"), KHS_SERVICE_EMPTY);
}

Test(registry, allow_cidr_holds_for_all_but_what_a_file_says)
{
        struct network ten = { .family = AF_INET, .prefix = 30, .bytes = { 10 } };
        struct registry_counts counts;

        services[0] = section("a.x", KHS_SOURCE_DNS);
        services[1] = section("b.x", KHS_SOURCE_KUBERNETES);
        services[2] = section("c.x", KHS_SOURCE_STATIC);
        apply(3);
        fake_answer(&dns, "a.x", KHS_SOURCE_DNS, 9);
        fake_whole(&kube, "b.x", 9, false);
        fake_answer(&fixed, "c.x", KHS_SOURCE_STATIC, 9);
        cr_assert_eq(in_table("a.x", NULL), 1);

        config.allow_cidr = &ten;
        config.n_allow_cidr = 1;
        apply(3);
        cr_expect_eq(in_table("a.x", NULL), 0, "at once");
        cr_expect_eq(in_table("b.x", NULL), 0);
        cr_expect_eq(in_table("c.x", NULL), 1);
        cr_expect(kube.report_again);
        fake_whole(&kube, "b.x", 9, false);
        fake_answer(&dns, "a.x", KHS_SOURCE_DNS, 9);
        cr_expect_eq(in_table("a.x", NULL), 0);
        cr_expect_eq(in_table("b.x", NULL), 0);
        registry_count(registry, &counts);
        cr_expect_geq(counts.n_dropped, 4);
        fake_answer(&dns, "a.x", KHS_SOURCE_DNS, 2);
        cr_expect_eq(in_table("a.x", NULL), 1);

        apply(3);
        cr_expect_not(kube.report_again, "nothing changed");
        config.n_allow_cidr = 0;
        apply(3);
        cr_expect(kube.report_again, "what was dropped is news again");
        config.allow_cidr = NULL;
}

Test(registry, discovered_services_live_as_their_section_says)
{
        struct khs_port port = { .kind = KHS_PORT_NUMBER, .number = 8080 };
        struct khs_record record;

        namespaces[0] = section("x", KHS_SOURCE_KUBERNETES);
        namespaces[0].key = NULL;
        namespaces[0].ports = &port;
        namespaces[0].n_ports = 1;
        config.n_namespaces = 1;
        services[0] = section("named.x", KHS_SOURCE_DNS);
        apply(1);
        cr_expect_str_eq(kube.namespaces, "x");
        cr_expect_str_eq(dns.namespaces, "");

        source_discovered(&kube.source, "x", "web", true);
        source_discovered(&kube.source, "x", "api", true);
        source_discovered(&kube.source, "x", "named", true);
        source_discovered(&kube.source, "elsewhere", "web", true);
        fake_whole(&kube, "web.x", 1, false);
        cr_expect_eq(in_table("web.x", &record), 1);
        cr_expect_eq(record.port, 8080);
        cr_expect_eq(in_table("web.elsewhere", NULL), -1);
        registry_tick(registry);
        cr_expect_str_eq(kube.services, "api.x web.x");
        cr_expect(kube.last.discovered);
        cr_expect_str_eq(dns.services, "named.x", "its own section goes first");

        source_discovered(&kube.source, "x", "api", false);
        source_discovered(&kube.source, "x", "named", false);
        cr_expect_eq(in_table("api.x", NULL), -1);
        cr_expect_neq(in_table("named.x", NULL), -1);
        registry_tick(registry);
        cr_expect_str_eq(kube.services, "web.x");

        /* A [service] section takes it over, and gives it back. */
        services[1] = section("web.x", KHS_SOURCE_KUBERNETES);
        apply(2);
        cr_expect_eq(in_table("web.x", &record), 1);
        cr_expect_eq(record.port, 0);
        apply(1);
        cr_expect_eq(in_table("web.x", &record), 1);
        cr_expect_eq(record.port, 8080);

        config.n_namespaces = 0;
        apply(1);
        cr_expect_eq(in_table("web.x", NULL), -1);
        cr_expect_str_eq(kube.services, "");
}

Test(registry, pods_are_registered_where_a_source_serves_them)
{
        pods[0] = section("worker.x", KHS_SOURCE_KUBERNETES);
        pods[0].selector = app;
        config.n_pods = 1;
        apply(0);
        cr_expect_str_eq(kube.services, "worker.x");
        cr_expect_str_eq(kube.last.selector, "app=worker");
        config.n_pods = 0;
        apply(0);
        cr_expect_str_eq(kube.services, "");
        cr_expect_eq(in_table("worker.x", NULL), -1);
}
