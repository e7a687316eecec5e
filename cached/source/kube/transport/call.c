/*
 * The settings of a request, each of them because of what libcurl does otherwise:
 *
 * - it trusts the system's certificates beside the given ones, unless their directory is taken away;
 * - it reads a CA file once a day (7.87 and newer) unless told not to;
 * - environment variables name proxies, servers name other servers to go to: neither is followed, so the token
 *   goes nowhere else;
 * - a dead peer is noticed by nobody for minutes: keep-alive probes and TCP_USER_TIMEOUT end a connection after
 *   35 s.
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "source/kube/transport/call.h"

#define CONNECT_MS      10000L
#define KEEP_IDLE_S     15
#define KEEP_INTERVAL_S 5
#define KEEP_COUNT      4
#define USER_TIMEOUT_MS 30000
#define USER_AGENT      "k8shsvcd/" K8SHSVC_VERSION

/* ---- what it brings ---- */

/* The headers end with an empty line; those of 1xx are followed by others. */
static size_t call_on_header(char *bytes, size_t size, size_t n, void *userdata)
{
        struct kube_call *call = userdata;
        long status = 0;

        if (call->state != CALL_RUNNING)
                return 0;
        if (size * n > 2 || call->status > 0 || bytes[0] != '\r')
                return size * n;
        (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        if (status >= 200) {
                call->status = (unsigned int)status;
                call->reply.status(call->reply.userdata, call->status);
        }
        return call->state == CALL_RUNNING ? size * n : 0;
}

static size_t call_on_data(char *bytes, size_t size, size_t n, void *userdata)
{
        struct kube_call *call = userdata;
        int r;

        if (call->state != CALL_RUNNING || n == 0)
                return 0;
        *call->n_read += size * n;
        r = call->reply.data(call->reply.userdata, bytes, size * n);
        if (r < 0)
                call->error = r;
        return r < 0 || call->state != CALL_RUNNING ? 0 : size * n;
}

static int call_on_connection(void *userdata, curl_socket_t fd, curlsocktype purpose)
{
        const struct {
                int level, name, value;
        } options[] = {
                { SOL_SOCKET, SO_KEEPALIVE, 1 },
                { IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S },
                { IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S },
                { IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT },
                { IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS },
        };

        (void)userdata, (void)purpose;
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
                (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
        return CURL_SOCKOPT_OK;
}

/* ---- what is asked ---- */

static int call_add(struct curl_slist **list, const char *text)
{
        struct curl_slist *longer = curl_slist_append(*list, text);

        if (!longer)
                return -ENOMEM;
        *list = longer;
        return 0;
}

static int call_set_blob(CURL *easy, CURLoption option, const struct kube_blob *blob)
{
        struct curl_blob value = { .data = blob->bytes, .len = blob->n, .flags = CURL_BLOB_COPY };

        return curl_easy_setopt(easy, option, &value) == CURLE_OK ? 0 : -ENOMEM;
}

/*
 * A CA alone counts where one is given, not those of the system as well. A request waits until it is known whether
 * it can share a connection; without TLS nothing tells libcurl in time that it can't.
 */
static int call_set_tls(struct kube_call *call, const struct kube_credentials *c)
{
        CURL *easy = call->easy;
        int r = 0;

        curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
        if (c->ca_file) {
                curl_easy_setopt(easy, CURLOPT_CAINFO, c->ca_file);
                curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
#if LIBCURL_VERSION_NUM >= 0x075700
                curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
#endif
        }
        if (c->cert.bytes)
                r = call_set_blob(easy, CURLOPT_SSLCERT_BLOB, &c->cert);
        else if (c->cert_file)
                curl_easy_setopt(easy, CURLOPT_SSLCERT, c->cert_file);
        if (r == 0 && c->key.bytes)
                r = call_set_blob(easy, CURLOPT_SSLKEY_BLOB, &c->key);
        else if (c->key_file)
                curl_easy_setopt(easy, CURLOPT_SSLKEY, c->key_file);
        return r;
}

int kube_call_set_token(struct kube_call *call, struct kube_credentials *c)
{
        const char *token;
        int r = kube_credentials_token(c, usec_now(), &token);

        if (r < 0 || !token)
                return r;
        curl_easy_setopt(call->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        return curl_easy_setopt(call->easy, CURLOPT_XOAUTH2_BEARER, token) == CURLE_OK ? 0 : -ENOMEM;
}

/* The name that the certificate must have is the URL's; where we really go is said beside it. */
static int call_set_url(struct kube_call *call, const struct kube_credentials *c, const char *path)
{
        _cleanup_(cleanup_free) char *url = NULL, *connect_to = NULL, *host = NULL;
        const char *rest = strstr(c->url, "://") + 3, *prefix = strchr(rest, '/');
        bool v6 = strchr(c->host, ':');
        int r;

        if (!c->server_name || !c->is_tls) {
                if (asprintf(&url, "%s%s", c->url, path) < 0)
                        return -ENOMEM;
                return curl_easy_setopt(call->easy, CURLOPT_URL, url) == CURLE_OK ? 0 : -ENOMEM;
        }
        if (asprintf(&url, "https://%s:%u%s%s", c->server_name, c->port, prefix ? prefix : "", path) < 0 ||
            asprintf(&connect_to, "::%s%s%s:%u", v6 ? "[" : "", c->host, v6 ? "]" : "", c->port) < 0 ||
            asprintf(&host, "Host: %.*s", (int)strcspn(rest, "/"), rest) < 0)
                return -ENOMEM;
        r = call_add(&call->connect_to, connect_to);
        if (r == 0)
                r = call_add(&call->headers, host);
        if (r == 0)
                curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_to);
        return r == 0 && curl_easy_setopt(call->easy, CURLOPT_URL, url) == CURLE_OK ? 0 : -ENOMEM;
}

static void call_set_rules(CURL *easy)
{
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
        curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, call_on_connection);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, USER_AGENT);
#if LIBCURL_VERSION_NUM >= 0x075500
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
#else
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTPS | CURLPROTO_HTTP));
#endif
}

static int call_set_request(struct kube_call *call, const struct kube_request *request)
{
        CURL *easy = call->easy;
        int r = call_add(&call->headers, "Accept: application/json");

        if (r == 0 && request->body)
                r = call_add(&call->headers, "Content-Type: application/json");
        if (r == 0 && request->body && curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body) != CURLE_OK)
                r = -ENOMEM;
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request->fresh ? 1L : 0L);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(request->time_max_usec / USEC_PER_MSEC));
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->text);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, call_on_header);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, call_on_data);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
        return r;
}

int kube_call_set_addresses(struct kube_call *call, const struct kube_credentials *credentials, const char *addresses)
{
        _cleanup_(cleanup_free) char *text = NULL;
        int r;

        if (asprintf(&text, "%s:%u:%s", credentials->host, credentials->port, addresses) < 0) {
                text = NULL;
                return -ENOMEM;
        }
        r = call_add(&call->resolve, text);
        if (r == 0)
                curl_easy_setopt(call->easy, CURLOPT_RESOLVE, call->resolve);
        return r;
}

/* ---- how it begins and ends ---- */

int kube_call_new(struct kube_call **ret, const struct kube_request *request, const struct kube_reply *reply,
                  const struct kube_credentials *credentials)
{
        struct kube_call *call = calloc(1, sizeof(*call));
        int r = -ENOMEM;

        if (!call)
                return -ENOMEM;
        call->reply = *reply;
        call->easy = curl_easy_init();
        if (call->easy) {
                call_set_rules(call->easy);
                r = call_set_request(call, request);
        }
        if (r == 0)
                r = call_set_url(call, credentials, request->path);
        if (r == 0 && credentials->is_tls)
                r = call_set_tls(call, credentials);
        if (r < 0) {
                kube_call_free(call);
                return r;
        }
        curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
        *ret = call;
        return 0;
}

void kube_call_free(struct kube_call *call)
{
        if (call->easy)
                curl_easy_cleanup(call->easy);
        curl_slist_free_all(call->headers);
        curl_slist_free_all(call->resolve);
        curl_slist_free_all(call->connect_to);
        free(call);
}

static int call_error(const struct kube_call *call, CURLcode code)
{
        long os = 0;

        switch (code) {
        case CURLE_OK:
                return 0;
        case CURLE_OPERATION_TIMEDOUT:
                return -ETIMEDOUT;
        case CURLE_COULDNT_CONNECT:
                (void)curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &os);
                return os > 0 ? -(int)os : -ECONNREFUSED;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_SSL_CIPHER:
                return -EPROTO;
        default:
                return -EIO;
        }
}

/* NULL: the error says it all. */
static const char *call_error_text(const struct kube_call *call, int error, CURLcode code)
{
        if (error == -EACCES)
                return "no token";
        if (error == -ENXIO)
                return "the server's name can't be resolved";
        if (call->error < 0) /* whoever reads the answer ended it; libcurl calls that a failed write */
                return NULL;
        return call->text[0] ? call->text : curl_easy_strerror(code);
}

void kube_call_end(struct kube_call *call, CURLcode code)
{
        struct kube_end end = { .error = call->error < 0 ? call->error : call_error(call, code),
                                .status = call->status };
        struct kube_reply reply = call->reply;
        char text[CURL_ERROR_SIZE];
        curl_off_t after = 0;

        (void)curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &after);
        end.retry_after_s = after > 0 && after < UINT32_MAX ? (uint32_t)after : 0;
        if (end.error < 0 && call_error_text(call, end.error, code)) {
                (void)snprintf(text, sizeof(text), "%s", call_error_text(call, end.error, code));
                end.text = text;
        }
        kube_call_free(call);
        reply.done(reply.userdata, &end);
}
