/* What stands in a file, as the model is told. */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "source/static.h"

static char said[1024];

/* "10.0.0.1 10.0.0.2:3000/grpc/17": of what was reported last. */
static void on_report(void *userdata, const char *key, const struct finding *finding)
{
        size_t n = (size_t)snprintf(said, sizeof(said), "%s:", key);

        (void)userdata;
        cr_expect_eq(finding->kind, FINDING_WHOLE);
        cr_expect_eq(finding->source, KHS_SOURCE_STATIC);
        cr_expect_eq(finding->reason, finding->n_endpoints > 0 ? KHS_REASON_NONE : KHS_REASON_NODATA);
        for (uint32_t i = 0; i < finding->n_endpoints; i++) {
                const struct finding_endpoint *e = &finding->endpoints[i];
                char address[INET6_ADDRSTRLEN];

                cr_expect_eq(e->flags, KHS_ATTR_READY | KHS_ATTR_SERVING);
                cr_assert_not_null(inet_ntop(e->family, e->bytes, address, sizeof(address)));
                n += (size_t)snprintf(said + n, sizeof(said) - n, " %s", address);
                if (e->n_ports > 0)
                        n += (size_t)snprintf(said + n, sizeof(said) - n, ":%u/%s/%u", e->ports->number,
                                              e->ports->name ? e->ports->name : "", e->ports->protocol);
        }
}

/* @endpoints: separated by blanks. */
static bool report(const char *endpoints, const struct khs_port *ports, size_t n_ports)
{
        static const struct source_reports reports = { .report = on_report };
        struct source_service service = { .key = "a.b", .ports = ports, .n_ports = n_ports };
        const struct source_set set = { .services = &service, .n_services = 1 };
        struct address addresses[16];
        char text[512], *rest = text;
        struct source *source;
        bool knows;

        (void)snprintf(text, sizeof(text), "%s", endpoints);
        for (const char *word; (word = strtok_r(rest, " ", &rest)); service.n_endpoints++)
                cr_assert_eq(address_from_text(word, &addresses[service.n_endpoints]), 0);
        service.endpoints = addresses;
        cr_assert_eq(source_static_new(&source), 0);
        cr_assert_eq(source_start(source, &reports, &set), 0);
        knows = source->ops->knows_hosts && source->ops->knows_hosts(source, &service);
        source_free(source);
        return knows;
}

Test(source_static, reports_sorted_addresses_once)
{
        cr_expect_not(report("10.0.0.2 fd00::2 10.0.0.1 10.0.0.2 fd00::1", NULL, 0));
        cr_expect_str_eq(said, "a.b: 10.0.0.1 10.0.0.2 fd00::1 fd00::2");
        cr_expect_not(report("", NULL, 0));
        cr_expect_str_eq(said, "a.b:");
}

/* Several programs on a laptop have its address, and ports of their own. */
Test(source_static, reports_a_port_of_each_endpoint)
{
        static const struct khs_port number = { .kind = KHS_PORT_NUMBER, .number = 8080 },
                                     grpc = { .kind = KHS_PORT_NAME, .name = "grpc" },
                                     dns = { .kind = KHS_PORT_NAME, .name = "dns", .udp = true };

        cr_expect(report("127.0.0.1:3001 127.0.0.1:3000 10.0.0.1 127.0.0.1:3001 [::1]:80", NULL, 0));
        cr_expect_str_eq(said, "a.b: 10.0.0.1 127.0.0.1:3000//6 127.0.0.1:3001//6 ::1:80//6");
        (void)report("10.0.0.1:1", &number, 1);
        cr_expect_str_eq(said, "a.b: 10.0.0.1:1//6");
        (void)report("10.0.0.1:1", &grpc, 1);
        cr_expect_str_eq(said, "a.b: 10.0.0.1:1/grpc/6");
        (void)report("10.0.0.1:53 10.0.0.1", &dns, 1);
        cr_expect_str_eq(said, "a.b: 10.0.0.1 10.0.0.1:53/dns/17");
}
