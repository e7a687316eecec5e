#pragma once

/*
 * A check of the doctor: what was looked at, whether it is well, what was found, and how to mend it.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "ctl/ctl.h"

enum verdict { VERDICT_OK, VERDICT_BAD, VERDICT_UNKNOWN };

struct doctor {
        struct ctl *ctl;
        struct eyes *eyes; /* of another process; NULL: our own */
        struct output_table table;
        bool is_bad;
};

/* One result. @found and @mend may be printed as they are; @mend: NULL: there is nothing to mend. */
void doctor_say(struct doctor *d, const char *check, enum verdict verdict, const char *found, const char *mend);
__attribute__((format(printf, 5, 6))) void doctor_sayf(struct doctor *d, const char *check, enum verdict verdict,
                                                       const char *mend, const char *format, ...);

/* The checks, each in a file of its own; they say at least one result each. */
void doctor_check_libc(struct doctor *d); /* --pid: whether the process uses NSS at all */
void doctor_check_nsswitch(struct doctor *d);
void doctor_check_module(struct doctor *d);
void doctor_check_cache(struct doctor *d);
void doctor_check_table(struct doctor *d); /* opens the table for the next ones */
void doctor_check_daemon(struct doctor *d);
void doctor_check_clock(struct doctor *d);
void doctor_check_configuration(struct doctor *d); /* and the sources that it names */
void doctor_check_services(struct doctor *d);
void doctor_check_lookup(struct doctor *d);
