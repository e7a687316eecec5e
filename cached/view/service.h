#pragma once

/*
 * A service as the table has it, in private memory: everything of one record, read as of one moment.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "view/table.h"

struct view_port {
        uint32_t name; /* offset in the service's text; 0: unnamed */
        uint16_t number;
        uint8_t protocol; /* IPPROTO_* */
};

enum view_known { VIEW_NO, VIEW_YES, VIEW_UNKNOWN };

struct view_endpoint {
        uint8_t family; /* AF_INET or AF_INET6 */
        uint8_t flags;  /* KHS_ATTR_*; 0 also where is_condition_known is not set */
        bool is_condition_known;
        uint8_t near;  /* enum view_known */
        uint16_t port; /* default port; 0: unknown */
        uint8_t address[16];
        int32_t ordinal;           /* -1: none */
        uint32_t host, node, zone; /* offsets in the service's text; 0: unknown */
        uint32_t first_port, n_ports;
};

struct view_service {
        char key[256];                 /* "S.N", lower case */
        uint8_t state, reason, source; /* enum khs_service_state, khs_reason, khs_source */
        bool servable;                 /* not older than max-stale */
        bool v4_known, v6_known;
        bool hosts_complete, truncated;
        uint32_t policy; /* table/policy.h */
        uint32_t age_ds; /* of the state */
        uint32_t ttl_s, version, tag;
        uint16_t port, port_base; /* 0: none */
        uint32_t n4, n6;

        /* IPv4 first, each family sorted, then those that share an address of an earlier one. */
        struct view_endpoint *endpoints;
        uint32_t n_endpoints;
        struct view_port *ports; /* each distinct set of the endpoints', one after the other */
        uint32_t n_ports;
        char *text; /* what the offsets point into */
        size_t n_text;

        const char *const *aliases; /* borrowed from the catalog */
        size_t n_aliases;
};

/* What to read of a service. */
enum view_depth {
        VIEW_SUMMARY, /* no endpoints */
        VIEW_WHOLE,
};

/**
 * view_service_find() - read the service of one key
 *
 * Free @ret with view_service_deinit() after success.
 *
 * Return: 0; -ENOENT; -EBUSY: it changed during each attempt; -EBADMSG: damaged; -ENOMEM.
 */
int view_service_find(const struct view_table *table, const char *key, enum view_depth depth, struct view_service *ret);
void view_service_deinit(struct view_service *service);

/* A string of the service; NULL: unknown. */
static inline const char *view_service_text(const struct view_service *service, uint32_t offset)
{
        return offset > 0 ? service->text + offset : NULL;
}

/* How many of a family's addresses, from its first, lookups serve: the near ones, all where none is. */
uint32_t view_service_n_served(const struct view_service *service, int family);

/* The port of an endpoint by its name; 0: it has none. */
uint16_t view_service_named_port(const struct view_service *service, const struct view_endpoint *endpoint,
                                 const char *name, uint8_t protocol);

/* view_service_find() of a record that was found; -EAGAIN: it changed meanwhile. */
int view_service_read(const struct view_table *table, const struct khs_found *found, const char *key,
                      enum view_depth depth, struct view_service *ret);
