#pragma once

/*
 * The kernel's random number for this boot (/proc/sys/kernel/random/boot_id). Times in a table are meaningful within
 * one boot only.
 */

#include <stdbool.h>
#include <stdint.h>

/* Return: whether it is known, @ret is of no use else, as where /proc hides it (ProcSubset=pid). Changes errno. */
bool khs_boot_id(uint8_t ret[static 16]);
