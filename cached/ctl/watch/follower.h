#pragma once

/*
 * Following the table: what has changed since the last look.
 */

#include "ctl/ctl.h"

struct follower {
        struct ctl *ctl;                /* its table and catalog are replaced */
        const char *only;               /* a key; NULL: all services */
        struct view_service **services; /* whole, sorted by key */
        size_t n_services;
        bool has_looked; /* at a table */
};

/* @before: NULL: new. @after: NULL: gone. Both are borrowed. */
typedef void (*follower_change)(void *user, const struct view_service *before, const struct view_service *after);

void follower_init(struct follower *follower, struct ctl *ctl, const char *only);
void follower_deinit(struct follower *follower);

/**
 * follower_look() - report every change since the last look
 *
 * While there is no table nothing is reported: services are not gone because the daemon is.
 *
 * Return: 0 or -ENOMEM.
 */
int follower_look(struct follower *follower, follower_change change, void *user);

/* The table's change counter. Take it before follower_look(): a change in between then ends the wait at once. */
uint32_t follower_counter(const struct follower *follower);

/* Sleeps until the counter differs from @seen, at most @usec or 2 s, or until a signal. */
void follower_wait(const struct follower *follower, uint32_t seen, uint64_t usec);
