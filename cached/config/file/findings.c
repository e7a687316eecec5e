/*
 * Findings are kept rather than logged at once, since a reload decides only at the end which version
 * of a file they are about.
 *
 * What a file says is quoted with care: it goes to a terminal or a journal, and a no-break space or
 * an escape sequence that looks like nothing must be seen.
 *
 * Without memory for its message a finding still counts, like those beyond the limit.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "config/file/findings.h"

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
static void place_write(FILE *message, const struct config_place *place)
{
        (void)fputs(place->path, message);
        if (place->line > 0)
                (void)fprintf(message, ":%u", (unsigned int)place->line);
        (void)fputs(": ", message);
        if (place->section)
                (void)fprintf(message, "[%s]%s", plain(place->section).text, place->key ? " " : ": ");
        if (place->key)
                (void)fprintf(message, "%s: ", plain(place->key).text);
}

void config_findings_add(struct config_findings *findings, int priority, const struct config_place *place,
                         const char *format, ...)
{
        struct config_finding finding = { .line = place->line, .priority = priority };
        struct config_finding *items;
        size_t n_message;
        FILE *message;
        va_list args;

        findings->n_errors += priority <= LOG_ERR;
        if (findings->n_items >= CONFIG_FINDINGS_MAX)
                return;
        items = reallocarray(findings->items, findings->n_items + 1, sizeof(*items));
        if (!items)
                return;
        findings->items = items;
        message = open_memstream(&finding.message, &n_message);
        if (!message)
                return;
        place_write(message, place);
        va_start(args, format);
        (void)vfprintf(message, format, args);
        va_end(args);
        if (fclose(message) == 0)
                items[findings->n_items++] = finding;
        else
                free(finding.message);
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
