#pragma once

/*
 * Datagrams to and from one DNS server.
 */

#include <systemd/sd-event.h>

#include "base/address.h"
#include "source/dns/transport/flight.h"

struct dns_udp;

/* Return: 0 or -ENOMEM. The address and the flights are borrowed. */
int dns_udp_new(struct dns_udp **ret, sd_event *event, const struct address *server, struct dns_flights *flights);
/* NULL is fine. */
void dns_udp_free(struct dns_udp *udp);

/* Sends what is last of those flying; what goes wrong ends it. */
void dns_udp_send(struct dns_udp *udp, struct dns_flight *flight);
