#pragma once

/*
 * Which of the configured ports each endpoint of a service has. Most endpoints have the same ones, so each
 * different set is kept once, and endpoints share it.
 */

#include <stddef.h>
#include <stdint.h>

#include "answer/target.h" /* struct khs_port */
#include "table/row.h"

#define PORT_SETS_MAX 255U /* that differ, in one service: as many as a record can tell apart */

struct port_sets {
        const struct khs_port *config;
        uint32_t n_config;
        uint16_t *numbers; /* n x n_config, 0: it lacks that port; then one that is being put together */
        uint32_t n;
        const struct khs_row_port *last; /* what the last endpoint had, and its set */
        uint32_t n_last, last_set;
};

/* @config: of the service; its names must outlive what is made of it. Return: 0; -ENOMEM. */
int port_sets_init(struct port_sets *sets, const struct khs_port *config, size_t n_config);
void port_sets_deinit(struct port_sets *sets);

/* Return: the number of the set of an endpoint with these ports, from 1; 0: none is known, or sets are too many. */
uint32_t port_sets_add(struct port_sets *sets, const struct khs_row_port *ports, uint32_t n_ports);

/**
 * port_sets_place() - point endpoints at their ports
 * @set_of:  what port_sets_add() returned for each of them
 * @ret:     the ports of all sets, owned by the caller; NULL when there is no set
 *
 * An endpoint has its ports in the order of the configuration. Where the first configured port has a name
 * and the endpoint lacks it, it stands there with the number 0: it is the default, and no other may take its
 * place.
 *
 * Return: 0; -ENOMEM.
 */
int port_sets_place(const struct port_sets *sets, const uint32_t *set_of, struct khs_row_endpoint *endpoints,
                    uint32_t n_endpoints, struct khs_row_port **ret);

/* The number that an endpoint with these ports has for a configured one; 0: none, or known by its ordinal ("3000+"). */
uint16_t port_number(const struct khs_port *port, const struct khs_row_port *ports, uint32_t n_ports);
