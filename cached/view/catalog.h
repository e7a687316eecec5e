#pragma once

/*
 * All services of a table, sorted by name, each with its aliases.
 */

#include "view/service.h"

struct view_alias {
        char name[256], target[256];
};

struct view_catalog {
        struct view_service *services; /* summaries: without endpoints */
        size_t n_services;
        struct view_alias *aliases; /* sorted by target, then by name */
        size_t n_aliases;
        const char **names;  /* of the aliases, in that order */
        uint32_t n_damaged;  /* records that can't be read */
        uint32_t n_changing; /* that changed during each attempt */
};

/* Return: 0 or -ENOMEM. Free it with view_catalog_deinit(). */
int view_catalog_read(const struct view_table *table, struct view_catalog *ret);
void view_catalog_deinit(struct view_catalog *catalog);

/* The service of a key; NULL: none. */
const struct view_service *view_catalog_find(const struct view_catalog *catalog, const char *key);

/**
 * view_catalog_whole() - read a service again, with its endpoints and the catalog's aliases
 *
 * Return: as view_service_find().
 */
int view_catalog_whole(const struct view_catalog *catalog, const struct view_table *table, const char *key,
                       struct view_service *ret);
