#pragma once

/*
 * What one object of the API, an EndpointSlice or a pod, says of a service's endpoints, in the compact
 * form in which it is kept: one block of memory, 44 bytes an endpoint, equal strings stored once.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "table/row.h" /* struct khs_row_port, KHS_ATTR_* */

#define KUBE_LABEL_SERVICE  "kubernetes.io/service-name"
#define KUBE_LABEL_HEADLESS "service.kubernetes.io/headless"

#define KUBE_HINTS_MAX 8U   /* zones or nodes that an endpoint is hinted for, as the API has it */
#define KUBE_PORTS_MAX 256U /* of an endpoint */

/* Offsets into the strings of the slice; 0: unknown. */
struct kube_endpoint {
        uint8_t family; /* AF_INET or AF_INET6 */
        uint8_t state;  /* KHS_ATTR_READY, _SERVING, _TERMINATING */
        uint16_t n_ports;
        uint32_t first_port; /* in the ports of the slice */
        uint8_t bytes[16];
        uint32_t host, node, zone;
        uint32_t for_nodes, for_zones; /* hints: each string with its zero, and another zero behind the last */
};

struct kube_slice {
        const char *name, *service;
        bool headless; /* its service's pods are what DNS gives for the name, too */
        uint32_t n_endpoints;
        const struct kube_endpoint *endpoints;
        uint32_t n_ports;
        const struct khs_row_port *ports;
        const char *strings;
};

/* What was left out of an object, or why it was refused as a whole; bits. */
enum kube_fault {
        KUBE_FAULT_OBJECT = 1,  /* not an object of this kind; refused */
        KUBE_FAULT_NAME = 2,    /* its name, namespace or service is none, or not the one that was asked for; refused */
        KUBE_FAULT_ADDRESS = 4, /* an endpoint whose address is none of the family */
        KUBE_FAULT_ENDPOINT = 8, /* an endpoint with a field of a wrong type */
        KUBE_FAULT_HOST = 16,    /* a host, node or zone that is no such name */
        KUBE_FAULT_PORT = 32,    /* a port that is none */
        KUBE_FAULT_GO_MICRO = 64 /* a go-micro annotation that can't be read; the pod has no endpoint */
};

/* For a log line: the text of the lowest bit. */
const char *kube_fault_text(unsigned int faults);

struct kube_slice *kube_slice_free(struct kube_slice *slice);

/* The text at an offset; NULL for 0. */
static inline const char *kube_slice_text(const struct kube_slice *slice, uint32_t offset)
{
        return offset > 0 ? slice->strings + offset : NULL;
}
