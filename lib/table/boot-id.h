#pragma once

/*
 * The kernel's random number for this boot (/proc/sys/kernel/random/boot_id). Times in a table mean
 * something only within one.
 */

#include <stdbool.h>
#include <stdint.h>

/* Return: whether it is known; zeros where /proc does not show it (ProcSubset=pid). */
bool khs_boot_id(uint8_t ret[static 16]);
