/*
 * Questions by UDP, on a socket of our own. A datagram needs nothing of what c-ares brings, while 1.32 and newer
 * do what cannot be turned off: they ask again after as little as 250 ms and close the socket to which the first
 * answer is still to come, they add a cookie to every OPT record and drop answers without one where they have seen
 * one before, and they close the socket, whatever is in flight on it, on a message that they cannot parse.
 *
 * Here each question is sent once and waits for its answer as long as the channel lets it. A message is taken by
 * the question that it answers: that of its id, name, type and class. Others are late or forged, and are dropped;
 * the kernel drops what does not come from the server. A question that goes out while no other is in flight gets
 * a new socket, and so a new source port.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "source/dns/transport/udp.h"

#define DATAGRAM_MAX  4096U /* more than DNS_EDNS_SIZE: some servers do not look at what they are offered */
#define UDP_READS_MAX 512U  /* then others have their turn */

struct dns_udp {
        sd_event *event; /* borrowed, as are the next two */
        const struct address *server;
        struct dns_flights *flights;
        int fd; /* -1: none */
        sd_event_source *source;
};

static void udp_close(struct dns_udp *udp)
{
        if (udp->fd < 0)
                return;
        if (udp->source)
                sd_event_source_set_enabled(udp->source, SD_EVENT_OFF);
        udp->source = sd_event_source_unref(udp->source);
        close(udp->fd);
        udp->fd = -1;
}

/* The network's word that there will be no answer. */
static void udp_fail(struct dns_udp *udp, int error)
{
        struct dns_flights *flights = udp->flights;
        struct dns_flight *flight;

        udp_close(udp);
        /* Those that are there now: their owners may send others at once. */
        for (size_t n = flights->n; n > 0 && (flight = TAILQ_FIRST(&flights->flying)); n--)
                dns_flight_end(flight, error, NULL, 0);
}

static void udp_take(struct dns_udp *udp, const uint8_t *packet, size_t n_packet)
{
        struct dns_flight *flight = TAILQ_FIRST(&udp->flights->flying);

        while (flight && !dns_question_is_answered(&flight->question, packet, n_packet))
                flight = TAILQ_NEXT(flight, link);
        if (flight)
                dns_flight_end(flight, 0, packet, n_packet);
}

/* Return: whether there may be more. */
static bool udp_read(struct dns_udp *udp)
{
        uint8_t packet[DATAGRAM_MAX];
        ssize_t n = recv(udp->fd, packet, sizeof(packet), MSG_TRUNC);
        bool is_cut = n > (ssize_t)sizeof(packet);

        if (n < 0) {
                if (errno != EAGAIN && errno != EINTR && errno != ENOMEM && errno != ENOBUFS)
                        udp_fail(udp, -errno);
                return false;
        }
        if (is_cut)
                dns_packet_cut(packet);
        udp_take(udp, packet, is_cut ? sizeof(packet) : (size_t)n);
        return true;
}

static int udp_ready(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct dns_udp *udp = userdata;
        struct dns_flights *flights = udp->flights;

        (void)source;
        (void)revents;
        dns_flights_enter(flights);
        for (unsigned int i = 0; i < UDP_READS_MAX && !flights->dead && udp->fd == fd; i++)
                if (!udp_read(udp))
                        break;
        dns_flights_leave(flights);
        return 0;
}

/* 0.0.0.0 and :: are this host also for connect(2). */
static int udp_connect(int fd, const struct address *server)
{
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(server->port) };
        struct sockaddr_in6 to6 = { .sin6_family = AF_INET6,
                                    .sin6_port = htons(server->port),
                                    .sin6_scope_id = server->scope };
        int r;

        memcpy(&to.sin_addr, server->bytes, sizeof(to.sin_addr));
        memcpy(&to6.sin6_addr, server->bytes, sizeof(to6.sin6_addr));
        r = server->family == AF_INET ? connect(fd, (const struct sockaddr *)&to, sizeof(to))
                                      : connect(fd, (const struct sockaddr *)&to6, sizeof(to6));
        return r < 0 ? -errno : 0;
}

static int udp_open(struct dns_udp *udp)
{
        const struct address *server = udp->server;
        int r;

        udp->fd = socket(server->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (udp->fd < 0)
                return -errno;
        r = udp_connect(udp->fd, server);
        if (r >= 0)
                r = sd_event_add_io(udp->event, &udp->source, udp->fd, EPOLLIN, udp_ready, udp);
        if (r < 0)
                udp_close(udp);
        return r;
}

int dns_udp_new(struct dns_udp **ret, sd_event *event, const struct address *server, struct dns_flights *flights)
{
        struct dns_udp *udp = calloc(1, sizeof(*udp));

        if (!udp)
                return -ENOMEM;
        *udp = (struct dns_udp){ .event = event, .server = server, .flights = flights, .fd = -1 };
        *ret = udp;
        return 0;
}

void dns_udp_free(struct dns_udp *udp)
{
        if (!udp)
                return;
        udp_close(udp);
        free(udp);
}

void dns_udp_send(struct dns_udp *udp, struct dns_flight *flight)
{
        int r = 0;

        if (TAILQ_FIRST(&udp->flights->flying) == flight)
                udp_close(udp);
        if (udp->fd < 0)
                r = udp_open(udp);
        if (r >= 0 && send(udp->fd, flight->question.packet, flight->question.n, MSG_NOSIGNAL) < 0)
                r = errno == EAGAIN ? -ENOBUFS : -errno;
        if (r < 0)
                dns_flight_end(flight, r, NULL, 0);
}
