/*
 * c-ares on sd-event. It brings sockets, the framing of TCP and the matching of ids. Everything else that
 * it offers is turned off: queries are our own packets, there is one server per channel, and time-outs are
 * ours, since its own are per channel, adaptive from 1.32 on, and never close a connection that went silent.
 *
 * From 1.20 on c-ares parses every reply before it hands it out. One that it cannot parse belongs to no
 * query: it closes the socket, asks again what was in flight on it, and gives up with ARES_EBADRESP. One
 * that it can parse but not serialize again is ARES_EBADQUERY; from 1.28 on wire/rewrite.c does that
 * instead. Neither says anything about the server's health: -EBADMSG.
 *
 * c-ares cannot cancel one query. Therefore a struct dns_flight lives until c-ares ends it, and `slot` tells
 * whether anybody still waits for it:
 *
 *     flying ----- reply, error ------------> fn(), freed
 *       \---- our time-out: fn(), or cancel --> abandoned ---- c-ares gives up ----> freed
 *
 * ares_destroy() must not be called from within a c-ares callback, but fn() may free the channel. `depth`
 * counts the calls into c-ares; the last one to return destroys.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/queue.h>

#include "base/timer.h"
#include "base/util.h"
#include "source/dns/transport/channel.h"
#include "source/dns/transport/socket.h"
#include "wire/rewrite.h"

#define SOCKETS_MAX     8    /* one, two while a connection is replaced; 1.34 opens a new one every 100 queries */
#define ARES_TIMEOUT_MS 2500 /* above ours, so that ours decides */
#define READS_MAX       512  /* then others have their turn */
#define SWEEP_USEC      (1 * USEC_PER_SEC)

/*
 * 1.32 gives up after five times the mean of the answers before, which may be 250 ms, and asks again
 * after twice as long each time. With so many tries that lasts longer than our own time.
 */
#define ADAPTIVE_VERSION 0x012000
#define ADAPTIVE_TRIES   4

/*
 * 1.31 brought a query cache that is on unless it is turned off; a program built with older headers
 * has no word for it. The structure only ever grows at its end, so zeroes behind it mean "no cache".
 */
#define OPT_QUERY_CACHE     (1 << 21)
#define QUERY_CACHE_VERSION 0x011f00

struct dns_flight {
        TAILQ_ENTRY(dns_flight) link; /* in flying, oldest first; while slot is set */
        struct dns_channel *channel;
        struct dns_flight **slot;
        dns_flight_fn fn;
        void *userdata;
        uint64_t deadline_usec;
        struct dns_question question;
};

struct channel_socket {
        ares_socket_t fd;
        sd_event_source *source;
};

struct dns_channel {
        sd_event *event;
        ares_channel ares;
        struct timer timer;
        struct dns_sockets sockets;
        struct channel_socket events[SOCKETS_MAX];
        TAILQ_HEAD(, dns_flight) flying;
        size_t n_flights; /* all that c-ares still has */
        unsigned int depth;
        bool dead;
};

static void channel_destroy(struct dns_channel *channel)
{
        if (channel->ares)
                ares_destroy(channel->ares); /* ends every flight */
        for (size_t i = 0; i < SOCKETS_MAX; i++)
                sd_event_source_unref(channel->events[i].source);
        timer_deinit(&channel->timer);
        sd_event_unref(channel->event);
        free(channel);
}

static void channel_enter(struct dns_channel *channel)
{
        channel->depth++;
}

static void channel_arm(struct dns_channel *channel)
{
        struct dns_flight *first = TAILQ_FIRST(&channel->flying);

        if (channel->n_flights == 0)
                timer_stop(&channel->timer);
        else /* abandoned flights leave when c-ares looks at its own time-outs */
                timer_set(&channel->timer, first ? first->deadline_usec : usec_now() + SWEEP_USEC);
}

/* The last statement of whoever entered: the channel may be gone afterwards. */
static void channel_leave(struct dns_channel *channel)
{
        if (--channel->depth > 0)
                return;
        if (channel->dead)
                channel_destroy(channel);
        else
                channel_arm(channel);
}

static bool channel_has_socket(const struct dns_channel *channel, int fd)
{
        for (size_t i = 0; i < SOCKETS_MAX; i++)
                if (channel->events[i].source && channel->events[i].fd == fd)
                        return true;
        return false;
}

/*
 * 1.18 reads a message in two calls and takes what goes wrong when it writes for the end, whatever is
 * still to be read: from a server that closes after its hundredth answer most would be lost. So all
 * that is there is read first.
 */
static int channel_socket_ready(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct dns_channel *channel = userdata;
        bool readable = revents & (EPOLLIN | EPOLLERR | EPOLLHUP), is_open = true;

        (void)source;
        channel_enter(channel);
        for (unsigned int i = 0; readable && is_open && i < READS_MAX; i++) {
                int n_pending = 0;

                ares_process_fd(channel->ares, fd, ARES_SOCKET_BAD);
                is_open = !channel->dead && channel_has_socket(channel, fd);
                readable = is_open && ioctl(fd, FIONREAD, &n_pending) == 0 && n_pending > 0;
        }
        if (is_open && (revents & EPOLLOUT))
                ares_process_fd(channel->ares, ARES_SOCKET_BAD, fd);
        channel_leave(channel);
        return 0;
}

/* c-ares calls this while the descriptor is still open, also when it is about to close it. */
static void channel_socket_changed(void *userdata, ares_socket_t fd, int readable, int writable)
{
        struct dns_channel *channel = userdata;
        uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
        struct channel_socket *free_one = NULL, *ours = NULL;

        for (size_t i = 0; i < SOCKETS_MAX; i++)
                if (!channel->events[i].source)
                        free_one = &channel->events[i];
                else if (channel->events[i].fd == fd)
                        ours = &channel->events[i];

        if (ours && events) {
                sd_event_source_set_io_events(ours->source, events);
        } else if (ours) {
                sd_event_source_set_enabled(ours->source, SD_EVENT_OFF);
                ours->source = sd_event_source_unref(ours->source);
        } else if (events && free_one) {
                /* On failure nobody reads the socket, and its queries time out. */
                if (sd_event_add_io(channel->event, &free_one->source, fd, events, channel_socket_ready, channel) < 0)
                        free_one->source = NULL;
                else
                        free_one->fd = fd;
        }
}

/* Takes the flight from its owner and reports its end, if anybody still waits for it. */
static void flight_end(struct dns_flight *flight, int error, const uint8_t *packet, size_t n_packet)
{
        if (!flight->slot)
                return;
        TAILQ_REMOVE(&flight->channel->flying, flight, link);
        *flight->slot = NULL;
        flight->slot = NULL;
        flight->fn(flight->userdata, error, &flight->question, packet, n_packet);
}

static int flight_error(const struct dns_flight *flight, int status)
{
        switch (status) {
        case ARES_ETIMEOUT:
                return -ETIMEDOUT;
        case ARES_ECONNREFUSED:
                return flight->channel->sockets.error < 0 ? flight->channel->sockets.error : -ECONNREFUSED;
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

static void flight_done(void *userdata, ares_status_t status, size_t n_timeouts, const ares_dns_record_t *reply)
{
        struct dns_flight *flight = userdata;
        uint8_t *packet = NULL;
        size_t n_packet = 0;
        int r = -EIO;

        (void)n_timeouts;
        flight->channel->n_flights--;
        if (status != ARES_SUCCESS)
                r = flight_error(flight, (int)status);
        else if (reply && flight->slot)
                r = dns_rewrite(reply, &packet, &n_packet);
        flight_end(flight, r, packet, n_packet);
        free(packet);
        free(flight);
}

static void flight_send(struct dns_channel *channel, struct dns_flight *flight)
{
        ares_dns_record_t *question = NULL;
        ares_status_t status = ares_dns_parse(flight->question.packet, flight->question.n, 0, &question);

        if (status == ARES_SUCCESS)
                (void)ares_send_dnsrec(channel->ares, question, flight_done, flight,
                                       NULL); /* it calls whatever happens */
        else
                flight_done(flight, status, 0, NULL);
        ares_dns_record_destroy(question);
}

#else

static void flight_done(void *userdata, int status, int n_timeouts, unsigned char *packet, int n_packet)
{
        struct dns_flight *flight = userdata;

        (void)n_timeouts;
        flight->channel->n_flights--;
        if (status == ARES_SUCCESS && packet && n_packet >= 12)
                flight_end(flight, 0, packet, (size_t)n_packet);
        else
                flight_end(flight, status == ARES_SUCCESS ? -EIO : flight_error(flight, status), NULL, 0);
        free(flight);
}

static void flight_send(struct dns_channel *channel, struct dns_flight *flight)
{
        ares_send(channel->ares, flight->question.packet, flight->question.n, flight_done, flight);
}

#endif

static void channel_tick(void *userdata)
{
        struct dns_channel *channel = userdata;
        uint64_t now = usec_now();
        struct dns_flight *flight;

        channel_enter(channel);
        while ((flight = TAILQ_FIRST(&channel->flying)) && flight->deadline_usec <= now)
                flight_end(flight, -ETIMEDOUT, NULL, 0);
        if (!channel->dead)
                ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        channel_leave(channel);
}

static int channel_init_ares(struct dns_channel *channel, bool tcp, bool edns)
{
        static char no_file[] = "/dev/null", dns_alone[] = "b";
        /* resolv.conf and its options must not leak in: they are ours to read. */
        union {
                struct ares_options options;
                uint8_t room[512];
        } u = { .room = { 0 } };
        int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_LOOKUPS |
                   ARES_OPT_DOMAINS | ARES_OPT_NOROTATE | ARES_OPT_SOCK_STATE_CB | ARES_OPT_EDNSPSZ |
                   ARES_OPT_RESOLVCONF;
        int version = 0;

        ares_version(&version);
        u.options = (struct ares_options){
                .flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_IGNTC | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
                .timeout = ARES_TIMEOUT_MS,
                .tries = tcp                           ? DNS_TCP_TRIES
                         : version >= ADAPTIVE_VERSION ? ADAPTIVE_TRIES
                                                       : 1,
                .ndots = 1,
                .lookups = dns_alone,
                .sock_state_cb = channel_socket_changed,
                .sock_state_cb_data = channel,
                .ednspsz = (int)DNS_EDNS_SIZE,
                .resolvconf_path = no_file,
        };
        if (tcp)
                u.options.flags |= ARES_FLAG_USEVC | ARES_FLAG_STAYOPEN;
        else if (edns)
                u.options.flags |= ARES_FLAG_EDNS; /* else 1.18 cuts answers at 512 bytes */
#ifdef ARES_OPT_UDP_MAX_QUERIES
        u.options.udp_max_queries = 100; /* a fresh source port now and then */
        mask |= ARES_OPT_UDP_MAX_QUERIES;
#endif
#ifdef ARES_OPT_MAXTIMEOUTMS
        u.options.maxtimeout = ARES_TIMEOUT_MS; /* what nobody waits for any more must end soon */
        mask |= ARES_OPT_MAXTIMEOUTMS;
#endif
        if (version >= QUERY_CACHE_VERSION)
                mask |= OPT_QUERY_CACHE;
        switch (ares_init_options(&channel->ares, &u.options, mask)) {
        case ARES_SUCCESS:
                return 0;
        case ARES_ENOMEM:
                return -ENOMEM;
        default:
                return -EIO;
        }
}

/*
 * 0.0.0.0 and :: are this host. c-ares would wait for UDP answers from that very address, but they come from
 * loopback's.
 */
static int channel_set_server(struct dns_channel *channel, const struct address *server)
{
        static const uint8_t zero[16] = { 0 }, loopback4[] = { 127, 0, 0, 1 }, loopback6[16] = { [15] = 1 };
        struct ares_addr_port_node node = { .family = server->family };
        const uint8_t *bytes = server->bytes;

        if ((server->family != AF_INET && server->family != AF_INET6) || server->port == 0)
                return -EINVAL;
        if (address_compare(server->family, bytes, zero) == 0)
                bytes = server->family == AF_INET ? loopback4 : loopback6;
        channel->sockets.scope = server->scope;
        dns_sockets_use(&channel->sockets, channel->ares);
        node.udp_port = node.tcp_port = server->port;
        memcpy(&node.addr, bytes, address_size(server->family));
        return ares_set_servers_ports(channel->ares, &node) == ARES_SUCCESS ? 0 : -ENOMEM;
}

int dns_channel_new(struct dns_channel **ret, sd_event *event, const struct address *server, bool tcp, bool edns)
{
        struct dns_channel *channel = calloc(1, sizeof(*channel));
        int r;

        if (!channel)
                return -ENOMEM;
        TAILQ_INIT(&channel->flying);
        channel->event = sd_event_ref(event);
        r = timer_init(&channel->timer, event, USEC_PER_MSEC, channel_tick, channel);
        /* Replies that wait in the socket come before time-outs, also after the daemon was stopped. */
        if (r >= 0)
                r = sd_event_source_set_priority(channel->timer.source, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = channel_init_ares(channel, tcp, edns);
        if (r >= 0)
                r = channel_set_server(channel, server);
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
        while ((flight = TAILQ_FIRST(&channel->flying)))
                dns_flight_cancel(flight);
        channel->dead = true;
        if (channel->depth == 0)
                channel_destroy(channel);
        return NULL;
}

bool dns_channel_is_idle(const struct dns_channel *channel)
{
        return TAILQ_EMPTY(&channel->flying);
}

bool dns_channel_has_room(const struct dns_channel *channel)
{
        return channel->n_flights < DNS_CHANNEL_FLIGHT;
}

int dns_channel_send(struct dns_channel *channel, const struct dns_question *question, struct dns_flight **slot,
                     dns_flight_fn fn, void *userdata)
{
        struct dns_flight *flight;

        if (!dns_channel_has_room(channel))
                return -EBUSY;
        flight = calloc(1, sizeof(*flight));
        if (!flight)
                return -ENOMEM;
        flight->channel = channel;
        flight->slot = slot;
        flight->fn = fn;
        flight->userdata = userdata;
        flight->deadline_usec = usec_now() + DNS_TIMEOUT_USEC;
        flight->question = *question;
        *slot = flight;
        TAILQ_INSERT_TAIL(&channel->flying, flight, link);
        channel->n_flights++;

        channel_enter(channel);
        flight_send(channel, flight);
        channel_leave(channel);
        return 0;
}

void dns_flight_cancel(struct dns_flight *flight)
{
        if (!flight)
                return;
        TAILQ_REMOVE(&flight->channel->flying, flight, link);
        *flight->slot = NULL;
        flight->slot = NULL;
}
