/*
 * resolv.conf(5), see base/resolv-conf.h.
 *
 * It is looked at every second rather than watched: the path is mostly a link (into a volume, into
 * systemd-resolved's or NetworkManager's directory) whose target is exchanged by rename, and an
 * inotify watch for every directory on that way costs more than one stat() and misses mounts.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/resolv-conf.h"

#define FILE_MAX (64U * 1024U)
#define DNS_PORT 53U

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static bool address_parse(const char *text, size_t n_text, struct address *ret)
{
        struct address address = { .port = DNS_PORT };
        char copy[INET6_ADDRSTRLEN];

        /* "fe80::1%eth0": c-ares 1.18 has no word for the scope. */
        if (n_text == 0 || n_text >= sizeof(copy) || memchr(text, '%', n_text) || memchr(text, 0, n_text))
                return false;
        memcpy(copy, text, n_text);
        copy[n_text] = 0;
        if (inet_pton(AF_INET, copy, address.bytes) == 1)
                address.family = AF_INET;
        else if (inet_pton(AF_INET6, copy, address.bytes) == 1)
                address.family = AF_INET6;
        else
                return false;
        *ret = address;
        return true;
}

static void conf_add(struct resolv_conf *conf, const char *text, size_t n_text)
{
        struct address address;

        if (!address_parse(text, n_text, &address)) {
                conf->n_skipped++;
                return;
        }
        for (size_t i = 0; i < conf->n_servers; i++)
                if (conf->servers[i].family == address.family &&
                    memcmp(conf->servers[i].bytes, address.bytes, sizeof(address.bytes)) == 0)
                        return;
        if (conf->n_servers < RESOLV_CONF_SERVERS_MAX)
                conf->servers[conf->n_servers++] = address;
        else
                conf->n_skipped++;
}

void resolv_conf_parse(struct resolv_conf *ret, const char *text, size_t n_text)
{
        static const char keyword[] = "nameserver";
        const size_t n_keyword = sizeof(keyword) - 1;
        const char *end = text + n_text, *next;
        struct resolv_conf conf = { .n_servers = 0 };

        for (const char *line = text; line < end; line = next) {
                const char *newline = memchr(line, '\n', (size_t)(end - line));
                const char *stop = newline ? newline : end, *word;

                next = newline ? newline + 1 : end;
                /* glibc wants the keyword at the very start of the line, and ignores what follows the
                 * address. */
                if ((size_t)(stop - line) <= n_keyword || memcmp(line, keyword, n_keyword) != 0 ||
                    !is_blank(line[n_keyword]))
                        continue;
                for (line += n_keyword; line < stop && is_blank(*line);)
                        line++;
                for (word = line; word < stop && !is_blank(*word) && *word != '\r';)
                        word++;
                conf_add(&conf, line, (size_t)(word - line));
        }
        *ret = conf;
}

static int read_all(int fd, char *buffer, size_t n_buffer, size_t *ret_n)
{
        size_t n = 0;

        while (n < n_buffer) {
                ssize_t got = read(fd, buffer + n, n_buffer - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                n += (size_t)got;
        }
        *ret_n = n;
        return 0;
}

int resolv_conf_read(struct resolv_conf *ret, const char *path)
{
        struct stat st;
        size_t n_text = 0;
        char *text;
        int fd, r;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return -errno;
        text = malloc(FILE_MAX);
        r = text ? 0 : -ENOMEM;
        if (r == 0 && fstat(fd, &st) < 0)
                r = -errno;
        if (r == 0 && !S_ISREG(st.st_mode))
                r = -EINVAL;
        if (r == 0)
                r = read_all(fd, text, FILE_MAX, &n_text);
        if (r == 0) {
                resolv_conf_parse(ret, text, n_text);
                /* From before it was read: what is written meanwhile makes a change later. */
                ret->dev = st.st_dev;
                ret->ino = st.st_ino;
                ret->mtime = st.st_mtim;
                ret->size = st.st_size;
        }
        free(text);
        close(fd);
        return r;
}

bool resolv_conf_changed(const struct resolv_conf *conf, const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return false;
        return st.st_dev != conf->dev || st.st_ino != conf->ino || st.st_size != conf->size ||
               st.st_mtim.tv_sec != conf->mtime.tv_sec || st.st_mtim.tv_nsec != conf->mtime.tv_nsec;
}
