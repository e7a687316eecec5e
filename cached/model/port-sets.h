#pragma once

/*
 * Which ports each endpoint of a service has. Most endpoints have the same ones, so each different set is kept once,
 * and endpoints share it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer/target.h" /* struct khs_port */
#include "table/row.h"

#define PORT_SET_MAX 128U /* ports of one endpoint; those beyond are left out */

struct port_sets {
        const struct khs_port *first; /* the named port that every set begins with; NULL: as they are reported */
        struct khs_row_port *ports;   /* of all sets, one after the other */
        uint32_t n_ports, n_room;
        uint32_t *ends; /* of each set in ports */
        uint32_t n;
        const struct khs_row_port *last; /* what the last endpoint had, and its set */
        uint32_t n_last, last_set;
        bool failed; /* for want of memory */
};

/**
 * port_sets_init() - begin
 * @config: the configured ports of the service, borrowed
 * @n_max:  how many endpoints there may be
 *
 * Return: 0; -ENOMEM.
 */
int port_sets_init(struct port_sets *sets, const struct khs_port *config, size_t n_config, uint32_t n_max);
void port_sets_deinit(struct port_sets *sets);

/**
 * port_sets_add() - the ports of one more endpoint, in the order in which its source reports them
 *
 * Their names are borrowed. Where the first configured port has a name, it comes first, with the number 0 where the
 * endpoint lacks it: it is the default, and no other may take its place.
 *
 * Return: the number of the set, from 1; 0: it has none.
 */
uint32_t port_sets_add(struct port_sets *sets, const struct khs_row_port *ports, uint32_t n_ports);

/**
 * port_sets_place() - point endpoints at their ports
 * @set_of: what port_sets_add() returned for each of them
 * @ret:    the ports of all sets, owned by the caller; NULL when there is no set
 *
 * Return: how many ports; -ENOMEM.
 */
int port_sets_place(struct port_sets *sets, const uint32_t *set_of, struct khs_row_endpoint *endpoints,
                    uint32_t n_endpoints, struct khs_row_port **ret);
