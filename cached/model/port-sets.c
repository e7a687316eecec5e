/*
 * Sets of ports.
 *
 *     ports  | grpc 9000, http 80 | grpc 9001, http 80 | ...      ends  2, 4, ...
 *
 * An endpoint's ports are put together behind the last set, and stay there if they are a new one. Endpoints of one
 * answer share their array of ports, which makes the last set the likely one. A record can tell SETS_SHARED sets
 * apart; services with more, as of random ports, have one for nearly each endpoint, and further ones are not searched.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model/port-sets.h"

#define SETS_SHARED 255U

int port_sets_init(struct port_sets *sets, const struct khs_port *config, size_t n_config, uint32_t n_max)
{
        *sets = (struct port_sets){
                .first = n_config > 0 && config->kind == KHS_PORT_NAME ? config : NULL,
                .n_last = UINT32_MAX,
                .ends = calloc((size_t)n_max + 1, sizeof(*sets->ends)),
        };
        return sets->ends ? 0 : -ENOMEM;
}

void port_sets_deinit(struct port_sets *sets)
{
        free(sets->ports);
        free(sets->ends);
}

static bool port_is(const struct khs_row_port *port, const struct khs_port *wanted)
{
        return port->name && port->protocol == (wanted->udp ? IPPROTO_UDP : IPPROTO_TCP) &&
               strcmp(port->name, wanted->name) == 0;
}

static bool port_equal(const struct khs_row_port *a, const struct khs_row_port *b)
{
        return a->number == b->number && a->protocol == b->protocol &&
               (a->name == b->name || (a->name && b->name && strcmp(a->name, b->name) == 0));
}

static uint32_t port_set_begin(const struct port_sets *sets, uint32_t set)
{
        return set > 0 ? sets->ends[set - 1] : 0;
}

static bool port_set_is(const struct port_sets *sets, uint32_t set, const struct khs_row_port *ports, uint32_t n)
{
        const struct khs_row_port *there = sets->ports + port_set_begin(sets, set);

        if (sets->ends[set] - port_set_begin(sets, set) != n)
                return false;
        for (uint32_t i = 0; i < n; i++)
                if (!port_equal(&there[i], &ports[i]))
                        return false;
        return true;
}

/* Puts a set together: the default one first, and none without a number else. Return: how many ports. */
static uint32_t port_set_write(const struct khs_port *first, const struct khs_row_port *ports, uint32_t n_ports,
                               struct khs_row_port *ret)
{
        uint32_t n = first != NULL;

        if (first)
                ret[0] = (struct khs_row_port){ .name = first->name,
                                                .protocol = first->udp ? IPPROTO_UDP : IPPROTO_TCP };
        for (uint32_t i = 0; i < n_ports && n < PORT_SET_MAX; i++) {
                if (first && port_is(&ports[i], first))
                        ret[0].number = ret[0].number ? ret[0].number : ports[i].number;
                else if (ports[i].number > 0)
                        ret[n++] = ports[i];
        }
        return n;
}

static int port_sets_grow(struct port_sets *sets)
{
        struct khs_row_port *ports;

        if (sets->n_room - sets->n_ports >= PORT_SET_MAX)
                return 0;
        ports = reallocarray(sets->ports, sets->n_room * 2 + PORT_SET_MAX, sizeof(*ports));
        if (!ports)
                return -ENOMEM;
        sets->ports = ports;
        sets->n_room = sets->n_room * 2 + PORT_SET_MAX;
        return 0;
}

/* The set of an endpoint whose ports are not those of the last one. */
static uint32_t port_sets_find(struct port_sets *sets, const struct khs_row_port *ports, uint32_t n_ports)
{
        struct khs_row_port *next;
        uint32_t n;

        if (n_ports == 0)
                return 0;
        if (port_sets_grow(sets) < 0) {
                sets->failed = true;
                return 0;
        }
        next = sets->ports + sets->n_ports;
        n = port_set_write(sets->first, ports, n_ports, next);
        if (n == 0)
                return 0;
        for (uint32_t set = 0; set < sets->n && set < SETS_SHARED; set++) {
                if (port_set_is(sets, set, next, n))
                        return set + 1;
        }
        sets->n_ports += n;
        sets->ends[sets->n++] = sets->n_ports;
        return sets->n;
}

uint32_t port_sets_add(struct port_sets *sets, const struct khs_row_port *ports, uint32_t n_ports)
{
        if (sets->n_last != n_ports || sets->last != ports) {
                sets->last_set = port_sets_find(sets, ports, n_ports);
                sets->last = ports;
                sets->n_last = n_ports;
        }
        return sets->last_set;
}

int port_sets_place(struct port_sets *sets, const uint32_t *set_of, struct khs_row_endpoint *endpoints,
                    uint32_t n_endpoints, struct khs_row_port **ret)
{
        struct khs_row_port *ports;

        *ret = NULL;
        if (sets->failed)
                return -ENOMEM;
        if (sets->n == 0)
                return 0;
        ports = reallocarray(sets->ports, sets->n_ports, sizeof(*ports));
        ports = ports ? ports : sets->ports;
        sets->ports = NULL;
        for (uint32_t i = 0; i < n_endpoints; i++) {
                if (set_of[i] == 0)
                        continue;
                endpoints[i].ports = ports + port_set_begin(sets, set_of[i] - 1);
                endpoints[i].n_ports = sets->ends[set_of[i] - 1] - port_set_begin(sets, set_of[i] - 1);
        }
        *ret = ports;
        return (int)sets->n_ports;
}
