/*
 * Credentials of the API.
 *
 * A service account's token lives for an hour and is replaced after 48 minutes: "..data", the link that the
 * path leads through, is swapped, which a watch of the file would miss. So it is opened by its path again once
 * a minute, as client-go does, and at once after a 401. The CA may be rotated, too: libcurl is given its
 * path, and reads it for each new connection.
 *
 *     token  good file --> replaced         bad file --> kept for a minute --> none: no request is sent
 *
 * Plain http is for kubectl proxy: on loopback only, and nothing secret is ever sent there.
 */

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "source/kube/transport/credentials.h"

#define TOKEN_MAX       (16U << 10)
#define TOKEN_AGE_USEC  (60 * USEC_PER_SEC)
#define TOKEN_KEEP_USEC (60 * USEC_PER_SEC)

void kube_blob_wipe(struct kube_blob *blob)
{
        if (blob->bytes)
                explicit_bzero(blob->bytes, blob->n);
        free(blob->bytes);
        *blob = (struct kube_blob){ 0 };
}

struct kube_credentials *kube_credentials_free(struct kube_credentials *c)
{
        if (c) {
                kube_blob_wipe(&c->cert);
                kube_blob_wipe(&c->key);
                kube_blob_wipe(&c->token);
                if (c->ca_fd >= 0)
                        (void)close(c->ca_fd);
                free(c->url);
                free(c->host);
                free(c->server_name);
                free(c->ca_file);
                free(c->cert_file);
                free(c->key_file);
                free(c->token_file);
                free(c);
        }
        return NULL;
}

/* ---- where it is ---- */

static bool credentials_is_loopback(const char *host)
{
        struct in6_addr v6;
        struct in_addr v4;

        if (inet_pton(AF_INET, host, &v4) == 1)
                return (ntohl(v4.s_addr) >> 24) == 127;
        return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* A part of the URL; NULL where it has none. For curl_free(). */
static char *credentials_part(CURLU *url, CURLUPart part)
{
        char *text = NULL;

        return curl_url_get(url, part, &text, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) == CURLUE_OK ? text
                                                                                                            : NULL;
}

static int credentials_refuse(char **ret_error, const char *what, const char *where)
{
        if (asprintf(ret_error, "%s: %s", where, what) < 0) {
                *ret_error = NULL;
                return -ENOMEM;
        }
        return -EINVAL;
}

/* Without the slashes at the end and the brackets around an IPv6 host. */
static int credentials_take_url(struct kube_credentials *c, const char *url, const char *host, unsigned long port)
{
        size_t n_url = strlen(url), n_host = strlen(host);

        while (n_url > 0 && url[n_url - 1] == '/')
                n_url--;
        if (n_host > 2 && host[0] == '[')
                host++, n_host -= 2;
        free(c->url);
        free(c->host);
        c->url = strndup(url, n_url);
        c->host = strndup(host, n_host);
        c->port = (uint16_t)port;
        return c->url && c->host ? 0 : -ENOMEM;
}

int kube_credentials_set_url(struct kube_credentials *c, const char *url, char **ret_error)
{
        CURLU *parsed = curl_url();
        char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL, *query = NULL;
        const char *wrong = NULL;
        int r = 0;

        if (!parsed)
                return -ENOMEM;
        if (curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK) {
                scheme = credentials_part(parsed, CURLUPART_SCHEME);
                host = credentials_part(parsed, CURLUPART_HOST);
                port = credentials_part(parsed, CURLUPART_PORT);
                user = credentials_part(parsed, CURLUPART_USER);
                query = credentials_part(parsed, CURLUPART_QUERY);
        }
        c->is_tls = scheme && strcmp(scheme, "https") == 0;
        if (!scheme || !host || !port || user || query || (!c->is_tls && strcmp(scheme, "http") != 0))
                wrong = "not the address of an API server, such as https://10.96.0.1:443";
        else
                r = credentials_take_url(c, url, host, strtoul(port, NULL, 10));
        if (r == 0 && !wrong && !c->is_tls && !credentials_is_loopback(c->host))
                wrong = "http is for an address of loopback only (kubectl proxy); anything else needs https";
        curl_free(scheme);
        curl_free(host);
        curl_free(port);
        curl_free(user);
        curl_free(query);
        curl_url_cleanup(parsed);
        return wrong ? credentials_refuse(ret_error, wrong, url) : r;
}

/* ---- who it is ---- */

/* libcurl before 7.77 takes it only as a file. This one has no name and goes with the process. */
int kube_credentials_set_ca(struct kube_credentials *c, const struct kube_blob *pem)
{
        c->ca_fd = memfd_create("k8shsvc-ca", MFD_CLOEXEC);
        if (c->ca_fd < 0)
                return -errno;
        if (write(c->ca_fd, pem->bytes, pem->n) != (ssize_t)pem->n)
                return -EIO;
        return asprintf(&c->ca_file, "/proc/self/fd/%d", c->ca_fd) < 0 ? -ENOMEM : 0;
}

/* ---- who we are ---- */

/* Of a JWT, but of other tokens, too: what may stand in a header. */
static bool credentials_is_token(const char *text, size_t n)
{
        if (n == 0 || n > TOKEN_MAX)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (text[i] <= ' ' || text[i] > '~')
                        return false;
        }
        return true;
}

static bool credentials_read_token(struct kube_credentials *c)
{
        struct kube_blob token = { 0 };
        size_t n;

        if (file_read(c->token_file, TOKEN_MAX + 16, &token.bytes, &token.n) < 0)
                return false;
        n = token.n;
        while (n > 0 && memchr(" \t\r\n", token.bytes[n - 1], 4))
                n--;
        if (!credentials_is_token(token.bytes, n)) {
                kube_blob_wipe(&token);
                return false;
        }
        token.bytes[n] = '\0';
        kube_blob_wipe(&c->token);
        c->token = token;
        return true;
}

int kube_credentials_token(struct kube_credentials *c, uint64_t now, const char **ret)
{
        if (!c->is_tls || (!c->token_file && !c->token.bytes)) {
                *ret = NULL;
                return 0;
        }
        if (c->token_file && (!c->token.bytes || c->token_refused || c->token_missed_usec > 0 ||
                              now - c->token_usec >= TOKEN_AGE_USEC)) {
                if (credentials_read_token(c)) {
                        c->token_usec = now;
                        c->token_missed_usec = 0;
                } else if (c->token_missed_usec == 0) {
                        c->token_missed_usec = now;
                }
                c->token_refused = false;
        }
        if (c->token_missed_usec > 0 && now - c->token_missed_usec >= TOKEN_KEEP_USEC)
                kube_blob_wipe(&c->token);
        if (!c->token.bytes)
                return -EACCES;
        *ret = c->token.bytes;
        return 0;
}

void kube_credentials_refused(struct kube_credentials *c)
{
        c->token_refused = true;
}

/* ---- in the cluster ---- */

static int credentials_set_account(struct kube_credentials *c, const char *dir, char **ret_error)
{
        if (asprintf(&c->ca_file, "%s/ca.crt", dir) < 0) {
                c->ca_file = NULL;
                return -ENOMEM;
        }
        if (asprintf(&c->token_file, "%s/token", dir) < 0) {
                c->token_file = NULL;
                return -ENOMEM;
        }
        if (access(c->token_file, F_OK) < 0 || access(c->ca_file, F_OK) < 0) {
                int r = credentials_refuse(ret_error, "no service account is mounted there", dir);

                return r == -EINVAL ? -ENOENT : r;
        }
        return 0;
}

static struct kube_credentials *credentials_new(void)
{
        struct kube_credentials *c = calloc(1, sizeof(*c));

        if (c)
                c->ca_fd = -1;
        return c;
}

int kube_credentials_at(struct kube_credentials **ret, const char *url, const char *dir, char **ret_error)
{
        struct kube_credentials *c = credentials_new();
        int r;

        *ret_error = NULL;
        if (!c)
                return -ENOMEM;
        r = kube_credentials_set_url(c, url, ret_error);
        if (r == 0 && c->is_tls)
                r = credentials_set_account(c, dir, ret_error);
        if (r < 0) {
                kube_credentials_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

int kube_credentials_in_cluster(struct kube_credentials **ret, const char *dir, const char *host, const char *port,
                                char **ret_error)
{
        _cleanup_(cleanup_free) char *url = NULL;
        bool v6 = host && strchr(host, ':');

        *ret_error = NULL;
        if (!host || !port || !host[0] || !port[0]) {
                int r = credentials_refuse(ret_error, "not set: this is no pod; set kubeconfig or api-server",
                                           "KUBERNETES_SERVICE_HOST");

                return r == -EINVAL ? -ENOENT : r;
        }
        if (asprintf(&url, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port) < 0) {
                url = NULL;
                return -ENOMEM;
        }
        return kube_credentials_at(ret, url, dir, ret_error);
}
