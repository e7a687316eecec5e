/*
 * c-ares on sd-event, for TCP alone: it brings the connection, the framing and the matching of ids. Everything
 * else that it offers is turned off: queries are our own packets, there is one server per channel, and time-outs
 * are ours, since its own are per channel, adaptive from 1.32 on, and never close a connection that went silent.
 *
 * From 1.20 on c-ares parses every reply before it hands it out. One that it cannot parse belongs to no
 * query: it closes the socket, asks again what was in flight on it, and gives up with ARES_EBADRESP. One
 * that it can parse but not serialize again is ARES_EBADQUERY; from 1.28 on wire/rewrite.c does that
 * instead. Neither says anything about the server's health: -EBADMSG.
 *
 * c-ares cannot cancel one query, so it keeps each flight until it ends it. ares_destroy() must not be called
 * from within one of its callbacks: every call into c-ares is between dns_flights_enter() and _leave().
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/queue.h>

#include "base/util.h"
#include "source/dns/transport/socket.h"
#include "source/dns/transport/tcp.h"
#include "wire/rewrite.h"

#define SOCKETS_MAX     4    /* one, two while a connection is replaced */
#define ARES_TIMEOUT_MS 2500 /* above ours, so that ours decides */
#define TCP_READS_MAX   512  /* then others have their turn */

/*
 * 1.31 brought a query cache that is on unless it is turned off; a program built with older headers
 * has no word for it. The structure only ever grows at its end, so zeroes behind it mean "no cache".
 */
#define OPT_QUERY_CACHE     (1 << 21)
#define QUERY_CACHE_VERSION 0x011f00

struct tcp_socket {
        ares_socket_t fd;
        sd_event_source *source;
};

struct dns_tcp {
        sd_event *event; /* borrowed, as are the flights */
        struct dns_flights *flights;
        ares_channel ares;
        struct dns_sockets sockets;
        struct tcp_socket events[SOCKETS_MAX];
};

static bool tcp_has_socket(const struct dns_tcp *tcp, int fd)
{
        for (size_t i = 0; i < SOCKETS_MAX; i++)
                if (tcp->events[i].source && tcp->events[i].fd == fd)
                        return true;
        return false;
}

/*
 * 1.18 reads a message in two calls and takes what goes wrong when it writes for the end, whatever is
 * still to be read: from a server that closes after its hundredth answer most would be lost. So all
 * that is there is read first.
 */
static int tcp_socket_ready(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct dns_tcp *tcp = userdata;
        struct dns_flights *flights = tcp->flights;
        bool readable = revents & (EPOLLIN | EPOLLERR | EPOLLHUP), is_open = true;

        (void)source;
        dns_flights_enter(flights);
        for (unsigned int i = 0; readable && is_open && i < TCP_READS_MAX; i++) {
                int n_pending = 0;

                ares_process_fd(tcp->ares, fd, ARES_SOCKET_BAD);
                is_open = !flights->dead && tcp_has_socket(tcp, fd);
                readable = is_open && ioctl(fd, FIONREAD, &n_pending) == 0 && n_pending > 0;
        }
        if (is_open && (revents & EPOLLOUT))
                ares_process_fd(tcp->ares, ARES_SOCKET_BAD, fd);
        dns_flights_leave(flights);
        return 0;
}

/* c-ares calls this while the descriptor is still open, also when it is about to close it. */
static void tcp_socket_changed(void *userdata, ares_socket_t fd, int readable, int writable)
{
        struct dns_tcp *tcp = userdata;
        uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
        struct tcp_socket *free_one = NULL, *ours = NULL;

        for (size_t i = 0; i < SOCKETS_MAX; i++)
                if (!tcp->events[i].source)
                        free_one = &tcp->events[i];
                else if (tcp->events[i].fd == fd)
                        ours = &tcp->events[i];

        if (ours && events) {
                sd_event_source_set_io_events(ours->source, events);
        } else if (ours) {
                sd_event_source_set_enabled(ours->source, SD_EVENT_OFF);
                ours->source = sd_event_source_unref(ours->source);
        } else if (events && free_one) {
                /* On failure nobody reads the socket, and its queries time out. */
                if (sd_event_add_io(tcp->event, &free_one->source, fd, events, tcp_socket_ready, tcp) < 0)
                        free_one->source = NULL;
                else
                        free_one->fd = fd;
        }
}

static int tcp_error(const struct dns_tcp *tcp, int status)
{
        switch (status) {
        case ARES_ETIMEOUT:
                return -ETIMEDOUT;
        case ARES_ECONNREFUSED:
                return tcp->sockets.error < 0 ? tcp->sockets.error : -ECONNREFUSED;
        case ARES_ENOMEM:
                return -ENOMEM;
        case ARES_EBADRESP:
        case ARES_EBADQUERY:
        case ARES_EFORMERR:
                return -EBADMSG;
        default:
                return -EIO;
        }
}

#if DNS_HAVE_RECORDS

static void tcp_flight_done(void *userdata, ares_status_t status, size_t n_timeouts, const ares_dns_record_t *reply)
{
        struct dns_flight *flight = userdata;
        const struct dns_tcp *tcp = flight->lent;
        uint8_t *packet = NULL;
        size_t n_packet = 0;
        int r = -EIO;

        (void)n_timeouts;
        flight->lent = NULL;
        if (status != ARES_SUCCESS)
                r = tcp_error(tcp, (int)status);
        else if (reply && flight->slot)
                r = dns_rewrite(reply, &packet, &n_packet);
        dns_flight_end(flight, r, packet, n_packet);
        free(packet);
}

void dns_tcp_send(struct dns_tcp *tcp, struct dns_flight *flight)
{
        ares_dns_record_t *question = NULL;
        ares_status_t status = ares_dns_parse(flight->question.packet, flight->question.n, 0, &question);

        flight->lent = tcp;
        if (status == ARES_SUCCESS)
                (void)ares_send_dnsrec(tcp->ares, question, tcp_flight_done, flight,
                                       NULL); /* it calls whatever happens */
        else
                tcp_flight_done(flight, status, 0, NULL);
        ares_dns_record_destroy(question);
}

#else

static void tcp_flight_done(void *userdata, int status, int n_timeouts, unsigned char *packet, int n_packet)
{
        struct dns_flight *flight = userdata;
        const struct dns_tcp *tcp = flight->lent;

        (void)n_timeouts;
        flight->lent = NULL;
        if (status == ARES_SUCCESS && packet && n_packet >= 12)
                dns_flight_end(flight, 0, packet, (size_t)n_packet);
        else
                dns_flight_end(flight, status == ARES_SUCCESS ? -EIO : tcp_error(tcp, status), NULL, 0);
}

void dns_tcp_send(struct dns_tcp *tcp, struct dns_flight *flight)
{
        flight->lent = tcp;
        ares_send(tcp->ares, flight->question.packet, flight->question.n, tcp_flight_done, flight);
}

#endif

void dns_tcp_look(struct dns_tcp *tcp)
{
        ares_process_fd(tcp->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static int tcp_init_ares(struct dns_tcp *tcp)
{
        static char no_file[] = "/dev/null", dns_alone[] = "b";
        /* resolv.conf and its options must not leak in: they are ours to read. */
        union {
                struct ares_options options;
                uint8_t room[512];
        } u = { .room = { 0 } };
        int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_LOOKUPS |
                   ARES_OPT_DOMAINS | ARES_OPT_NOROTATE | ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF;
        int version = 0;

        ares_version(&version);
        u.options = (struct ares_options){
                .flags = ARES_FLAG_USEVC | ARES_FLAG_STAYOPEN | ARES_FLAG_NOCHECKRESP | ARES_FLAG_IGNTC |
                         ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
                .timeout = ARES_TIMEOUT_MS,
                .tries = DNS_TCP_TRIES,
                .ndots = 1,
                .lookups = dns_alone,
                .sock_state_cb = tcp_socket_changed,
                .sock_state_cb_data = tcp,
                .resolvconf_path = no_file,
        };
#ifdef ARES_OPT_MAXTIMEOUTMS
        u.options.maxtimeout = ARES_TIMEOUT_MS; /* what nobody waits for any more must end soon */
        mask |= ARES_OPT_MAXTIMEOUTMS;
#endif
        if (version >= QUERY_CACHE_VERSION)
                mask |= OPT_QUERY_CACHE;
        switch (ares_init_options(&tcp->ares, &u.options, mask)) {
        case ARES_SUCCESS:
                return 0;
        case ARES_ENOMEM:
                return -ENOMEM;
        default:
                return -EIO;
        }
}

static int tcp_set_server(struct dns_tcp *tcp, const struct address *server)
{
        struct ares_addr_port_node node = { .family = server->family };

        tcp->sockets.scope = server->scope;
        dns_sockets_use(&tcp->sockets, tcp->ares);
        node.udp_port = node.tcp_port = server->port;
        memcpy(&node.addr, server->bytes, address_size(server->family));
        return ares_set_servers_ports(tcp->ares, &node) == ARES_SUCCESS ? 0 : -ENOMEM;
}

int dns_tcp_new(struct dns_tcp **ret, sd_event *event, const struct address *server, struct dns_flights *flights)
{
        struct dns_tcp *tcp = calloc(1, sizeof(*tcp));
        int r;

        if (!tcp)
                return -ENOMEM;
        tcp->event = event;
        tcp->flights = flights;
        r = tcp_init_ares(tcp);
        if (r >= 0)
                r = tcp_set_server(tcp, server);
        if (r < 0) {
                dns_tcp_free(tcp);
                return r;
        }
        *ret = tcp;
        return 0;
}

void dns_tcp_free(struct dns_tcp *tcp)
{
        if (!tcp)
                return;
        if (tcp->ares)
                ares_destroy(tcp->ares); /* ends every flight */
        for (size_t i = 0; i < SOCKETS_MAX; i++)
                sd_event_source_unref(tcp->events[i].source);
        free(tcp);
}
