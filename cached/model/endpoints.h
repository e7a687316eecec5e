#pragma once

/*
 * What a service knows of its endpoints besides their addresses: host names, ordinals, ports, conditions,
 * where they run.
 *
 * Pure. A set has one endpoint for each address, in the order of the addresses, then the further endpoints
 * of shared addresses (pods in their node's network): the order of a table's row, so that a set is handed on
 * as it is. Of the endpoints that share an address the first by host name (bytewise) stands in its place. A
 * set is never changed: the next one is made out of it, of the addresses that there are now, and of what a
 * source reports. What is known of an address stays as long as the address does, until a source says
 * otherwise.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/names.h"
#include "model/finding.h"
#include "model/port-sets.h"

/* The addresses that a set belongs to; borrowed. Sorted, no duplicates. */
struct endpoint_addrs {
        uint32_t n4, n6;
        const uint8_t *v4, *v6;
};

struct endpoint_set {
        uint32_t n; /* endpoints: n4 + n6 + n_shared, or 0: nothing is known of any address */
        struct khs_row_endpoint *endpoints;
        uint32_t n_shared;
        uint16_t
                *shared; /* of the last n_shared endpoints: the number of the address that each shares, never falling */
        bool complete;   /* every address has a host name, and none that is not known */

        uint8_t *others_unknown; /* for each address, as in struct finding_endpoint */
        char *strings;
        struct names *names;        /* where the names of nodes and zones are; borrowed */
        struct khs_row_port *ports; /* all sets, one after the other */
};

/**
 * endpoint_set_make() - make a set out of another one
 *
 * @names:   for nodes and zones; outlives the set
 * @addrs:   that there are now
 * @old, @old_addrs: the set until now, and its addresses
 * @news:    a finding with endpoints, or NULL. Of FINDING_ENDPOINTS: where it does not know all hosts of an
 *           address, and those it knows are no others than were known, the rest of these stay
 * @ports:   that the service is configured with, borrowed: the first decides which of an endpoint's ports comes
 *           first, see port_sets_add()
 *
 * Endpoints of shared addresses for which a record has no room (2 * KHS_MAX_ADDRS in all) are left out; then
 * the set is not complete.
 *
 * Return: 0; -ENOMEM: @ret is an empty set.
 */
int endpoint_set_make(struct endpoint_set *ret, struct names *names, const struct endpoint_addrs *addrs,
                      const struct endpoint_set *old, const struct endpoint_addrs *old_addrs,
                      const struct finding *news, const struct khs_port *ports, size_t n_ports);
void endpoint_set_deinit(struct endpoint_set *set);

bool endpoint_set_equal(const struct endpoint_set *a, const struct endpoint_set *b);
