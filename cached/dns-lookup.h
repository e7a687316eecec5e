#pragma once

/*
 * Lookups: each keeps one family of one name asked, for as long as it is registered.
 *
 * struct dns_lookups holds what they share: who is due, how many questions a second, how many in
 * flight, and what is owed after an outage. It is the only place that decides when to ask.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "dns-pool.h"
#include "dns-schedule.h"
#include "due-queue.h"
#include "source.h"

#define DNS_FLIGHT_MAX 256U /* questions in flight, all servers together */

struct dns_lookups;
struct dns_lookup;

/* @result is valid during the call. May stop or start any lookup. */
typedef void (*dns_lookup_fn)(struct dns_lookup *lookup, const struct source_result *result);

struct dns_lookup {
        struct due_item due;          /* in urgent or paced; in neither while in flight or waiting */
        TAILQ_ENTRY(dns_lookup) link; /* in waiting */
        struct dns_query query;
        struct dns_lookups *lookups; /* NULL: stopped */
        const char *key;             /* "S.N", borrowed */
        struct dns_lookup *other;    /* the other family of the same service, running or stopped */
        uint64_t min_usec, max_usec; /* refresh limits */
        struct dns_schedule schedule;
        uint8_t family;     /* AF_INET or AF_INET6 */
        bool urgent;        /* which queue */
        bool cold;          /* nothing is known and no server has replied: exempt from the rate */
        bool waiting;       /* no server is up */
        bool recovering;    /* was waiting; counted in n_recovering */
        bool has_addresses; /* the last settled finding */
        bool parked;        /* asked every five minutes only */

        /* of the present round: the attempts for one finding */
        uint8_t n_attempts;
        uint8_t transport; /* enum dns_transport, of the next attempt */
        uint8_t reason;    /* enum khs_reason, of the first failed attempt */
        uint32_t tried;    /* servers that failed; bit i of the pool */
        int server;        /* of the current attempt */
};

struct dns_lookup_stats {
        uint64_t n_queries;                          /* attempts sent */
        uint64_t n_answers, n_negatives, n_failures; /* findings reported */
        uint64_t n_dropped;                          /* addresses that can't be a pod's */
        uint64_t failures[KHS_REASON_RESTART + 1];   /* by enum khs_reason */
};

struct dns_lookups {
        struct dns_pool *pool;
        struct dns_rules rules;
        const char *domain; /* borrowed */
        uint32_t query_rate;
        dns_lookup_fn report;

        struct due_queue urgent; /* first lookups and further attempts of a round: no token needed */
        struct due_queue paced;
        TAILQ_HEAD(, dns_lookup) waiting;
        sd_event_source *timer;
        struct dns_bucket bucket;
        struct dns_meter meter;
        uint32_t recovery_rate; /* while catching_up */
        uint64_t recovery_usec; /* when that was set */
        size_t n_lookups, n_flying, n_waiting, n_recovering;
        bool catching_up; /* after an outage, until nothing is overdue */
        bool blocked; /* a server has no room; the next reply goes on */
        struct dns_lookup_stats stats;
        uint8_t addrs[KHS_MAX_ADDRS * 16U]; /* of the answer at hand */
};

int dns_lookups_init(struct dns_lookups *lookups, sd_event *event, struct dns_pool *pool,
                     dns_lookup_fn report);
/* All lookups must have been stopped. */
void dns_lookups_deinit(struct dns_lookups *lookups);

/* To be called when a server went down or came up, and after the pool was set. */
void dns_lookups_servers_changed(struct dns_lookups *lookups);

/**
 * dns_lookup_start() - begin to ask; key, other, family, min_usec and max_usec are set
 *
 * @has_data: addresses are known from before: no hurry
 *
 * Return: 0, or -ENOMEM. Later on nothing of a lookup can fail for want of memory.
 */
int dns_lookup_start(struct dns_lookup *lookup, struct dns_lookups *lookups, bool has_data);
/* Stops and forgets; fine on a lookup that was never started. */
void dns_lookup_stop(struct dns_lookup *lookup);
/* The limits have changed: ask in time for the new ones. */
void dns_lookup_hurry(struct dns_lookup *lookup);
