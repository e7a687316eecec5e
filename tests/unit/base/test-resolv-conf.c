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

Test(resolv_conf, nameserver_lines)
{
        static const struct {
                const char *text, *servers; /* separated by spaces */
                size_t n_skipped;
        } cases[] = {
                { "", "", 0 },
                { "nameserver 10.96.0.10\nsearch default.svc.cluster.local\noptions ndots:5\n", "10.96.0.10", 0 },
                { "nameserver\t fd00::a   # the first\nnameserver 10.0.0.2", "fd00::a 10.0.0.2", 0 },
                { "nameserver 10.0.0.1\r\nnameserver 10.0.0.1\n", "10.0.0.1", 0 },
                { "# nameserver 10.0.0.1\n;nameserver 10.0.0.1\n nameserver 10.0.0.1\nnameservers 10.0.0.1\n", "", 0 },
                { "nameserver fe80::1%eth0\nnameserver dns.example\nnameserver \nnameserver 1.2.3\n", "", 4 },
                { "nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver "
                  "1.0.0.4\nnameserver 1.0.0.5\n"
                  "nameserver 1.0.0.6\nnameserver 1.0.0.7\nnameserver 1.0.0.8\nnameserver 1.0.0.9\n",
                  "1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 1.0.0.6 1.0.0.7 1.0.0.8", 1 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char got[512] = "", one[INET6_ADDRSTRLEN];
                struct resolv_conf conf;

                resolv_conf_parse(&conf, cases[i].text, strlen(cases[i].text));
                for (size_t j = 0; j < conf.n_servers; j++) {
                        cr_assert_eq(conf.servers[j].port, 53);
                        inet_ntop(conf.servers[j].family, conf.servers[j].bytes, one, sizeof(one));
                        strcat(strcat(got, j ? " " : ""), one);
                }
                cr_assert_str_eq(got, cases[i].servers, "case %zu", i);
                cr_assert_eq(conf.n_skipped, cases[i].n_skipped, "case %zu", i);
        }
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
