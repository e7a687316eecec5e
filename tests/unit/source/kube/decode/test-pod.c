/* Pods as endpoints, their own and go-micro's. */

#include "kube-fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "source/kube/decode/pod.h"

#define READY    "'conditions':[{'type':'PodScheduled','status':'True'},{'type':'Ready','status':'True'}]"
#define NOTREADY "'conditions':[{'type':'Ready','status':'False'}]"

/* "10.0.0.1:8080 ..." and the state of the first. */
static const char *decode(json_t *object, const char *go_micro, unsigned int *state, unsigned int *faults)
{
        static char text[1024];
        struct kube_slice *slice;
        size_t at = 0;

        text[0] = '\0';
        cr_assert_eq(kube_pod_decode(&slice, object, "default", "worker", go_micro, faults), 0);
        json_decref(object);
        cr_assert_str_eq(slice->service, "worker");
        cr_assert_not(slice->headless);
        for (uint32_t i = 0; i < slice->n_endpoints; i++) {
                const struct kube_endpoint *e = &slice->endpoints[i];
                char address[INET6_ADDRSTRLEN];

                *state = e->state;
                at += (size_t)sprintf(text + at, "%s%s/%s", i > 0 ? " " : "",
                                      inet_ntop(e->family, e->bytes, address, sizeof(address)),
                                      e->host ? kube_slice_text(slice, e->host) : "");
                for (uint32_t k = 0; k < e->n_ports; k++) {
                        const struct khs_row_port *port = &slice->ports[e->first_port + k];

                        at += (size_t)sprintf(text + at, ":%s=%u", port->name ? port->name : "", port->number);
                }
        }
        kube_slice_free(slice);
        return text;
}

Test(kube_pod, readiness)
{
        static const struct {
                const char *metadata, *status, *want;
                unsigned int state;
        } rows[] = {
                { "", "'podIP':'10.0.0.1'," READY, "10.0.0.1/p", KHS_ATTR_READY | KHS_ATTR_SERVING },
                { "", "'podIP':'10.0.0.1','phase':'Running'", "10.0.0.1/p", 0 },
                { "", "'podIP':'10.0.0.1'," NOTREADY, "10.0.0.1/p", 0 },
                { ",'deletionTimestamp':'2026-01-01T00:00:00Z'", "'podIP':'10.0.0.1'," READY, "10.0.0.1/p",
                  KHS_ATTR_SERVING | KHS_ATTR_TERMINATING },
                { ",'deletionTimestamp':'2026-01-01T00:00:00Z'", "'podIP':'10.0.0.1'," NOTREADY, "10.0.0.1/p",
                  KHS_ATTR_TERMINATING },
                { "", "'podIP':'10.0.0.1','phase':'Succeeded'," READY, "", 77 },
                { "", "'podIP':'10.0.0.1','phase':'Failed'," READY, "", 77 },
                { "", READY, "", 77 },
                { "", "'podIP':''," READY, "", 77 },
                { "", "'podIP':'10.0.0.1','podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'}]," READY, "10.0.0.1/p fd00::1/p",
                  KHS_ATTR_READY | KHS_ATTR_SERVING },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                unsigned int state = 77, faults = 77;
                json_t *object = kube_json("{'metadata':{'name':'p'%s},'spec':{},'status':{%s}}", rows[i].metadata,
                                           rows[i].status);

                cr_expect_str_eq(decode(object, NULL, &state, &faults), rows[i].want);
                cr_expect_eq(state, rows[i].state, "row %zu: %u", i, state);
                cr_expect_eq(faults, 0);
        }
}

Test(kube_pod, ports_of_all_containers)
{
        unsigned int state, faults;
        json_t *object = kube_json(
                "{'kind':'Pod','metadata':{'name':'worker-7d9-abc','namespace':'default'},'spec':{'hostname':'worker-3'"
                ","
                "'nodeName':'n1','containers':[{'ports':[{'name':'http','containerPort':8080},{'containerPort':0}]},"
                "{'ports':null},{'ports':[{'name':'dns','containerPort':53,'protocol':'UDP'}]}],'initContainers':["
                "{'ports':[{'name':'once','containerPort':1}]},"
                "{'restartPolicy':'Always','ports':[{'name':'proxy','containerPort':15001}]}]},"
                "'status':{'podIP':'10.0.0.1'," READY "}}");

        cr_expect_str_eq(decode(object, NULL, &state, &faults), "10.0.0.1/worker-3:http=8080:dns=53:proxy=15001");
        cr_expect_eq(faults, KUBE_FAULT_PORT);
}

Test(kube_pod, go_micro)
{
        static const struct {
                const char *annotation, *want;
        } rows[] = {
                { "{\\'nodes\\':[{\\'address\\':\\'10.9.0.1:4711\\'}]}", "10.9.0.1/p:=4711" },
                { "{\\'nodes\\':[{\\'address\\':\\'[fd00::9]:80\\'}]}", "fd00::9/p:=80" },
                { "{\\'nodes\\':[{\\'address\\':\\'fd00::9:80\\'}]}", "fd00::9/p:=80" },
                { "{\\'nodes\\':[{\\'address\\':\\'10.9.0.1\\',\\'port\\':99}]}", "10.9.0.1/p:=99" },
                { "{\\'nodes\\':[{\\'address\\':\\'10.9.0.1:1\\'},{\\'address\\':\\'10.9.0.1:2\\'}]}",
                  "10.9.0.1/p:=1 10.9.0.1/p:=2" },
                { "{\\'nodes\\':[{\\'address\\':\\'10.9.0.1\\'}]}", NULL },
                { "{\\'nodes\\':[{\\'address\\':\\'10.9.0.1:0\\'}]}", NULL },
                { "{\\'nodes\\':[{\\'address\\':\\'10.9.0.1:70000\\'}]}", NULL },
                { "{\\'nodes\\':[{\\'address\\':\\'10.9.0.1:1x\\'}]}", NULL },
                { "{\\'nodes\\':[{\\'address\\':\\'host:80\\'}]}", NULL },
                { "{\\'nodes\\':[{\\'address\\':\\'10.9.0.1:1\\'},{}]}", NULL },
                { "{\\'nodes\\':[]}", NULL },
                { "{\\'nodes\\':null}", NULL },
                { "{}", NULL },
                { "[]", NULL },
                { "{", NULL },
                { "", NULL },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                unsigned int state, faults = 77;
                json_t *object =
                        kube_json("{'metadata':{'name':'p','annotations':{'micro.mu/service-go.micro_api':'%s'}},"
                                  "'spec':{'containers':[{'ports':[{'containerPort':1}]}]},"
                                  "'status':{'podIP':'10.0.0.1'," READY "}}",
                                  rows[i].annotation);

                cr_expect_str_eq(decode(object, "go.micro/api", &state, &faults), rows[i].want ? rows[i].want : "");
                cr_expect_eq(faults, rows[i].want ? 0 : KUBE_FAULT_GO_MICRO, "%s", rows[i].annotation);
        }
}

Test(kube_pod, go_micro_without_an_annotation)
{
        unsigned int state, faults;

        cr_expect_str_eq(decode(kube_json("{'metadata':{'name':'p'},'status':{'podIP':'10.0.0.1'," READY "}}"), "a",
                                &state, &faults),
                         "");
        cr_expect_eq(faults, KUBE_FAULT_GO_MICRO);
}

Test(kube_pod, refused)
{
        static const struct {
                const char *text;
                unsigned int faults;
        } rows[] = {
                { "[]", KUBE_FAULT_OBJECT },
                { "{'kind':'EndpointSlice','metadata':{'name':'p'}}", KUBE_FAULT_OBJECT },
                { "{'metadata':{'name':'p'},'spec':7}", KUBE_FAULT_OBJECT },
                { "{'metadata':{'name':'p'},'status':[]}", KUBE_FAULT_OBJECT },
                { "{'metadata':{}}", KUBE_FAULT_NAME },
                { "{'metadata':{'name':'P p'}}", KUBE_FAULT_NAME },
                { "{'metadata':{'name':'p','namespace':'other'}}", KUBE_FAULT_NAME },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                json_t *object = kube_json("%s", rows[i].text);
                struct kube_slice *slice;
                unsigned int faults = 0;

                cr_expect_eq(kube_pod_decode(&slice, object, "default", "worker", NULL, &faults), -EBADMSG);
                cr_expect_eq(faults, rows[i].faults, "%s", rows[i].text);
                json_decref(object);
        }
}
