#pragma once

/*
 * Records in one table file: index entries and blocks. Knows nothing of file names, growth or daemons.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table/row.h"
#include "write/file.h"
#include "write/record/attrs.h"
#include "write/record/near.h"

#define KHS_IMAGE_WORDS (KHS_MAX_UNITS * KHS_UNIT_WORDS)

/* Scratch space for one record of any size: all the memory that a put needs outside the arena. */
struct khs_image {
        struct khs_attrs_scratch *attrs;
        struct khs_near near;
        uint32_t words[KHS_IMAGE_WORDS];
};

/* Return: NULL when there is no memory. */
struct khs_image *khs_image_new(void);
struct khs_image *khs_image_free(struct khs_image *image);

/* Whether every size is in range, and shared rows in order. */
bool khs_row_ok(const struct khs_row *row);
/* Upper bound of the size of a row's block. */
uint32_t khs_row_units(const struct khs_row *row);

/**
 * khs_file_put() - insert or update one key
 *
 * Return: 0; -ENOSPC: the arena is full; -EXFULL: the index has no room near the key's bucket; -EBADMSG: the
 * file is damaged.
 */
int khs_file_put(struct khs_file *file, const struct khs_row *row, struct khs_image *image, uint32_t now_ds);

/* Return: 0; -ENOENT; -EBADMSG: the file is damaged. */
int khs_file_delete(struct khs_file *file, const char *key, size_t n_key, uint32_t now_ds);

/* See khs_writer_drop_pending(). */
void khs_file_drop_pending(struct khs_file *file, const char *key, size_t n_key, uint32_t now_ds);

/**
 * khs_file_copy() - copy every record of one file into another, which is empty
 *
 * Keeps versions and times. Leaves out records that are damaged.
 *
 * Return: as khs_file_put().
 */
int khs_file_copy(struct khs_file *to, const struct khs_file *from, struct khs_image *image, uint32_t now_ds);

/* As khs_writer_retain(). */
void khs_file_retain(struct khs_file *file, bool (*keep)(void *userdata, const char *key, const char *target),
                     void *userdata, uint32_t now_ds);
