#pragma once

/*
 * Names that thousands of objects share, as those of nodes and zones: each is kept once, with a count of who
 * holds it.
 */

#include <stddef.h>
#include <stdint.h>

struct name;

struct names {
        struct name **buckets;
        size_t n_buckets, n_names;
        uint8_t seed[16];
};

/* To begin with, a pool is all zeros. Everything taken must have been dropped. */
void names_deinit(struct names *names);

/**
 * names_take() - hold a name
 * @names: NULL: the name is the caller's own
 * @text:  NULL: none
 *
 * Return: the name, for names_drop() with the same pool; NULL: there is no memory, or no text.
 */
const char *names_take(struct names *names, const char *text);
void names_drop(struct names *names, const char *name);
