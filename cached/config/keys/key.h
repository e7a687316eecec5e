#pragma once

/*
 * The keys of the configuration: one table row for each, with its range, its default and what a
 * wrong value is told to be. A new key is a row here and a field in config/config.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

enum config_section {
        CONFIG_SECTION_DAEMON = 1,
        CONFIG_SECTION_SERVICE = 2,
        CONFIG_SECTION_PODS = 4,
        CONFIG_SECTION_NAMESPACE = 8,
};

/* Rows of config_daemon_keys that others ask for. */
enum config_daemon_key {
        CONFIG_DAEMON_REFRESH_MIN,
        CONFIG_DAEMON_REFRESH_MAX,
        CONFIG_N_DAEMON_KEYS = 18,
};

/* Rows of config_service_keys that others ask for. */
enum config_service_key {
        CONFIG_SERVICE_SOURCE,
        CONFIG_SERVICE_REFRESH_MIN,
        CONFIG_SERVICE_REFRESH_MAX,
        CONFIG_SERVICE_MAX_STALE,
        CONFIG_SERVICE_ALIAS,
        CONFIG_SERVICE_SELECTOR,
        CONFIG_N_SERVICE_KEYS = 14,
};

enum config_key_kind { CONFIG_KEY_SCALAR, CONFIG_KEY_STRING, CONFIG_KEY_LIST, CONFIG_KEY_STRING_LIST };

struct config_word {
        const char *text;
        int value;
};

struct config_key {
        const char *name;
        uint8_t sections;     /* enum config_section, or'ed */
        uint8_t kind;         /* enum config_key_kind */
        const char *fallback; /* the default, as in a file; NULL: 0, NULL, empty, or inherited */
        const char *expected; /* "expected ..." of its errors */

        size_t offset, size;        /* of the field in struct config or struct config_service */
        size_t offset_n, item_size; /* of a list */
        const struct config_word *words;
        uint64_t min, max; /* of a number; max of a list: items */

        /* One of the two: a number, word, string; or an item of a list. @ret is the field or item. */
        int (*parse)(const struct config_key *key, const char *text, void *ret);
};

extern const struct config_key config_daemon_keys[CONFIG_N_DAEMON_KEYS];
extern const struct config_key config_service_keys[CONFIG_N_SERVICE_KEYS];

static inline bool config_key_is_list(const struct config_key *key)
{
        return key->kind == CONFIG_KEY_LIST || key->kind == CONFIG_KEY_STRING_LIST;
}

/* The row named @name of those allowed in @section, or NULL. */
const struct config_key *config_key_find(enum config_section section, const char *name);

/* "port, answers, ...": all keys of @section, for a message. */
void config_key_names(enum config_section section, char *ret, size_t n_ret);
/* Frees what a service holds, not itself. */
void config_service_deinit(struct config_service *service);

/**
 * config_key_set() - set the field of @key in @object (a struct config or struct config_service)
 *
 * @append: add to a list instead of replacing it
 *
 * Return: 0; -EINVAL, -E2BIG (a list of more than key->max items), -ENOMEM: @object is as before.
 */
int config_key_set(const struct config_key *key, void *object, const char *text, bool append);
/* Back to the default. Return: 0 or -ENOMEM. */
int config_key_reset(const struct config_key *key, void *object);
/* All keys of [daemon], or of the others. */
int config_keys_reset(const struct config_key *keys, size_t n_keys, void *object);
/* Frees what the fields hold. */
void config_keys_free(const struct config_key *keys, size_t n_keys, void *object);
