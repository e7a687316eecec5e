/*
 * What came from a network or a file is part of a message: it can neither forge a line of its own, nor colour one,
 * nor end a string of JSON. Control characters become blanks, and bytes that are no UTF-8 `?`.
 *
 * Everything is put behind the cursor of a fixed buffer, which a message of LOG_TEXT_MAX fits into, with each byte
 * escaped.
 */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/log-line.h"
#include "base/utf8.h"

struct log_buffer {
        char *bytes;
        size_t n;
};

static const char *log_level_word(int priority)
{
        static const char *const words[] = {
                [LOG_ERR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
                [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
        };

        return priority < LOG_ERR ? words[LOG_ERR] : words[priority > LOG_DEBUG ? LOG_DEBUG : priority];
}

/* ---- behind the cursor ---- */

/* Keeps one byte, for the newline. */
static void log_put_bytes(struct log_buffer *b, const char *bytes, size_t n)
{
        size_t room = LOG_LINE_MAX - 1 - b->n;

        n = n < room ? n : room;
        memcpy(b->bytes + b->n, bytes, n);
        b->n += n;
}

static void log_put(struct log_buffer *b, const char *text)
{
        log_put_bytes(b, text, strlen(text));
}

/* Those of ISO 6429's second set, too. */
static bool log_is_control(const char *text, size_t n)
{
        const unsigned char *s = (const unsigned char *)text;

        return (n == 1 && (s[0] < ' ' || s[0] == 0x7f)) || (n == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

/* Return: how many bytes of @text it stands for. */
static size_t log_put_character(struct log_buffer *b, const char *text)
{
        size_t n = utf8_length(text);

        if (n == 0)
                log_put(b, "?");
        else if (log_is_control(text, n))
                log_put(b, " ");
        else
                log_put_bytes(b, text, n);
        return n > 0 ? n : 1;
}

static void log_put_plain(struct log_buffer *b, const char *text)
{
        while (*text)
                text += log_put_character(b, text);
}

static void log_put_string(struct log_buffer *b, const char *text)
{
        log_put(b, "\"");
        while (*text) {
                if (*text == '"' || *text == '\\')
                        log_put(b, "\\");
                text += log_put_character(b, text);
        }
        log_put(b, "\"");
}

/* RFC 3339, in UTC. */
static void log_put_time(struct log_buffer *b, const struct timespec *time)
{
        char text[64];
        struct tm tm = { 0 };
        size_t n;

        (void)gmtime_r(&time->tv_sec, &tm);
        n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(text + n, sizeof(text) - n, ".%03uZ", (unsigned int)(time->tv_nsec / 1000000) % 1000);
        log_put(b, text);
}

static void log_put_text(struct log_buffer *b, const struct log_entry *entry)
{
        if (entry->service) {
                log_put_plain(b, entry->service);
                log_put(b, ": ");
        }
        log_put_plain(b, entry->text);
}

/* ---- styles ---- */

static void log_put_journal(struct log_buffer *b, const struct log_entry *entry)
{
        char prefix[8];

        (void)snprintf(prefix, sizeof(prefix), "<%d>", entry->priority & 7);
        log_put(b, prefix);
        log_put_text(b, entry);
}

/* What is usual needs no word. */
static void log_put_terse(struct log_buffer *b, const struct log_entry *entry, bool coloured)
{
        const char *colour = entry->priority <= LOG_ERR       ? "\033[1;31m"
                             : entry->priority == LOG_WARNING ? "\033[1;33m"
                                                              : "\033[2m";
        bool word = entry->priority <= LOG_WARNING || entry->priority >= LOG_DEBUG;

        if (word) {
                log_put(b, coloured ? colour : "");
                log_put(b, log_level_word(entry->priority));
                log_put(b, coloured ? ":\033[0m " : ": ");
        }
        log_put_text(b, entry);
}

static void log_put_timed(struct log_buffer *b, const struct log_entry *entry)
{
        log_put_time(b, &entry->time);
        log_put(b, " ");
        log_put(b, log_level_word(entry->priority));
        log_put(b, " ");
        log_put_text(b, entry);
}

static void log_put_json(struct log_buffer *b, const struct log_entry *entry)
{
        log_put(b, "{\"ts\":\"");
        log_put_time(b, &entry->time);
        log_put(b, "\",\"level\":\"");
        log_put(b, log_level_word(entry->priority));
        log_put(b, "\",\"service\":");
        if (entry->service)
                log_put_string(b, entry->service);
        else
                log_put(b, "null");
        log_put(b, ",\"msg\":");
        log_put_string(b, entry->text);
        log_put(b, "}");
}

size_t log_line_write(char ret[static LOG_LINE_MAX], enum log_style style, const struct log_entry *entry)
{
        struct log_buffer b = { .bytes = ret };

        if (style == LOG_STYLE_JOURNAL)
                log_put_journal(&b, entry);
        else if (style == LOG_STYLE_JSON)
                log_put_json(&b, entry);
        else if (style == LOG_STYLE_PLAIN)
                log_put_timed(&b, entry);
        else
                log_put_terse(&b, entry, style == LOG_STYLE_COLOURED);
        ret[b.n++] = '\n';
        return b.n;
}
