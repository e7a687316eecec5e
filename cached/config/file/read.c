/*
 * From a path to entries: the bytes are read once and judged as a whole before any line is.
 *
 * A NUL would end a value without a word, and UTF-16, which is full of them, deserves its own
 * answer. A byte order mark is passed over, since some editors write one into every file.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/file.h"
#include "base/util.h"
#include "config/file/ini.h"
#include "config/file/read.h"

static void read_refuse(struct config_file *file, uint32_t line, const char *found, const char *expected)
{
        struct config_place place = { .path = file->path, .line = line };

        config_findings_add(&file->reading, LOG_ERR, &place, "found %s, expected %s", found, expected);
        file->broken = true;
}

static void read_refuse_error(struct config_file *file, int error)
{
        char limit[64];

        file->error = error;
        switch (error) {
        case -EISDIR:
                read_refuse(file, 0, "a directory", "a regular file");
                break;
        case -EINVAL:
                read_refuse(file, 0, "a device, pipe or socket", "a regular file");
                break;
        case -EFBIG:
                (void)snprintf(limit, sizeof(limit), "at most %u MiB", CONFIG_FILE_MAX >> 20);
                read_refuse(file, 0, "a file that is too large", limit);
                break;
        default:
                read_refuse(file, 0, strerror(-error), "a readable file");
        }
}

static uint32_t line_of(const char *text, const char *at)
{
        uint32_t line = 1;

        for (; text < at; text++)
                line += *text == '\n';
        return line;
}

static int read_parse(struct config_file *file, size_t n_text)
{
        char *text = file->text;
        const char *nul;

        if (n_text >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
                read_refuse(file, 1, "text in UTF-16", "text in UTF-8");
                return 0;
        }
        nul = memchr(text, '\0', n_text);
        if (nul) {
                read_refuse(file, line_of(text, nul), "a NUL byte", "text");
                return 0;
        }
        if (n_text >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
                n_text -= 3;
                memmove(text, text + 3, n_text + 1);
        }
        return config_ini_parse(file, n_text);
}

int config_file_read(struct config_file **ret, const char *path)
{
        _cleanup_(config_file_unrefp) struct config_file *file = NULL;
        size_t n_text = 0;
        int r;

        r = config_file_new(&file, path);
        if (r < 0)
                return r;
        r = file_read(path, CONFIG_FILE_MAX, &file->text, &n_text);
        if (r == -ENOMEM || r == -ENOENT)
                return r;
        if (r < 0)
                read_refuse_error(file, r);
        else if (read_parse(file, n_text) < 0)
                return -ENOMEM;
        if (file->broken)
                config_file_clear(file);
        *ret = file;
        file = NULL;
        return 0;
}
