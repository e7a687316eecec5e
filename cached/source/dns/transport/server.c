/*
 * The health of one DNS server, see source/dns/transport/server.h.
 *
 *                 TCP refused, or silent twice            UDP refused, or silent twice
 *      up, TCP --------------------------------> up, UDP ------------------------------> down
 *         ^  <----------------------------------   ^                                    |    |
 *         |     one query tries TCP again when     |     first answer to a probe        |    |
 *         |     its time has come                  +------------------------------------+    |
 *         +----------------------------------------------------------------------------------+
 *
 * - "Silent twice" are two time-outs with no answer between them on that transport, not counting
 *   those of queries that others have overtaken: one query may be lost by a server that lives, and
 *   some names never get an answer. A refusal is certain at once, and so is an answer that c-ares
 *   can't read where no other has come by that channel.
 * - A connection that has gone silent is never closed by c-ares: its channel is thrown away.
 * - TCP is tried again 60 s after it was silent, or refused by a server that never answered by it.
 *   Where it has, a connection that breaks or is refused is tried again after 0.5, 1, 2 ... 30 s,
 *   counted from anew when TCP has answered. A trial is one ordinary query; UDP serves the others,
 *   and that one too if the trial fails.
 * - Every query that is in flight on a path when it fails ends with the path's error, so that its
 *   owner can ask another way. Owners never free the server from there (see the header).
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "source/dns/transport/server.h"

#define SILENT_MAX       2U /* time-outs in a row that condemn a path */
#define TCP_FLIGHT_MAX   256U
#define UDP_FLIGHT_MAX   64U /* answers of 1,232 bytes count twice that; 212,992 is the default rmem */
#define PROBE_USEC       (1 * USEC_PER_SEC)
#define TCP_AGAIN_USEC   (60 * USEC_PER_SEC)
#define RENEW_USEC       (60 * USEC_PER_SEC)
#define BACKOFF_MIN_USEC (USEC_PER_SEC / 2)
#define BACKOFF_MAX_USEC (30 * USEC_PER_SEC)
#define FOREIGN_USEC     (300 * USEC_PER_SEC)
#define LOG_LINES_MAX    6U /* in LOG_PERIOD_USEC: a server that flaps must not fill the log */
#define LOG_PERIOD_USEC  (60 * USEC_PER_SEC)

struct dns_path {
        struct dns_channel *channel; /* NULL until needed, and after it failed */
        TAILQ_HEAD(, dns_query) queries;
        size_t n_queries;
        unsigned int n_silent;
        uint64_t answered_usec;  /* last answer */
        bool works;              /* believed until shown otherwise */
        struct dns_query *trial; /* TCP: the query that finds out whether it works again */
        uint64_t again_usec;     /* TCP: no trial before */
        uint64_t backoff_usec;   /* TCP: after the next broken connection */
        uint64_t opened_usec;    /* of the channel */
        uint64_t renew_usec;     /* when it is due for another */
        struct dns_query probe;
};

struct dns_server {
        const struct dns_server_context *context;
        struct address address;
        uint32_t bit;
        char text[INET6_ADDRSTRLEN + 8];
        struct dns_path paths[2]; /* DNS_TCP, DNS_UDP */
        bool up, foreign;
        uint64_t foreign_until_usec; /* then it is asked again */
        uint64_t knew_usec;          /* when it last said anything of the cluster; 0: never */
        int error;
        sd_event_source *probe_timer;
        uint8_t probe_next;
        uint64_t since_usec; /* of the present state */
        uint64_t log_usec;
        unsigned int n_log_lines;
};

static const char *const transport_name[] = { [DNS_TCP] = "tcp", [DNS_UDP] = "udp" };

static uint64_t jittered(uint64_t usec)
{
        uint32_t random = 0;

        (void)random_fill(&random, sizeof(random));
        return usec + usec / 10 * (random % 1024U) / 1024U;
}

__attribute__((format(printf, 3, 4))) static void server_log(struct dns_server *server, int priority,
                                                             const char *format, ...)
{
        uint64_t now = usec_now();
        char line[160];
        va_list ap;

        if (now - server->log_usec > LOG_PERIOD_USEC) {
                if (server->n_log_lines > LOG_LINES_MAX)
                        log_message(LOG_NOTICE, "dns server %s: %u changes not logged", server->text,
                                    server->n_log_lines - LOG_LINES_MAX);
                server->log_usec = now;
                server->n_log_lines = 0;
        }
        if (server->n_log_lines++ >= LOG_LINES_MAX)
                return;
        va_start(ap, format);
        vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        log_message(priority, "dns server %s: %s", server->text, line);
}

/* Takes the query off its path, so that its owner may use or free it. */
static void query_detach(struct dns_query *query)
{
        struct dns_path *path = &query->server->paths[query->transport];

        TAILQ_REMOVE(&path->queries, query, link);
        path->n_queries--;
        if (path->trial == query)
                path->trial = NULL;
        dns_flight_cancel(query->flight);
        query->server = NULL;
}

void dns_query_cancel(struct dns_query *query)
{
        if (query->server)
                query_detach(query);
}

/* Throws the channel away and hands its queries back; their owners may ask another way. */
static void path_drop(struct dns_path *path, int error)
{
        path->channel = dns_channel_free(path->channel);
        path->n_silent = 0;
        for (size_t n = path->n_queries; n > 0; n--) {
                struct dns_query *query = TAILQ_FIRST(&path->queries);

                if (!query) /* an owner has cancelled others */
                        break;
                query_detach(query);
                query->done(query, error, NULL, 0, NULL);
        }
}

static void probe_arm(struct dns_server *server)
{
        sd_event_source_set_time(server->probe_timer, usec_now() + jittered(PROBE_USEC));
        sd_event_source_set_enabled(server->probe_timer, SD_EVENT_ONESHOT);
}

static void server_set_down(struct dns_server *server, int error)
{
        server->up = false;
        server->error = error;
        server->since_usec = usec_now();
        probe_arm(server);
        server_log(server, LOG_WARNING, "no answer, asking once a second: %s", strerror(-error));
        server->context->on_change(server->context->userdata, server);
}

static void server_set_up(struct dns_server *server, enum dns_transport transport)
{
        uint64_t now = usec_now();

        server_log(server, LOG_NOTICE, "answers again by %s after %llu s", transport_name[transport],
                   (unsigned long long)((now - server->since_usec) / USEC_PER_SEC));
        server->up = true;
        server->error = 0;
        server->since_usec = now;
        /* The turn of the probes chose the transport. Where that is UDP, the next query tries TCP. */
        server->paths[DNS_TCP].backoff_usec = BACKOFF_MIN_USEC;
        server->paths[DNS_TCP].again_usec = now;
        sd_event_source_set_enabled(server->probe_timer, SD_EVENT_OFF);
        server->context->on_change(server->context->userdata, server);
}

static void tcp_set_again(struct dns_path *tcp, int error)
{
        uint64_t wait = TCP_AGAIN_USEC;

        if (tcp->answered_usec > 0 && error != -ETIMEDOUT) {
                wait = tcp->backoff_usec;
                tcp->backoff_usec = wait * 2 > BACKOFF_MAX_USEC ? BACKOFF_MAX_USEC : wait * 2;
        }
        tcp->again_usec = usec_now() + jittered(wait);
}

static void path_failed(struct dns_server *server, enum dns_transport transport, int error)
{
        struct dns_path *path = &server->paths[transport], *other = &server->paths[1 - transport];
        /* Where UDP was asked for, TCP is for truncated answers only. */
        bool stays_up = other->works && (server->context->transport == CONFIG_TRANSPORT_TCP || transport == DNS_TCP);
        bool worked = path->works;

        path->works = false;
        if (transport == DNS_TCP)
                tcp_set_again(path, error);
        if (server->up && !stays_up) {
                server_set_down(server, error);
                path_drop(other, error);
        } else if (server->up && worked && transport == DNS_TCP) {
                /* UDP, while TCP works, is asked only for what TCP left open: no change. */
                server_log(server, LOG_NOTICE, "%s does not work, using %s: %s", transport_name[transport],
                           transport_name[1 - transport], strerror(-error));
        }
        path_drop(path, error);
}

static void path_answered(struct dns_server *server, enum dns_transport transport)
{
        struct dns_path *path = &server->paths[transport];

        path->n_silent = 0;
        path->answered_usec = usec_now();
        if (transport == DNS_TCP) {
                path->backoff_usec = BACKOFF_MIN_USEC;
                server->paths[DNS_UDP].works = true; /* worth a try, should TCP fail */
        }
        if (server->up && !path->works)
                server_log(server, LOG_NOTICE, "%s works again", transport_name[transport]);
        path->works = true;
        if (!server->up)
                server_set_up(server, transport);
}

static void on_flight(void *userdata, int error, const struct dns_question *question, const uint8_t *packet,
                      size_t n_packet)
{
        struct dns_query *query = userdata;
        struct dns_server *server = query->server;
        struct dns_path *path = &server->paths[query->transport];
        bool silent = error == -ETIMEDOUT, same_case;
        bool broken = error == -ECONNREFUSED || error == -EIO ||
                      (error == -EBADMSG && path->answered_usec < path->opened_usec);

        if (silent && path->answered_usec <= query->sent_usec)
                path->n_silent++;
        if (broken || (silent && (path->n_silent >= SILENT_MAX || !path->works))) {
                path_failed(server, query->transport, error); /* ends this query with the others */
                return;
        }
        /* Only an answer to the question is a sign of life, whatever it says. */
        if (error == 0 && dns_reply_matches(question, packet, n_packet, &same_case))
                path_answered(server, query->transport);
        query_detach(query);
        query->done(query, error, packet, n_packet, question);
}

static void on_probe_done(struct dns_query *query, int error, const uint8_t *packet, size_t n_packet,
                          const struct dns_question *question)
{
        (void)query;
        (void)error;
        (void)packet;
        (void)n_packet;
        (void)question; /* on_flight() has seen it */
}

/*
 * A channel that is idle is renewed every minute. By UDP: one FORMERR makes c-ares 1.18 do without
 * EDNS for good, and cut longer answers at 512 bytes. By TCP: a connection to a service address stays
 * with one of the servers behind it, whatever becomes of that, and dnsmasq answers all questions of
 * one (up to 100 in 150 s) from the state that it had when it was opened.
 */
static int path_open(struct dns_server *server, enum dns_transport transport)
{
        struct dns_path *path = &server->paths[transport];
        uint64_t now = usec_now();

        if (path->n_queries == 0 && now >= path->renew_usec)
                path->channel = dns_channel_free(path->channel);
        if (path->channel)
                return 0;
        path->opened_usec = now;
        path->renew_usec = now + jittered(RENEW_USEC);
        return dns_channel_new(&path->channel, server->context->event, &server->address, transport == DNS_TCP);
}

static int path_send(struct dns_server *server, enum dns_transport transport, struct dns_query *query,
                     const struct dns_name *name, uint16_t type)
{
        struct dns_path *path = &server->paths[transport];
        struct dns_question question;
        uint8_t random[34];
        int r;

        r = random_fill(random, sizeof(random));
        /* Full of queries that nobody waits for any more and c-ares has not given up: begin anew. */
        if (r >= 0 && path->channel && !dns_channel_has_room(path->channel))
                path_drop(path, -ECANCELED);
        if (r >= 0)
                r = path_open(server, transport);
        if (r < 0)
                return r;
        dns_question_build(&question, name, type, transport == DNS_UDP, random);

        query->server = server;
        query->transport = transport;
        query->sent_usec = usec_now();
        TAILQ_INSERT_TAIL(&path->queries, query, link);
        path->n_queries++;
        r = dns_channel_send(path->channel, &question, &query->flight, on_flight, query);
        if (r < 0)
                query_detach(query);
        return r;
}

/*
 * One probe a second. Each has the time of two to be answered and begins with a new connection; where
 * UDP alone is asked, two share a socket, so that a slow server is heard.
 */
static int on_probe_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct dns_server *server = userdata;
        bool udp_only = server->context->transport == CONFIG_TRANSPORT_UDP;
        uint8_t turn = server->probe_next, transport = udp_only ? DNS_UDP : turn;
        struct dns_path *path = &server->paths[transport];
        struct dns_query *probe = &server->paths[turn].probe, *other = &server->paths[1 - turn].probe;

        (void)source;
        (void)usec;
        probe_arm(server);
        server->probe_next = 1 - turn;
        dns_query_cancel(probe);
        if (!udp_only || turn == DNS_TCP) {
                if (other->server && other->transport == transport)
                        dns_query_cancel(other); /* it would wait for the channel that ends */
                path->channel = dns_channel_free(path->channel);
        }
        probe->done = on_probe_done;
        (void)path_send(server, transport, probe, &server->context->domain, DNS_TYPE_SOA);
        return 0;
}

static enum dns_transport server_choose(const struct dns_server *server)
{
        const struct dns_path *tcp = &server->paths[DNS_TCP];

        if (server->context->transport == CONFIG_TRANSPORT_UDP)
                return DNS_UDP;
        if (tcp->works || (!tcp->trial && usec_now() >= tcp->again_usec))
                return DNS_TCP;
        return DNS_UDP;
}

bool dns_server_has_room(const struct dns_server *server, enum dns_transport transport)
{
        if (transport == DNS_ANY)
                transport = server_choose(server);
        return server->paths[transport].n_queries < (transport == DNS_TCP ? TCP_FLIGHT_MAX : UDP_FLIGHT_MAX);
}

bool dns_server_tcp_works(const struct dns_server *server)
{
        const struct dns_path *tcp = &server->paths[DNS_TCP];

        return server->up && (tcp->works || (!tcp->trial && usec_now() >= tcp->again_usec));
}

int dns_server_ask(struct dns_server *server, struct dns_query *query, const struct dns_name *name, uint16_t type,
                   enum dns_transport transport)
{
        int r;

        if (!server->up || (transport == DNS_TCP && !dns_server_tcp_works(server)))
                return -EHOSTDOWN;
        if (transport == DNS_ANY)
                transport = server_choose(server);
        if (!dns_server_has_room(server, transport))
                return -EBUSY;
        if (transport == DNS_TCP && !server->paths[DNS_TCP].works)
                server->paths[DNS_TCP].trial = query;
        r = path_send(server, transport, query, name, type);
        if (r < 0 && server->paths[DNS_TCP].trial == query)
                server->paths[DNS_TCP].trial = NULL; /* it was not sent: the next one is the trial */
        return r;
}

static void address_print(const struct address *address, char *text, size_t n_text)
{
        char ip[INET6_ADDRSTRLEN] = "?";

        inet_ntop(address->family, address->bytes, ip, sizeof(ip));
        snprintf(text, n_text, address->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, (unsigned int)address->port);
}

int dns_server_new(struct dns_server **ret, const struct dns_server_context *context, const struct address *address,
                   uint32_t bit)
{
        struct dns_server *server = calloc(1, sizeof(*server));
        int r;

        if (!server)
                return -ENOMEM;
        server->context = context;
        server->address = *address;
        server->bit = bit;
        server->up = true;
        address_print(address, server->text, sizeof(server->text));
        for (size_t i = 0; i < 2; i++) {
                TAILQ_INIT(&server->paths[i].queries);
                server->paths[i].backoff_usec = BACKOFF_MIN_USEC;
        }
        server->paths[DNS_TCP].works = server->paths[DNS_UDP].works = true;
        r = sd_event_add_time(context->event, &server->probe_timer, CLOCK_BOOTTIME, 0, 50 * USEC_PER_MSEC,
                              on_probe_timer, server);
        if (r >= 0)
                r = sd_event_source_set_enabled(server->probe_timer, SD_EVENT_OFF);
        if (r < 0) {
                dns_server_free(server);
                return r;
        }
        *ret = server;
        return 0;
}

struct dns_server *dns_server_free(struct dns_server *server)
{
        if (!server)
                return NULL;
        for (size_t i = 0; i < 2; i++) {
                dns_query_cancel(&server->paths[i].probe);
                path_drop(&server->paths[i], -ECANCELED);
        }
        sd_event_source_set_enabled(server->probe_timer, SD_EVENT_OFF);
        sd_event_source_unref(server->probe_timer);
        free(server);
        return NULL;
}

const struct address *dns_server_address(const struct dns_server *server)
{
        return &server->address;
}

uint32_t dns_server_bit(const struct dns_server *server)
{
        return server->bit;
}

const char *dns_server_text(const struct dns_server *server)
{
        return server->text;
}

bool dns_server_is_up(const struct dns_server *server)
{
        return server->up;
}

bool dns_server_has_answered(const struct dns_server *server)
{
        return server->paths[DNS_TCP].answered_usec > 0 || server->paths[DNS_UDP].answered_usec > 0;
}

int dns_server_error(const struct dns_server *server)
{
        return server->error;
}

bool dns_server_knows_cluster(const struct dns_server *server)
{
        return !server->foreign || usec_now() >= server->foreign_until_usec;
}

/* One name that is refused does not make a server foreign that answers for the others. */
void dns_server_set_knows_cluster(struct dns_server *server, bool known)
{
        uint64_t now = usec_now();

        if (known)
                server->knew_usec = now;
        else if (server->knew_usec > 0 && now - server->knew_usec < FOREIGN_USEC)
                return;
        else
                server->foreign_until_usec = now + jittered(FOREIGN_USEC);
        if (server->foreign != known)
                return;
        server->foreign = !known;
        if (known)
                server_log(server, LOG_NOTICE, "serves the cluster domain");
        else
                server_log(server, LOG_WARNING, "does not serve the cluster domain, asked only after all others");
}
