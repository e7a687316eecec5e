#pragma once

/*
 * What the daemon before left behind: its table, read back through the product's own reader, so that
 * a restart, an upgrade or a crash is no gap. The services registered now begin with the addresses
 * that it had for them, and so do those of a [namespace] section, which nobody has discovered yet; whatever else it
 * says is not taken.
 */

#include <stdbool.h>
#include <stdint.h>

#include "model/service.h"

struct predecessor;

/**
 * predecessor_open() - open the table in a directory, if it is one of this boot and of this domain
 * @ret: NULL when there is none: not an error
 *
 * Return: 0, or -ENOMEM.
 */
int predecessor_open(struct predecessor **ret, const char *dir, const char *zone);
struct predecessor *predecessor_close(struct predecessor *p);

/* Generation of its file; 0 without one. */
uint32_t predecessor_generation(const struct predecessor *p);

/* The highest version of any of its records; 0 without one. Versions of a key only ever grow. */
uint32_t predecessor_version(const struct predecessor *p);

/**
 * predecessor_next() - the services that it had, one after the other
 * @cursor: 0 to begin with
 *
 * Return: whether there is another one; @ret is its key.
 */
bool predecessor_next(const struct predecessor *p, uint32_t *cursor, char ret[static 256]);

/**
 * predecessor_seed() - give a service what the table said of it
 *
 * Return: 1 it had it; 0 it had not, or damaged; -ENOMEM.
 */
int predecessor_seed(struct predecessor *p, struct service *service, uint64_t now);
