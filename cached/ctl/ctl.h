#pragma once

/*
 * k8shsvcctl: what its commands have in common.
 */

#include <stdbool.h>
#include <stddef.h>

#include "ctl/output.h"
#include "view/catalog.h"
#include "view/json.h"

/* Exit statuses. */
enum { CTL_YES = 0, CTL_NO = 1, CTL_MISUSE = 2 };

enum ctl_flag {
        CTL_JSON,
        CTL_READY,
        CTL_FORMAT,
        CTL_PERSIST,
        CTL_EXEC,
        CTL_WAIT,
        CTL_COUNT,
        CTL_PID,
        CTL_N_FLAGS,
};

struct ctl_command;

struct ctl {
        const struct ctl_command *command;
        const char *flags[CTL_N_FLAGS]; /* the value, "" of a flag without one; NULL: not given */
        const char *argument;           /* NULL: none */
        struct output out;
        struct json_writer json;

        bool has_table, warned; /* of what is wrong with it, once */
        struct view_table table;
        struct view_catalog catalog;
};

struct ctl_command {
        const char *name, *argument; /* "NAME", or "[NAME]" where it may be left out; NULL: none */
        unsigned int flags;          /* 1 << enum ctl_flag; each has --json */
        bool needs_table;            /* opened, and its catalog read, before */
        int (*run)(struct ctl *ctl); /* returns the exit status */
        const char *help;
};

extern const struct ctl_command ctl_commands[]; /* ends with an empty one */

/* Each writes one line to stderr and returns the exit status. */
__attribute__((format(printf, 2, 3))) int ctl_no(const struct ctl *ctl, const char *format, ...);
__attribute__((format(printf, 2, 3))) int ctl_misuse(const struct ctl *ctl, const char *format, ...);
/* A line, and nothing else. */
__attribute__((format(printf, 2, 3))) void ctl_warn(const struct ctl *ctl, const char *format, ...);

/* Opens the table and reads the catalog. Return: 0 or a negative errno. */
int ctl_try_table(struct ctl *ctl);
/* The same. Return: 0, or the exit status after a line that says why not. */
int ctl_open_table(struct ctl *ctl);
void ctl_close_table(struct ctl *ctl);

/* The commands. */
int ctl_status(struct ctl *ctl);
int ctl_list(struct ctl *ctl);
int ctl_show(struct ctl *ctl);
int ctl_resolve(struct ctl *ctl);
int ctl_watch(struct ctl *ctl);
int ctl_add(struct ctl *ctl);
int ctl_remove(struct ctl *ctl);
int ctl_explain(struct ctl *ctl);
int ctl_spread(struct ctl *ctl);
int ctl_diff(struct ctl *ctl);
int ctl_doctor(struct ctl *ctl);
int ctl_version(struct ctl *ctl);
