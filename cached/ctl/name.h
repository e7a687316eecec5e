#pragma once

/*
 * What a NAME or TARGET on the command line means: the same as in a program that looks it up here.
 */

#include "answer/target.h"
#include "ctl/ctl.h"

struct ctl_found {
        struct view_service
                service;          /* whole, of a pod's name with that pod alone; free it with view_service_deinit() */
        struct khs_target target; /* of ctl_find_target() */
};

/*
 * Each returns 0, or the exit status after a line that says what was expected; the nearest name is offered.
 * The table must be open.
 */
int ctl_find_name(struct ctl *ctl, const char *name, struct ctl_found *ret);
int ctl_find_target(struct ctl *ctl, const char *target, struct ctl_found *ret);
