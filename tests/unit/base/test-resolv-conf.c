/*
 * resolv.conf as people and programs write it.
 */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/resolv-conf.h"

static void servers_text(const struct resolv_conf *conf, char ret[static 512])
{
        ret[0] = '\0';
        for (size_t i = 0; i < conf->n_servers; i++) {
                const struct address *server = &conf->servers[i];
                char one[INET6_ADDRSTRLEN];

                cr_assert_eq(server->port, 53);
                inet_ntop(server->family, server->bytes, one, sizeof(one));
                strcat(strcat(ret, i ? " " : ""), one);
                if (server->scope)
                        sprintf(ret + strlen(ret), "%%%u", server->scope);
        }
}

Test(resolv_conf, nameserver_lines)
{
        static const struct {
                const char *text, *servers; /* separated by spaces */
                size_t n_skipped;
        } cases[] = {
                { "nameserver 10.96.0.10\nsearch default.svc.cluster.local\noptions ndots:5\n", "10.96.0.10", 0 },
                { "nameserver\t fd00::a   # the first\nnameserver 10.0.0.2", "fd00::a 10.0.0.2", 0 },
                { "nameserver 10.0.0.1\r\nnameserver 10.0.0.1\n", "10.0.0.1", 0 },
                { "nameserver 10.0.0.3\nnameserver dns.example\nnameserver \nnameserver 1.2.3.4.5\n", "10.0.0.3", 3 },
                { "nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver "
                  "1.0.0.4\nnameserver 1.0.0.5\n"
                  "nameserver 1.0.0.6\nnameserver 1.0.0.7\nnameserver 1.0.0.8\nnameserver 1.0.0.9\n",
                  "1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 1.0.0.6 1.0.0.7 1.0.0.8", 1 },
                /* As glibc takes them: by inet_aton(3). */
                { "nameserver 10.96.10\nnameserver 012.0.0.1\nnameserver 0x0a000002\n", "10.96.0.10 10.0.0.1 10.0.0.2",
                  0 },
                { "nameserver 0.0.0.0\nnameserver ::\nnameserver 0\n", "0.0.0.0 ::", 0 },
                { "nameserver fe80::1%lo\nnameserver fe80::1%1\nnameserver fe80::2%7\nnameserver fe80::3\n",
                  "fe80::1%1 fe80::2%7 fe80::3", 0 },
                { "nameserver fe80::1%no-such-card\nnameserver fd00::1%lo\nnameserver fe80::1%\n", "127.0.0.1", 3 },
                /* Without one, localhost. */
                { "", "127.0.0.1", 0 },
                { "search example\n", "127.0.0.1", 0 },
                { "\xef\xbb\xbfnameserver 10.0.0.1\n", "127.0.0.1", 0 },
                { "# nameserver 10.0.0.1\n;nameserver 10.0.0.1\n nameserver 10.0.0.1\nnameservers 10.0.0.1\n",
                  "127.0.0.1", 0 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct resolv_conf conf;
                char got[512];

                resolv_conf_parse(&conf, cases[i].text, strlen(cases[i].text));
                servers_text(&conf, got);
                cr_expect_str_eq(got, cases[i].servers, "case %zu: %s", i, got);
                cr_expect_eq(conf.n_skipped, cases[i].n_skipped, "case %zu: %zu", i, conf.n_skipped);
        }
}

Test(resolv_conf, what_is_being_written_is_empty)
{
        static const struct {
                const char *text;
                bool is_empty;
        } cases[] = { { "", true }, { "\n\n \t\r\n", true }, { "#\n", false }, { "\noptions ndots:5", false } };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct resolv_conf conf;

                resolv_conf_parse(&conf, cases[i].text, strlen(cases[i].text));
                cr_expect_eq(conf.is_empty, cases[i].is_empty, "case %zu", i);
        }
}

Test(resolv_conf, last_search_or_domain_counts)
{
        static const struct {
                const char *text, *search;
        } cases[] = {
                { "nameserver 10.0.0.1\n", "" },
                { "search a.svc.cluster.local  svc.cluster.local\t cluster.local\n",
                  "a.svc.cluster.local  svc.cluster.local\t cluster.local" },
                { "search one\ndomain two\r\n", "two\r" },
                { "domain one\nsearch \t two three", "two three" },
                { "search one\nsearch\nsearches two\n search three\n#search four\n", "one" },
        };
        char text[3 * RESOLV_CONF_SEARCH_MAX] = "search ";
        struct resolv_conf conf;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                resolv_conf_parse(&conf, cases[i].text, strlen(cases[i].text));
                cr_expect_str_eq(conf.search, cases[i].search, "case %zu", i);
        }
        for (size_t i = strlen(text); i < 2 * RESOLV_CONF_SEARCH_MAX; i++)
                text[i] = "abcdefg "[i % 8];
        resolv_conf_parse(&conf, text, strlen(text));
        cr_expect_gt(strlen(conf.search), RESOLV_CONF_SEARCH_MAX - 10);
        cr_expect_eq(memcmp(conf.search, text + 8, strlen(conf.search)), 0);
        cr_expect_eq(text[8 + strlen(conf.search)], ' ', "cut behind a word");
        memset(text + 7, 'x', sizeof(text) - 8);
        resolv_conf_parse(&conf, text, sizeof(text) - 1);
        cr_expect_str_eq(conf.search, "");
}

static char dir[] = "/tmp/test-resolv-conf.XXXXXX";

static void in_dir(void)
{
        cr_assert(mkdtemp(dir));
        cr_assert_eq(chdir(dir), 0);
}

static void leave_dir(void)
{
        (void)!system("rm -f file other link fifo");
        (void)rmdir(dir);
}

static void write_file(const char *path, const char *text)
{
        FILE *file = fopen(path, "w");

        cr_assert(file);
        fputs(text, file);
        fclose(file);
}

Test(resolv_conf, change_is_seen_by_content_rename_and_link, .init = in_dir, .fini = leave_dir)
{
        struct resolv_conf conf;

        write_file("file", "nameserver 10.0.0.1\n");
        cr_assert_eq(symlink("file", "link"), 0);
        cr_assert_eq(resolv_conf_read(&conf, "link"), 0);
        cr_assert_eq(conf.n_servers, 1);
        cr_assert_not(resolv_conf_changed(&conf, "link"));

        write_file("file", "nameserver 10.0.0.10\n");
        cr_assert(resolv_conf_changed(&conf, "link"), "written in place");
        cr_assert_eq(resolv_conf_read(&conf, "link"), 0);

        write_file("other", "nameserver 10.0.0.20\n");
        cr_assert_eq(rename("other", "file"), 0);
        cr_assert(resolv_conf_changed(&conf, "link"), "target exchanged");
        cr_assert_eq(resolv_conf_read(&conf, "link"), 0);
        cr_assert_eq(conf.servers[0].bytes[3], 20);

        /* The same size and time, as a ConfigMap's copies may have. */
        write_file("other", "nameserver 10.0.0.30\n");
        cr_assert_eq(utimensat(AT_FDCWD, "other", (struct timespec[2]){ conf.mtime, conf.mtime }, 0), 0);
        cr_assert_eq(rename("other", "file"), 0);
        cr_assert(resolv_conf_changed(&conf, "link"), "another inode");

        /* In place, size and time of the contents kept: only the inode's own time tells. */
        cr_assert_eq(resolv_conf_read(&conf, "link"), 0);
        usleep(20000); /* a tick of the file system's clock */
        write_file("file", "nameserver 10.0.0.40\n");
        cr_assert_eq(utimensat(AT_FDCWD, "file", (struct timespec[2]){ conf.mtime, conf.mtime }, 0), 0);
        cr_assert(resolv_conf_changed(&conf, "link"), "mtime set back");

        cr_assert_eq(unlink("file"), 0);
        cr_assert_not(resolv_conf_changed(&conf, "link"), "a missing file is no change");
}

Test(resolv_conf, what_is_no_file_is_refused_without_waiting, .init = in_dir, .fini = leave_dir)
{
        struct resolv_conf conf = { .n_servers = 7 };

        cr_assert_eq(mkfifo("fifo", 0600), 0);
        cr_assert_eq(resolv_conf_read(&conf, "fifo"), -EINVAL);
        cr_assert_eq(resolv_conf_read(&conf, "/dev/zero"), -EINVAL);
        cr_assert_eq(resolv_conf_read(&conf, "none"), -ENOENT);
        cr_assert_eq(conf.n_servers, 7, "untouched on failure");
}

Test(resolv_conf, servers_count_wherever_they_stand, .init = in_dir, .fini = leave_dir)
{
        FILE *file = fopen("file", "w");
        struct resolv_conf conf;
        char got[512];

        for (unsigned int i = 0; i < 10000; i++)
                fprintf(file, "# comment number %u\n", i);
        fputs("nameserver 10.0.0.1\n", file);
        fclose(file);
        cr_assert_eq(resolv_conf_read(&conf, "file"), 0);
        servers_text(&conf, got);
        cr_expect_str_eq(got, "10.0.0.1");
        cr_assert_eq(truncate("file", 2 << 20), 0);
        cr_expect_eq(resolv_conf_read(&conf, "file"), -EFBIG);
}
