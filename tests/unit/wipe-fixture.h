/*
 * The page that a forked child has empty. Emulators of user programs say yes to every advice and follow none, so that
 * what relies on it can't be tried there; a kernel refuses one that nobody knows.
 */

#pragma once

#include <criterion/criterion.h>
#include <sys/mman.h>

#include "read/process.h"

static inline void wipe_or_skip(void)
{
        if (madvise(&khs_process, sizeof(khs_process), -1) == 0)
                cr_skip_test("an emulator: it wipes no page on fork");
}
