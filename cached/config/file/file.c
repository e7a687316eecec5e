/*
 * Reading one file, see config/file/file.h.
 *
 * The bytes are read and checked here, and the same bytes go to the INI parser, so that nothing can
 * change between the check and the parse. A NUL would silently cut a value there, and UTF-16 would
 * be taken for something else: both are refused before.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/util.h"
#include "config/file/file.h"
#include "config/file/ini.h"

static void close_fd(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static int slurp_fd(int fd, size_t max, char **ret, size_t *ret_n)
{
        _cleanup_(cleanup_free) char *text = NULL;
        size_t n = 0, n_allocated = 0;

        for (;;) {
                ssize_t n_read;

                /* Room for a byte more than allowed, which tells, and for the NUL. */
                if (n_allocated - n < 2) {
                        size_t wanted = n_allocated ? n_allocated * 2 : 16384;
                        char *larger = realloc(text, wanted > max + 2 ? max + 2 : wanted);

                        if (!larger)
                                return -ENOMEM;
                        text = larger;
                        n_allocated = wanted > max + 2 ? max + 2 : wanted;
                }
                n_read = read(fd, text + n, n_allocated - n - 1);
                if (n_read < 0 && errno == EINTR)
                        continue;
                if (n_read < 0)
                        return -errno;
                if (n_read == 0)
                        break;
                n += (size_t)n_read;
                if (n > max)
                        return -EFBIG;
        }
        text[n] = '\0';
        *ret = text;
        *ret_n = n;
        text = NULL;
        return 0;
}

int config_slurp(const char *path, size_t max, char **ret, size_t *ret_n)
{
        _cleanup_(close_fd) int fd = -1;
        struct stat st;

        /* Without O_NONBLOCK opening a FIFO waits for its writer. */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if ((uint64_t)st.st_size > max)
                return -EFBIG;
        return slurp_fd(fd, max, ret, ret_n);
}

int config_file_new(struct config_file **ret, const char *path)
{
        _cleanup_(config_file_freep) struct config_file *file = calloc(1, sizeof(*file));

        if (!file)
                return -ENOMEM;
        file->path = strdup(path);
        if (!file->path)
                return -ENOMEM;
        *ret = file;
        file = NULL;
        return 0;
}

static void entries_clear(struct config_file *file)
{
        for (size_t i = 0; i < file->n_entries; i++) {
                free(file->entries[i].key);
                free(file->entries[i].value);
        }
        free(file->entries);
        file->entries = NULL;
        file->n_entries = file->n_allocated = 0;
}

struct config_file *config_file_free(struct config_file *file)
{
        if (!file)
                return NULL;
        entries_clear(file);
        config_findings_clear(&file->reading);
        config_findings_clear(&file->merging);
        free(file->path);
        free(file);
        return NULL;
}

static int entries_grow(struct config_file *file)
{
        size_t n = file->n_allocated ? file->n_allocated * 2 : 32;
        struct config_entry *entries;

        if (file->n_entries < file->n_allocated)
                return 0;
        entries = reallocarray(file->entries, n, sizeof(*entries));
        if (!entries)
                return -ENOMEM;
        file->entries = entries;
        file->n_allocated = n;
        return 0;
}

int config_file_add(struct config_file *file, const char *key, const char *value, size_t n_value, uint32_t line)
{
        struct config_entry entry = { .line = line };

        if (entries_grow(file) < 0)
                return -ENOMEM;
        entry.value = strndup(value, n_value);
        if (key)
                entry.key = strdup(key);
        if (!entry.value || (key && !entry.key)) {
                free(entry.value);
                free(entry.key);
                return -ENOMEM;
        }
        /* The library finds "Port" for "port", so they are the same key here, too. */
        for (char *c = entry.key; c && *c; c++)
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char)(*c - 'A' + 'a');
        if (!key)
                entry.section = entry.value;
        else if (file->n_entries > 0)
                entry.section = file->entries[file->n_entries - 1].section;
        file->entries[file->n_entries++] = entry;
        return 0;
}

bool config_file_equal(const struct config_file *a, const struct config_file *b)
{
        if (a->n_entries != b->n_entries || a->broken != b->broken)
                return false;
        for (size_t i = 0; i < a->n_entries; i++) {
                const struct config_entry *x = &a->entries[i], *y = &b->entries[i];

                if (x->line != y->line || !x->key != !y->key || strcmp(x->value, y->value) != 0)
                        return false;
                if (x->key && strcmp(x->key, y->key) != 0)
                        return false;
        }
        return true;
}

static uint32_t line_of(const char *text, const char *at)
{
        uint32_t line = 1;

        for (; text < at; text++)
                line += *text == '\n';
        return line;
}

static void report_file(struct config_file *file, uint32_t line, const char *found, const char *wanted)
{
        struct config_place place = { .path = file->path, .line = line };

        config_findings_add(&file->reading, LOG_ERR, &place, "found %s, expected %s", found, wanted);
        file->broken = true;
}

static void report_unreadable(struct config_file *file, int error)
{
        char limit[64];

        file->error = error;
        switch (error) {
        case -EISDIR:
                report_file(file, 0, "a directory", "a regular file");
                break;
        case -EINVAL:
                report_file(file, 0, "a device, pipe or socket", "a regular file");
                break;
        case -EFBIG:
                snprintf(limit, sizeof(limit), "at most %u MiB", CONFIG_FILE_MAX >> 20);
                report_file(file, 0, "a file that is too large", limit);
                break;
        default:
                report_file(file, 0, strerror(-error), "a readable file");
        }
}

static int parse_all(struct config_file *file, char *text, size_t n_text, const struct config_pulse *pulse)
{
        const char *nul;

        if (n_text >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
                report_file(file, 1, "text in UTF-16", "text in UTF-8");
                return 0;
        }
        nul = memchr(text, '\0', n_text);
        if (nul) {
                report_file(file, line_of(text, nul), "a NUL byte", "text");
                return 0;
        }
        if (n_text >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
                text += 3;
                n_text -= 3;
        }
        return config_ini_parse(file, text, n_text, pulse);
}

int config_file_read(struct config_file **ret, const char *path, const struct config_pulse *pulse)
{
        _cleanup_(config_file_freep) struct config_file *file = NULL;
        _cleanup_(cleanup_free) char *text = NULL;
        size_t n_text = 0;
        int r;

        r = config_file_new(&file, path);
        if (r < 0)
                return r;
        r = config_slurp(path, CONFIG_FILE_MAX, &text, &n_text);
        if (r == -ENOMEM || r == -ENOENT)
                return r;
        if (r < 0)
                report_unreadable(file, r);
        else
                r = parse_all(file, text, n_text, pulse);
        if (r == -ENOMEM)
                return r;
        if (file->broken)
                entries_clear(file);
        *ret = file;
        file = NULL;
        return 0;
}
