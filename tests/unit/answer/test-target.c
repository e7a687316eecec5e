/*
 * Targets and ports: every form that the documentation shows, and what is refused.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "answer/target.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define L63      "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc"

Test(target, ports)
{
        static const struct {
                const char *text;
                int r;
                struct khs_port port;
        } cases[] = {
                { "8080", 0, { KHS_PORT_NUMBER, false, 8080, "" } },
                { "1", 0, { KHS_PORT_NUMBER, false, 1, "" } },
                { "65535", 0, { KHS_PORT_NUMBER, false, 65535, "" } },
                { "00080", 0, { KHS_PORT_NUMBER, false, 80, "" } },
                { "3000+", 0, { KHS_PORT_BASE, false, 3000, "" } },
                { "grpc", 0, { KHS_PORT_NAME, false, 0, "grpc" } },
                { "GRPC-Web", 0, { KHS_PORT_NAME, false, 0, "grpc-web" } },
                { "dns/udp", 0, { KHS_PORT_NAME, true, 0, "dns" } },
                { "dns/tcp", 0, { KHS_PORT_NAME, false, 0, "dns" } },
                { "8080x", 0, { KHS_PORT_NAME, false, 0, "8080x" } },
                { "udp", 0, { KHS_PORT_NAME, false, 0, "udp" } },
                { L63, 0, { KHS_PORT_NAME, false, 0, L63 } },
                { L63 "/udp", 0, { KHS_PORT_NAME, true, 0, L63 } },
                { L63 "d", -EINVAL, { 0 } },
                { "", -EINVAL, { 0 } },
                { "0", -EINVAL, { 0 } },
                { "0+", -EINVAL, { 0 } },
                { "+", -EINVAL, { 0 } },
                { "65536", -EINVAL, { 0 } },
                { "65536+", -EINVAL, { 0 } },
                { "000080", -EINVAL, { 0 } },
                { "99999999999999999999", -EINVAL, { 0 } },
                { "30+00", -EINVAL, { 0 } },
                { "3000++", -EINVAL, { 0 } },
                { "+3000", -EINVAL, { 0 } },
                { "-1", -EINVAL, { 0 } },
                { "a+", -EINVAL, { 0 } },
                { "-grpc", -EINVAL, { 0 } },
                { "grpc-", -EINVAL, { 0 } },
                { "gr_pc", -EINVAL, { 0 } },
                { "gr pc", -EINVAL, { 0 } },
                { "/udp", -EINVAL, { 0 } },
                { "dns/sctp", -EINVAL, { 0 } },
                { "dns/udp/tcp", -EINVAL, { 0 } },
                { "53/udp", -EINVAL, { 0 } },
        };

        for (size_t i = 0; i < N(cases); i++) {
                struct khs_port port, untouched;
                int r;

                memset(&untouched, 0x55, sizeof(untouched));
                port = untouched;
                r = khs_port_parse(cases[i].text, strlen(cases[i].text), &port);
                cr_expect_eq(r, cases[i].r, "'%s': %d", cases[i].text, r);
                if (cases[i].r < 0) {
                        cr_expect_eq(memcmp(&port, &untouched, sizeof(port)), 0, "'%s'", cases[i].text);
                        continue;
                }
                cr_expect_eq(port.kind, cases[i].port.kind, "'%s'", cases[i].text);
                cr_expect_eq(port.udp, cases[i].port.udp, "'%s'", cases[i].text);
                cr_expect_eq(port.number, cases[i].port.number, "'%s'", cases[i].text);
                cr_expect_str_eq(port.name, cases[i].port.name, "'%s'", cases[i].text);
        }
}

Test(target, port_ends_where_it_is_told)
{
        struct khs_port port;

        cr_assert_eq(khs_port_parse("8080junk", 4, &port), 0);
        cr_expect_eq(port.number, 8080);
        cr_expect_eq(khs_port_parse("8080", 0, &port), -EINVAL);
}

Test(target, targets)
{
        static const struct {
                const char *text;
                const char *name; /* NULL: refused */
                const char *namespace;
                int kind;
        } cases[] = {
                { "user-svc", "user-svc", "", KHS_PORT_NONE },
                { "user-svc.default", "user-svc.default", "", KHS_PORT_NONE },
                { "user-svc.default:8080", "user-svc.default", "", KHS_PORT_NUMBER },
                { "user-svc.default:grpc", "user-svc.default", "", KHS_PORT_NAME },
                { "dns.kube-system:dns/udp", "dns.kube-system", "", KHS_PORT_NAME },
                { "service-b.k8s-example2:3000+", "service-b.k8s-example2", "", KHS_PORT_BASE },
                { "user-svc.default.svc.cluster.local.", "user-svc.default.svc.cluster.local.", "", KHS_PORT_NONE },
                { "kubernetes:///user-svc.default:8080", "user-svc.default", "", KHS_PORT_NUMBER },
                { "kubernetes://default/user-svc:grpc", "user-svc", "default", KHS_PORT_NAME },
                { "kubernetes://" L63 "/a", "a", L63, KHS_PORT_NONE },
                { "kubernetes://" L63 "d/a" },
                { "kubernetes://default" },
                { "kubernetes://default/" },
                { "kubernetes:////a" },
                { "kubernetes:/a" },
                { "Kubernetes:///a" },
                { "dns:///a" },
                { "" },
                { ":" },
                { ":80" },
                { "/a" },
                { "a/b" },
                { "a:" },
                { "a:80:81" },
                { "a:80/b" },
                { "a:0" },
                { "[fd00::1]:80" },
                { "fd00::1" },
        };

        for (size_t i = 0; i < N(cases); i++) {
                struct khs_target target, untouched;
                int r;

                memset(&untouched, 0x55, sizeof(untouched));
                target = untouched;
                r = khs_target_parse(cases[i].text, &target);
                cr_expect_eq(r, cases[i].name ? 0 : -EINVAL, "'%s': %d", cases[i].text, r);
                if (!cases[i].name) {
                        cr_expect_eq(memcmp(&target, &untouched, sizeof(target)), 0, "'%s'", cases[i].text);
                        continue;
                }
                cr_assert_eq(target.n_name, strlen(cases[i].name), "'%s'", cases[i].text);
                cr_expect_arr_eq(target.name, cases[i].name, target.n_name);
                cr_assert_eq(target.n_namespace, strlen(cases[i].namespace), "'%s'", cases[i].text);
                if (target.n_namespace > 0)
                        cr_expect_arr_eq(target.namespace, cases[i].namespace, target.n_namespace);
                cr_expect_eq(target.port.kind, cases[i].kind, "'%s'", cases[i].text);
        }
}

Test(target, names_are_bounded)
{
        char text[KHS_NAME_MAX + 3];
        struct khs_target target;

        memset(text, 'a', sizeof(text));
        text[KHS_NAME_MAX + 2] = '\0';
        cr_expect_eq(khs_target_parse(text, &target), -EINVAL);
        text[KHS_NAME_MAX + 1] = '\0';
        cr_expect_eq(khs_target_parse(text, &target), 0);
        cr_expect_eq(target.n_name, KHS_NAME_MAX + 1);
}
