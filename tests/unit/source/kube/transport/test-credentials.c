/* Where the API server is and who we are: URLs, service accounts, tokens that come and go. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "source/kube/transport/credentials.h"

#define MIN (60 * USEC_PER_SEC)

static char dir[] = "/tmp/k8shsvc-account-XXXXXX";

static void write_file(const char *name, const char *text, size_t n)
{
        char path[1024];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        cr_assert(fd >= 0 && write(fd, text, n) == (ssize_t)n);
        close(fd);
}

static void put(const char *name, const char *text)
{
        write_file(name, text, strlen(text));
}

static void drop(const char *name)
{
        char path[1024];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        unlink(path);
}

static struct kube_credentials *account(void)
{
        struct kube_credentials *c;
        char *error;

        cr_assert(mkdtemp(dir));
        put("ca.crt", "CA");
        put("token", "first\n");
        cr_assert_eq(kube_credentials_in_cluster(&c, dir, "10.96.0.1", "443", &error), 0);
        cr_assert_null(error);
        return c;
}

static void done(struct kube_credentials *c)
{
        kube_credentials_free(c);
        drop("token");
        drop("ca.crt");
        rmdir(dir);
}

static void expect_token(struct kube_credentials *c, uint64_t now, const char *want)
{
        const char *token = "untouched";

        cr_assert_eq(kube_credentials_token(c, now, &token), want ? 0 : -EACCES);
        cr_assert_str_eq(token, want ? want : "untouched");
}

Test(kube_credentials, in_the_cluster)
{
        struct kube_credentials *c = account(), *six;
        char *error;

        cr_assert_str_eq(c->url, "https://10.96.0.1:443");
        cr_assert_str_eq(c->host, "10.96.0.1");
        cr_assert_eq(c->port, 443);
        cr_assert(c->is_tls);
        cr_assert(strstr(c->ca_file, "/ca.crt"));
        cr_assert_eq(kube_credentials_in_cluster(&six, dir, "fd96::1", "6443", &error), 0);
        cr_assert_str_eq(six->url, "https://[fd96::1]:6443");
        cr_assert_str_eq(six->host, "fd96::1");
        kube_credentials_free(six);
        cr_assert_eq(kube_credentials_in_cluster(&six, dir, NULL, "443", &error), -ENOENT);
        cr_assert(strstr(error, "KUBERNETES_SERVICE_HOST"));
        free(error);
        drop("token");
        cr_assert_eq(kube_credentials_in_cluster(&six, dir, "10.96.0.1", "443", &error), -ENOENT);
        cr_assert(strstr(error, dir));
        free(error);
        done(c);
}

Test(kube_credentials, urls)
{
        static const struct {
                const char *url, *host, *kept;
                uint16_t port;
        } rows[] = {
                { "https://10.0.0.1", "10.0.0.1", "https://10.0.0.1", 443 },
                { "https://api.example.com:6443/", "api.example.com", "https://api.example.com:6443", 6443 },
                { "https://[fd00::1]:6443/k8s/clusters/c-1//", "fd00::1", "https://[fd00::1]:6443/k8s/clusters/c-1",
                  6443 },
                { "http://127.0.0.1:8001", "127.0.0.1", "http://127.0.0.1:8001", 8001 },
                { "http://[::1]:8001", "::1", "http://[::1]:8001", 8001 },
                { "http://10.0.0.1:8001", NULL, NULL, 0 },
                { "http://localhost:8001", NULL, NULL, 0 },
                { "http://127.0.0.1.example.com", NULL, NULL, 0 },
                { "ftp://127.0.0.1", NULL, NULL, 0 },
                { "file:///etc/passwd", NULL, NULL, 0 },
                { "127.0.0.1:8001", NULL, NULL, 0 },
                { "https://user@10.0.0.1", NULL, NULL, 0 },
                { "https://10.0.0.1/?a=b", NULL, NULL, 0 },
                { "https://10.0.0.1:99999", NULL, NULL, 0 },
                { "https://10.0.0.1\r\nX: y", NULL, NULL, 0 },
                { "", NULL, NULL, 0 },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct kube_credentials *c = calloc(1, sizeof(*c));
                char *error = NULL;
                int r = kube_credentials_set_url(c, rows[i].url, &error);

                c->ca_fd = -1;
                cr_expect_eq(r, rows[i].host ? 0 : -EINVAL, "%s", rows[i].url);
                cr_expect_eq(!!error, !rows[i].host, "%s", rows[i].url);
                if (r == 0) {
                        cr_expect_str_eq(c->host, rows[i].host);
                        cr_expect_str_eq(c->url, rows[i].kept);
                        cr_expect_eq(c->port, rows[i].port);
                }
                free(error);
                kube_credentials_free(c);
        }
}

Test(kube_credentials, kubectl_proxy_gets_no_token)
{
        struct kube_credentials *c;
        const char *token = "untouched";
        char *error;

        cr_assert_eq(kube_credentials_at(&c, "http://127.0.0.1:8001", "/nonexistent", &error), 0);
        cr_assert_eq(kube_credentials_token(c, MIN, &token), 0);
        cr_assert_null(token);
        kube_credentials_free(c);
        cr_assert_eq(kube_credentials_at(&c, "https://127.0.0.1:8001", "/nonexistent", &error), -ENOENT);
        free(error);
}

/* kuberesolver #28: a token that was read once was refused an hour later, for ever. */
Test(kube_credentials, a_token_is_read_again_once_a_minute)
{
        struct kube_credentials *c = account();

        expect_token(c, MIN, "first");
        put("token", "second");
        expect_token(c, MIN + MIN - 1, "first");
        expect_token(c, MIN + MIN, "second");
        done(c);
}

Test(kube_credentials, and_at_once_when_it_was_refused)
{
        struct kube_credentials *c = account();

        expect_token(c, MIN, "first");
        put("token", "second");
        kube_credentials_refused(c);
        expect_token(c, MIN + 1, "second");
        put("token", "third");
        expect_token(c, MIN + 2, "second");
        done(c);
}

/* Projected volumes: token -> ..data/token, ..data -> ..2026_1; the kubelet renames a new link over ..data. */
Test(kube_credentials, a_swapped_link)
{
        struct kube_credentials *c = account();
        char path[256], other[256];

        drop("token");
        for (int i = 1; i <= 2; i++) {
                snprintf(path, sizeof(path), "%s/..%d", dir, i);
                cr_assert_eq(mkdir(path, 0700), 0);
                snprintf(path, sizeof(path), "..%d/token", i);
                put(path, i == 1 ? "old" : "new");
        }
        snprintf(path, sizeof(path), "%s/..data", dir);
        cr_assert_eq(symlink("..1", path), 0);
        snprintf(other, sizeof(other), "%s/token", dir);
        cr_assert_eq(symlink("..data/token", other), 0);
        expect_token(c, MIN, "old");
        snprintf(other, sizeof(other), "%s/..tmp", dir);
        cr_assert_eq(symlink("..2", other), 0);
        cr_assert_eq(rename(other, path), 0);
        expect_token(c, 2 * MIN, "new");
        for (int i = 1; i <= 2; i++) {
                snprintf(path, sizeof(path), "..%d/token", i);
                drop(path);
                snprintf(path, sizeof(path), "%s/..%d", dir, i);
                rmdir(path);
        }
        drop("..data");
        done(c);
}

Test(kube_credentials, a_bad_file_leaves_the_old_token_for_a_minute)
{
        static char large[1U << 20];
        static const struct {
                const char *text;
                size_t n;
        } rows[] = { { NULL, 0 },
                     { "", 0 },
                     { "\n\n", 2 },
                     { "two words", 9 },
                     { large, sizeof(large) },
                     { "line\r\nX: y", 10 },
                     { "nul\0", 4 },
                     { "\xff\xfe", 2 } };

        memset(large, 'x', sizeof(large));
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct kube_credentials *c = account();

                expect_token(c, MIN, "first");
                if (rows[i].text)
                        write_file("token", rows[i].text, rows[i].n);
                else
                        drop("token");
                expect_token(c, 2 * MIN, "first");
                expect_token(c, 3 * MIN - 1, "first");
                expect_token(c, 3 * MIN, NULL);
                expect_token(c, 3 * MIN + 1, NULL);
                put("token", "second\n");
                expect_token(c, 3 * MIN + 2, "second");
                done(c);
                memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
        }
}

Test(kube_credentials, back_within_the_minute)
{
        struct kube_credentials *c = account();

        expect_token(c, MIN, "first");
        drop("token");
        expect_token(c, 2 * MIN, "first");
        put("token", "second");
        expect_token(c, 2 * MIN + 1, "second");
        drop("token");
        expect_token(c, 4 * MIN, "second");
        done(c);
}
