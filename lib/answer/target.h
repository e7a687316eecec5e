#pragma once

/*
 * Targets: one string that names a service and, optionally, one of its ports.
 *
 *     user-svc                               user-svc.default:8080
 *     user-svc.default                       service-b.k8s-example2:3000+
 *     user-svc.default.svc.cluster.local     user-svc.default:grpc      dns.kube-system:dns/udp
 *     kubernetes:///user-svc.default:8080    kubernetes://default/user-svc:grpc
 *
 * The daemon's command line, its configuration and the C API share this parser, so that a target
 * means the same everywhere. The gRPC forms are those of
 * https://github.com/grpc/grpc/blob/master/doc/naming.md with the authority as namespace.
 *
 * Pure functions: they allocate and keep nothing; results point into the caller's string.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KHS_LABEL_MAX 63U  /* RFC 1035, 2.3.4 */
#define KHS_NAME_MAX  253U /* longest name as text, without a final dot */

enum khs_port_kind {
        KHS_PORT_NONE,
        KHS_PORT_NUMBER, /* "8080" */
        KHS_PORT_NAME,   /* "grpc", "dns/udp": resolved by SRV or EndpointSlice */
        KHS_PORT_BASE,   /* "3000+": number + ordinal of the pod */
};

struct khs_port {
        uint8_t kind;    /* enum khs_port_kind */
        bool udp;        /* of a named port; TCP otherwise */
        uint16_t number; /* host byte order */
        char name[KHS_LABEL_MAX + 1];
};

struct khs_target {
        const char *name; /* as written, not NUL-terminated: any form of a service name */
        size_t n_name;
        const char *namespace; /* of "kubernetes://NAMESPACE/..."; n_namespace is 0 otherwise */
        size_t n_namespace;
        struct khs_port port;
};

/**
 * khs_port_parse() - read a port: number, name, name/udp, name/tcp or base+
 *
 * Return: 0; -EINVAL: @text (@n_text bytes) is none of these, @ret is untouched.
 */
int khs_port_parse(const char *text, size_t n_text, struct khs_port *ret);

/**
 * khs_target_parse() - split a target into name, namespace and port
 *
 * Of the name it only checks that it is not empty and at most KHS_NAME_MAX + 1 bytes long; khs_name_*() judge its
 * form.
 *
 * Return: 0; -EINVAL: @ret is untouched.
 */
int khs_target_parse(const char *text, struct khs_target *ret);
