#pragma once

/*
 * The status page: HTML that works alone, and a script that keeps it up to date.
 */

#include <stdio.h>

#include "status/snapshot.h"

void page_write(FILE *to, const struct snapshot *snapshot);

extern const char page_style[], page_script[];
