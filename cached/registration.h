#pragma once

/*
 * One registered service: its section of the configuration, what is known of it, and what is published.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "config/config.h"
#include "model/service.h"
#include "publish/predecessor.h"
#include "publish/publisher.h"
#include "source/source.h"

#define REGISTRATION_N_SOURCES (KHS_SOURCE_STATIC + 1)

/* What all registrations share. */
struct registrar {
        struct publisher *publisher;
        struct source *sources[REGISTRATION_N_SOURCES]; /* by enum khs_source */
        struct filter filter;                           /* of what comes from outside the machine */
        struct names names;                             /* of nodes and zones */
        struct log_limiter limiter;                     /* of changes of state */
        size_t n_awaited;                               /* registrations that are */
        uint32_t version;                               /* no version of a new service is below this */
        bool report_again;                              /* something that a source reported was lost */
        bool (*has)(void *userdata, const char *key);   /* whether a service has this name */
        void *userdata;
};

struct registration {
        struct registrar *registrar;
        const struct config_service *section; /* NULL: none any more, it goes */
        struct service *service;
        struct publication publication;
        char **aliases;
        size_t n_aliases;
        size_t n_aliases_refused; /* the table has no room for them */
        bool lacks_aliases;       /* some could not be put, for whatever reason */
        bool told_found;          /* that a service was found which has the name of one */
        uint64_t changed_usec; /* CLOCK_REALTIME of the last change of which its source has said when it was; 0: none */
        uint8_t logged;        /* enum khs_service_state: the one that was logged last */
        bool discovered;       /* by its source, and still there */
        bool heard[2];         /* whether its source has said anything of IPv4, of IPv6 */
        bool awaited;          /* nothing is known of it, and its source has not said either that there is nothing */
};

/**
 * registration_new() - register a service and publish it as it is
 * @section:     borrowed, until it is set to another one
 * @predecessor: what an earlier table knew of it; or NULL
 *
 * Return: 0; -ENOMEM.
 */
int registration_new(struct registration **ret, struct registrar *registrar, const struct config_service *section,
                     const char *key, struct predecessor *predecessor);
/* Leaves the table as it is. Returns NULL. */
struct registration *registration_free(struct registration *item);

/* Makes it do what its section says. Return: 0; -ENOMEM. */
int registration_follow(struct registration *item);
/* Puts the aliases that could not be put before, if there are any. */
void registration_retry_aliases(struct registration *item);
/*
 * Drops the aliases that its section lacks; without a section, all. All aliases that go must be gone before any
 * comes: one may move from a service to another.
 */
void registration_drop_aliases(struct registration *item);
/* Takes it out of the table, without its aliases, and frees it. */
void registration_remove(struct registration *item);

/* Its source has reported a finding. */
void registration_report(struct registration *item, const struct finding *finding);
/* @change: enum service_change or a negative errno, as the service model returns it; logs, publishes. */
void registration_changed(struct registration *item, int change);

bool registration_has_alias(const struct registration *item, const char *alias);
/* What its source is to follow; valid as long as the section. */
struct source_service registration_for_source(const struct registration *item);
/* The same for what a section registers. */
struct source_service section_for_source(const struct config_service *section, const char *key);
