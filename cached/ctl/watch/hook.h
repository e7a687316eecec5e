#pragma once

/*
 * The command of `watch --exec`: run once at the start and after each change, never twice at a time.
 *
 *     idle --change--> waiting --MIN without a change, or MAX after the first--> running --exit 0--> idle
 *                         ^                                                        |  |
 *                         |<------------------- a change meanwhile ----------------'  |
 *                         '<---------- 1, 2, 4 ... 30 s after it has failed ----------'
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ctl/ctl.h"

struct hook {
        const char *command;
        uint64_t wait_min_usec, wait_max_usec;

        /* CLOCK_BOOTTIME, 0: none. */
        uint64_t first_usec, last_usec; /* changes that no run has seen */
        uint64_t retry_usec;
        uint32_t n_failures; /* in a row */

        pid_t pid; /* 0: none is running */
};

/* "MIN" or "MIN:MAX", durations. Return: 0; -EINVAL. */
int hook_parse_wait(struct hook *hook, const char *text);

void hook_change(struct hook *hook, uint64_t now_usec);

/* When hook_step() has something to do; UINT64_MAX: never. */
uint64_t hook_due(const struct hook *hook, uint64_t now_usec);

/* Whether a run should begin now. */
bool hook_wants_run(const struct hook *hook, uint64_t now_usec);

/**
 * hook_run() - start the command
 * @input: n_input bytes for its standard input
 *
 * Return: 0; a negative errno: counted as a failure, a retry is due.
 */
int hook_run(struct hook *hook, const char *input, size_t n_input, uint64_t now_usec);

/**
 * hook_reap() - look whether the command has ended
 * @ret_status: of waitpid(2), if so
 *
 * Return: whether it has ended; a failure makes a retry due.
 */
bool hook_reap(struct hook *hook, int *ret_status, uint64_t now_usec);
