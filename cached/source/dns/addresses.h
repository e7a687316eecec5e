#pragma once

/*
 * One family of one service's addresses, asked for by A or AAAA for as long as it is registered.
 */

#include <stdbool.h>
#include <stdint.h>

#include "source/dns/task.h"

struct dns_family;

/* @result is valid during the call. May stop or start any lookup. */
typedef void (*dns_family_fn)(struct dns_family *family, const struct finding *result);

struct dns_family {
        struct dns_lookup lookup;
        const char *key;             /* "S.N", borrowed */
        struct dns_family *other;    /* the other family of the same service, running or stopped */
        uint64_t min_usec, max_usec; /* refresh limits */
        dns_family_fn report;
        struct dns_schedule schedule;
        uint8_t family;     /* AF_INET or AF_INET6 */
        bool has_addresses; /* the last settled finding */
        bool parked;        /* asked every five minutes only */
};

/**
 * dns_family_start() - begin to ask; key, other, family, min_usec, max_usec and report are set
 *
 * @has_data: addresses are known from before: no hurry
 *
 * Return: 0, or -ENOMEM. Later on nothing of it can fail for want of memory.
 */
int dns_family_start(struct dns_family *family, struct dns_lookups *lookups, bool has_data);
/* Stops and forgets; fine on one that was never started. */
void dns_family_stop(struct dns_family *family);
bool dns_family_is_running(const struct dns_family *family);
/* The limits have changed: ask in time for the new ones. */
void dns_family_hurry(struct dns_family *family);
