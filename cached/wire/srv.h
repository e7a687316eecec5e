#pragma once

/*
 * Host names of a service's pods, from the answers to SRV and PTR questions.
 *
 * A host counts only as one label of letters, digits, "-" and "_" directly below the service's own name, and
 * an address in the additional section only with an SRV record of the same answer that leads to it: nothing
 * else in an answer can say anything of this service's pods.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/answer.h"

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

/**
 * dns_srv_read() - judge the reply to a question for SRV
 *
 * @service: "S.N.svc.D", of which the question's name is equal to or below
 * @ret_srv: always filled. What a truncated reply holds is true, too, but not all there is: then it stands
 *           here beside the failure.
 *
 * Return: an answer, though perhaps without a target that counts; a negative of a server that knows the
 * cluster; or a failure.
 */
struct dns_answer dns_srv_read(const struct dns_name *domain, const struct dns_question *question,
                               const struct dns_name *service, const uint8_t *packet, size_t n_packet,
                               struct dns_srv *ret_srv);

/**
 * dns_ptr_read() - judge the reply to a question for PTR
 *
 * The same. Targets are the hosts below @service to which the address belongs, and there are no addresses. A
 * negative needs no SOA: nothing is withdrawn by it.
 */
struct dns_answer dns_ptr_read(const struct dns_question *question, const struct dns_name *service,
                               const uint8_t *packet, size_t n_packet, struct dns_srv *ret_srv);
