/*
 * A channel does not last. Its successor takes new questions at once, while the previous one drains:
 *
 *     channel --- its time is over, queries in flight ---> draining --- the last one ended ---> freed
 *        \------- its time is over, none in flight ---------------------------------------------^
 *        \------- dropped: every query ends, to be asked again or another way ------------------^
 *
 * How long it lasts:
 * - UDP, a hundred questions: a fresh source port now and then.
 * - TCP, a minute: a connection to a service address stays with one of the servers behind it, whatever
 *   becomes of that one.
 * - TCP to a cache, half a second. dnsmasq, and so kube-dns, answers every question of a connection by the
 *   time at which the connection began, so that within an old one a TTL never ends. What comes from a cache
 *   has no AA bit; CoreDNS sets it also on what it has cached, but judges TTLs by the time of the question.
 *
 * A server that does not understand EDNS says FORMERR, with the question or with nothing but a header; others
 * drop what they do not understand. So probes of a server that is silent come with and without EDNS, and the
 * form that was answered last is kept.
 *
 * A server may close a connection after one answer, or after a hundred; what else was in flight is then sent
 * again by c-ares, a few times. When that ends in a refusal although some were answered, the server is not
 * dead: it gets no more at a time than it can answer in those few connections, for a minute.
 *
 * A time-out that comes much too late says that this process was stopped, and nothing of the server.
 */

#include <errno.h>

#include "base/counters.h"
#include "base/util.h"
#include "source/dns/transport/path.h"
#include "source/dns/transport/tcp.h"

#define TCP_WINDOW  256U
#define UDP_WINDOW  64U  /* replies of 1,232 bytes count twice that; 212,992 is the default rmem */
#define UDP_QUERIES 100U /* of a channel */
#define RENEW_USEC  (60 * USEC_PER_SEC)
#define CACHE_USEC  (USEC_PER_SEC / 2)
#define WINDOW_USEC (60 * USEC_PER_SEC)
#define LATE_USEC   (2ULL * DNS_TIMEOUT_USEC)

void dns_path_init(struct dns_path *path, sd_event *event, const struct address *address, enum dns_transport transport)
{
        *path = (struct dns_path){ .event = event, .address = address, .transport = (uint8_t)transport };
        TAILQ_INIT(&path->queries);
}

/* Takes the query off its path, so that its owner may use or free it. */
static void query_detach(struct dns_query *query)
{
        TAILQ_REMOVE(&query->path->queries, query, link);
        query->path->n_queries--;
        dns_flight_cancel(query->flight);
        query->path = NULL;
}

void dns_query_cancel(struct dns_query *query)
{
        if (query->path)
                query_detach(query);
}

static enum counted_query query_result(int error, const uint8_t *packet)
{
        if (error == -ECANCELED)
                return COUNTED_REPEATED;
        if (error < 0)
                return error == -ETIMEDOUT ? COUNTED_TIMEOUT : COUNTED_UNREACHABLE;
        switch (dns_view_rcode(&(struct dns_view){ .packet = packet })) {
        case DNS_RCODE_NOERROR:
                return COUNTED_NOERROR;
        case DNS_RCODE_NXDOMAIN:
                return COUNTED_NXDOMAIN;
        case DNS_RCODE_SERVFAIL:
                return COUNTED_SERVFAIL;
        case DNS_RCODE_REFUSED:
                return COUNTED_REFUSED;
        default:
                return COUNTED_OTHER;
        }
}

void dns_query_finish(struct dns_query *query, int error, const uint8_t *packet, size_t n_packet,
                      const struct dns_question *question)
{
        counters.queries[query->transport == DNS_TCP ? COUNTED_TCP : COUNTED_UDP][query_result(error, packet)]++;
        query_detach(query);
        query->done(query, error, packet, n_packet, question);
}

void dns_path_drop(struct dns_path *path, int error)
{
        path->channel = dns_channel_free(path->channel);
        path->draining = dns_channel_free(path->draining);
        path->n_answered = 0;
        for (size_t n = path->n_queries; n > 0; n--) {
                struct dns_query *query = TAILQ_FIRST(&path->queries);

                if (!query) /* an owner has cancelled others */
                        break;
                dns_query_finish(query, error, NULL, 0, NULL);
        }
}

void dns_path_renew(struct dns_path *path)
{
        if (path->n_queries == 0)
                dns_path_drop(path, -ECANCELED);
}

bool dns_path_has_room(const struct dns_path *path, size_t n_besides)
{
        size_t window = path->transport == DNS_TCP ? TCP_WINDOW : UDP_WINDOW;

        if (usec_now() < path->window_usec && path->window < window)
                window = path->window;
        return path->n_queries < window + n_besides;
}

/* By UDP: the server does not understand EDNS, so that all is to be asked again without. */
static bool path_lacks_edns(const struct dns_question *question, const uint8_t *packet)
{
        return (question->dress & DNS_EDNS) &&
               dns_view_rcode(&(struct dns_view){ .packet = packet }) == DNS_RCODE_FORMERR;
}

/* What a reply tells of the way by which it came. */
static void path_learn(struct dns_path *path, const struct dns_question *question, const uint8_t *packet)
{
        const struct dns_view view = { .packet = packet };
        unsigned int rcode = dns_view_rcode(&view);

        path->answered_usec = usec_now();
        path->n_answered++;
        if (path->transport == DNS_TCP) {
                /* A failure says nothing, nor does a name outside of the cluster. */
                bool says = rcode == DNS_RCODE_NOERROR || rcode == DNS_RCODE_NXDOMAIN;

                if (says && dns_question_type(question) != DNS_TYPE_PTR && !dns_view_is_authoritative(&view))
                        path->from_cache = true;
                return;
        }
        /* Where an answer is cut, it may have been loss alone that made us ask without. */
        path->plain = !(question->dress & DNS_EDNS) && !dns_view_is_cut(&view);
}

static void path_flight_done(void *userdata, int error, const struct dns_question *question, const uint8_t *packet,
                             size_t n_packet)
{
        struct dns_query *query = userdata;
        struct dns_path *path = query->path;
        bool closed = path->transport == DNS_TCP && (error == -ECONNREFUSED || error == -EIO);
        bool late = error == -ETIMEDOUT && usec_now() - query->sent_usec >= LATE_USEC;
        bool same_case, matches = error == 0 && dns_question_matches(question, packet, n_packet, &same_case);

        if (closed && path->n_answered > 0) {
                path->window = path->n_answered > DNS_TCP_TRIES ? path->n_answered / DNS_TCP_TRIES : 1;
                path->window_usec = usec_now() + WINDOW_USEC;
                dns_path_drop(path, -ECANCELED);
        } else if (error == 0 && path_lacks_edns(question, packet)) {
                path->plain = true;
                dns_path_drop(path, -ECANCELED);
        } else if (late) {
                dns_path_drop(path, -ECANCELED);
        } else {
                if (matches)
                        path_learn(path, question, packet);
                path->end(path, query, error, matches, packet, n_packet, question);
        }
}

static int path_open(struct dns_path *path)
{
        uint64_t now = usec_now(), age = path->from_cache ? CACHE_USEC : RENEW_USEC;
        bool is_over = path->transport == DNS_TCP ? now - path->opened_usec >= age : path->n_sent >= UDP_QUERIES;

        if (path->draining && dns_channel_is_idle(path->draining))
                path->draining = dns_channel_free(path->draining);
        if (path->channel && !path->draining && is_over) {
                path->draining = path->channel;
                path->channel = NULL;
                if (dns_channel_is_idle(path->draining))
                        path->draining = dns_channel_free(path->draining);
        }
        if (path->channel)
                return 0;
        path->opened_usec = now;
        path->n_sent = 0;
        return dns_channel_new(&path->channel, path->event, path->address, path->transport == DNS_TCP);
}

int dns_path_send(struct dns_path *path, struct dns_query *query, const struct dns_name *name, uint16_t type)
{
        uint8_t random[DNS_RANDOM_SIZE], dress = DNS_PLAIN;
        struct dns_question question;
        int r = random_fill(random, sizeof(random));

        /* Full of queries that nobody waits for any more and c-ares has not given up: begin anew. */
        if (r >= 0 && path->channel && !dns_channel_has_room(path->channel))
                dns_path_drop(path, -ECANCELED);
        if (r >= 0)
                r = path_open(path);
        if (r < 0)
                return r;
        if (path->transport == DNS_UDP)
                dress = path->plain ? DNS_MIXED_CASE : DNS_MIXED_CASE | DNS_EDNS;
        dns_question_build(&question, name, type, dress, random);

        query->path = path;
        query->transport = path->transport;
        query->sent_usec = usec_now();
        TAILQ_INSERT_TAIL(&path->queries, query, link);
        path->n_queries++;
        path->n_sent++;
        r = dns_channel_send(path->channel, &question, &query->flight, path_flight_done, query);
        if (r < 0)
                query_detach(query);
        return r;
}
