/*
 * EndpointSlices of discovery.k8s.io/v1, read as the API means them.
 *
 *     ready nil = true    serving nil = true    terminating nil = false
 *
 * (kuberesolver takes a ready that is missing for false, which leaves out whole services.) The first
 * address of an endpoint counts, others have no meaning. "ports" and "endpoints" may be null: so are they
 * in the placeholder of a service without pods. Ports belong to every endpoint of the slice.
 *
 * Nothing here trusts the sender: types are checked, names must be names, and what is wrong is left out
 * as small as possible and told by a bit.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/util.h"
#include "source/kube/decode/builder.h"
#include "source/kube/decode/endpoint-slice.h"
#include "source/kube/decode/field.h"

/* A name, or 0 where there is none; one that is none costs itself, not its endpoint. */
static uint32_t slice_name(struct kube_builder *b, const char *text, bool (*is_name)(const char *))
{
        if (!text || text[0] == '\0')
                return 0;
        if (is_name(text))
                return kube_builder_text(b, text, strlen(text));
        b->faults |= KUBE_FAULT_HOST;
        return 0;
}

/* A zone is a label's value: letters of both cases, digits, '-', '_', '.'. */
static bool slice_is_zone(const char *text)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

        return strlen(text) <= 63 && strspn(text, letters) == strlen(text);
}

/* [{"name": ...}, ...] as a list of strings. */
static uint32_t slice_hints(struct kube_builder *b, const json_t *list, bool (*is_name)(const char *))
{
        char text[KUBE_HINTS_MAX * 256];
        size_t n_text = 0;

        for (size_t i = 0; i < json_array_size(list) && i < KUBE_HINTS_MAX; i++) {
                const char *name = kube_field_text(json_array_get(list, i), "name", NULL);

                if (!name || name[0] == '\0' || !is_name(name)) {
                        b->faults |= KUBE_FAULT_HOST;
                        continue;
                }
                memcpy(text + n_text, name, strlen(name) + 1);
                n_text += strlen(name) + 1;
        }
        return kube_builder_text(b, text, n_text);
}

static uint8_t slice_state(const json_t *endpoint, bool *ret_bad)
{
        const json_t *conditions = kube_field(endpoint, "conditions", JSON_OBJECT, ret_bad);
        uint8_t state = 0;

        if (kube_field_bool(conditions, "ready", true, ret_bad))
                state |= KHS_ATTR_READY;
        if (kube_field_bool(conditions, "serving", true, ret_bad))
                state |= KHS_ATTR_SERVING;
        if (kube_field_bool(conditions, "terminating", false, ret_bad))
                state |= KHS_ATTR_TERMINATING;
        return state;
}

static void slice_endpoint(struct kube_builder *b, const json_t *endpoint, uint8_t family)
{
        struct kube_endpoint e = { .family = family, .n_ports = (uint16_t)b->n_ports };
        const json_t *addresses, *hints;
        const char *address;
        bool bad = !json_is_object(endpoint);

        addresses = kube_field(endpoint, "addresses", JSON_ARRAY, &bad);
        hints = kube_field(endpoint, "hints", JSON_OBJECT, &bad);
        e.state = slice_state(endpoint, &bad);
        e.host = slice_name(b, kube_field_text(endpoint, "hostname", &bad), kube_is_label);
        e.node = slice_name(b, kube_field_text(endpoint, "nodeName", &bad), kube_is_name);
        e.zone = slice_name(b, kube_field_text(endpoint, "zone", &bad), slice_is_zone);
        e.for_zones = slice_hints(b, kube_field(hints, "forZones", JSON_ARRAY, &bad), slice_is_zone);
        e.for_nodes = slice_hints(b, kube_field(hints, "forNodes", JSON_ARRAY, &bad), kube_is_name);
        if (bad) {
                b->faults |= KUBE_FAULT_ENDPOINT;
                return;
        }
        address = kube_text(json_array_get(addresses, 0));
        if (!address || inet_pton(family, address, e.bytes) != 1) {
                b->faults |= KUBE_FAULT_ADDRESS;
                return;
        }
        kube_builder_endpoint(b, &e);
}

/* Return: 0 where it is none. */
static uint8_t slice_protocol(const char *text)
{
        if (!text || strcmp(text, "TCP") == 0)
                return IPPROTO_TCP;
        if (strcmp(text, "UDP") == 0)
                return IPPROTO_UDP;
        return strcmp(text, "SCTP") == 0 ? IPPROTO_SCTP : 0;
}

/* A port without a number stands for all of them: nothing that could be handed to a program. */
static void slice_port(struct kube_builder *b, const json_t *port)
{
        bool bad = !json_is_object(port);
        const char *name = kube_field_text(port, "name", &bad);
        uint8_t protocol = slice_protocol(kube_field_text(port, "protocol", &bad));
        const json_t *number = kube_field(port, "port", JSON_INTEGER, &bad);
        json_int_t value = json_integer_value(number);

        if (bad || protocol == 0 || (name && name[0] && !kube_is_label(name)) ||
            (number && (value < 1 || value > 65535)) || b->n_ports == KUBE_PORTS_MAX)
                b->faults |= KUBE_FAULT_PORT;
        else if (number)
                kube_builder_port(b, name, (uint16_t)value, protocol);
}

/* Return: 0 for FQDN, -EBADMSG for what is no type. */
static int slice_family(const json_t *object)
{
        const char *type = kube_field_text(object, "addressType", NULL);

        if (!type)
                return -EBADMSG;
        if (strcmp(type, "IPv4") == 0)
                return AF_INET;
        if (strcmp(type, "IPv6") == 0)
                return AF_INET6;
        return strcmp(type, "FQDN") == 0 ? 0 : -EBADMSG;
}

/* Items of a list have no kind of their own. */
static bool slice_is_kind(const json_t *object)
{
        const char *kind = kube_field_text(object, "kind", NULL);

        return json_is_object(object) && (!kind || strcmp(kind, "EndpointSlice") == 0);
}

static void slice_check_name(const json_t *object, const char *namespace, unsigned int *faults)
{
        const char *name = kube_object_name(object), *own = kube_object_namespace(object);
        const char *service = kube_object_label(object, KUBE_LABEL_SERVICE);

        if (!name || !kube_is_name(name) || (own && strcmp(own, namespace) != 0) || !service || !kube_is_label(service))
                *faults |= KUBE_FAULT_NAME;
}

int kube_slice_decode(struct kube_slice **ret, const json_t *object, const char *namespace, unsigned int *ret_faults)
{
        _cleanup_(kube_builder_deinit) struct kube_builder b = { 0 };
        bool bad = !slice_is_kind(object);
        const json_t *endpoints = kube_field(object, "endpoints", JSON_ARRAY, &bad);
        const json_t *ports = kube_field(object, "ports", JSON_ARRAY, &bad);
        int r, family = slice_family(object);

        if (bad || family < 0)
                b.faults |= KUBE_FAULT_OBJECT;
        else
                slice_check_name(object, namespace, &b.faults);
        *ret_faults = b.faults;
        if (b.faults > 0)
                return -EBADMSG;
        for (size_t i = 0; i < json_array_size(ports); i++)
                slice_port(&b, json_array_get(ports, i));
        for (size_t i = 0; family > 0 && i < json_array_size(endpoints); i++)
                slice_endpoint(&b, json_array_get(endpoints, i), (uint8_t)family);
        r = kube_builder_finish(&b, kube_object_name(object), kube_object_label(object, KUBE_LABEL_SERVICE),
                                kube_object_label(object, KUBE_LABEL_HEADLESS) != NULL, ret);
        *ret_faults = b.faults;
        return r;
}
