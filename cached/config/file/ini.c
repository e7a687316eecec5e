/*
 * INI, see config/file/ini.h.
 *
 * What libini_config (1.3, measured) does not do for us:
 *
 *  - It searches all earlier sections at each new one: 8,000 sections take 1.7 s, 100,000 minutes.
 *    So it gets the file in pieces, a section or a part of one at a time. The time is linear,
 *    and a piece needs no order among its sections.
 *  - Keys before the first section: the first of them is lost, since it is taken for the section's
 *    own mark. Such a piece gets an artificial head, as does the continuation of a long section.
 *  - Bytes that are not UTF-8, and names with '!', '[' or unprintable bytes, fail without a line:
 *    then each line of the piece is tried alone.
 *  - An empty text is a syntax error: there is no empty piece.
 *
 * A line that begins with '[' is a head and one that begins with white space continues a value,
 * whatever came before. That is all one needs to know to cut at the right places.
 */

#include <errno.h>
#include <ini_configobj.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "base/util.h"
#include "config/file/ini.h"

#define CHUNK_KEYS       64U
#define CHUNK_LINES      4096U /* the library keeps comments, too */
#define CHUNKS_PER_PULSE 64U
#define ARTIFICIAL_HEAD  "[-]\n"

/* A piece of the file. Writable: the byte behind it is borrowed for a NUL. */
struct chunk {
        char *text;
        size_t n_text;
        uint32_t line; /* of its first byte */
        bool headed;   /* begins with a section's head */
};

static void cfgobj_free(struct ini_cfgobj **cfg)
{
        if (*cfg)
                ini_config_destroy(*cfg);
}

static void cfgfile_free(struct ini_cfgfile **file)
{
        if (*file)
                ini_config_file_destroy(*file);
}

static size_t line_length(const char *text, size_t n_text)
{
        const char *end = memchr(text, '\n', n_text);

        return end ? (size_t)(end - text) + 1 : n_text;
}

/* A line that neither continues a value, nor is a comment or empty. */
static bool starts_key(char c)
{
        return c != ';' && c != '#' && c != ' ' && !(c >= '\t' && c <= '\r');
}

/* Takes the next piece off @rest, which becomes what is behind it. */
static bool chunk_next(struct chunk *rest, struct chunk *ret)
{
        size_t n = 0, n_keys = 0;
        uint32_t n_lines = 0;

        if (rest->n_text == 0)
                return false;
        while (n < rest->n_text) {
                const char c = rest->text[n];

                if (n > 0 && c == '[')
                        break;
                /* A byte order mark is one at the start of a piece only: cut at plain ASCII. */
                if ((n_keys >= CHUNK_KEYS || n_lines >= CHUNK_LINES) && c > ' ' && c < 0x7f)
                        break;
                n_keys += starts_key(c);
                n += line_length(rest->text + n, rest->n_text - n);
                n_lines++;
        }
        *ret = *rest;
        ret->n_text = n;
        ret->headed = rest->text[0] == '[';
        rest->text += n;
        rest->n_text -= n;
        rest->line += n_lines;
        return true;
}

/* The @number'th line of a piece, without its end. */
static struct chunk chunk_line(const struct chunk *chunk, uint32_t number)
{
        struct chunk line = *chunk;

        while (number > 0 && line.n_text > 0) {
                size_t n = line_length(line.text, line.n_text);

                line.text += n;
                line.n_text -= n;
                line.line++;
                number--;
        }
        line.n_text = line_length(line.text, line.n_text);
        while (line.n_text > 0 && (line.text[line.n_text - 1] == '\n' || line.text[line.n_text - 1] == '\r'))
                line.n_text--;
        line.headed = line.n_text > 0 && line.text[0] == '[';
        return line;
}

static int ini_errno(int error)
{
        switch (error) {
        case 0:
        case ENOMEM:
        case EILSEQ:
        case EINVAL:
                return -error;
        default:
                return -EIO;
        }
}

/*
 * Return: 0; -EIO: syntax errors, listed in @ret; -EILSEQ: not UTF-8; -EINVAL: a name that the
 * library doesn't take; -ENOMEM.
 */
static int ini_parse(char *text, size_t n_text, struct ini_cfgobj **ret)
{
        _cleanup_(cfgfile_free) struct ini_cfgfile *file = NULL;
        _cleanup_(cfgobj_free) struct ini_cfgobj *cfg = NULL;
        char behind = text[n_text];
        int r;

        r = ini_config_create(&cfg);
        if (r != 0)
                return ini_errno(r);

        text[n_text] = '\0';
        r = ini_config_file_from_mem(text, (uint32_t)n_text, &file);
        text[n_text] = behind;
        if (r != 0) /* EINVAL: a UTF-8 sequence that is not complete */
                return r == EINVAL ? -EILSEQ : ini_errno(r);

        r = ini_config_parse(file, INI_STOP_ON_NONE, INI_MV1S_ALLOW | INI_MV2S_ALLOW | INI_MS_MERGE,
                             INI_PARSE_NO_C_COMMENTS, cfg);
        *ret = cfg;
        cfg = NULL;
        return ini_errno(r);
}

/* As above for a piece, which gets a head if it has none. */
static int chunk_parse(const struct chunk *chunk, struct ini_cfgobj **ret)
{
        _cleanup_(cleanup_free) char *text = NULL;
        size_t n_head = strlen(ARTIFICIAL_HEAD);

        if (chunk->headed)
                return ini_parse(chunk->text, chunk->n_text, ret);
        text = malloc(n_head + chunk->n_text + 1);
        if (!text)
                return -ENOMEM;
        memcpy(text, ARTIFICIAL_HEAD, n_head);
        memcpy(text + n_head, chunk->text, chunk->n_text);
        text[n_head + chunk->n_text] = '\0';
        return ini_parse(text, n_head + chunk->n_text, ret);
}

static const char *expected(unsigned int code)
{
        switch (code) {
        case ERR_NOCLOSESEC:
                return "[SECTION] alone on its line";
        case ERR_NOSECTION:
                return "a name between the brackets";
        case ERR_SECTIONLONG:
                return "a shorter name between the brackets";
        case ERR_NOKEY:
                return "a key before the equal sign";
        case ERR_LONGKEY:
                return "a shorter key";
        case ERR_SPACE:
        case ERR_TAB:
        case ERR_SPECIAL:
                return "KEY = VALUE without an indent (an indented line continues the list above it)";
        default:
                return "KEY = VALUE or [SECTION]";
        }
}

static void report_line(struct config_file *file, const struct chunk *line, const char *what)
{
        struct config_place place = { .path = file->path, .line = line->line };

        config_findings_add(&file->reading, LOG_ERR, &place, "found %s, expected %s",
                            config_quote(line->text, line->n_text).text, what);
}

/* An error reads "Error (5) on line 3: Equal sign is missing."; only its numbers are used. */
static void report_syntax(struct config_file *file, const struct chunk *chunk, const char *error)
{
        unsigned int code = 0, number = 1;
        struct chunk line;

        error += strcspn(error, "0123456789");
        sscanf(error, "%u%*[^0-9]%u", &code, &number);
        number -= chunk->headed ? 1 : 2;

        line = *chunk;
        /* Looking a line up takes time; beyond the limit nobody would see it. */
        if (file->reading.n_items < CONFIG_FINDINGS_MAX)
                line = chunk_line(chunk, number);
        report_line(file, &line, expected(code));
}

static int report_syntax_errors(struct config_file *file, const struct chunk *chunk, struct ini_cfgobj *cfg)
{
        char **errors = NULL;
        int r = 0;

        if (ini_config_error_count(cfg) > 0)
                r = ini_config_get_errors(cfg, &errors);
        if (r != 0)
                return ini_errno(r) == -ENOMEM ? -ENOMEM : 0;
        for (size_t i = 0; errors && errors[i]; i++)
                report_syntax(file, chunk, errors[i]);
        if (errors)
                ini_config_free_errors(errors);
        return 0;
}

/* An error that came without a line: the first line that fails in the same way when alone. */
static int report_blamed(struct config_file *file, const struct chunk *chunk, int error)
{
        const char *what = error == -EILSEQ ? "text in UTF-8" : "names of letters, digits, '-' and '.'";
        struct chunk rest = *chunk, line;

        while (rest.n_text > 0) {
                _cleanup_(cfgobj_free) struct ini_cfgobj *cfg = NULL;
                size_t n = line_length(rest.text, rest.n_text);
                int r = 0;

                line = chunk_line(&rest, 0);
                if (line.n_text > 0)
                        r = chunk_parse(&line, &cfg);
                if (r == -ENOMEM)
                        return r;
                if (r == error) {
                        report_line(file, &line, what);
                        return 0;
                }
                rest.text += n;
                rest.n_text -= n;
                rest.line++;
        }
        line = chunk_line(chunk, 0);
        report_line(file, &line, what);
        return 0;
}

static const char *trim(const char *text, size_t *n_text)
{
        static const char blanks[] = " \t\n\v\f\r";

        while (*n_text > 0 && strchr(blanks, text[0])) {
                text++;
                (*n_text)--;
        }
        while (*n_text > 0 && strchr(blanks, text[*n_text - 1]))
                (*n_text)--;
        return text;
}

/* All values of one key: the library knows no order across keys, the caller makes one. */
static int take_values(struct config_file *file, const struct chunk *chunk, struct ini_cfgobj *cfg, const char *section,
                       const char *key)
{
        int mode = INI_GET_FIRST_VALUE;

        for (;;) {
                struct value_obj *vo = NULL;
                const char *value = NULL;
                uint32_t line = 0;
                size_t n_value;
                int r;

                r = ini_get_config_valueobj(section, key, cfg, mode, &vo);
                if (r != 0 || !vo)
                        return r == 0 ? 0 : -ENOMEM;
                if (value_get_concatenated(vo, &value) != 0 || value_get_line(vo, &line) != 0 || !value)
                        return -ENOMEM;
                n_value = strlen(value);
                value = trim(value, &n_value);
                r = config_file_add(file, key, value, n_value, chunk->line + line - (chunk->headed ? 1 : 2));
                if (r < 0)
                        return r;
                mode = INI_GET_NEXT_VALUE;
        }
}

static bool named_before(char **names, int n_before, const char *name)
{
        for (int i = 0; i < n_before; i++)
                if (strcasecmp(names[i], name) == 0)
                        return true;
        return false;
}

static int compare_lines(const void *a, const void *b)
{
        const struct config_entry *x = a, *y = b;

        return x->line < y->line ? -1 : x->line > y->line;
}

static int take_section(struct config_file *file, const struct chunk *chunk, struct ini_cfgobj *cfg,
                        const char *section)
{
        char **keys;
        size_t first;
        int n_keys = 0, error = 0, r = 0;

        if (chunk->headed)
                r = config_file_add(file, NULL, section, strlen(section), chunk->line);
        if (r < 0)
                return r;

        keys = ini_get_attribute_list(cfg, section, &n_keys, &error);
        if (!keys)
                return -ENOMEM;
        first = file->n_entries;
        for (int i = 0; i < n_keys && r == 0; i++)
                if (!named_before(keys, i, keys[i]))
                        r = take_values(file, chunk, cfg, section, keys[i]);
        ini_free_attribute_list(keys);
        if (file->n_entries > first)
                qsort(file->entries + first, file->n_entries - first, sizeof(file->entries[0]), compare_lines);
        return r;
}

static int chunk_take(struct config_file *file, const struct chunk *chunk)
{
        _cleanup_(cfgobj_free) struct ini_cfgobj *cfg = NULL;
        char **sections;
        int n_sections = 0, error = 0, r;

        r = chunk_parse(chunk, &cfg);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                file->broken = true;
                return r == -EIO ? report_syntax_errors(file, chunk, cfg) : report_blamed(file, chunk, r);
        }

        sections = ini_get_section_list(cfg, &n_sections, &error);
        if (!sections)
                return -ENOMEM;
        for (int i = 0; i < n_sections && r == 0; i++)
                r = take_section(file, chunk, cfg, sections[i]);
        ini_free_section_list(sections);
        return r;
}

int config_ini_parse(struct config_file *file, char *text, size_t n_text, const struct config_pulse *pulse)
{
        struct chunk rest = { .text = text, .n_text = n_text, .line = 1 }, chunk;
        size_t n_chunks = 0;

        while (chunk_next(&rest, &chunk)) {
                int r = chunk_take(file, &chunk);

                if (r < 0)
                        return r;
                /* Some milliseconds of work: a chunk of 4,096 lines is rare. */
                if (++n_chunks % CHUNKS_PER_PULSE == 0 && pulse->fn)
                        pulse->fn(pulse->userdata);
        }
        return 0;
}
