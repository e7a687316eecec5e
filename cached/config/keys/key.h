#pragma once

/*
 * The keys of the configuration: one row of a table for each, with its range, its default and what
 * its findings expect.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "config/keys/word.h"

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
        CONFIG_N_DAEMON_KEYS = 20,
};

/* Rows of config_service_keys that others ask for. */
enum config_service_key {
        CONFIG_SERVICE_SOURCE,
        CONFIG_SERVICE_REFRESH_MIN,
        CONFIG_SERVICE_REFRESH_MAX,
        CONFIG_SERVICE_MAX_STALE,
        CONFIG_SERVICE_ALIAS,
        CONFIG_SERVICE_SELECTOR,
        CONFIG_N_SERVICE_KEYS = 15,
};

struct config_key {
        const char *name;
        uint8_t sections;     /* enum config_section, or'ed */
        const char *fallback; /* the default, as in a file; NULL: 0, NULL, empty, or inherited */
        const char *expected; /* "expected ..." of its findings */

        size_t offset, size;        /* of the field in struct config or struct config_service */
        size_t offset_n, item_size; /* of a list: of its count, and of an item; 0: no list */

        /* What a value, or an item of a list, may be: a string, an item of another type, or an integer. */
        int (*string)(const char *text, char **ret);
        int (*item)(const char *text, void *ret);
        const struct config_word *words;                /* of an integer; NULL: none */
        int (*number)(const char *text, uint64_t *ret); /* likewise */
        uint64_t min, max;                              /* of a number; max of a list: items */
};

extern const struct config_key config_daemon_keys[CONFIG_N_DAEMON_KEYS];
extern const struct config_key config_service_keys[CONFIG_N_SERVICE_KEYS];

/* For a flag of the command line, too. */
#define CONFIG_LOG_FORMAT_EXPECTED "auto, journal, text or json"
extern const struct config_word config_log_format_words[];

static inline bool config_key_is_list(const struct config_key *key)
{
        return key->item_size > 0;
}

/* The row named @name of those allowed in @section, or NULL. */
const struct config_key *config_key_find(enum config_section section, const char *name);

#define CONFIG_KEY_NAMES_MAX 512U

/* "port, answers, ...": all keys of @section, for a message, with a hint of the one that @found may mean. */
void config_key_names(enum config_section section, const char *found, char ret[static CONFIG_KEY_NAMES_MAX]);
