#pragma once

/*
 * The daemon's log: lines to stderr, in the form of whoever reads them, that never block.
 */

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h> /* LOG_ERR ... LOG_DEBUG */

/* @priority: of syslog(3). A line that can't be written at once is dropped and counted. */
__attribute__((format(printf, 2, 3))) void log_message(int priority, const char *format, ...);

/* The same about a service: "S.N". */
__attribute__((format(printf, 3, 4))) void log_service(int priority, const char *service, const char *format, ...);

enum log_format {
        LOG_FORMAT_AUTO,    /* the journal's where stderr is the journal, else text */
        LOG_FORMAT_JOURNAL, /* with the priorities of sd-daemon(3) */
        LOG_FORMAT_TEXT,    /* "error: ..." on a terminal, with time and level elsewhere */
        LOG_FORMAT_JSON,
};

/* LOG_FORMAT_AUTO initially. */
void log_set_format(enum log_format format);
/* For a program that ends at once: its text has no times. */
void log_set_once(void);

/* Less urgent messages are not written. LOG_INFO initially. */
void log_set_level(int priority);

/* Limits the rate of lines from now on; those left out are counted. */
void log_limit(void);

/* Lines that were dropped or left out so far. */
uint64_t log_n_dropped(void);

/* For every second: logs how many lines were dropped or left out, once a line gets through. */
void log_beat(void);

/*
 * At most @n_max lines of one kind in @period_usec; those left out are counted. Zero the rest to begin with.
 * The caller says how many were left out when log_limiter_roll() returns their number.
 */
struct log_limiter {
        unsigned long n_max;
        uint64_t period_usec;
        uint64_t begun_usec;
        unsigned long n_lines; /* since then, written or not */
};

/* Begins another period if this one is over. Return: how many lines the one that ends has left out, else 0. */
unsigned long log_limiter_roll(struct log_limiter *limiter);
/* Whether one more line may be written. */
bool log_limiter_take(struct log_limiter *limiter);
