/*
 * INI in one walk over the lines, each told by its first character:
 *
 *     [section]        the head of a section
 *     key = value      a value, which stays open
 *       more           (indented) continues the open value
 *     # or ;           a comment, also an indented one and inside a value; leaves the value open
 *                      (blank) closes the value
 *
 * No library: those that exist search all sections at each new one, lose the lines of values, or
 * stop at the first error, and what is left to do around them is more than this file.
 *
 * The text is cut up where it lies. A line becomes shorter and never longer, so a continuation moves
 * up to the end of its value, behind one space:
 *
 *     port = 80\n  # web\n  8080\n       port\0= 80 8080\0
 *
 * Each byte is looked at a fixed number of times, whatever the lines are.
 */

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "base/utf8.h"
#include "base/util.h"
#include "config/file/ini.h"

#define BLANKS " \t\v\f\r"

struct ini {
        struct config_file *file;
        const char *section;
        const char *raw; /* the line, for a message */
        uint32_t line;
        char *open; /* the end of the value that an indented line continues; NULL: there is none */
};

static int ini_refuse(struct ini *ini, const char *expected)
{
        struct config_place place = { .path = ini->file->path, .line = ini->line };

        config_findings_add(&ini->file->reading, LOG_ERR, &place, "found %s, expected %s",
                            config_quote(ini->raw, strlen(ini->raw)).text, expected);
        ini->file->broken = true;
        ini->open = NULL;
        return 0;
}

static bool is_utf8(const char *text)
{
        while (*text) {
                size_t n = utf8_length(text);

                if (n == 0)
                        return false;
                text += n;
        }
        return true;
}

/* Cuts the blanks off both ends of @n_text bytes. */
static char *trim(char *text, size_t n_text)
{
        while (n_text > 0 && strchr(BLANKS, text[n_text - 1]))
                n_text--;
        text[n_text] = '\0';
        return text + strspn(text, BLANKS);
}

static int ini_add(struct ini *ini, const char *key, const char *value)
{
        const struct config_entry entry = { .section = ini->section, .key = key, .value = value, .line = ini->line };

        return config_file_add(ini->file, entry);
}

static int ini_head(struct ini *ini, char *text, size_t n_text)
{
        char *title;

        if (text[n_text - 1] != ']')
                return ini_refuse(ini, "[SECTION] alone on its line");
        if (1 + strspn(text + 1, BLANKS) == n_text - 1)
                return ini_refuse(ini, "a name between the brackets");
        title = trim(text + 1, n_text - 2);
        ini->section = title;
        ini->open = NULL;
        return ini_add(ini, NULL, title);
}

static int ini_key(struct ini *ini, char *text, size_t n_text)
{
        char *equals = memchr(text, '=', n_text), *value;

        if (!equals)
                return ini_refuse(ini, "KEY = VALUE or [SECTION]");
        if (equals == text)
                return ini_refuse(ini, "a key before the equal sign");
        text = trim(text, (size_t)(equals - text));
        for (char *c = text; *c; c++)
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char)(*c - 'A' + 'a');
        value = equals + 1 + strspn(equals + 1, BLANKS);
        ini->open = value + strlen(value);
        return ini_add(ini, text, value);
}

static int ini_more(struct ini *ini, const char *text, size_t n_text)
{
        if (!ini->open)
                return ini_refuse(ini, "KEY = VALUE without an indent (an indented line continues the list above it)");
        if (ini->open > ini->file->entries[ini->file->n_entries - 1].value)
                *ini->open++ = ' ';
        memmove(ini->open, text, n_text + 1);
        ini->open += n_text;
        return 0;
}

/* @line ends with a NUL where its newline was. */
static int ini_line(struct ini *ini, char *line, size_t n_line)
{
        char *text;
        size_t n_text;

        ini->raw = line;
        ini->line++;
        if (n_line > CONFIG_LINE_MAX)
                return ini_refuse(ini, "a line of at most 64 KiB");
        if (!is_utf8(line))
                return ini_refuse(ini, "text in UTF-8");

        text = trim(line, n_line);
        n_text = strlen(text);
        if (n_text == 0)
                ini->open = NULL;
        if (n_text == 0 || *text == '#' || *text == ';')
                return 0;
        if (text > line)
                return ini_more(ini, text, n_text);
        return *text == '[' ? ini_head(ini, text, n_text) : ini_key(ini, text, n_text);
}

int config_ini_parse(struct config_file *file, size_t n_text)
{
        struct ini ini = { .file = file };
        char *end = file->text + n_text, *next;

        for (char *line = file->text; line < end; line = next) {
                char *newline = memchr(line, '\n', (size_t)(end - line));
                char *stop = newline ? newline : end;
                int r;

                next = newline ? newline + 1 : end;
                *stop = '\0';
                r = ini_line(&ini, line, (size_t)(stop - line));
                if (r < 0)
                        return r;
        }
        return 0;
}
