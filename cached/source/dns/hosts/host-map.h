#pragma once

/*
 * What a round of questions has learned of a service's addresses: which hosts each of them belongs
 * to, more than one where pods are in their node's network, and which ports a host has. Pure; it grows with each
 * answer, and at the end it is reported to the service model.
 *
 * Rows are the addresses that the service had when the round began; a host whose address is not
 * among them counts for nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/finding.h"
#include "wire/srv.h"

#define DNS_HOST_MAP_MAX (2 * KHS_MAX_ADDRS) /* hosts; what is beyond is not taken */

struct dns_host_map;

/* The addresses of one family, 4 or 16 bytes each, sorted, no duplicates. Borrowed. */
struct dns_host_addrs {
        uint32_t n;
        const uint8_t *bytes;
};

/* @addrs: IPv4, IPv6; copied. @n_ports: how many named ports there are. Return: 0; -ENOMEM. */
int dns_host_map_new(struct dns_host_map **ret, const struct dns_host_addrs addrs[static 2], uint32_t n_ports);
struct dns_host_map *dns_host_map_free(struct dns_host_map *map);

/*
 * Each takes in what an answer says. Return: 0; -ENOMEM, or -E2BIG for too many hosts: what was
 * taken until then is true.
 */

/* @port: of which named port these are the numbers; >= n_ports: none */
int dns_host_map_take_srv(struct dns_host_map *map, const struct dns_srv *srv, uint32_t port);
/* PTR of one row: its hosts, or that it has none. @whole: these are all */
int dns_host_map_take_ptr(struct dns_host_map *map, uint32_t row, const struct dns_srv *srv, bool whole);
/* One address of a host that is in the map. */
int dns_host_map_take_addr(struct dns_host_map *map, uint32_t host, uint8_t family, const uint8_t *bytes);
/*
 * What an earlier round had found out by single questions, for hosts that came without an address and for
 * rows of which nothing is known yet. @any_host: for these also where this round has not heard of the host
 */
int dns_host_map_take_map(struct dns_host_map *map, struct dns_host_map *old, bool any_host);

/* Addresses without a host, of either or both (0) families; those known to have none are not counted. */
uint32_t dns_host_map_n_open(const struct dns_host_map *map, uint8_t family);

/*
 * Cursors over what is left to ask, each moved behind what it returns; false at the end.
 * Hosts of which no address of a family is known, while that family has open rows, or has rows at all and
 * the host came without any address: it may share one.
 */
bool dns_host_map_next_host(const struct dns_host_map *map, uint32_t *cursor, uint32_t *ret_host, uint8_t *ret_family);
/* Open rows: */
bool dns_host_map_next_row(const struct dns_host_map *map, uint32_t *cursor, uint32_t *ret_row);

const char *dns_host_map_name(const struct dns_host_map *map, uint32_t host);
void dns_host_map_row(const struct dns_host_map *map, uint32_t row, uint8_t *ret_family, const uint8_t **ret_bytes);

/* What the map has to say, as FINDING_ENDPOINTS has it. */
struct dns_host_findings {
        struct finding_endpoint *endpoints; /* host points into the map */
        struct khs_row_port *ports;         /* name points into the ports given */
        uint32_t n_endpoints;
};

/*
 * One endpoint for each host of an address. Addresses that are known to have no host are not reported: that is
 * no reason to take a name back.
 *
 * @ports:          n_ports named ones
 * @hosts_complete: no host was left out
 * @ports_complete: a port that the map has not got of a host, that host has not got either
 *
 * Return: 0; -ENOMEM.
 */
int dns_host_map_report(struct dns_host_map *map, const struct khs_port *ports, bool hosts_complete,
                        bool ports_complete, struct dns_host_findings *ret);
void dns_host_findings_deinit(struct dns_host_findings *findings);
