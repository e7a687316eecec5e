/*
 * Findings, see config/file/report.h.
 *
 * What stands in a file is quoted with care: it goes to a terminal or a journal, and a no-break
 * space or an escape sequence that looks like nothing must be seen.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/util.h"
#include "config/file/report.h"

/* Appends the bytes, all but printable ASCII as \xNN. */
static void escape(struct config_quote *quote, size_t at, const char *text, size_t n_text)
{
        static const char digits[] = "0123456789abcdef";
        char *out = quote->text + at;

        for (size_t i = 0; i < n_text; i++) {
                unsigned char c = (unsigned char)text[i];

                if (c >= ' ' && c < 0x7f) {
                        *out++ = (char)c;
                        continue;
                }
                *out++ = '\\';
                *out++ = 'x';
                *out++ = digits[c >> 4];
                *out++ = digits[c & 15];
        }
        *out = '\0';
}

struct config_quote config_quote(const char *text, size_t n_text)
{
        struct config_quote quote = { "'" };
        bool cut = n_text > CONFIG_QUOTE_MAX;

        escape(&quote, 1, text, cut ? CONFIG_QUOTE_MAX : n_text);
        strcat(quote.text, cut ? "...'" : "'");
        return quote;
}

static struct config_quote plain(const char *text)
{
        struct config_quote quote;
        size_t n_text = strlen(text);

        escape(&quote, 0, text, n_text > CONFIG_QUOTE_MAX ? CONFIG_QUOTE_MAX : n_text);
        return quote;
}

/* "FILE:LINE: [SECTION] KEY: " with whatever is known. */
static int format_place(const struct config_place *place, char **ret)
{
        struct config_quote section = { "" }, key = { "" };
        char line[16] = "";
        const char *gap = "";

        if (place->line > 0)
                snprintf(line, sizeof(line), ":%u", (unsigned int)place->line);
        if (place->section)
                section = plain(place->section);
        if (place->key)
                key = plain(place->key);
        if (place->section && place->key)
                gap = " ";
        return asprintf(ret, "%s%s: %s%s%s%s%s%s", place->path, line, place->section ? "[" : "", section.text,
                        place->section ? "]" : "", gap, key.text, place->section || place->key ? ": " : "");
}

static int findings_push(struct config_findings *findings, struct config_finding finding)
{
        struct config_finding *items;

        items = realloc(findings->items, (findings->n_items + 1) * sizeof(*items));
        if (!items)
                return -1;
        items[findings->n_items++] = finding;
        findings->items = items;
        return 0;
}

void config_findings_add(struct config_findings *findings, int priority, const struct config_place *place,
                         const char *format, ...)
{
        _cleanup_(cleanup_free) char *detail = NULL, *prefix = NULL;
        struct config_finding finding = { .line = place->line, .priority = priority };
        va_list args;
        int r;

        findings->n_errors += priority <= LOG_ERR;
        if (findings->n_items >= CONFIG_FINDINGS_MAX)
                return;

        va_start(args, format);
        r = vasprintf(&detail, format, args);
        va_end(args);
        if (r < 0)
                detail = NULL;
        if (r >= 0)
                r = format_place(place, &prefix);
        if (r < 0)
                prefix = NULL;
        if (r >= 0)
                r = asprintf(&finding.message, "%s%s", prefix, detail);
        if (r < 0)
                finding.message = NULL;
        if (r < 0 || findings_push(findings, finding) < 0) {
                free(finding.message);
                findings->no_memory = true;
        }
}

/* Insertion sort: at most CONFIG_FINDINGS_MAX, nearly sorted, and it is stable. */
void config_findings_sort(struct config_findings *findings)
{
        for (size_t i = 1; i < findings->n_items; i++) {
                struct config_finding moved = findings->items[i];
                size_t j = i;

                for (; j > 0 && findings->items[j - 1].line > moved.line; j--)
                        findings->items[j] = findings->items[j - 1];
                findings->items[j] = moved;
        }
}

void config_findings_clear(struct config_findings *findings)
{
        for (size_t i = 0; i < findings->n_items; i++)
                free(findings->items[i].message);
        free(findings->items);
        *findings = (struct config_findings){ 0 };
}
