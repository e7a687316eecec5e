/* Slices joined: who is served, once, and who is near. */

#include "kube-fixture.h"

#include <arpa/inet.h>
#include <string.h>

#include "source/kube/decode/endpoint-slice.h"
#include "source/kube/decode/join.h"

#define N_MAX 8U

struct set {
        struct kube_slice *slices[N_MAX];
        size_t n;
};

static void set_free(struct set *set)
{
        for (size_t i = 0; i < set->n; i++)
                kube_slice_free(set->slices[i]);
        set->n = 0;
}

/* @rest: of the object, behind the metadata. */
static void add(struct set *set, const char *type, const char *ports, const char *endpoints)
{
        static unsigned int n;
        json_t *object = kube_json("{'metadata':{'name':'web-%u','labels':{'kubernetes.io/service-name':'web'}},"
                                   "'addressType':'%s','ports':%s,'endpoints':%s}",
                                   n++, type, ports, endpoints);
        unsigned int faults;

        cr_assert_eq(kube_slice_decode(&set->slices[set->n++], object, "default", &faults), 0);
        cr_assert_eq(faults, 0);
        json_decref(object);
}

static void join(struct kube_joined *ret, const struct set *set, const struct kube_view *view)
{
        const struct kube_slice *slices[N_MAX];

        for (size_t i = 0; i < set->n; i++)
                slices[i] = set->slices[i];
        cr_assert_eq(kube_join(ret, slices, set->n, view), 0);
}

/* "10.0.0.1/web-0:http=80:=81*, ..." with a star behind the near ones. */
static const char *text_of(const struct kube_joined *joined)
{
        static char text[8192];
        size_t at = 0;

        text[0] = '\0';
        for (uint32_t i = 0; i < joined->n_endpoints; i++) {
                const struct finding_endpoint *e = &joined->endpoints[i];
                char address[INET6_ADDRSTRLEN];

                at += (size_t)sprintf(text + at, "%s%s", i > 0 ? " " : "",
                                      inet_ntop(e->family, e->bytes, address, sizeof(address)));
                if (e->host)
                        at += (size_t)sprintf(text + at, "/%s", e->host);
                for (uint32_t k = 0; k < e->n_ports; k++)
                        at += (size_t)sprintf(text + at, ":%s=%u", e->ports[k].name ? e->ports[k].name : "",
                                              e->ports[k].number);
                if (e->near)
                        at += (size_t)sprintf(text + at, "*");
        }
        return text;
}

static void expect(const struct set *set, const struct kube_view *view, const char *want)
{
        struct kube_joined joined;

        join(&joined, set, view);
        cr_expect_str_eq(text_of(&joined), want);
        kube_joined_deinit(&joined);
}

Test(kube_join, no_slice_and_empty_slices)
{
        const struct kube_view view = { 0 };
        struct set set = { .n = 0 };

        expect(&set, &view, "");
        add(&set, "IPv4", "null", "null");
        add(&set, "IPv4", "null", "[]");
        expect(&set, &view, "");
        set_free(&set);
}

/* kuberesolver #66: the last slice won. */
Test(kube_join, all_slices_count_in_address_order)
{
        const struct kube_view view = { 0 };
        struct set set = { .n = 0 };

        add(&set, "IPv4", "null", "[{'addresses':['10.0.0.9']},{'addresses':['10.0.0.2']}]");
        add(&set, "IPv6", "null", "[{'addresses':['fd00::2']},{'addresses':['fd00::1']}]");
        add(&set, "IPv4", "null", "[{'addresses':['10.0.0.1']}]");
        expect(&set, &view, "10.0.0.1 10.0.0.2 10.0.0.9 fd00::1 fd00::2");
        expect(&set, &(struct kube_view){ .family = KHS_FAMILY_IPV6 }, "fd00::1 fd00::2");
        expect(&set, &(struct kube_view){ .family = KHS_FAMILY_IPV4 }, "10.0.0.1 10.0.0.2 10.0.0.9");
        set_free(&set);
}

Test(kube_join, include)
{
        static const struct {
                enum source_include include;
                const char *want;
        } rows[] = {
                { SOURCE_INCLUDE_READY, "10.0.0.1 10.0.0.6" },
                { SOURCE_INCLUDE_SERVING, "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.6" },
                { SOURCE_INCLUDE_ALL, "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6" },
        };
        struct set set = { .n = 0 };

        add(&set, "IPv4", "null",
            "[{'addresses':['10.0.0.1'],'conditions':{'ready':true}},"
            "{'addresses':['10.0.0.2'],'conditions':{'ready':false,'serving':true}},"
            "{'addresses':['10.0.0.3'],'conditions':{'ready':false,'serving':true,'terminating':true}},"
            "{'addresses':['10.0.0.4'],'conditions':{'ready':false,'serving':false,'terminating':true}},"
            "{'addresses':['10.0.0.5'],'conditions':{'ready':false,'serving':false}},"
            "{'addresses':['10.0.0.6']}]");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                expect(&set, &(struct kube_view){ .include = rows[i].include }, rows[i].want);
        set_free(&set);
}

/* KEP-1669: only when nothing is ready, and never one that does not serve. */
Test(kube_join, terminating_ones_stand_in)
{
        struct set set = { .n = 0 };

        add(&set, "IPv4", "null",
            "[{'addresses':['10.0.0.2'],'conditions':{'ready':false,'serving':true}},"
            "{'addresses':['10.0.0.3'],'conditions':{'ready':false,'serving':true,'terminating':true}},"
            "{'addresses':['10.0.0.4'],'conditions':{'ready':false,'serving':false,'terminating':true}}]");
        expect(&set, &(struct kube_view){ 0 }, "10.0.0.3");
        add(&set, "IPv4", "null", "[{'addresses':['10.0.0.9']}]");
        expect(&set, &(struct kube_view){ 0 }, "10.0.0.9");
        set_free(&set);
}

Test(kube_join, one_address_in_two_slices)
{
        struct set set = { .n = 0 };

        add(&set, "IPv4", "[{'name':'http','port':80},{'name':'m','port':9}]",
            "[{'addresses':['10.0.0.1'],'hostname':'web-0'},{'addresses':['10.0.0.2']}]");
        add(&set, "IPv4", "[{'name':'http','port':80},{'port':81}]",
            "[{'addresses':['10.0.0.1'],'hostname':'web-0','zone':'z'},"
            "{'addresses':['10.0.0.2'],'hostname':'web-1','conditions':{'ready':false}},{'addresses':['10.0.0.2'],"
            "'hostname':'web-1'}]");
        expect(&set, &(struct kube_view){ 0 }, "10.0.0.1/web-0:http=80:m=9:=81 10.0.0.2/web-1:http=80:m=9:=81");
        set_free(&set);
}

/* Pods with hostNetwork share their node's address. */
Test(kube_join, hosts_that_share_an_address)
{
        struct set set = { .n = 0 };

        add(&set, "IPv4", "[{'port':3000}]", "[{'addresses':['10.0.0.1'],'hostname':'b-0'}]");
        add(&set, "IPv4", "[{'port':3001}]", "[{'addresses':['10.0.0.1'],'hostname':'a-1'}]");
        add(&set, "IPv4", "[{'port':3001}]",
            "[{'addresses':['10.0.0.1'],'hostname':'a-1'},{'addresses':['10.0.0.1']}]");
        expect(&set, &(struct kube_view){ 0 }, "10.0.0.1/a-1:=3001 10.0.0.1/b-0:=3000");
        set_free(&set);
}

Test(kube_join, ports_differ_by_slice)
{
        struct set set = { .n = 0 };

        add(&set, "IPv4", "[{'name':'http','port':8080}]", "[{'addresses':['10.0.0.1']}]");
        add(&set, "IPv4", "[{'name':'http','port':9090}]", "[{'addresses':['10.0.0.2']}]");
        add(&set, "IPv4", "null", "[{'addresses':['10.0.0.3']}]");
        expect(&set, &(struct kube_view){ 0 }, "10.0.0.1:http=8080 10.0.0.2:http=9090 10.0.0.3");
        set_free(&set);
}

Test(kube_join, better_conditions_win)
{
        struct kube_joined joined;
        struct set set = { .n = 0 };

        add(&set, "IPv4", "null",
            "[{'addresses':['10.0.0.1'],'conditions':{'ready':false,'serving':true,'terminating':true}}]");
        add(&set, "IPv4", "null", "[{'addresses':['10.0.0.1'],'nodeName':'n','zone':'z'}]");
        join(&joined, &set, &(struct kube_view){ .include = SOURCE_INCLUDE_ALL });
        cr_assert_eq(joined.n_endpoints, 1);
        cr_expect_eq(joined.endpoints[0].flags, KHS_ATTR_READY | KHS_ATTR_SERVING);
        cr_expect_str_eq(joined.endpoints[0].node, "n");
        cr_expect_str_eq(joined.endpoints[0].zone, "z");
        kube_joined_deinit(&joined);
        set_free(&set);
}

Test(kube_join, the_first_five_thousand_in_address_order)
{
        struct kube_slice slices[2] = { { .name = "a" }, { .name = "b" } };
        static struct kube_endpoint endpoints[2][4000];
        const struct kube_slice *all[2] = { &slices[0], &slices[1] };
        struct kube_joined joined;

        for (uint32_t i = 0; i < 8000; i++) {
                struct kube_endpoint *e = &endpoints[i % 2][i / 2];
                uint32_t number = 7999 - i;

                *e = (struct kube_endpoint){ .family = AF_INET, .state = KHS_ATTR_READY | KHS_ATTR_SERVING };
                memcpy(e->bytes, (uint8_t[]){ 10, 0, (uint8_t)(number >> 8), (uint8_t)number }, 4);
        }
        for (int i = 0; i < 2; i++) {
                slices[i].n_endpoints = 4000;
                slices[i].endpoints = endpoints[i];
        }
        cr_assert_eq(kube_join(&joined, all, 2, &(struct kube_view){ 0 }), 0);
        cr_assert_eq(joined.n_endpoints, KHS_MAX_ADDRS);
        cr_assert(joined.truncated);
        for (uint32_t i = 0; i < joined.n_endpoints; i++)
                cr_assert_eq((uint32_t)(joined.endpoints[i].bytes[2] << 8 | joined.endpoints[i].bytes[3]), i);
        kube_joined_deinit(&joined);
        slices[1].n_endpoints = 1000; /* those of the highest numbers */
        cr_assert_eq(kube_join(&joined, all, 2, &(struct kube_view){ 0 }), 0);
        cr_assert_eq(joined.n_endpoints, 5000);
        cr_assert_not(joined.truncated);
        kube_joined_deinit(&joined);
}

#define ZONES(zone)            ",'hints':{'forZones':[{'name':'" zone "'}]}"
#define NODES(node)            ",'hints':{'forNodes':[{'name':'" node "'}]}"
#define E(n, zone, node, rest) "{'addresses':['10.0.0." #n "'],'zone':'" zone "','nodeName':'" node "'" rest "}"

Test(kube_join, near)
{
        static const struct {
                const char *endpoints;
                enum khs_order order;
                const char *zone, *node, *want;
        } rows[] = {
                { "[" E(1, "a", "n1", "") "," E(2, "b", "n2", "") "," E(3, "a", "n3", "") "]", KHS_ORDER_ROTATE, "a",
                  "n1", "10.0.0.1 10.0.0.2 10.0.0.3" },
                { "[" E(1, "a", "n1", "") "," E(2, "b", "n2", "") "," E(3, "a", "n3", "") "]", KHS_ORDER_ZONE, "a",
                  "n1", "10.0.0.1* 10.0.0.2 10.0.0.3*" },
                { "[" E(1, "a", "n1", "") "," E(2, "b", "n2", "") "," E(3, "a", "n3", "") "]", KHS_ORDER_NODE, "a",
                  "n1", "10.0.0.1* 10.0.0.2 10.0.0.3" },
                { "[" E(1, "a", "n1", "") "," E(2, "b", "n2", "") "," E(3, "a", "n3", "") "]", KHS_ORDER_NODE, "a",
                  "n9", "10.0.0.1* 10.0.0.2 10.0.0.3*" },
                { "[" E(1, "a", "n1", "") "," E(2, "b", "n2", "") "]", KHS_ORDER_ZONE, "c", "n9", "10.0.0.1 10.0.0.2" },
                { "[" E(1, "a", "n1", "") "," E(2, "b", "n2", "") "]", KHS_ORDER_ZONE, NULL, NULL,
                  "10.0.0.1 10.0.0.2" },
                /* hints of zones: where all have them and one is mine, else the zones themselves */
                { "[" E(1, "a", "n1", ZONES("b")) "," E(2, "b", "n2", ZONES("a")) "]", KHS_ORDER_ZONE, "a", "n1",
                  "10.0.0.1 10.0.0.2*" },
                { "[" E(1, "a", "n1", ZONES("b")) "," E(2, "b", "n2", "") "]", KHS_ORDER_ZONE, "a", "n1",
                  "10.0.0.1* 10.0.0.2" },
                { "[" E(1, "a", "n1", ZONES("b")) "," E(2, "b", "n2", ZONES("c")) "]", KHS_ORDER_ZONE, "a", "n1",
                  "10.0.0.1* 10.0.0.2" },
                /* hints of nodes come first */
                { "[" E(1, "a", "n1", NODES("n2")) "," E(2, "b", "n2", NODES("n1")) "]", KHS_ORDER_ZONE, "a", "n1",
                  "10.0.0.1 10.0.0.2*" },
                { "[" E(1, "a", "n1", NODES("n2")) "," E(2, "b", "n2", NODES("n1")) "]", KHS_ORDER_NODE, "a", "n1",
                  "10.0.0.1* 10.0.0.2" },
                /* an endpoint that is not served has no say */
                { "[" E(1, "a", "n1", ZONES("a")) "," E(2, "b", "n2", ZONES("b")) "," E(
                          3, "b", "n3", ",'conditions':{'ready':false}") "]",
                  KHS_ORDER_ZONE, "b", "n1", "10.0.0.1 10.0.0.2*" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct set set = { .n = 0 };

                add(&set, "IPv4", "null", rows[i].endpoints);
                expect(&set, &(struct kube_view){ .order = rows[i].order, .zone = rows[i].zone, .node = rows[i].node },
                       rows[i].want);
                set_free(&set);
        }
}

Test(kube_join, near_is_judged_for_each_family)
{
        struct set set = { .n = 0 };

        add(&set, "IPv4", "null", "[" E(1, "a", "n1", ZONES("b")) "," E(2, "b", "n2", ZONES("a")) "]");
        add(&set, "IPv6", "null",
            "[{'addresses':['fd00::1'],'zone':'a'},{'addresses':['fd00::2'],'zone':'b'" ZONES("a") "}]");
        expect(&set, &(struct kube_view){ .order = KHS_ORDER_ZONE, .zone = "a" },
               "10.0.0.1 10.0.0.2* fd00::1* fd00::2");
        set_free(&set);
}

/* Pods in their node's network: an address is near or not. */
/* Its own controller labels what it makes; others, as of mirrored endpoints, may not. */
Test(kube_join, headless_if_one_slice_says_so)
{
        struct kube_slice slices[2] = { { .name = "a" }, { .name = "b", .headless = true } };
        const struct kube_slice *all[2] = { &slices[0], &slices[1] };

        for (size_t n = 0; n <= 2; n++) {
                struct kube_joined joined;

                cr_assert_eq(kube_join(&joined, all, n, &(struct kube_view){ 0 }), 0);
                cr_expect_eq(joined.headless, n == 2, "%zu", n);
                kube_joined_deinit(&joined);
        }
}

Test(kube_join, endpoints_of_one_address_are_near_together)
{
        static const char *const hints[][3] = {
                { ZONES("a"), ZONES("b"), ZONES("b") },
                { ZONES("b"), ZONES("b"), ZONES("a") },
                { ZONES("b"), ZONES("a"), ZONES("b") },
        };

        for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
                struct set set = { .n = 0 };
                char text[1024] = "[{'addresses':['10.0.0.9']" ZONES("b") "}";

                for (int k = 0; k < 3; k++)
                        (void)sprintf(text + strlen(text), ",{'addresses':['10.0.0.1'],'hostname':'w-%d'%s}", k,
                                      hints[i][k]);
                strcat(text, "]");
                add(&set, "IPv4", "null", text);
                expect(&set, &(struct kube_view){ .order = KHS_ORDER_ZONE, .zone = "a" },
                       "10.0.0.1/w-0* 10.0.0.1/w-1* 10.0.0.1/w-2* 10.0.0.9");
                set_free(&set);
        }
}
