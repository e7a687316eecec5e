#pragma once

/*
 * One transport to one DNS server: the queries in flight by it, and the channel that carries them.
 *
 * A path renews its channel, asks without EDNS where that is not understood, and sends less at a time to a
 * server that closes the connection under it. What an end means for the server's health is its owner's to
 * say: every attempt that ends is handed to dns_path.end first.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "source/dns/transport/channel.h"

enum dns_transport { DNS_TCP, DNS_UDP, DNS_ANY };

struct dns_path;
struct dns_query;

/**
 * dns_query_fn() - the end of one attempt
 *
 * @error: 0, or a negative errno when there was no reply; -ECANCELED: to be asked again, it says nothing
 *
 * The query may be used again at once. The callee must not free the path.
 */
typedef void (*dns_query_fn)(struct dns_query *query, int error, const uint8_t *packet, size_t n_packet,
                             const struct dns_question *question);

/* One attempt; embedded in what asks, zeroed before its first use. */
struct dns_query {
        TAILQ_ENTRY(dns_query) link;
        struct dns_path *path; /* while in flight */
        struct dns_flight *flight;
        dns_query_fn done;
        uint64_t sent_usec;
        uint8_t transport; /* of the current or last attempt */
};

struct dns_path {
        sd_event *event;               /* borrowed, as is the address */
        const struct address *address; /* of the server */
        void *owner;
        uint8_t transport; /* DNS_TCP or DNS_UDP */

        /*
         * The end of an attempt that is still attached. @matches: it is a reply to the question, whatever it says.
         * The owner calls dns_query_finish() or dns_path_drop().
         */
        void (*end)(struct dns_path *path, struct dns_query *query, int error, bool matches, const uint8_t *packet,
                    size_t n_packet, const struct dns_question *question);

        struct dns_channel *channel;  /* NULL until needed, and after it was dropped */
        struct dns_channel *draining; /* the previous one, for what is still in flight by it */
        TAILQ_HEAD(, dns_query) queries;
        size_t n_queries;
        uint64_t opened_usec;   /* of the channel */
        uint64_t n_sent;        /* by the channel */
        uint64_t answered_usec; /* last reply; 0: never */
        uint64_t n_answered;    /* since a channel was dropped last */
        size_t window;          /* queries in flight, at most, until window_usec */
        uint64_t window_usec;
        bool from_cache; /* a reply by TCP was no authority's */
        bool plain;      /* UDP: ask without EDNS */
};

void dns_path_init(struct dns_path *path, sd_event *event, const struct address *address, enum dns_transport transport);

/* Can one more question be sent now? @n_besides: of those in flight, how many take no place */
bool dns_path_has_room(const struct dns_path *path, size_t n_besides);

/**
 * dns_path_send() - send one question
 *
 * @query->done is called within DNS_TIMEOUT_USEC or so, perhaps before this returns.
 *
 * Return: 0; a negative errno (memory, descriptors), and @query->done is not called.
 */
int dns_path_send(struct dns_path *path, struct dns_query *query, const struct dns_name *name, uint16_t type);

/* Throws the connection away and ends everything in flight with @error. */
void dns_path_drop(struct dns_path *path, int error);

/* Throws the connection away when nobody waits for an answer by it. */
void dns_path_renew(struct dns_path *path);

/* Hands the end of an attempt to whoever made it. */
void dns_query_finish(struct dns_query *query, int error, const uint8_t *packet, size_t n_packet,
                      const struct dns_question *question);

/* Forgets an attempt in flight; without one nothing happens. */
void dns_query_cancel(struct dns_query *query);
