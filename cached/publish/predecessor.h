#pragma once

/*
 * The table that the previous daemon left, read back through the product's own reader, so that a restart,
 * an upgrade or a crash leaves no gap: services that are registered now begin with the addresses that it
 * has for them, and so do those of a [namespace] section that nobody has discovered yet.
 */

#include <stdbool.h>
#include <stdint.h>

#include "model/service.h"

struct predecessor;

/**
 * predecessor_open() - open the table in a directory, if it is of this boot and of this cluster domain
 * @ret: NULL when there is none, which is no error
 *
 * Return: 0, or -ENOMEM.
 */
int predecessor_open(struct predecessor **ret, const char *dir, const char *zone);
struct predecessor *predecessor_close(struct predecessor *p);

/* Whether there is one, and its times are ours: its file can be taken over in place. */
bool predecessor_shares_clock(const struct predecessor *p);

/* Generation of its file; 0 if there is none. */
uint32_t predecessor_generation(const struct predecessor *p);

/* The highest version of its records; 0 if there are none. Versions of a key never fall. */
uint32_t predecessor_version(const struct predecessor *p);

/**
 * predecessor_next() - the services that it has, one after the other
 * @cursor: 0 at first; moved on
 *
 * Return: whether there is another one; @ret is its key.
 */
bool predecessor_next(const struct predecessor *p, uint32_t *cursor, char ret[static 256]);

/**
 * predecessor_seed() - give a service what the table says of it
 *
 * Return: 1; 0: the table lacks it, or its record is damaged; -ENOMEM.
 */
int predecessor_seed(struct predecessor *p, struct service *service, uint64_t now);
