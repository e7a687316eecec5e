/*
 * libcurl's multi interface on sd-event.
 *
 *     start() -> waiting (for the server's addresses) -> running -> done()
 *
 * libcurl must not be called from within its own callbacks, so `depth` counts the calls into it: what is
 * cancelled meanwhile is kept in a list until the last one is out, what is started waits for a timer, and
 * requests that have ended are reported then.
 *
 * libcurl's own resolver is a thread that calls getaddrinfo(), and so this daemon's own module. The server's name
 * is resolved here and handed over; with an address there is nothing to resolve.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/timer.h"
#include "base/util.h"
#include "source/kube/transport/call.h"
#include "source/kube/transport/http.h"
#include "source/kube/transport/resolver.h"

#define ADDRESSES_USEC (60 * USEC_PER_SEC) /* then the server's name is looked up again */

/*
 * What wakes a process costs it several times the work itself, so a busy watch is read 28 times a second: three or
 * four of 100 changes a second at a time, for half of the CPU. The first change after a silence is read at once. What
 * comes in larger pieces is a list.
 */
#define REST_USEC (35 * USEC_PER_MSEC)
#define REST_MAX  4096 /* bytes */

TAILQ_HEAD(call_list, kube_call);

struct kube_http {
        struct kube_transport transport;
        sd_event *event;
        CURLM *multi;
        struct timer timer; /* libcurl's own, which it does not set twice to the same time */
        struct timer begin; /* for what waits */
        bool is_cut;        /* a request ended before its answer */
        struct kube_credentials *credentials;
        struct kube_resolver *resolver; /* NULL: the server is given by its address */
        char *addresses;
        uint64_t addresses_usec;
        struct call_list lists[3]; /* by state */
        sd_event_source *resting;  /* the connection that is not read at the moment; one at a time, as HTTP/2 has one */
        struct timer rest;
        uint64_t read_usec; /* when a small piece was last read */
        size_t n_read;      /* bytes of answers, in this round */
        unsigned int depth;
};

/* ---- lists ---- */

static void http_move(struct kube_http *h, struct kube_call *call, enum kube_call_state state)
{
        TAILQ_REMOVE(&h->lists[call->state], call, link);
        call->state = state;
        TAILQ_INSERT_TAIL(&h->lists[state], call, link);
}

static void http_take(struct kube_http *h, struct kube_call *call)
{
        TAILQ_REMOVE(&h->lists[call->state], call, link);
        if (call->state != CALL_WAITING)
                curl_multi_remove_handle(h->multi, call->easy);
}

/* In place of its answer. */
static void http_cut(struct kube_http *h, struct kube_call *call)
{
        http_take(h, call);
        kube_call_free(call);
        h->is_cut = true;
        timer_set(&h->begin, usec_now());
}

/* One that never ran. */
static struct kube_call *http_failed(struct kube_http *h)
{
        struct kube_call *call;

        TAILQ_FOREACH(call, &h->lists[CALL_RUNNING], link)
        {
                if (call->error < 0 && call->status == 0)
                        return call;
        }
        return NULL;
}

static void http_end(struct kube_http *h, struct kube_call *call, CURLcode code)
{
        if (call->status == 0 && code != CURLE_OK) /* the name may lead elsewhere by now */
                h->addresses_usec = 0;
        http_take(h, call);
        kube_call_end(call, code);
}

/* The last statement of whoever has called libcurl: only now may others be called that may call it again. */
static void http_leave(struct kube_http *h)
{
        struct kube_call *call;
        CURLMsg *message;
        int n_left;

        if (--h->depth > 0)
                return;
        while ((call = TAILQ_FIRST(&h->lists[CALL_CANCELLED])))
                http_cut(h, call);
        while ((message = curl_multi_info_read(h->multi, &n_left))) {
                char *private = NULL;
                CURLcode code = message->data.result;

                if (message->msg != CURLMSG_DONE)
                        continue;
                (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
                http_end(h, (struct kube_call *)(void *)private, code);
        }
        while ((call = http_failed(h)))
                http_end(h, call, CURLE_OK);
}

/* ---- calls that begin ---- */

static void http_run(struct kube_http *h, struct kube_call *call)
{
        int r = h->resolver && !h->addresses ? -ENXIO : kube_call_set_token(call, h->credentials);

        if (r == 0 && h->resolver)
                r = kube_call_set_addresses(call, h->credentials, h->addresses);
        http_move(h, call, CALL_RUNNING);
        call->n_read = &h->n_read;
        if (r == 0 && curl_multi_add_handle(h->multi, call->easy) != CURLM_OK)
                r = -ENOMEM;
        call->error = r;
}

static void http_run_all(struct kube_http *h)
{
        h->depth++;
        while (!TAILQ_EMPTY(&h->lists[CALL_WAITING]))
                http_run(h, TAILQ_FIRST(&h->lists[CALL_WAITING]));
        http_leave(h);
}

/* Old addresses are better than none. */
static void http_on_addresses(void *userdata, const char *addresses, const char *text)
{
        struct kube_http *h = userdata;
        char *copy = addresses ? strdup(addresses) : NULL;

        (void)text;
        if (copy) {
                free(h->addresses);
                h->addresses = copy;
                h->addresses_usec = usec_now();
        }
        http_run_all(h);
}

/*
 * libcurl 7.88 keeps the frame that ends a stream until another stream has something to send, and a quiet watch has
 * nothing for a minute: so long the server goes on with a watch that nobody reads. Another stream that pauses and goes
 * on sends what waits.
 */
static void http_flush(struct kube_http *h)
{
        struct kube_call *call;

        h->is_cut = false;
        h->depth++;
        TAILQ_FOREACH(call, &h->lists[CALL_RUNNING], link)
        {
                if (call->status == 0)
                        continue;
                (void)curl_easy_pause(call->easy, CURLPAUSE_RECV);
                (void)curl_easy_pause(call->easy, CURLPAUSE_CONT);
        }
        http_leave(h);
}

static void http_on_begin(void *userdata)
{
        struct kube_http *h = userdata;
        bool known = !h->resolver || (h->addresses && usec_now() - h->addresses_usec < ADDRESSES_USEC);

        if (h->is_cut)
                http_flush(h);
        if (TAILQ_EMPTY(&h->lists[CALL_WAITING]) || (!known && kube_resolver_ask(h->resolver) == 0))
                return;
        http_run_all(h);
}

static int http_start(struct kube_transport *t, const struct kube_request *request, const struct kube_reply *reply,
                      struct kube_call **ret)
{
        struct kube_http *h = container_of(t, struct kube_http, transport);
        int r = kube_call_new(ret, request, reply, h->credentials);

        if (r < 0)
                return r;
        TAILQ_INSERT_TAIL(&h->lists[CALL_WAITING], *ret, link);
        timer_set(&h->begin, usec_now());
        return 0;
}

static void http_cancel(struct kube_transport *t, struct kube_call *call)
{
        struct kube_http *h = container_of(t, struct kube_http, transport);

        if (h->depth > 0 && call->state == CALL_RUNNING) {
                http_move(h, call, CALL_CANCELLED);
                return;
        }
        http_cut(h, call);
}

static void http_unauthorized(struct kube_transport *t)
{
        kube_credentials_refused(container_of(t, struct kube_http, transport)->credentials);
}

/* ---- the loop ---- */

static void http_on_timer(void *userdata)
{
        struct kube_http *h = userdata;
        int n_running;

        h->depth++;
        curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
        http_leave(h);
}

static void http_wake(void *userdata)
{
        struct kube_http *h = userdata;

        if (h->resting)
                (void)sd_event_source_set_enabled(h->resting, SD_EVENT_ON);
        h->resting = sd_event_source_unref(h->resting);
}

/* @source: as libcurl left it, which may have closed its connection */
static void http_rest(struct kube_http *h, sd_event_source *source)
{
        uint64_t now = usec_now(), last = h->read_usec;
        int enabled;

        if (h->n_read == 0 || h->n_read > REST_MAX)
                return;
        h->read_usec = now;
        if (now - last >= 2 * REST_USEC || h->resting || sd_event_source_get_enabled(source, &enabled) < 0 ||
            enabled == SD_EVENT_OFF)
                return;
        h->resting = sd_event_source_ref(source);
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        timer_set(&h->rest, now + REST_USEC);
}

static int http_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct kube_http *h = userdata;
        int n_running, what = 0;

        what |= revents & EPOLLIN ? CURL_CSELECT_IN : 0;
        what |= revents & EPOLLOUT ? CURL_CSELECT_OUT : 0;
        what |= revents & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
        (void)sd_event_source_ref(source);
        h->n_read = 0;
        h->depth++;
        curl_multi_socket_action(h->multi, fd, what, &n_running);
        http_rest(h, source);
        sd_event_source_unref(source);
        http_leave(h);
        return 0;
}

static int http_on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *assigned)
{
        struct kube_http *h = userdata;
        sd_event_source *source = assigned;
        uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);

        (void)easy;
        if (source && what == CURL_POLL_REMOVE) {
                if (source == h->resting)
                        h->resting = sd_event_source_unref(source);
                (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
                sd_event_source_unref(source);
                (void)curl_multi_assign(h->multi, fd, NULL);
        } else if (source) {
                (void)sd_event_source_set_io_events(source, events);
        } else if (what != CURL_POLL_REMOVE) {
                if (sd_event_add_io(h->event, &source, fd, events, http_on_io, h) < 0)
                        return -1;
                (void)curl_multi_assign(h->multi, fd, source);
        }
        return 0;
}

static int http_on_timeout(CURLM *multi, long ms, void *userdata)
{
        struct kube_http *h = userdata;

        (void)multi;
        if (ms >= 0)
                timer_set(&h->timer, usec_now() + (uint64_t)ms * USEC_PER_MSEC);
        else
                timer_stop(&h->timer);
        return 0;
}

static bool http_is_name(const char *host)
{
        struct in6_addr bytes;

        return inet_pton(AF_INET, host, &bytes) != 1 && inet_pton(AF_INET6, host, &bytes) != 1;
}

int kube_http_new(struct kube_http **ret, sd_event *event, struct kube_credentials *credentials)
{
        static const struct kube_transport_ops ops = { http_start, http_cancel, http_unauthorized };
        struct kube_http *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        for (size_t i = 0; i < 3; i++)
                TAILQ_INIT(&h->lists[i]);
        h->transport.ops = &ops;
        h->event = sd_event_ref(event);
        r = timer_init(&h->timer, event, USEC_PER_MSEC, http_on_timer, h);
        if (r == 0)
                r = timer_init(&h->begin, event, USEC_PER_MSEC, http_on_begin, h);
        if (r == 0)
                r = timer_init(&h->rest, event, USEC_PER_MSEC, http_wake, h);
        if (r == 0 && http_is_name(credentials->host))
                r = kube_resolver_new(&h->resolver, event, credentials->host, http_on_addresses, h);
        if (r == 0)
                r = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && (h->multi = curl_multi_init()) ? 0 : -ENOMEM;
        if (r < 0) {
                kube_http_free(h);
                return r;
        }
        curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, http_on_socket);
        curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
        curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, http_on_timeout);
        curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
        curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
        h->credentials = credentials;
        *ret = h;
        return 0;
}

struct kube_http *kube_http_free(struct kube_http *h)
{
        if (h) {
                if (h->multi)
                        curl_multi_cleanup(h->multi);
                kube_resolver_free(h->resolver);
                timer_deinit(&h->timer);
                timer_deinit(&h->begin);
                timer_deinit(&h->rest);
                sd_event_source_unref(h->resting);
                kube_credentials_free(h->credentials);
                sd_event_unref(h->event);
                free(h->addresses);
                free(h);
        }
        return NULL;
}

struct kube_transport *kube_http_transport(struct kube_http *h)
{
        return &h->transport;
}
