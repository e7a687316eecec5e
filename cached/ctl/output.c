/*
 * Output. Columns are as wide as their widest cell, which is known when all cells are: a table is collected first.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "ctl/output.h"
#include "view/printable.h"

#define TITLE_WIDTH 16

struct output_cell {
        char *text;
        enum style style;
};

void output_init(struct output *out, FILE *to)
{
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        out->to = to;
        out->terminal = isatty(fileno(to));
        out->colour = out->terminal && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

size_t output_text(const struct output *out, enum style style, const char *text)
{
        static const char *const codes[] = {
                [STYLE_BOLD] = "\033[1m",     [STYLE_DIM] = "\033[2m",  [STYLE_GOOD] = "\033[32m",
                [STYLE_WARNING] = "\033[33m", [STYLE_BAD] = "\033[31m",
        };
        bool coloured = out->colour && style != STYLE_PLAIN && *text;
        size_t n;

        if (coloured)
                (void)fputs(codes[style], out->to);
        n = printable_write(out->to, text);
        if (coloured)
                (void)fputs("\033[0m", out->to);
        return n;
}

void output_title(const struct output *out, const char *title)
{
        int n = (int)output_text(out, STYLE_BOLD, title);

        if (out->terminal)
                (void)fprintf(out->to, "%*s", n < TITLE_WIDTH ? TITLE_WIDTH - n : 1, "");
        else
                (void)fputc('\t', out->to);
}

/* ---- tables ---- */

void output_table_init(struct output_table *table, const char *const *titles)
{
        *table = (struct output_table){ .titles = titles };
        while (table->n_columns < TABLE_COLUMNS_MAX && titles[table->n_columns])
                table->n_columns++;
}

static void output_take(struct output_table *table, enum style style, char *text)
{
        if (text && table->n_cells == table->n_allocated) {
                size_t n = table->n_allocated * 2 + 64;
                struct output_cell *larger = reallocarray(table->cells, n, sizeof(*larger));

                if (larger) {
                        table->cells = larger;
                        table->n_allocated = n;
                }
        }
        if (!text || table->n_cells == table->n_allocated) {
                free(text);
                table->failed = true;
                return;
        }
        table->cells[table->n_cells++] = (struct output_cell){ .text = text, .style = style };
}

void output_table_add(struct output_table *table, enum style style, const char *text)
{
        output_take(table, style, strdup(text ? text : ""));
}

void output_table_addf(struct output_table *table, const char *format, ...)
{
        char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        va_end(arguments);
        output_take(table, STYLE_PLAIN, text);
}

static size_t output_width(const char *text)
{
        size_t n = 0;

        for (; *text; n++) {
                size_t length = utf8_length(text);

                text += length > 0 ? length : 1;
        }
        return n;
}

static void output_measure(const struct output_table *table, size_t *widths)
{
        for (size_t c = 0; c < table->n_columns; c++)
                widths[c] = output_width(table->titles[c]);
        for (size_t i = 0; i < table->n_cells; i++) {
                size_t width = output_width(table->cells[i].text), *widest = &widths[i % table->n_columns];

                *widest = width > *widest ? width : *widest;
        }
}

/* The last column is not filled up. */
static void output_put(const struct output *out, enum style style, const char *text, size_t width, bool last)
{
        size_t n = output_text(out, style, text);

        if (last)
                (void)fputc('\n', out->to);
        else if (out->terminal)
                (void)fprintf(out->to, "%*s", (int)(width - n + 2), "");
        else
                (void)fputc('\t', out->to);
}

static void output_write_table(const struct output_table *table, const struct output *out)
{
        size_t widths[TABLE_COLUMNS_MAX] = { 0 }, n = table->n_columns;

        if (n == 0)
                return;
        if (out->terminal) {
                output_measure(table, widths);
                for (size_t c = 0; c < n; c++)
                        output_put(out, STYLE_BOLD, table->titles[c], widths[c], c + 1 == n);
        }
        for (size_t i = 0; i < table->n_cells; i++)
                output_put(out, table->cells[i].style, table->cells[i].text, widths[i % n], (i + 1) % n == 0);
}

int output_table_print(struct output_table *table, const struct output *out)
{
        bool failed = table->failed;

        if (!failed)
                output_write_table(table, out);
        for (size_t i = 0; i < table->n_cells; i++)
                free(table->cells[i].text);
        free(table->cells);
        table->cells = NULL;
        table->n_cells = table->n_allocated = 0;
        return failed ? -ENOMEM : 0;
}

struct output_age output_age(uint64_t age_ds)
{
        struct output_age ret;
        uint64_t s = age_ds / 10;

        if (s < 10)
                (void)snprintf(ret.text, sizeof(ret.text), "%" PRIu64 ".%" PRIu64 " s", s, age_ds % 10);
        else if (s < 120)
                (void)snprintf(ret.text, sizeof(ret.text), "%" PRIu64 " s", s);
        else if (s < 7200)
                (void)snprintf(ret.text, sizeof(ret.text), "%" PRIu64 " min", s / 60);
        else if (s < 172800)
                (void)snprintf(ret.text, sizeof(ret.text), "%" PRIu64 " h", s / 3600);
        else
                (void)snprintf(ret.text, sizeof(ret.text), "%" PRIu64 " d", s / 86400);
        return ret;
}
