/*
 * Pods as endpoints, for services without a Service object.
 *
 * The EndpointSlice controller's rules hold: ready is the Ready condition, and no longer once the pod
 * terminates; serving is the condition alone; Succeeded and Failed pods are none.
 *
 * go-micro's registry wrote, into each pod's annotation micro.mu/service-NAME, the JSON of
 *
 *     {"name": ..., "version": ..., "nodes": [{"id": ..., "address": "10.0.0.1:8080"}]}
 *
 * (before v2 with a "port" of its own). It took a pod that is merely Running, and one annotation that
 * could not be read failed the whole service; here the first needs to be ready, the second costs one pod.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "source/kube/decode/builder.h"
#include "source/kube/decode/field.h"
#include "source/kube/decode/pod.h"

static bool pod_is_ready(const json_t *status)
{
        const json_t *conditions = kube_field(status, "conditions", JSON_ARRAY, NULL);

        for (size_t i = 0; i < json_array_size(conditions); i++) {
                const json_t *condition = json_array_get(conditions, i);
                const char *type = kube_field_text(condition, "type", NULL);
                const char *value = kube_field_text(condition, "status", NULL);

                if (type && value && strcmp(type, "Ready") == 0)
                        return strcmp(value, "True") == 0;
        }
        return false;
}

static bool pod_has_ended(const json_t *status)
{
        const char *phase = kube_field_text(status, "phase", NULL);

        return phase && (strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0);
}

static uint8_t pod_state(const json_t *object, const json_t *status)
{
        const json_t *metadata = kube_field(object, "metadata", JSON_OBJECT, NULL);
        bool terminating = kube_field_text(metadata, "deletionTimestamp", NULL) != NULL;
        uint8_t state = terminating ? KHS_ATTR_TERMINATING : 0;

        if (pod_is_ready(status))
                state |= terminating ? KHS_ATTR_SERVING : KHS_ATTR_SERVING | KHS_ATTR_READY;
        return state;
}

/* The host name that the pod has in itself: that of its spec, else its own name. */
static uint32_t pod_host(struct kube_builder *b, const json_t *object, const json_t *spec)
{
        const char *host = kube_field_text(spec, "hostname", NULL);

        if (!host || host[0] == '\0')
                host = kube_object_name(object);
        return kube_is_label(host) ? kube_builder_text(b, host, strlen(host)) : 0;
}

static bool pod_address(const char *text, struct kube_endpoint *e)
{
        if (text && inet_pton(AF_INET, text, e->bytes) == 1)
                e->family = AF_INET;
        else if (text && inet_pton(AF_INET6, text, e->bytes) == 1)
                e->family = AF_INET6;
        else
                return false;
        return true;
}

/* ---- the pod's own addresses and ports ---- */

static void pod_port(struct kube_builder *b, const json_t *port)
{
        bool bad = !json_is_object(port);
        const char *name = kube_field_text(port, "name", &bad), *protocol = kube_field_text(port, "protocol", &bad);
        json_int_t number = json_integer_value(kube_field(port, "containerPort", JSON_INTEGER, &bad));
        uint8_t value = IPPROTO_TCP;

        if (protocol && strcmp(protocol, "TCP") != 0)
                value = strcmp(protocol, "UDP") == 0 ? IPPROTO_UDP : strcmp(protocol, "SCTP") == 0 ? IPPROTO_SCTP : 0;
        if (bad || value == 0 || (name && name[0] && !kube_is_label(name)) || number < 1 || number > 65535 ||
            b->n_ports == KUBE_PORTS_MAX)
                b->faults |= KUBE_FAULT_PORT;
        else
                kube_builder_port(b, name, (uint16_t)number, value);
}

static void pod_ports_of(struct kube_builder *b, const json_t *container)
{
        const json_t *ports = kube_field(container, "ports", JSON_ARRAY, NULL);

        for (size_t i = 0; i < json_array_size(ports); i++)
                pod_port(b, json_array_get(ports, i));
}

/* Those of the containers first, then those of sidecars, which are init containers that go on (KEP-753). */
static void pod_ports(struct kube_builder *b, const json_t *spec)
{
        const json_t *containers = kube_field(spec, "containers", JSON_ARRAY, NULL);
        const json_t *sidecars = kube_field(spec, "initContainers", JSON_ARRAY, NULL);

        for (size_t i = 0; i < json_array_size(containers); i++)
                pod_ports_of(b, json_array_get(containers, i));
        for (size_t i = 0; i < json_array_size(sidecars); i++) {
                const json_t *sidecar = json_array_get(sidecars, i);
                const char *policy = kube_field_text(sidecar, "restartPolicy", NULL);

                if (policy && strcmp(policy, "Always") == 0)
                        pod_ports_of(b, sidecar);
        }
}

static void pod_endpoints(struct kube_builder *b, const json_t *spec, const json_t *status, struct kube_endpoint *e)
{
        const json_t *ips = kube_field(status, "podIPs", JSON_ARRAY, NULL);
        size_t n = json_array_size(ips);

        pod_ports(b, spec);
        e->n_ports = (uint16_t)b->n_ports;
        for (size_t i = 0; i < (n > 0 ? n : 1) && i < 2; i++) {
                const char *ip = n > 0 ? kube_field_text(json_array_get(ips, i), "ip", NULL)
                                       : kube_field_text(status, "podIP", NULL);

                if (pod_address(ip, e))
                        kube_builder_endpoint(b, e);
                else if (ip && ip[0])
                        b->faults |= KUBE_FAULT_ADDRESS;
        }
}

/* ---- what it has registered with go-micro ---- */

void kube_go_micro_name(const char *name, char *ret)
{
        for (; *name; name++, ret++) {
                bool plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                             (*name >= '0' && *name <= '9') || strchr("-_.", *name);

                *ret = plain ? *name : '_';
        }
        *ret = '\0';
}

/* "10.0.0.1:8080", "[fd00::1]:8080", and what Sprintf("%s:%d") made of the second. */
static bool pod_split(const char *text, char ret_host[static INET6_ADDRSTRLEN + 2], json_int_t *port)
{
        const char *colon = strrchr(text, ':');
        size_t n = colon ? (size_t)(colon - text) : strlen(text);
        char *end = NULL;

        if (*port == 0) {
                if (!colon || colon[1] < '0' || colon[1] > '9')
                        return false;
                *port = strtol(colon + 1, &end, 10);
                if (*end != '\0')
                        return false;
        } else {
                n = strlen(text);
        }
        if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
                text++;
                n -= 2;
        }
        if (n > INET6_ADDRSTRLEN)
                return false;
        memcpy(ret_host, text, n);
        ret_host[n] = '\0';
        return *port >= 1 && *port <= 65535;
}

static bool pod_registered_node(struct kube_builder *b, const json_t *node, struct kube_endpoint e)
{
        const char *address = kube_field_text(node, "address", NULL);
        json_int_t port = json_integer_value(kube_field(node, "port", JSON_INTEGER, NULL));
        char host[INET6_ADDRSTRLEN + 2];

        if (!address || !pod_split(address, host, &port) || !pod_address(host, &e) || b->n_ports == KUBE_PORTS_MAX)
                return false;
        e.first_port = b->n_ports;
        e.n_ports = 1;
        kube_builder_port(b, NULL, (uint16_t)port, IPPROTO_TCP);
        kube_builder_endpoint(b, &e);
        return true;
}

static void pod_registered(struct kube_builder *b, const json_t *object, const char *go_micro,
                           const struct kube_endpoint *e)
{
        char key[320] = "micro.mu/service-";
        const char *text;
        json_t *registration;
        const json_t *nodes;
        bool good;

        if (strlen(go_micro) >= sizeof(key) - strlen(key))
                return;
        kube_go_micro_name(go_micro, key + strlen(key));
        text = kube_object_annotation(object, key);
        registration = text ? json_loads(text, 0, NULL) : NULL;
        nodes = kube_field(registration, "nodes", JSON_ARRAY, NULL);
        good = json_array_size(nodes) > 0;
        for (size_t i = 0; good && i < json_array_size(nodes); i++)
                good = pod_registered_node(b, json_array_get(nodes, i), *e);
        json_decref(registration);
        if (!good) {
                b->n_endpoints = 0;
                b->faults |= KUBE_FAULT_GO_MICRO;
        }
}

int kube_pod_decode(struct kube_slice **ret, const json_t *object, const char *namespace, const char *service,
                    const char *go_micro, unsigned int *ret_faults)
{
        _cleanup_(kube_builder_deinit) struct kube_builder b = { 0 };
        const char *kind = kube_field_text(object, "kind", NULL), *name = kube_object_name(object);
        const char *own = kube_object_namespace(object), *node;
        bool bad = !json_is_object(object) || (kind && strcmp(kind, "Pod") != 0);
        const json_t *spec = kube_field(object, "spec", JSON_OBJECT, &bad);
        const json_t *status = kube_field(object, "status", JSON_OBJECT, &bad);
        struct kube_endpoint e = { 0 };
        int r;

        if (bad || !name || !kube_is_name(name) || (own && strcmp(own, namespace) != 0)) {
                *ret_faults = bad ? KUBE_FAULT_OBJECT : KUBE_FAULT_NAME;
                return -EBADMSG;
        }
        e.state = pod_state(object, status);
        e.host = pod_host(&b, object, spec);
        node = kube_field_text(spec, "nodeName", NULL);
        if (node && kube_is_name(node))
                e.node = kube_builder_text(&b, node, strlen(node));
        if (!pod_has_ended(status)) {
                if (go_micro)
                        pod_registered(&b, object, go_micro, &e);
                else
                        pod_endpoints(&b, spec, status, &e);
        }
        r = kube_builder_finish(&b, name, service, false, ret);
        *ret_faults = b.faults;
        return r;
}
