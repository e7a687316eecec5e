/*
 * Our own time-outs: a query ends when its reply comes, when its carrier says that none can come, or after
 * DNS_TIMEOUT_USEC, whatever the carrier thinks of that.
 */

#include <errno.h>
#include <stdlib.h>

#include "base/timer.h"
#include "base/util.h"
#include "source/dns/transport/channel.h"
#include "source/dns/transport/tcp.h"
#include "source/dns/transport/udp.h"

#define SWEEP_USEC (1 * USEC_PER_SEC)

struct dns_channel {
        sd_event *event;
        struct address server;
        struct timer timer;
        struct dns_flights flights;
        struct dns_tcp *tcp; /* one of the two */
        struct dns_udp *udp;
};

static void channel_destroy(struct dns_channel *channel)
{
        dns_tcp_free(channel->tcp); /* gives back what is lent */
        dns_udp_free(channel->udp);
        timer_deinit(&channel->timer);
        sd_event_unref(channel->event);
        free(channel);
}

static void channel_arm(struct dns_channel *channel)
{
        struct dns_flight *first = TAILQ_FIRST(&channel->flights.flying);

        if (channel->flights.n == 0)
                timer_stop(&channel->timer);
        else /* abandoned flights leave when c-ares looks at its own time-outs */
                timer_set(&channel->timer, first ? first->deadline_usec : usec_now() + SWEEP_USEC);
}

static void channel_left(struct dns_flights *flights)
{
        struct dns_channel *channel = container_of(flights, struct dns_channel, flights);

        if (flights->dead)
                channel_destroy(channel);
        else
                channel_arm(channel);
}

static void channel_tick(void *userdata)
{
        struct dns_channel *channel = userdata;
        uint64_t now = usec_now();
        struct dns_flight *flight;

        dns_flights_enter(&channel->flights);
        while ((flight = TAILQ_FIRST(&channel->flights.flying)) && flight->deadline_usec <= now)
                dns_flight_end(flight, -ETIMEDOUT, NULL, 0);
        if (channel->tcp && !channel->flights.dead)
                dns_tcp_look(channel->tcp);
        dns_flights_leave(&channel->flights);
}

int dns_channel_new(struct dns_channel **ret, sd_event *event, const struct address *server, bool tcp)
{
        struct dns_channel *channel;
        int r;

        if ((server->family != AF_INET && server->family != AF_INET6) || server->port == 0)
                return -EINVAL;
        channel = calloc(1, sizeof(*channel));
        if (!channel)
                return -ENOMEM;
        channel->flights.left = channel_left;
        TAILQ_INIT(&channel->flights.flying);
        channel->event = sd_event_ref(event);
        channel->server = *server;
        r = timer_init(&channel->timer, event, USEC_PER_MSEC, channel_tick, channel);
        /* Replies that wait in the socket come before time-outs, also after the daemon was stopped. */
        if (r >= 0)
                r = sd_event_source_set_priority(channel->timer.source, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = tcp ? dns_tcp_new(&channel->tcp, event, server, &channel->flights)
                        : dns_udp_new(&channel->udp, event, &channel->server, &channel->flights);
        if (r < 0) {
                channel_destroy(channel);
                return r;
        }
        *ret = channel;
        return 0;
}

struct dns_channel *dns_channel_free(struct dns_channel *channel)
{
        struct dns_flight *flight;

        if (!channel)
                return NULL;
        while ((flight = TAILQ_FIRST(&channel->flights.flying)))
                dns_flight_cancel(flight);
        channel->flights.dead = true;
        if (channel->flights.depth == 0)
                channel_destroy(channel);
        return NULL;
}

bool dns_channel_is_idle(const struct dns_channel *channel)
{
        return TAILQ_EMPTY(&channel->flights.flying);
}

bool dns_channel_has_room(const struct dns_channel *channel)
{
        return channel->flights.n < DNS_CHANNEL_FLIGHT;
}

int dns_channel_send(struct dns_channel *channel, const struct dns_question *question, struct dns_flight **slot,
                     dns_flight_fn fn, void *userdata)
{
        struct dns_flight *flight;

        if (!dns_channel_has_room(channel))
                return -EBUSY;
        flight = dns_flight_new(&channel->flights, question, usec_now() + DNS_TIMEOUT_USEC, slot, fn, userdata);
        if (!flight)
                return -ENOMEM;
        dns_flights_enter(&channel->flights);
        if (channel->tcp)
                dns_tcp_send(channel->tcp, flight);
        else
                dns_udp_send(channel->udp, flight);
        dns_flights_leave(&channel->flights);
        return 0;
}
