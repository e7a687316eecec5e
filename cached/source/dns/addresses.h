#pragma once

/*
 * One family of one service's addresses, asked for by A or AAAA for as long as it is registered.
 */

#include <stdbool.h>
#include <stdint.h>

#include "source/dns/task.h"

struct dns_addresses;

/* @finding is valid during the call. May stop or start any task. */
typedef void (*dns_addresses_fn)(struct dns_addresses *family, const struct finding *finding);

struct dns_addresses {
        struct dns_task task;
        const char *key;             /* "S.N", borrowed */
        struct dns_addresses *other; /* the other family of the same service, running or stopped */
        uint64_t min_usec, max_usec; /* refresh limits */
        dns_addresses_fn report;
        struct dns_schedule schedule;
        uint8_t family;     /* AF_INET or AF_INET6 */
        bool has_addresses; /* by the last settled finding */
        bool parked;        /* asked every five minutes only */
};

/**
 * dns_addresses_start() - begin to ask; key, other, family, min_usec, max_usec and report are set
 *
 * @has_data: addresses are known from before: no hurry
 *
 * Return: 0, or -ENOMEM. Later on nothing of it can fail for want of memory.
 */
int dns_addresses_start(struct dns_addresses *family, struct dns_tasks *tasks, bool has_data);
/* Stops and forgets; fine on one that was never started. */
void dns_addresses_stop(struct dns_addresses *family);
bool dns_addresses_is_running(const struct dns_addresses *family);
/* A server is there (again): what the others could not answer need not wait as long as it would. */
void dns_addresses_retry(struct dns_addresses *family);
/* The limits have changed: ask in time for the new ones. */
void dns_addresses_hurry(struct dns_addresses *family);
