#pragma once

/*
 * Findings: what is wrong with a configuration file, collected until it is known which version of
 * the file is going to be used.
 *
 * Every finding reads "FILE:LINE: [SECTION] KEY: what was found, what was expected". Of one file
 * only the first CONFIG_FINDINGS_MAX are kept, so that a file of a million bad lines cannot fill
 * a journal; all are counted.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_FINDINGS_MAX 100U
#define CONFIG_QUOTE_MAX    60U /* bytes of a value that are shown */

struct config_finding {
        uint32_t line;
        int priority;
        char *message;
};

struct config_findings {
        struct config_finding *items;
        size_t n_items;
        size_t n_errors; /* kept or not */
};

/* Where a finding is. Any part may be missing: 0 or NULL. */
struct config_place {
        const char *path;
        const char *section;
        const char *key;
        uint32_t line;
};

struct config_quote {
        char text[4 * CONFIG_QUOTE_MAX + 8];
};

/* Quotes @n_text bytes for a message: one line of plain ASCII, shortened when it is long. */
struct config_quote config_quote(const char *text, size_t n_text);

__attribute__((format(printf, 4, 5))) void config_findings_add(struct config_findings *findings, int priority,
                                                               const struct config_place *place, const char *format,
                                                               ...);
/* By line; equal lines keep their order. */
void config_findings_sort(struct config_findings *findings);
void config_findings_clear(struct config_findings *findings);
