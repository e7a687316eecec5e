#pragma once

/*
 * What the sources say of services now: the daemon's own sources, started for one answer.
 */

#include "config/config.h"
#include "view/service.h"

enum live_state {
        LIVE_WAITING,
        LIVE_KNOWN,
        LIVE_FAILED,
        LIVE_UNASKED, /* static, of a section that we can't read: nobody else has its addresses */
};

struct live_family {
        uint8_t state;  /* enum live_state */
        uint8_t reason; /* enum khs_reason, of a failure */
        uint32_t n;
        uint8_t *addresses; /* 4 or 16 bytes each, sorted, no duplicates */
};

struct live_service {
        char key[256];
        uint8_t source; /* enum khs_source: who was asked */
        struct live_family v4, v6;
};

/**
 * live_ask() - ask the source of each service once
 * @services: sorted by key; what the configuration does not say of one is taken from here
 * @domain:   the cluster domain
 * @ret:      as many, in that order; LIVE_WAITING: no answer came in time. Free it with live_free()
 *
 * Return: 0; a negative errno: nothing was asked.
 */
int live_ask(const struct config *config, const char *domain, const struct view_service *services, size_t n_services,
             struct live_service **ret);
void live_free(struct live_service *services, size_t n_services);
