/*
 * From options to a transport.
 *
 *     kubeconfig    a file that says everything
 *     api-server    an address; https takes the service account besides
 *     neither       the pod's own service account and the address in its environment
 *
 * Credentials that are missing are no reason to end: a kubeconfig may be written later. They are looked for every
 * 30 s, and what is wrong is logged when it is something else than before. A kubeconfig that is replaced, as when its
 * token or its certificates are rotated, is read again; files that it names are read again anyhow.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "source/kube/connection.h"
#include "source/kube/transport/http.h"
#include "source/kube/transport/kubeconfig.h"
#include "table/siphash.h"

#define RETRY_USEC (30 * USEC_PER_SEC)
#define LOOK_USEC  (10 * USEC_PER_SEC) /* at the kubeconfig */

static const char *connection_option(const struct source_kube_options *options, size_t i)
{
        const char *const texts[CONNECTION_N] = {
                [CONNECTION_KUBECONFIG] = options->kubeconfig, [CONNECTION_SERVER] = options->api_server,
                [CONNECTION_DIR] = options->account_dir,       [CONNECTION_HOST] = options->service_host,
                [CONNECTION_PORT] = options->service_port,
        };

        return texts[i];
}

bool kube_connection_is_same(const struct kube_connection *c, const struct source_kube_options *options)
{
        for (size_t i = 0; i < CONNECTION_N; i++) {
                const char *text = connection_option(options, i);

                if (!text != !c->options[i] || (text && strcmp(text, c->options[i]) != 0))
                        return false;
        }
        return true;
}

int kube_connection_configure(struct kube_connection *c, const struct source_kube_options *options)
{
        c->http = kube_http_free(c->http);
        c->next = kube_credentials_free(c->next);
        for (size_t i = 0; i < CONNECTION_N; i++) {
                const char *text = connection_option(options, i);
                char *copy = text ? strdup(text) : NULL;

                if (text && !copy)
                        return -ENOMEM;
                free(c->options[i]);
                c->options[i] = copy;
        }
        timer_set(&c->retry, usec_now());
        return 0;
}

/* Of what the kubeconfig says, since some tools write the same again and again. 0: it can't be read. */
static uint64_t connection_hash(const struct kube_connection *c)
{
        static const uint8_t key[16] = "k8shsvc kubecfg";
        uint64_t hash;
        char *text;
        size_t n;

        if (file_read(c->options[CONNECTION_KUBECONFIG], KUBE_KUBECONFIG_MAX, &text, &n) < 0)
                return 0;
        hash = khs_siphash13(key, text, n) | 1;
        explicit_bzero(text, n);
        free(text);
        return hash;
}

static int connection_read(struct kube_connection *c, struct kube_credentials **ret, char **ret_error)
{
        const char *dir = c->options[CONNECTION_DIR] ? c->options[CONNECTION_DIR] : KUBE_ACCOUNT_DIR;

        if (c->options[CONNECTION_KUBECONFIG]) {
                c->hash = connection_hash(c);
                return kube_credentials_kubeconfig(ret, c->options[CONNECTION_KUBECONFIG], ret_error);
        }
        if (c->options[CONNECTION_SERVER])
                return kube_credentials_at(ret, c->options[CONNECTION_SERVER], dir, ret_error);
        return kube_credentials_in_cluster(ret, dir, c->options[CONNECTION_HOST], c->options[CONNECTION_PORT],
                                           ret_error);
}

static void connection_failed(struct kube_connection *c, char *error)
{
        if (!c->error || !error || strcmp(c->error, error) != 0)
                log_message(LOG_ERR, "kubernetes: %s", error ? error : strerror(ENOMEM));
        free(c->error);
        c->error = error;
        timer_set(&c->retry, usec_now() + usec_jitter(RETRY_USEC, 10));
}

bool kube_connection_has_changed(struct kube_connection *c)
{
        char *error = NULL;
        int r;

        if (!c->http || c->next || !c->options[CONNECTION_KUBECONFIG])
                return c->next;
        timer_set(&c->retry, usec_now() + usec_jitter(LOOK_USEC, 10));
        if (connection_hash(c) == c->hash)
                return false;
        r = connection_read(c, &c->next, &error);
        if (r < 0) {
                c->next = NULL;
                c->hash = 0; /* it is read again, whatever it is that failed */
                connection_failed(c, error);
                timer_set(&c->retry, usec_now() + usec_jitter(LOOK_USEC, 10));
        } else {
                log_message(LOG_NOTICE, "kubernetes: %s has changed, connecting anew",
                            c->options[CONNECTION_KUBECONFIG]);
        }
        return r >= 0;
}

struct kube_transport *kube_connection_open(struct kube_connection *c)
{
        struct kube_credentials *credentials = c->next;
        char *error = NULL;
        int r = 0;

        if (c->http && !c->next)
                return kube_http_transport(c->http);
        if (c->next)
                c->http = kube_http_free(c->http);
        c->next = NULL;
        if (!c->http && !credentials)
                r = connection_read(c, &credentials, &error);
        if (!c->http && r == 0) {
                r = kube_http_new(&c->http, c->event, credentials);
                if (r < 0)
                        kube_credentials_free(credentials);
        }
        if (r < 0) {
                connection_failed(c, error);
                return NULL;
        }
        free(c->error);
        c->error = NULL;
        if (c->options[CONNECTION_KUBECONFIG])
                timer_set(&c->retry, usec_now() + usec_jitter(LOOK_USEC, 10));
        return kube_http_transport(c->http);
}

int kube_connection_init(struct kube_connection *c, sd_event *event, void (*retried)(void *userdata), void *userdata)
{
        *c = (struct kube_connection){ .event = event };
        return timer_init(&c->retry, event, USEC_PER_SEC, retried, userdata);
}

void kube_connection_deinit(struct kube_connection *c)
{
        kube_http_free(c->http);
        kube_credentials_free(c->next);
        timer_deinit(&c->retry);
        for (size_t i = 0; i < CONNECTION_N; i++)
                free(c->options[i]);
        free(c->error);
}
