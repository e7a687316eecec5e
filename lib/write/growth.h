#pragma once

/*
 * The next file of a writer: how large it is made, and how it is filled from the one in use, at once or
 * in slices. write/writer.c's.
 *
 * Between two slices the writer goes on with the file in use, and puts and deletes here, too, what it
 * puts and deletes there, wherever the copy is: it passes over keys that it finds. So a key is here
 * either as it is there, or not yet; and none is when the copy has come to the end.
 */

#include <stdbool.h>
#include <stdint.h>

#include "write/record.h"

/* What a new file must hold. */
struct khs_need {
        uint64_t n_keys, n_addresses;
        uint64_t units, wanted_units; /* of the arena: at least; better */
};

struct khs_growth {
        struct khs_file *file; /* in the making; NULL: none */

        int dir_fd;
        const struct khs_table_static *fixed;
        uint64_t max_bytes;
        const struct khs_file *from; /* the one in use, or NULL */
        struct khs_need need;
        unsigned int n_tries;
        uint32_t entry; /* of `from`: the next to be copied */
};

/**
 * khs_growth_begin() - begin a new file
 * @g: its file, dir_fd, fixed, max_bytes, from and need are set; no file
 *
 * Return: 0; -ENOSPC there is no room for what is needed within max_bytes; errors of making a file.
 */
int khs_growth_begin(struct khs_growth *g);

#define KHS_SLICE_WORDS (32U << 10) /* some hundred microseconds, but for records that are larger */
#define KHS_ALL_WORDS   UINT32_MAX

/**
 * khs_growth_step() - a slice of the work
 * @n_words: to copy, or to look at; or to allocate, four times as many
 *
 * When the index has no room near a key's bucket, begins again with another hash key, then with a
 * larger index.
 *
 * Return: 1 there is more to do; 0 the file says what `from` says; a negative errno: given up, dropped.
 */
int khs_growth_step(struct khs_growth *g, uint32_t n_words, struct khs_image *image, uint32_t now_ds);

/* What has been put into `from`. A file that has no room for it begins again, or is dropped. */
void khs_growth_put(struct khs_growth *g, const struct khs_row *row, struct khs_image *image, uint32_t now_ds);
/* What has been deleted there. */
void khs_growth_delete(struct khs_growth *g, const char *key, size_t n_key, uint32_t now_ds);

/* Hands over the complete file. */
struct khs_file *khs_growth_take(struct khs_growth *g);
/* Removes the file, if there is one. */
void khs_growth_drop(struct khs_growth *g);
