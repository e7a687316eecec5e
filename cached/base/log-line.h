#pragma once

/*
 * One message of the log as a line, in the form of whoever reads it. Pure.
 */

#include <stddef.h>
#include <time.h>

enum log_style {
        LOG_STYLE_JOURNAL,  /* "<3>TEXT": the journal adds the time */
        LOG_STYLE_TERSE,    /* "error: TEXT": somebody is looking */
        LOG_STYLE_COLOURED, /* the same, for a terminal with colours */
        LOG_STYLE_PLAIN,    /* "2026-11-29T00:55:49.123Z error TEXT": a file, or a container's log */
        LOG_STYLE_JSON,     /* an object: ts, level, service, msg */
};

struct log_entry {
        int priority; /* of syslog(3) */
        struct timespec time;
        const char *service; /* the one that it is about; NULL: none */
        const char *text;    /* at most LOG_TEXT_MAX bytes */
};

#define LOG_TEXT_MAX 1023U
/* Below PIPE_BUF: a pipe takes a line whole or not at all. */
#define LOG_LINE_MAX 3072U

/*
 * Whatever the text holds, the line is one line of valid UTF-8. Return: its length, with the newline; there is no NUL.
 */
size_t log_line_write(char ret[static LOG_LINE_MAX], enum log_style style, const struct log_entry *entry);
