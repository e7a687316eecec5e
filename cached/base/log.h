#pragma once

/*
 * The daemon's log: lines to stderr with the priorities of sd-daemon(3), see base/log.c.
 */

#include <stdbool.h>
#include <syslog.h> /* LOG_ERR ... LOG_DEBUG */

/* @priority: of syslog(3). Never blocks; a line that can't be written is dropped and counted. */
__attribute__((format(printf, 2, 3))) void log_message(int priority, const char *format, ...);

/* Messages of a priority above this (less urgent) are not written. LOG_INFO to begin with. */
void log_set_level(int priority);

/* From now on not more lines than somebody could read; those left out are counted. */
void log_limit(void);

/* To be called every second: tells how many lines were dropped, once something can be told again. */
void log_beat(void);
