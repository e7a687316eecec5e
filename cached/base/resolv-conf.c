/*
 * resolv.conf is looked at every second rather than watched: the path is mostly a link (into a volume, into
 * systemd-resolved's or NetworkManager's directory) whose target is exchanged by rename, and an inotify watch
 * for every directory on that way costs more than one stat() and misses mounts. The time of the last change of
 * the inode is compared, too: nobody can set it back, as `cp -p` and `touch -r` do with that of the contents.
 *
 * What glibc takes for a server must be one here, or the daemon asks others than its programs would: the forms
 * of inet_aton(3), a scope, and localhost where the file names none.
 */

#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/resolv-conf.h"
#include "base/util.h"

#define FILE_MAX    (1024U * 1024U)
#define SERVER_PORT 53U

static bool line_is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r';
}

/* What stands behind @keyword, which glibc wants at the very start of the line; NULL: another line. */
static const char *line_value(const char *line, const char *stop, const char *keyword)
{
        size_t n = strlen(keyword);

        if ((size_t)(stop - line) <= n || memcmp(line, keyword, n) != 0 || (line[n] != ' ' && line[n] != '\t'))
                return NULL;
        for (line += n; line < stop && line_is_blank(*line);)
                line++;
        return line;
}

static bool server_parse(const char *text, size_t n_text, struct address *ret)
{
        struct address server = { .port = SERVER_PORT };
        char copy[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE], *percent;
        struct in_addr v4;

        if (n_text == 0 || n_text >= sizeof(copy) || memchr(text, 0, n_text))
                return false;
        memcpy(copy, text, n_text);
        copy[n_text] = '\0';
        if (inet_aton(copy, &v4)) {
                server.family = AF_INET;
                memcpy(server.bytes, &v4, 4);
        } else {
                percent = strchr(copy, '%');
                if (percent)
                        *percent = '\0';
                server.family = AF_INET6;
                if (inet_pton(AF_INET6, copy, server.bytes) != 1 ||
                    (percent && !address_scope_from_text(percent + 1, &server)))
                        return false;
        }
        *ret = server;
        return true;
}

static void conf_add_server(struct resolv_conf *conf, const char *value, const char *stop)
{
        struct address server;
        const char *end = value;

        while (end < stop && !line_is_blank(*end))
                end++;
        conf->n_lines++;
        if (!server_parse(value, (size_t)(end - value), &server)) {
                conf->n_skipped++;
                return;
        }
        for (size_t i = 0; i < conf->n_servers; i++)
                if (address_equal(&conf->servers[i], &server))
                        return;
        if (conf->n_servers < RESOLV_CONF_SERVERS_MAX)
                conf->servers[conf->n_servers++] = server;
        else
                conf->n_skipped++;
}

/* Cut at a whole word where it is too long. */
static void conf_set_search(struct resolv_conf *conf, const char *value, const char *stop)
{
        size_t n = (size_t)(stop - value), max = sizeof(conf->search) - 1;

        for (; n > 0 && (n > max || (value + n < stop && !line_is_blank(value[n])));)
                n--;
        memcpy(conf->search, value, n);
        conf->search[n] = '\0';
}

static void conf_read_line(struct resolv_conf *conf, const char *line, const char *stop)
{
        const char *value;

        if ((value = line_value(line, stop, "nameserver")))
                conf_add_server(conf, value, stop);
        else if ((value = line_value(line, stop, "search")) || (value = line_value(line, stop, "domain")))
                conf_set_search(conf, value, stop);
        while (line < stop && line_is_blank(*line))
                line++;
        conf->is_empty = conf->is_empty && line == stop;
}

void resolv_conf_parse(struct resolv_conf *ret, const char *text, size_t n_text)
{
        const char *end = text + n_text, *next;
        struct resolv_conf conf = { .is_empty = true };

        for (const char *line = text; line < end; line = next) {
                const char *newline = memchr(line, '\n', (size_t)(end - line));

                conf_read_line(&conf, line, newline ? newline : end);
                next = newline ? newline + 1 : end;
        }
        if (conf.n_servers == 0)
                conf.servers[conf.n_servers++] =
                        (struct address){ .family = AF_INET, .port = SERVER_PORT, .bytes = { 127, 0, 0, 1 } };
        *ret = conf;
}

int resolv_conf_read(struct resolv_conf *ret, const char *path)
{
        _cleanup_(cleanup_free) char *text = NULL;
        struct stat st = { .st_size = -1 };
        size_t n_text;
        int r;

        /* From before it is read: what is written meanwhile, or takes its place, makes a change later. */
        (void)stat(path, &st);
        r = file_read(path, FILE_MAX, &text, &n_text);
        if (r < 0)
                return r;
        resolv_conf_parse(ret, text, n_text);
        ret->dev = st.st_dev;
        ret->ino = st.st_ino;
        ret->mtime = st.st_mtim;
        ret->ctime = st.st_ctim;
        ret->size = st.st_size;
        return 0;
}

static bool time_equal(const struct timespec *a, const struct timespec *b)
{
        return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool resolv_conf_changed(const struct resolv_conf *conf, const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return false;
        return st.st_dev != conf->dev || st.st_ino != conf->ino || st.st_size != conf->size ||
               !time_equal(&st.st_mtim, &conf->mtime) || !time_equal(&st.st_ctim, &conf->ctime);
}
