#pragma once

/*
 * One DNS server: whether it is there, by which transport, and whether it serves the cluster.
 *
 * The caller asks; the server chooses the transport, learns from every time-out and refusal, and reports when
 * it went down or came up. While it is down it is probed once a second, by TCP and UDP in turn, and takes no
 * questions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "source/dns/transport/path.h"

struct dns_server;

/* What all servers of a source have in common. Borrowed, must outlive them. */
struct dns_server_context {
        sd_event *event;
        uint8_t transport;      /* DNS_TCP or DNS_UDP: the one that is preferred */
        struct dns_name domain; /* of the cluster; probes ask for its SOA */
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
bool dns_server_is_up(const struct dns_server *server);
/* Ever, by any transport. */
bool dns_server_has_answered(const struct dns_server *server);
/* A negative errno: why it is down. */
int dns_server_error(const struct dns_server *server);

/*
 * Whether a server serves the cluster domain. It has shown that when its reply held the domain's SOA. It has
 * denied it when it has three times refused a name, or denied one without that SOA, and has said nothing of the
 * cluster in between nor for five minutes. One that has not shown it is asked for the SOA once a minute.
 */
enum dns_standing { DNS_SHOWN, DNS_UNKNOWN, DNS_DENIED };

enum dns_standing dns_server_standing(const struct dns_server *server);
/* What a reply held: the SOA; addresses that count. */
void dns_server_show_cluster(struct dns_server *server);
void dns_server_has_addresses(struct dns_server *server);
void dns_server_deny_cluster(struct dns_server *server);

/* The first question is about to be asked: find out where the server stands. Later calls do nothing. */
void dns_server_introduce(struct dns_server *server);

/* Can one more question be sent by @transport now? */
bool dns_server_has_room(const struct dns_server *server, enum dns_transport transport);

/* Is there any way to ask by TCP, or did that fail lately? */
bool dns_server_tcp_works(const struct dns_server *server);

/**
 * dns_server_ask() - send one question
 *
 * @query->done is called within DNS_TIMEOUT_USEC, perhaps before this returns; the server's state is then
 * up to date.
 * @transport: DNS_ANY lets the server choose
 *
 * Return: 0; -EBUSY no room; -EHOSTDOWN it is down; another negative errno (memory, descriptors). On failure
 * @query->done is not called.
 */
int dns_server_ask(struct dns_server *server, struct dns_query *query, const struct dns_name *name, uint16_t type,
                   enum dns_transport transport);
