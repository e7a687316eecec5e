#pragma once

/*
 * The values of the configuration: durations, sizes, names.
 *
 * Pure functions over NUL-terminated text without surrounding white space. All return 0, or
 * -EINVAL with @ret untouched; those that allocate also -ENOMEM.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

/* Decimal, no sign, no overflow. */
int config_number_parse(const char *text, uint64_t *ret);
/* "500ms", "5s", "10m", "1h", "7d" */
int config_duration_parse(const char *text, config_usec *ret);
/* "4096", "64K", "256M", "8G": powers of 1024 */
int config_size_parse(const char *text, uint64_t *ret);

/* The shortest form that config_duration_parse() reads back. */
struct config_duration {
        char text[32];
};
struct config_duration config_duration_format(config_usec usec);

/* RFC 1123 label, any case. */
bool config_label_valid(const char *text, size_t n_text);

#define CONFIG_GO_MICRO_MAX 54U

/* Each of these checks and copies; names are copied in lower case. */
int config_label_parse(const char *text, char **ret);
int config_domain_parse(const char *text, char **ret);   /* labels; a final dot is dropped */
int config_alias_parse(const char *text, char **ret);    /* labels that may hold '_'; not a number */
int config_path_parse(const char *text, char **ret);     /* absolute */
int config_url_parse(const char *text, char **ret);      /* http:// or https://, host, no blanks */
int config_listen_parse(const char *text, char **ret);   /* address with port */
int config_zone_parse(const char *text, char **ret);     /* Kubernetes label value; keeps its case */
int config_go_micro_parse(const char *text, char **ret); /* likewise, CONFIG_GO_MICRO_MAX bytes at most */
int config_selector_parse(const char *text, char **ret); /* Kubernetes label selector */

/* The next word of a list, or false at its end. */
bool config_word_next(const char **cursor, const char **ret_word, size_t *ret_n_word);
