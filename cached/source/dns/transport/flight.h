#pragma once

/*
 * The queries in flight by one channel, and their ends.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "wire/question.h"

struct dns_flights;
struct dns_tcp;

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

struct dns_flight {
        TAILQ_ENTRY(dns_flight) link; /* in flying, while slot is set */
        struct dns_flights *flights;
        struct dns_flight **slot; /* NULL: nobody waits for it any more */
        dns_flight_fn fn;
        void *userdata;
        uint64_t deadline_usec;
        struct dns_tcp *lent; /* c-ares has it, and gives it back; NULL: it has not */
        struct dns_question question;
};

struct dns_flights {
        TAILQ_HEAD(, dns_flight) flying;           /* those that somebody waits for, oldest first */
        size_t n;                                  /* all of them */
        unsigned int depth;                        /* how many calls are at work on them */
        bool dead;                                 /* the channel was freed: nothing may be begun any more */
        void (*left)(struct dns_flights *flights); /* none is; may free them */
};

/* A new one, the last of those flying. Return: NULL for want of memory. */
struct dns_flight *dns_flight_new(struct dns_flights *flights, const struct dns_question *question,
                                  uint64_t deadline_usec, struct dns_flight **slot, dns_flight_fn fn, void *userdata);

/* Reports the end to whoever waits for it. Only between dns_flights_enter() and _leave(). */
void dns_flight_end(struct dns_flight *flight, int error, const uint8_t *packet, size_t n_packet);

/* Forgets a query; its function is not called. NULL is fine. */
void dns_flight_cancel(struct dns_flight *flight);

/* Around whatever may end a flight. After the second, all may be gone. */
void dns_flights_enter(struct dns_flights *flights);
void dns_flights_leave(struct dns_flights *flights);
