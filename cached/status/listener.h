#pragma once

/*
 * A listening socket on the event loop.
 */

#include <systemd/sd-event.h>

#include "base/address.h"
#include "base/timer.h"

struct listener {
        sd_event *event;
        struct address address;
        char *where; /* as configured; NULL: nowhere */
        sd_event_source *source;
        struct timer timer; /* until the next attempt to listen or accept */
        int fd;             /* -1: none */
        bool failed;        /* and was logged */

        /* A connection: takes over @fd, which does not block. */
        void (*accepted)(void *userdata, int fd, const struct sockaddr *address, socklen_t n_address);
        /* Some were, in this turn. */
        void (*done)(void *userdata);
        void *userdata;
};

/* The callbacks and @event are set by the caller. Return: 0 or a negative errno. */
int listener_init(struct listener *listener);
/* Fine on a zeroed one. */
void listener_deinit(struct listener *listener);

/* Another address, or NULL; the same one changes nothing. Logs. */
void listener_set(struct listener *listener, const char *where);
