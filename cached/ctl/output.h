#pragma once

/*
 * Output for people: colours and aligned tables on a terminal; elsewhere fields with a tab between them, a line for
 * each row and none for the titles.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct output {
        FILE *to;
        bool terminal, colour;
};

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_WARNING, STYLE_BAD };

/* Colour where @to is a terminal that has it, unless NO_COLOR is set (no-color.org). */
void output_init(struct output *out, FILE *to);

/* Text from anywhere, with `?` for what a terminal might act on. Return: how many columns it takes. */
size_t output_text(const struct output *out, enum style style, const char *text);

/* What a line is about; the rest of it comes next. */
void output_title(const struct output *out, const char *title);

#define TABLE_COLUMNS_MAX 12U

/* A table in the making: cells are copied, rows of `n_columns` follow each other. */
struct output_table {
        const char *const *titles;
        size_t n_columns;
        struct output_cell *cells;
        size_t n_cells, n_allocated;
        bool failed; /* no memory: the table is not printed */
};

/* @titles: ends with NULL; of static life. */
void output_table_init(struct output_table *table, const char *const *titles);
void output_table_add(struct output_table *table, enum style style, const char *text);
__attribute__((format(printf, 2, 3))) void output_table_addf(struct output_table *table, const char *format, ...);
/* Prints and frees it. Return: 0 or -ENOMEM. */
int output_table_print(struct output_table *table, const struct output *out);

/* "17 s", "3 min" */
struct output_age {
        char text[24];
};
struct output_age output_age(uint64_t age_ds);
