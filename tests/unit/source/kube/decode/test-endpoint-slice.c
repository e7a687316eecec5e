/* EndpointSlices as the API writes them, and as nobody should. */

#include "kube-fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "source/kube/decode/endpoint-slice.h"

#define META "'metadata':{'name':'web-x1','namespace':'default','labels':{'kubernetes.io/service-name':'web'}}"

enum { R = KHS_ATTR_READY, S = KHS_ATTR_SERVING, T = KHS_ATTR_TERMINATING };

static int decode(struct kube_slice **ret, json_t *object, unsigned int *faults)
{
        int r = kube_slice_decode(ret, object, "default", faults);

        json_decref(object);
        return r;
}

static struct kube_slice *endpoints(const char *type, const char *list, unsigned int *faults)
{
        struct kube_slice *slice = NULL;

        cr_assert_eq(decode(&slice, kube_json("{" META ",'addressType':'%s','endpoints':%s}", type, list), faults), 0);
        return slice;
}

Test(kube_slice, conditions_that_are_missing)
{
        static const struct {
                const char *conditions;
                int want;
        } rows[] = {
                { "", R | S },
                { ",'conditions':null", R | S },
                { ",'conditions':{}", R | S },
                { ",'conditions':{'ready':null,'serving':null,'terminating':null}", R | S },
                { ",'conditions':{'ready':true}", R | S },
                { ",'conditions':{'ready':false}", S },
                { ",'conditions':{'ready':false,'serving':false}", 0 },
                { ",'conditions':{'ready':false,'serving':true,'terminating':true}", S | T },
                { ",'conditions':{'ready':false,'serving':false,'terminating':true}", T },
                { ",'conditions':{'ready':true,'serving':true,'terminating':false}", R | S },
                { ",'conditions':{'ready':true,'serving':true,'terminating':true}", R | S | T },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                unsigned int faults = 77;
                struct kube_slice *slice;
                char list[256];

                snprintf(list, sizeof(list), "[{'addresses':['10.0.0.1']%s}]", rows[i].conditions);
                slice = endpoints("IPv4", list, &faults);
                cr_assert_eq(slice->n_endpoints, 1);
                cr_expect_eq(slice->endpoints[0].state, rows[i].want, "%s", rows[i].conditions);
                cr_expect_eq(faults, 0);
                kube_slice_free(slice);
        }
}

Test(kube_slice, everything_there_is)
{
        unsigned int faults;
        struct kube_slice *slice;
        const struct kube_endpoint *e;
        json_t *object = kube_json(
                "{'kind':'EndpointSlice','apiVersion':'discovery.k8s.io/v1','metadata':{'name':'web-x1',"
                "'namespace':'default','labels':{'kubernetes.io/service-name':'web','service.kubernetes.io/"
                "headless':''}},"
                "'addressType':'IPv6','ports':[{'name':'http','protocol':'TCP','port':8080},{'name':'','port':53,"
                "'protocol':'UDP'},{'name':'all','port':null},{'port':9,'protocol':'SCTP','appProtocol':'x'}],"
                "'endpoints':[{'addresses':['fd00::1','fd00::9'],'hostname':'web-0','nodeName':'node.one','zone':'eu-"
                "1A',"
                "'targetRef':{'kind':'Pod'},'deprecatedTopology':{'a':'b'},'hints':{'forZones':[{'name':'eu-1a'},"
                "{'name':'eu-1b'}],'forNodes':[{'name':'node.one'}]}},{'addresses':['fd00::2'],'nodeName':'node.one'}]"
                "}");

        cr_assert_eq(decode(&slice, object, &faults), 0);
        cr_assert_eq(faults, 0);
        cr_assert_str_eq(slice->name, "web-x1");
        cr_assert_str_eq(slice->service, "web");
        cr_assert(slice->headless);
        cr_assert_eq(slice->n_ports, 3);
        cr_assert_str_eq(slice->ports[0].name, "http");
        cr_assert_eq(slice->ports[0].number, 8080);
        cr_assert_null(slice->ports[1].name);
        cr_assert_eq(slice->ports[1].protocol, IPPROTO_UDP);
        cr_assert_eq(slice->ports[2].protocol, IPPROTO_SCTP);
        cr_assert_eq(slice->n_endpoints, 2);
        e = &slice->endpoints[0];
        cr_assert_eq(e->family, AF_INET6);
        cr_assert_eq(e->bytes[15], 1, "the first address counts");
        cr_assert_eq(e->n_ports, 3);
        cr_assert_str_eq(kube_slice_text(slice, e->host), "web-0");
        cr_assert_str_eq(kube_slice_text(slice, e->node), "node.one");
        cr_assert_str_eq(kube_slice_text(slice, e->zone), "eu-1A");
        cr_assert_eq(memcmp(kube_slice_text(slice, e->for_zones), "eu-1a\0eu-1b\0", 13), 0);
        cr_assert_eq(memcmp(kube_slice_text(slice, e->for_nodes), "node.one\0", 10), 0);
        cr_assert_eq(slice->endpoints[1].node, e->node, "stored once");
        cr_assert_null(kube_slice_text(slice, slice->endpoints[1].host));
        kube_slice_free(slice);
}

Test(kube_slice, nothing_in_it)
{
        static const char *const rows[] = {
                "'ports':null,'endpoints':null",
                "'ports':[],'endpoints':[]",
                "'kind':'EndpointSlice'",
                "'ports':[{'name':'a','port':1}],'endpoints':null",
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                unsigned int faults;
                struct kube_slice *slice;

                cr_assert_eq(decode(&slice, kube_json("{" META ",'addressType':'IPv4',%s}", rows[i]), &faults), 0);
                cr_expect_eq(slice->n_endpoints, 0);
                cr_expect_eq(faults, 0);
                kube_slice_free(slice);
        }
}

Test(kube_slice, what_is_wrong_costs_itself)
{
        static const struct {
                const char *type, *list;
                uint32_t n;
                unsigned int faults;
        } rows[] = {
                { "FQDN", "[{'addresses':['web.example.com']}]", 0, 0 },
                { "IPv4", "[{'addresses':['10.0.0.1']},{'addresses':['fd00::1']}]", 1, KUBE_FAULT_ADDRESS },
                { "IPv6", "[{'addresses':['10.0.0.1']}]", 0, KUBE_FAULT_ADDRESS },
                { "IPv4", "[{'addresses':[]}]", 0, KUBE_FAULT_ADDRESS },
                { "IPv4", "[{'addresses':null}]", 0, KUBE_FAULT_ADDRESS },
                { "IPv4", "[{}]", 0, KUBE_FAULT_ADDRESS },
                { "IPv4", "[{'addresses':[1]}]", 0, KUBE_FAULT_ADDRESS },
                { "IPv4", "[{'addresses':['10.0.0.1\\n']}]", 0, KUBE_FAULT_ADDRESS },
                { "IPv4", "[{'addresses':['010.0.0.1']}]", 0, KUBE_FAULT_ADDRESS },
                { "IPv4", "[{'addresses':'10.0.0.1'},{'addresses':['10.0.0.2']}]", 1, KUBE_FAULT_ENDPOINT },
                { "IPv4", "[null,7,'x',[],{'addresses':['10.0.0.2']}]", 1, KUBE_FAULT_ENDPOINT },
                { "IPv4", "[{'addresses':['10.0.0.1'],'conditions':{'ready':'true'}}]", 0, KUBE_FAULT_ENDPOINT },
                { "IPv4", "[{'addresses':['10.0.0.1'],'conditions':[]}]", 0, KUBE_FAULT_ENDPOINT },
                { "IPv4", "[{'addresses':['10.0.0.1'],'zone':7}]", 0, KUBE_FAULT_ENDPOINT },
                { "IPv4", "[{'addresses':['10.0.0.1'],'hints':7}]", 0, KUBE_FAULT_ENDPOINT },
                { "IPv4", "[{'addresses':['10.0.0.1'],'hostname':'Web_0'}]", 1, KUBE_FAULT_HOST },
                { "IPv4", "[{'addresses':['10.0.0.1'],'hostname':'a.b'}]", 1, KUBE_FAULT_HOST },
                { "IPv4", "[{'addresses':['10.0.0.1'],'nodeName':'a..b'}]", 1, KUBE_FAULT_HOST },
                { "IPv4", "[{'addresses':['10.0.0.1'],'zone':'a b'}]", 1, KUBE_FAULT_HOST },
                { "IPv4", "[{'addresses':['10.0.0.1'],'hints':{'forZones':[{'name':'x y'},{}]}}]", 1, KUBE_FAULT_HOST },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                unsigned int faults = 77;
                struct kube_slice *slice = endpoints(rows[i].type, rows[i].list, &faults);

                cr_expect_eq(slice->n_endpoints, rows[i].n, "%s", rows[i].list);
                cr_expect_eq(faults & rows[i].faults, rows[i].faults, "%s: %u", rows[i].list, faults);
                kube_slice_free(slice);
        }
}

Test(kube_slice, ports_that_are_none)
{
        static const struct {
                const char *ports;
                uint32_t n;
                unsigned int faults;
        } rows[] = {
                { "[{'port':0}]", 0, KUBE_FAULT_PORT },
                { "[{'port':65536}]", 0, KUBE_FAULT_PORT },
                { "[{'port':-1}]", 0, KUBE_FAULT_PORT },
                { "[{'port':'80'},{'port':81}]", 1, KUBE_FAULT_PORT },
                { "[{'port':80.5}]", 0, KUBE_FAULT_PORT },
                { "[{'port':1,'protocol':'tcp'}]", 0, KUBE_FAULT_PORT },
                { "[{'port':1,'name':'A b'}]", 0, KUBE_FAULT_PORT },
                { "[null]", 0, KUBE_FAULT_PORT },
                { "[{'port':1,'name':7}]", 0, KUBE_FAULT_PORT },
                { "[{'name':'a'}]", 0, 0 },
                { "[{'port':65535}]", 1, 0 },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                unsigned int faults = 77;
                struct kube_slice *slice;

                cr_assert_eq(
                        decode(&slice, kube_json("{" META ",'addressType':'IPv4','ports':%s}", rows[i].ports), &faults),
                        0);
                cr_expect_eq(slice->n_ports, rows[i].n, "%s", rows[i].ports);
                cr_expect_eq(faults, rows[i].faults, "%s", rows[i].ports);
                kube_slice_free(slice);
        }
}

Test(kube_slice, objects_that_are_refused)
{
        static const struct {
                const char *text;
                unsigned int faults;
        } rows[] = {
                { "{}", KUBE_FAULT_OBJECT },
                { "[]", KUBE_FAULT_OBJECT },
                { "{'kind':'Pod'," META ",'addressType':'IPv4'}", KUBE_FAULT_OBJECT },
                { "{" META "}", KUBE_FAULT_OBJECT },
                { "{" META ",'addressType':7}", KUBE_FAULT_OBJECT },
                { "{" META ",'addressType':'IPv5'}", KUBE_FAULT_OBJECT },
                { "{" META ",'addressType':'IPv4','endpoints':{}}", KUBE_FAULT_OBJECT },
                { "{" META ",'addressType':'IPv4','endpoints':'x'}", KUBE_FAULT_OBJECT },
                { "{" META ",'addressType':'IPv4','ports':7}", KUBE_FAULT_OBJECT },
                { "{'addressType':'IPv4'}", KUBE_FAULT_NAME },
                { "{'addressType':'IPv4','metadata':7}", KUBE_FAULT_NAME },
                { "{'addressType':'IPv4','metadata':{'name':'a'}}", KUBE_FAULT_NAME },
                { "{'addressType':'IPv4','metadata':{'name':'a','labels':{'kubernetes.io/service-name':'A_b'}}}",
                  KUBE_FAULT_NAME },
                { "{'addressType':'IPv4','metadata':{'name':'../a','labels':{'kubernetes.io/service-name':'a'}}}",
                  KUBE_FAULT_NAME },
                { "{'addressType':'IPv4','metadata':{'name':'a','namespace':'other',"
                  "'labels':{'kubernetes.io/service-name':'a'}}}",
                  KUBE_FAULT_NAME },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct kube_slice *slice = (void *)&slice;
                unsigned int faults = 0;

                cr_expect_eq(decode(&slice, kube_json("%s", rows[i].text), &faults), -EBADMSG, "%s", rows[i].text);
                cr_expect_eq(faults, rows[i].faults, "%s", rows[i].text);
                cr_expect_eq(slice, (void *)&slice, "untouched");
        }
}

Test(kube_slice, a_thousand_endpoints)
{
        json_t *object = kube_json("{" META ",'addressType':'IPv4','endpoints':[]}");
        json_t *list = json_object_get(object, "endpoints");
        unsigned int faults;
        struct kube_slice *slice;

        for (int i = 0; i < 1000; i++)
                json_array_append_new(list,
                                      kube_json("{'addresses':['10.0.%d.%d'],'hostname':'web-%d','nodeName':'n%d'}",
                                                i / 250, i % 250 + 1, i, i % 7));
        cr_assert_eq(decode(&slice, object, &faults), 0);
        cr_assert_eq(slice->n_endpoints, 1000);
        for (uint32_t i = 0; i < 1000; i++) {
                char host[16], node[16];

                snprintf(host, sizeof(host), "web-%u", i);
                snprintf(node, sizeof(node), "n%u", i % 7);
                cr_assert_str_eq(kube_slice_text(slice, slice->endpoints[i].host), host);
                cr_assert_str_eq(kube_slice_text(slice, slice->endpoints[i].node), node);
                cr_assert_eq(slice->endpoints[i].node, slice->endpoints[i % 7].node);
        }
        kube_slice_free(slice);
}
