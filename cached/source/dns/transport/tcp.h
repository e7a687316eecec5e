#pragma once

/*
 * One connection to a DNS server: pipelined, kept open, made by c-ares.
 */

#include <systemd/sd-event.h>

#include "base/address.h"
#include "source/dns/transport/flight.h"

#define DNS_TCP_TRIES 8U /* of a query, each on a connection of its own where the server closes them */

struct dns_tcp;

/* Return: 0 or a negative errno. The flights are borrowed. */
int dns_tcp_new(struct dns_tcp **ret, sd_event *event, const struct address *server, struct dns_flights *flights);
/* Gives back what is lent. NULL is fine. */
void dns_tcp_free(struct dns_tcp *tcp);

/* What goes wrong ends the flight. */
void dns_tcp_send(struct dns_tcp *tcp, struct dns_flight *flight);

/* Lets c-ares look at its time-outs, and so give back what was abandoned. */
void dns_tcp_look(struct dns_tcp *tcp);
