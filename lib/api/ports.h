#pragma once

/*
 * The port of each endpoint of an answer: what a target asks for, else the service's default.
 */

#include <stdbool.h>
#include <stdint.h>

#include "answer/lookup.h"
#include "answer/target.h"

/* What an endpoint's port is made of: the wish, and the attributes that can fulfil it. */
struct khs_ports {
        const struct khs_port *wanted;
        const struct khs_attrs_at *attrs; /* NULL: the number is the same for all */
        uint16_t number;
        uint8_t set; /* the port set that was looked at last, and the port that was found there */
        uint16_t in_set;
};

/**
 * khs_ports_plan() - in the plan() of a lookup: learn whether ports differ
 *
 * Where they do, the choice of the lookup is among endpoints from now on (khs_lookup_shared()).
 */
void khs_ports_plan(struct khs_ports *ret, struct khs_lookup *l, const struct khs_port *wanted);

/**
 * khs_ports_plan_rows() - the same for a plan() that reads every endpoint itself and takes no turn
 *
 * The choice is among endpoints, each of them once, in the order of the table.
 *
 * Return: whether there are attributes; then l->attrs is open.
 */
bool khs_ports_plan_rows(struct khs_ports *ret, struct khs_lookup *l, const struct khs_port *wanted);

/* The port of the endpoint of one row, host byte order; 0: unknown. Only where ports->attrs is set. */
uint16_t khs_ports_of_row(struct khs_ports *ports, const struct khs_lookup *l, uint32_t number,
                          const struct khs_attr_row *row);

/* The same of the i-th endpoint of a family, in the order of the lookup. */
uint16_t khs_ports_of(struct khs_ports *ports, const struct khs_lookup *l, int family, uint32_t i);
