/*
 * The health of one DNS server.
 *
 *                 TCP refused, or silent twice            UDP refused, or silent twice
 *      up, TCP --------------------------------> up, UDP ------------------------------> down
 *         ^  <----------------------------------   ^                                    |    |
 *         |     one query tries TCP again when     |     first answer to a probe        |    |
 *         |     its time has come                  +------------------------------------+    |
 *         +----------------------------------------------------------------------------------+
 *
 * - "Silent twice" are two time-outs with no reply between them on that transport, not counting those of
 *   queries that others have overtaken: one query may be lost by a server that lives, and some names never
 *   get an answer. A refusal is certain at once, and so is a reply that c-ares cannot parse where no other
 *   has come by that channel. A lack of descriptors here is never the server's.
 * - A connection that went silent is never closed by c-ares: its channel is thrown away.
 * - TCP is tried again 60 s after it was silent, or refused by a server that never answered by it. Where it
 *   has answered, a connection that breaks or is refused is tried again after 0.5, 1, 2 ... 30 s, counted
 *   anew from the next answer. A trial is one ordinary query; UDP serves the others, and that one too if the
 *   trial fails.
 * - Every query that is in flight on a path when it fails ends with the path's error, so that its owner can
 *   ask another way.
 *
 * Probes ask for the SOA of the cluster domain, which tells a server of the cluster from any other resolver.
 * They find out whether a server that is down has come back, and where one that is up stands. The latter
 * count as silence only of a server that has never answered: others may drop what they do not know.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/timer.h"
#include "base/util.h"
#include "source/dns/transport/server.h"
#include "wire/answer.h"

#define SILENT_MAX       2U                     /* time-outs in a row that condemn a path */
#define PROBE_USEC       (1050 * USEC_PER_MSEC) /* with its jitter never below half of DNS_TIMEOUT_USEC */
#define STANDING_USEC    (60 * USEC_PER_SEC)
#define SPOKE_USEC       (300 * USEC_PER_SEC) /* a denial does not count for so long */
#define DENIALS          3U
#define TCP_AGAIN_USEC   (60 * USEC_PER_SEC)
#define BACKOFF_MIN_USEC (USEC_PER_SEC / 2)
#define BACKOFF_MAX_USEC (30 * USEC_PER_SEC)
#define LOG_LINES_MAX    6U /* in LOG_PERIOD_USEC: a server that flaps must not fill the log */
#define LOG_PERIOD_USEC  (60 * USEC_PER_SEC)

/* What is known of one transport. */
struct server_way {
        struct dns_path path;
        struct dns_query probe;
        unsigned int n_silent;
        bool works; /* believed until shown otherwise */
};

struct dns_server {
        const struct dns_server_context *context;
        struct address address;
        uint32_t bit;
        char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 10];
        struct server_way ways[2]; /* DNS_TCP, DNS_UDP */
        bool up, introduced;
        uint8_t standing;    /* enum dns_standing */
        uint8_t n_denials;   /* since then */
        uint64_t spoke_usec; /* when it last said anything of the cluster; 0: never */
        int error;
        struct timer probe_timer;
        uint8_t probe_next;
        uint64_t since_usec; /* of the present state */
        struct log_limiter limiter;

        uint64_t again_usec;   /* TCP does not work: no trial before */
        uint64_t trial_usec;   /* the same for a question that UDP has no room for the answer of */
        uint64_t backoff_usec; /* after the next broken connection */
};

static const char *const transport_name[] = { [DNS_TCP] = "tcp", [DNS_UDP] = "udp" };

__attribute__((format(printf, 3, 4))) static void server_log(struct dns_server *server, int priority,
                                                             const char *format, ...)
{
        unsigned long n_left_out = log_limiter_roll(&server->limiter);
        char line[160];
        va_list ap;

        if (n_left_out > 0)
                log_message(LOG_NOTICE, "dns server %s: %lu changes not logged", server->text, n_left_out);
        if (!log_limiter_take(&server->limiter))
                return;
        va_start(ap, format);
        vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        log_message(priority, "dns server %s: %s", server->text, line);
}

/* ---- down and up ---- */

static void server_set_down(struct dns_server *server, int error)
{
        server->up = false;
        server->error = error;
        server->since_usec = usec_now();
        timer_set(&server->probe_timer, usec_now() + usec_jitter(PROBE_USEC, 5));
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
        server->backoff_usec = BACKOFF_MIN_USEC;
        server->again_usec = server->trial_usec = now;
        timer_set(&server->probe_timer, now + usec_jitter(STANDING_USEC, 10));
        server->context->on_change(server->context->userdata, server);
}

static void server_set_tcp_again(struct dns_server *server, int error)
{
        uint64_t wait = server->backoff_usec;

        server->backoff_usec = wait * 2 > BACKOFF_MAX_USEC ? BACKOFF_MAX_USEC : wait * 2;
        server->trial_usec = server->again_usec = usec_now() + usec_jitter(wait, 10);
        if (server->ways[DNS_TCP].path.answered_usec == 0 || error == -ETIMEDOUT)
                server->again_usec = usec_now() + usec_jitter(TCP_AGAIN_USEC, 10);
}

static void server_drop(struct dns_server *server, enum dns_transport transport, int error)
{
        server->ways[transport].n_silent = 0;
        dns_path_drop(&server->ways[transport].path, error);
}

static void server_way_failed(struct dns_server *server, enum dns_transport transport, int error)
{
        struct server_way *way = &server->ways[transport], *other = &server->ways[1 - transport];
        /* Where UDP was asked for, TCP is for truncated answers only. */
        bool stays_up = other->works && (server->context->transport == DNS_TCP || transport == DNS_TCP);
        bool worked = way->works;

        way->works = false;
        if (transport == DNS_TCP)
                server_set_tcp_again(server, error);
        if (server->up && !stays_up) {
                server_set_down(server, error);
                server_drop(server, 1 - transport, error);
        } else if (server->up && worked && transport == DNS_TCP) {
                server_log(server, LOG_NOTICE, "tcp does not work, using udp: %s", strerror(-error));
        }
        server_drop(server, transport, error);
}

static void server_way_answered(struct dns_server *server, enum dns_transport transport)
{
        struct server_way *way = &server->ways[transport];

        way->n_silent = 0;
        if (transport == DNS_TCP) {
                server->backoff_usec = BACKOFF_MIN_USEC;
                server->ways[DNS_UDP].works = true; /* worth a try, should TCP fail */
        }
        /* That UDP had failed was not logged: while TCP works it is asked only what TCP left open. */
        if (server->up && !way->works && transport == DNS_TCP)
                server_log(server, LOG_NOTICE, "tcp works again");
        way->works = true;
        if (!server->up)
                server_set_up(server, transport);
}

/* This process has no socket, or no memory for one: as bad for every other server. */
static bool server_is_our_shortage(int error)
{
        return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

static void server_query_ended(struct dns_path *path, struct dns_query *query, int error, bool matches,
                               const uint8_t *packet, size_t n_packet, const struct dns_question *question)
{
        struct dns_server *server = path->owner;
        enum dns_transport transport = path->transport;
        struct server_way *way = &server->ways[transport];
        bool is_question = query != &server->ways[DNS_TCP].probe && query != &server->ways[DNS_UDP].probe;
        bool silent = error == -ETIMEDOUT && (is_question || !server->up || !dns_server_has_answered(server));
        bool unreadable = error == -EBADMSG && path->n_answered > 0;
        bool broken = error < 0 && error != -ETIMEDOUT && !unreadable && !server_is_our_shortage(error);

        if (silent && path->answered_usec <= query->sent_usec)
                way->n_silent++;
        if (broken || (silent && (way->n_silent >= SILENT_MAX || !way->works))) {
                server_way_failed(server, transport, error); /* ends this query with the others */
                return;
        }
        if (server_is_our_shortage(error))
                server_log(server, LOG_WARNING, "cannot be asked: %s", strerror(-error));
        /* Only a reply to the question is a sign of life, whatever it says. */
        if (matches)
                server_way_answered(server, transport);
        dns_query_finish(query, error, packet, n_packet, question);
}

/* ---- probes ---- */

static void server_probe_done(struct dns_query *probe, int error, const uint8_t *packet, size_t n_packet,
                              const struct dns_question *question)
{
        struct server_way *way = container_of(probe, struct server_way, probe);
        struct dns_server *server = way->path.owner;

        if (error == 0 && dns_answer_shows_domain(&server->context->domain, question, packet, n_packet))
                dns_server_show_cluster(server);
}

static void server_probe(struct dns_server *server, uint8_t turn, enum dns_transport transport)
{
        struct dns_query *probe = &server->ways[turn].probe;

        probe->done = server_probe_done;
        (void)dns_path_send(&server->ways[transport].path, probe, &server->context->domain, DNS_TYPE_SOA);
}

/*
 * One probe a second. Each has the time of two to be answered and begins with a new connection; where UDP
 * alone is asked, two share a socket, so that a slow server is heard.
 */
static void server_probe_for_life(struct dns_server *server)
{
        bool udp_only = server->context->transport == DNS_UDP;
        uint8_t turn = server->probe_next, transport = udp_only ? DNS_UDP : turn;
        struct dns_query *other = &server->ways[1 - turn].probe;
        struct dns_path *path = &server->ways[transport].path;

        server->probe_next = 1 - turn;
        dns_query_cancel(&server->ways[turn].probe);
        if (!udp_only && other->path == path)
                dns_query_cancel(other); /* it would keep the channel that must end */
        dns_path_renew(path);
        path->plain = !path->plain; /* for one that does not understand EDNS and does not say so */
        server_probe(server, turn, transport);
}

/* Where TCP does not work, one query in flight by it is the trial. */
static bool server_may_use_tcp(const struct dns_server *server)
{
        const struct server_way *tcp = &server->ways[DNS_TCP];

        return tcp->works || (tcp->path.n_queries == 0 && usec_now() >= server->again_usec);
}

static enum dns_transport server_choose(const struct dns_server *server)
{
        return server->context->transport == DNS_TCP && server_may_use_tcp(server) ? DNS_TCP : DNS_UDP;
}

static void server_tick(void *userdata)
{
        struct dns_server *server = userdata;

        if (!server->up) {
                timer_set(&server->probe_timer, usec_now() + usec_jitter(PROBE_USEC, 5));
                server_probe_for_life(server);
        } else if (server->standing != DNS_SHOWN) {
                enum dns_transport transport = server_choose(server);
                uint64_t wait = dns_server_has_answered(server) ? STANDING_USEC : DNS_TIMEOUT_USEC + PROBE_USEC;

                timer_set(&server->probe_timer, usec_now() + usec_jitter(wait, 10));
                dns_query_cancel(&server->ways[transport].probe);
                server_probe(server, transport, transport);
        }
}

void dns_server_introduce(struct dns_server *server)
{
        if (!server->introduced && server->up)
                timer_set(&server->probe_timer, 0);
        server->introduced = true;
}

/* ---- standing ---- */

enum dns_standing dns_server_standing(const struct dns_server *server)
{
        return (enum dns_standing)server->standing;
}

static void server_set_standing(struct dns_server *server, enum dns_standing standing)
{
        if (server->standing == DNS_DENIED)
                server_log(server, LOG_NOTICE, "serves the cluster domain");
        server->standing = (uint8_t)standing;
        server->spoke_usec = usec_now();
        server->n_denials = 0;
}

void dns_server_show_cluster(struct dns_server *server)
{
        server_set_standing(server, DNS_SHOWN);
}

void dns_server_has_addresses(struct dns_server *server)
{
        server_set_standing(server, server->standing == DNS_SHOWN ? DNS_SHOWN : DNS_UNKNOWN);
}

/* A name or two that are refused say nothing against a server that answers for the others. */
void dns_server_deny_cluster(struct dns_server *server)
{
        uint64_t now = usec_now();

        if (server->standing == DNS_DENIED || (server->spoke_usec > 0 && now - server->spoke_usec < SPOKE_USEC))
                return;
        if (++server->n_denials < DENIALS)
                return;
        server_log(server, LOG_WARNING, "does not serve the cluster domain, asked only after all others");
        server->standing = DNS_DENIED;
        if (server->up)
                timer_set(&server->probe_timer, now + usec_jitter(STANDING_USEC, 10));
}

/* ---- asking ---- */

bool dns_server_has_room(const struct dns_server *server, enum dns_transport transport)
{
        const struct dns_path *path;
        size_t n_probes = 0;

        if (transport == DNS_ANY)
                transport = server_choose(server);
        path = &server->ways[transport].path;
        /* Probes take no place: whoever waits for one learns only of the ends of its own questions. */
        for (size_t i = 0; i < 2; i++)
                n_probes += server->ways[i].probe.path == path;
        return dns_path_has_room(path, n_probes);
}

bool dns_server_tcp_works(const struct dns_server *server)
{
        const struct server_way *tcp = &server->ways[DNS_TCP];

        return server->up && (tcp->works || (tcp->path.n_queries == 0 && usec_now() >= server->trial_usec));
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
        r = dns_path_send(&server->ways[transport].path, query, name, type);
        if (r < 0)
                server_log(server, LOG_WARNING, "cannot be asked: %s", strerror(-r));
        return r;
}

static void server_print_address(const struct address *address, char *text, size_t n_text)
{
        char ip[INET6_ADDRSTRLEN] = "?", scope[1 + IF_NAMESIZE] = "%";

        inet_ntop(address->family, address->bytes, ip, sizeof(ip));
        if (address->scope == 0 || !if_indextoname(address->scope, scope + 1))
                scope[0] = '\0';
        snprintf(text, n_text, address->family == AF_INET6 ? "[%s%s]:%u" : "%s%s:%u", ip, scope,
                 (unsigned int)address->port);
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
        server_print_address(address, server->text, sizeof(server->text));
        server->backoff_usec = BACKOFF_MIN_USEC;
        server->standing = DNS_UNKNOWN;
        server->limiter = (struct log_limiter){ .n_max = LOG_LINES_MAX, .period_usec = LOG_PERIOD_USEC };
        for (size_t i = 0; i < 2; i++) {
                struct dns_path *path = &server->ways[i].path;

                dns_path_init(path, context->event, &server->address, (enum dns_transport)i);
                path->owner = server;
                path->end = server_query_ended;
                server->ways[i].works = true;
        }
        r = timer_init(&server->probe_timer, context->event, 50 * USEC_PER_MSEC, server_tick, server);
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
                dns_query_cancel(&server->ways[i].probe);
                dns_path_drop(&server->ways[i].path, -ECANCELED);
        }
        timer_deinit(&server->probe_timer);
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

bool dns_server_is_up(const struct dns_server *server)
{
        return server->up;
}

bool dns_server_has_answered(const struct dns_server *server)
{
        return server->ways[DNS_TCP].path.answered_usec > 0 || server->ways[DNS_UDP].path.answered_usec > 0;
}

int dns_server_error(const struct dns_server *server)
{
        return server->error;
}
