#pragma once

/*
 * One way to one DNS server: a c-ares channel on the event loop, used as transport only.
 *
 * Packets go out as they are given; what comes back, or that nothing came back in time, is handed to a
 * callback. Nothing is retried but what a TCP server cut off by closing the connection and, with c-ares 1.32
 * and newer, what a server that used to be quick has not answered yet.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "base/address.h"
#include "wire/question.h"

#define DNS_TIMEOUT_USEC   2000000U
#define DNS_TCP_TRIES      8U   /* of a query, each on a connection of its own where the server closes them */
#define DNS_CHANNEL_FLIGHT 500U /* c-ares 1.18 fails all when 1,024 are queued before a flush */

struct dns_channel;
struct dns_flight;

/**
 * dns_flight_fn() - the end of a query
 *
 * @error:    0, or -ETIMEDOUT, -ECONNREFUSED or another negative errno when nothing came back; -EMFILE and
 *            the like when this process has no socket left; -EBADMSG when something unreadable came, perhaps
 *            in answer to another query
 * @question: as it was sent
 * @packet:   @n_packet bytes, at least a header; NULL with an error
 *
 * Everything is valid during the call only. May send, cancel, and free the channel.
 */
typedef void (*dns_flight_fn)(void *userdata, int error, const struct dns_question *question, const uint8_t *packet,
                              size_t n_packet);

/*
 * @tcp:  one connection, pipelined, kept open; else UDP, where a truncated answer is handed out as it is
 * @edns: by UDP, whether the questions have an OPT record. It must be right: where it is set, c-ares 1.18 cuts
 *        the last eleven bytes from a question that is answered by FORMERR, and asks again.
 */
int dns_channel_new(struct dns_channel **ret, sd_event *event, const struct address *server, bool tcp, bool edns);

/* Queries in flight end without a call. Returns NULL. */
struct dns_channel *dns_channel_free(struct dns_channel *channel);

/* Does nobody wait for an answer by this channel? */
bool dns_channel_is_idle(const struct dns_channel *channel);

/* Can one more be sent? Those count, too, that were given up here and that c-ares still waits for. */
bool dns_channel_has_room(const struct dns_channel *channel);

/**
 * dns_channel_send() - send @question; @fn is called within DNS_TIMEOUT_USEC or so
 *
 * @slot: set while the query is in flight, NULL from before @fn is called; give it to
 *        dns_flight_cancel(). @fn may be called, and the owner of @slot be gone, before this returns.
 *
 * Return: 0; -EBUSY too many in flight; -ENOMEM. On failure @fn is not called.
 */
int dns_channel_send(struct dns_channel *channel, const struct dns_question *question, struct dns_flight **slot,
                     dns_flight_fn fn, void *userdata);

/* Forgets a query; @fn is not called. NULL is fine. */
void dns_flight_cancel(struct dns_flight *flight);
