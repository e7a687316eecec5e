#pragma once

/*
 * One way to one DNS server, on the event loop.
 *
 * Packets go out as they are given; what comes back, or that nothing came back in time, is handed to a
 * callback. By UDP each goes out once. By TCP c-ares sends again what a server cut off by closing the connection
 * and, from 1.32 on, what a server that used to be quick has not answered yet.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "base/address.h"
#include "source/dns/transport/flight.h"

#define DNS_TIMEOUT_USEC   2000000U
#define DNS_CHANNEL_FLIGHT 500U /* c-ares 1.18 fails all when 1,024 are queued before a flush */

struct dns_channel;

/* @tcp: one connection, pipelined, kept open; else UDP, where a truncated answer is handed out as it is */
int dns_channel_new(struct dns_channel **ret, sd_event *event, const struct address *server, bool tcp);

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
