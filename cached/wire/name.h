#pragma once

/*
 * DNS names in wire form, and the names at which the cluster publishes a headless service: those of the
 * Kubernetes DNS specification, 2.4, of RFC 2782 (SRV), and of RFC 1035, 3.5, and 3596, 2.5 (PTR).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer/target.h" /* struct khs_port, KHS_LABEL_MAX */

#define DNS_NAME_WIRE_MAX 255U /* RFC 1035, 2.3.4 */

/* Labels with their lengths, in lower case, the root label last: two equal names have equal bytes. */
struct dns_name {
        uint8_t n;
        uint8_t wire[DNS_NAME_WIRE_MAX];
};

static inline uint8_t dns_lower(uint8_t c)
{
        return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/**
 * dns_name_parse() - turn text ("user-svc.default.svc.cluster.local", final dot or not) into a name
 *
 * Return: 0; -EINVAL for an empty or overlong label or name.
 */
int dns_name_parse(struct dns_name *ret, const char *text);

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b);
/* Is @name equal to @domain or below it? */
bool dns_name_below(const struct dns_name *name, const struct dns_name *domain);

/* Each returns 0, or -EINVAL where the name would be too long. */

/* "user-svc.default.svc.cluster.local"; @key is "user-svc.default" */
int dns_name_of_service(struct dns_name *ret, const char *key, const struct dns_name *domain);
/* "_grpc._tcp.user-svc.default..." */
int dns_name_of_port(struct dns_name *ret, const struct khs_port *port, const struct dns_name *service);
/* "web-0.user-svc.default..." */
int dns_name_of_host(struct dns_name *ret, const char *host, const struct dns_name *service);

/* "11.0.244.10.in-addr.arpa" and the like; every address has one. */
void dns_name_of_address(struct dns_name *ret, uint8_t family, const uint8_t *bytes);

/* The reverse of dns_name_of_host(): false unless @name is one host label directly below @service. */
bool dns_name_get_host(const struct dns_name *name, const struct dns_name *service, char ret[static KHS_LABEL_MAX + 1]);
