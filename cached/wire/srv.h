#pragma once

/*
 * Host names of a service's pods, from SRV and PTR records: names to ask for, answers to read.
 * Pure functions, no I/O. RFC 2782 (SRV), 1035 3.5 and 3596 2.5 (PTR); the records of a headless
 * service are those of the Kubernetes DNS specification, 2.4.2 and 2.4.3.
 *
 * A host counts only as one label of letters, digits, "-" and "_" directly below the service's own
 * name, and an address in the additional section only with an SRV record of the same answer that
 * leads to it: nothing else in an answer can say anything of this service's pods.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer/target.h" /* struct khs_port, KHS_LABEL_MAX */
#include "wire/message.h"

/* What 65,535 bytes can hold: an SRV record that counts has at least 22 bytes, an address 16. */
#define DNS_SRV_TARGETS_MAX 3072U
#define DNS_SRV_ADDRS_MAX   4096U

struct dns_srv_target {
        char host[KHS_LABEL_MAX + 1]; /* lower case */
        uint16_t port;                /* host byte order; 0 from a PTR record */
};

struct dns_srv_addr {
        uint16_t target; /* index of the first target with this address's host */
        uint8_t family;  /* AF_INET or AF_INET6 */
        uint8_t bytes[16];
};

struct dns_srv {
        uint32_t n_targets; /* sorted by host, then port; no duplicates */
        uint32_t n_addrs;
        struct dns_srv_target targets[DNS_SRV_TARGETS_MAX];
        struct dns_srv_addr addrs[DNS_SRV_ADDRS_MAX];
};

/* Each returns 0, or -EINVAL: there is no such name, it would be too long. */

/* "_grpc._tcp.user-svc.default..." */
int dns_srv_name(struct dns_name *ret, const struct khs_port *port, const struct dns_name *service);
/* "web-0.user-svc.default..." */
int dns_host_name(struct dns_name *ret, const char *host, const struct dns_name *service);
/* "11.0.244.10.in-addr.arpa" and the like; every address has one. */
void dns_ptr_name(struct dns_name *ret, uint8_t family, const uint8_t *bytes);

/**
 * dns_srv_read() - judge the reply to a question for SRV
 *
 * @service: "S.N.svc.D", of which the question's name is equal to or below
 * @ret:     always filled: an answer, though perhaps without a target that counts; a negative of a
 *           server that knows the cluster; or a failure
 * @ret_srv: always filled. What a truncated reply holds is true, too, but not all there is: then it
 *           stands here beside the failure.
 */
void dns_srv_read(const struct dns_rules *rules, const struct dns_question *question, const struct dns_name *service,
                  const uint8_t *packet, size_t n_packet, struct dns_answer *ret, struct dns_srv *ret_srv);

/**
 * dns_ptr_read() - judge the reply to a question for PTR
 *
 * The same; targets are the hosts below @service to which the address belongs, and there are no
 * addresses. Whoever says that there is none is believed: nothing is withdrawn by it.
 */
void dns_ptr_read(const struct dns_question *question, const struct dns_name *service, const uint8_t *packet,
                  size_t n_packet, struct dns_answer *ret, struct dns_srv *ret_srv);
