/*
 * Sets of ports.
 *
 * A set is a row of numbers, one for each configured port, so that two sets are compared by memcmp(). Only at
 * the end are the sets that differ written out as the table wants them. Endpoints of one answer share their
 * array of ports, which makes the last set the likely one.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/port-sets.h"

static uint8_t port_protocol(const struct khs_port *port)
{
        return port->udp ? IPPROTO_UDP : IPPROTO_TCP;
}

uint16_t port_number(const struct khs_port *port, const struct khs_row_port *ports, uint32_t n_ports)
{
        if (port->kind == KHS_PORT_NUMBER)
                return port->number;
        for (uint32_t i = 0; port->kind == KHS_PORT_NAME && i < n_ports; i++)
                if (ports[i].name && ports[i].protocol == port_protocol(port) && strcmp(ports[i].name, port->name) == 0)
                        return ports[i].number;
        return 0;
}

int port_sets_init(struct port_sets *sets, const struct khs_port *config, size_t n_config)
{
        *sets = (struct port_sets){ .config = config, .n_config = (uint32_t)n_config, .n_last = UINT32_MAX };
        sets->numbers = calloc((PORT_SETS_MAX + 1) * (n_config ? n_config : 1), sizeof(*sets->numbers));
        return sets->numbers ? 0 : -ENOMEM;
}

void port_sets_deinit(struct port_sets *sets)
{
        free(sets->numbers);
}

uint32_t port_sets_add(struct port_sets *sets, const struct khs_row_port *ports, uint32_t n_ports)
{
        uint16_t *next = sets->numbers + (size_t)sets->n * sets->n_config;
        bool any = false;
        uint32_t set = 0;

        if (sets->n_last == n_ports && sets->last == ports)
                return sets->last_set;
        for (uint32_t i = 0; i < sets->n_config; i++) {
                next[i] = port_number(&sets->config[i], ports, n_ports);
                any = any || next[i] > 0;
        }
        while (any && set < sets->n &&
               memcmp(sets->numbers + (size_t)set * sets->n_config, next, sets->n_config * sizeof(*next)) != 0)
                set++;
        if (any && set == sets->n && sets->n < PORT_SETS_MAX)
                sets->n++;
        sets->last = ports;
        sets->n_last = n_ports;
        sets->last_set = any && set < sets->n ? set + 1 : 0;
        return sets->last_set;
}

/* One set as endpoints have it. Return: how many ports. */
static uint32_t port_sets_write(const struct port_sets *sets, uint32_t set, struct khs_row_port *ret)
{
        const uint16_t *numbers = sets->numbers + (size_t)set * sets->n_config;
        uint32_t n = 0;

        for (uint32_t i = 0; i < sets->n_config; i++) {
                const struct khs_port *port = &sets->config[i];

                if (numbers[i] == 0 && (i > 0 || port->kind != KHS_PORT_NAME))
                        continue;
                ret[n++] = (struct khs_row_port){
                        .name = port->kind == KHS_PORT_NAME ? port->name : NULL,
                        .number = numbers[i],
                        .protocol = port_protocol(port),
                };
        }
        return n;
}

int port_sets_place(const struct port_sets *sets, const uint32_t *set_of, struct khs_row_endpoint *endpoints,
                    uint32_t n_endpoints, struct khs_row_port **ret)
{
        uint32_t first[PORT_SETS_MAX], n[PORT_SETS_MAX], n_all = 0;
        struct khs_row_port *ports;

        *ret = NULL;
        if (sets->n == 0)
                return 0;
        ports = calloc((size_t)sets->n * sets->n_config, sizeof(*ports));
        if (!ports)
                return -ENOMEM;
        for (uint32_t i = 0; i < sets->n; i++) {
                first[i] = n_all;
                n[i] = port_sets_write(sets, i, ports + n_all);
                n_all += n[i];
        }
        for (uint32_t i = 0; i < n_endpoints; i++) {
                if (set_of[i] == 0)
                        continue;
                endpoints[i].ports = ports + first[set_of[i] - 1];
                endpoints[i].n_ports = n[set_of[i] - 1];
        }
        *ret = ports;
        return 0;
}
