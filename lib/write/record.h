#pragma once

/*
 * Putting records into one table file: index entries and blocks. Knows nothing of names of files,
 * growth or daemons; write/writer.c's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "write/attrs.h"
#include "write/file.h"
#include "write/writer.h" /* struct khs_row */

#define KHS_IMAGE_WORDS (KHS_MAX_UNITS * KHS_UNIT_WORDS)

/* Scratch for one record of any size: the memory that a put needs besides the arena. */
struct khs_image {
        struct khs_attrs_scratch *attrs;
        uint32_t words[KHS_IMAGE_WORDS];
};

/* Return: NULL without memory. */
struct khs_image *khs_image_new(void);
struct khs_image *khs_image_free(struct khs_image *image);

/* Whether every size is in range, and shared rows in order. */
bool khs_row_ok(const struct khs_row *row);
/* Size of the block that a row needs at most. */
uint32_t khs_row_units(const struct khs_row *row);

/**
 * khs_file_put() - insert or update one key
 *
 * Return: 0; -ENOSPC the arena is full; -EXFULL the index has no room near the key's bucket.
 */
int khs_file_put(struct khs_file *file, const struct khs_row *row, struct khs_image *image, uint32_t now_ds);

/* Return: 0; -ENOENT. */
int khs_file_delete(struct khs_file *file, const char *key, size_t n_key, uint32_t now_ds);

/**
 * khs_file_copy() - copy what one file says into another
 * @entry:   number of the index entry of @from to begin at; moved on
 * @n_words: stops when it has looked at so many
 *
 * Versions and times stay what they are. Keys that @to has are passed over.
 *
 * Return: 1 there are more; 0; as khs_file_put().
 */
int khs_file_copy(struct khs_file *to, const struct khs_file *from, uint32_t *entry, uint32_t n_words,
                  struct khs_image *image, uint32_t now_ds);

/* As khs_writer_retain(). */
void khs_file_retain(struct khs_file *file, bool (*keep)(void *userdata, const char *key, const char *target),
                     void *userdata, uint32_t now_ds);
