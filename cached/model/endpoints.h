#pragma once

/*
 * What a service knows of its endpoints besides their addresses: host names, ordinals, ports.
 *
 * Pure. One row for each address, then one for each shared row, in the order of a table's row, so that they can
 * be handed on as they are: where an address has several hosts, the first of them by name (bytewise) has
 * its row, and the others are shared rows. A table is never changed: another one is made out of it, of the addresses
 * that there are now, and of what a source has said. What an address was told to be stays as long as the address does,
 * until a source says otherwise.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer/target.h" /* struct khs_port */
#include "model/finding.h"

#define HOST_TABLE_PORT_SETS 255U /* that differ, in one service: as many as a record can tell apart */

/* The addresses that rows belong to; borrowed. Sorted, no duplicates. */
struct host_addrs {
        uint32_t n4, n6;
        const uint8_t *v4, *v6;
};

struct host_table {
        uint32_t n; /* rows: n4 + n6 + n_shared, or 0: nothing is known of any address */
        struct khs_row_endpoint *rows;
        uint32_t n_shared;
        uint16_t *shared; /* for each the number of its address, never falling */
        bool complete;    /* every address has a host name, and none that is not known */

        uint8_t *others_unknown; /* for each address, as in struct finding_endpoint */
        char *strings;
        struct khs_row_port *ports; /* all sets, one after the other */
};

/**
 * host_table_make() - make a table out of another one
 *
 * @addrs:   that there are now
 * @old, @old_addrs: the table until now, and its addresses
 * @news:    what a source says (FINDING_ENDPOINTS), or NULL. Where it does not know all hosts of an
 *           address, and those it knows are no others than were known, the rest of these stay
 * @ports:   that the service is configured with; their names must outlive the table. An endpoint has
 *           those that are known of it, in this order; where the first has a name and is not known,
 *           it stands there with the number 0. "3000+" is left to the ordinal.
 *
 * Shared rows for which a record has no room (2 * KHS_MAX_ADDRS rows) are left out; then it is not complete.
 *
 * Return: 0; -ENOMEM.
 */
int host_table_make(struct host_table *ret, const struct host_addrs *addrs, const struct host_table *old,
                    const struct host_addrs *old_addrs, const struct finding *news, const struct khs_port *ports,
                    size_t n_ports);
void host_table_deinit(struct host_table *table);

bool host_table_equal(const struct host_table *a, const struct host_table *b);

/**
 * host_ordinal() - the number of a StatefulSet's pod
 *
 * That behind the last "-" of "NAME-NUMBER", decimal, as Kubernetes writes it: no leading zeros, at
 * most INT32_MAX. An address with dashes, which is what a pod without a host name has instead, has
 * none: any IPv4 one, and the IPv6 one that is the pod's own ("be--ef-0" may be a StatefulSet's).
 *
 * Return: the number, or -1.
 */
int32_t host_ordinal(const char *host, uint8_t family, const uint8_t *bytes);
