#pragma once

/*
 * The hosts line of nsswitch.conf(5): whom getaddrinfo() asks, in which order, and when it stops.
 */

#include <stdbool.h>
#include <stddef.h>

#define NSSWITCH_CONF         "/etc/nsswitch.conf"
#define NSSWITCH_SERVICES_MAX 16U

struct nsswitch_service {
        char name[32];
        bool returns[4]; /* an action [...=return]: for SUCCESS (always), NOTFOUND, UNAVAIL, TRYAGAIN */
};

enum { NSSWITCH_SUCCESS, NSSWITCH_NOTFOUND, NSSWITCH_UNAVAIL, NSSWITCH_TRYAGAIN };

struct nsswitch {
        char line[256]; /* what stands behind "hosts:" */
        struct nsswitch_service services[NSSWITCH_SERVICES_MAX];
        size_t n_services;
        bool found; /* a hosts line; without one glibc asks `dns` and `files` alone */
};

void nsswitch_parse(struct nsswitch *ret, const char *text);

/* @path: of the file. Return: 0, also where it has no hosts line; a negative errno of open(2) or read(2). */
int nsswitch_read(struct nsswitch *ret, const char *path);

/* Where a service stands; n_services: nowhere. */
size_t nsswitch_find(const struct nsswitch *nsswitch, const char *name);

/* The service before @at that answers in its stead, or ends the lookup, whatever @at knows; NULL: none. */
const char *nsswitch_in_front(const struct nsswitch *nsswitch, size_t at);
