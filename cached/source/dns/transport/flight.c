/*
 * How queries end:
 *
 *     flying ----- reply, error ------------> fn(), freed
 *       \---- our time-out: fn(), or cancel --> freed, or while it is lent to c-ares:
 *                                               abandoned ---- c-ares gives up ----> freed
 *
 * fn() may free the channel while its carrier is at work. `depth` counts who is: the last one to leave may destroy.
 */

#include <stdlib.h>

#include "source/dns/transport/flight.h"

struct dns_flight *dns_flight_new(struct dns_flights *flights, const struct dns_question *question,
                                  uint64_t deadline_usec, struct dns_flight **slot, dns_flight_fn fn, void *userdata)
{
        struct dns_flight *flight = calloc(1, sizeof(*flight));

        if (!flight)
                return NULL;
        flight->flights = flights;
        flight->slot = slot;
        flight->fn = fn;
        flight->userdata = userdata;
        flight->deadline_usec = deadline_usec;
        flight->question = *question;
        *slot = flight;
        TAILQ_INSERT_TAIL(&flights->flying, flight, link);
        flights->n++;
        return flight;
}

static void flight_detach(struct dns_flight *flight)
{
        TAILQ_REMOVE(&flight->flights->flying, flight, link);
        *flight->slot = NULL;
        flight->slot = NULL;
}

static void flight_free(struct dns_flight *flight)
{
        if (flight->lent)
                return;
        flight->flights->n--;
        free(flight);
}

void dns_flight_end(struct dns_flight *flight, int error, const uint8_t *packet, size_t n_packet)
{
        if (flight->slot) {
                flight_detach(flight);
                flight->fn(flight->userdata, error, &flight->question, packet, n_packet);
        }
        flight_free(flight);
}

void dns_flight_cancel(struct dns_flight *flight)
{
        if (!flight)
                return;
        flight_detach(flight);
        flight_free(flight);
}

void dns_flights_enter(struct dns_flights *flights)
{
        flights->depth++;
}

void dns_flights_leave(struct dns_flights *flights)
{
        if (--flights->depth == 0)
                flights->left(flights);
}
