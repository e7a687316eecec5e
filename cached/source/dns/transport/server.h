#pragma once

/*
 * One DNS server: which way to it works, and whether it is there at all.
 *
 * Built on two channels, TCP and UDP. The caller asks; the server chooses the transport, learns
 * from every time-out and refusal, and tells when it went down or came up. While it is down it is
 * probed once a second by TCP and UDP in turn and takes no questions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "config/config.h"
#include "source/dns/transport/channel.h"
#include "wire/message.h"

enum dns_transport { DNS_TCP, DNS_UDP, DNS_ANY };

struct dns_server;
struct dns_query;

/**
 * dns_query_fn() - the end of one attempt
 *
 * @error: 0, or a negative errno when there was no reply; the server's state is already updated
 *
 * The query may be used again at once. The callee must not free the server.
 */
typedef void (*dns_query_fn)(struct dns_query *query, int error, const uint8_t *packet, size_t n_packet,
                             const struct dns_question *question);

/* One attempt; embedded in what asks, zeroed before its first use. */
struct dns_query {
        TAILQ_ENTRY(dns_query) link;
        struct dns_server *server; /* while in flight */
        struct dns_flight *flight;
        dns_query_fn done;
        uint64_t sent_usec;
        uint8_t transport; /* of the current or last attempt */
};

/* What all servers of a source have in common. Borrowed, must outlive them. */
struct dns_server_context {
        sd_event *event;
        uint8_t transport;      /* enum config_transport: the one that is preferred */
        struct dns_name domain; /* asked for by probes */
        void (*on_change)(void *userdata, struct dns_server *server); /* went down or came up */
        void *userdata;
};

/* @bit: tells it from all others of its context for as long as it lives */
int dns_server_new(struct dns_server **ret, const struct dns_server_context *context, const struct address *address,
                   uint32_t bit);
/* Attempts in flight end with -ECANCELED: their owners ask another server. Returns NULL. */
struct dns_server *dns_server_free(struct dns_server *server);

const struct address *dns_server_address(const struct dns_server *server);
uint32_t dns_server_bit(const struct dns_server *server);
/* "10.96.0.10:53" */
const char *dns_server_text(const struct dns_server *server);
bool dns_server_is_up(const struct dns_server *server);
/* Ever, by any transport. */
bool dns_server_has_answered(const struct dns_server *server);
/* A negative errno: why it is down. */
int dns_server_error(const struct dns_server *server);

/*
 * Does it serve the cluster domain? Believed until its owner has found otherwise, and again five
 * minutes later; logged on change. What a server says against it counts only when it has said nothing
 * of the cluster for as long.
 */
bool dns_server_knows_cluster(const struct dns_server *server);
void dns_server_set_knows_cluster(struct dns_server *server, bool known);

/* Can one more question be sent by @transport now? UDP takes fewer: its socket buffer is small. */
bool dns_server_has_room(const struct dns_server *server, enum dns_transport transport);

/* Is there any way to ask by TCP, or did that fail lately? */
bool dns_server_tcp_works(const struct dns_server *server);

/**
 * dns_server_ask() - send one question
 *
 * @query->done is called within DNS_TIMEOUT_USEC, perhaps before this returns.
 * @transport: DNS_ANY lets the server choose
 *
 * Return: 0; -EBUSY no room; -EHOSTDOWN it is down; another negative errno (memory, descriptors).
 * On failure @query->done is not called.
 */
int dns_server_ask(struct dns_server *server, struct dns_query *query, const struct dns_name *name, uint16_t type,
                   enum dns_transport transport);

/* Forgets an attempt in flight; without one nothing happens. */
void dns_query_cancel(struct dns_query *query);
