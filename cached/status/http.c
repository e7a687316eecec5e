/*
 * libmicrohttpd on the event loop, and what a client can cost.
 *
 *     epoll descriptor readable, or the library's own time ---> MHD_run() ---> arm the timer anew, or
 *                  ^                                                            come again at once
 *                  +--- the others of the loop <---------------------------------'
 *
 * - Each connection serves one request, and ends. So whoever is connected either is being answered or has not asked
 *   yet, and there are never many of the first.
 * - When CONNECTIONS_MAX are open, the one that was opened first goes. Half requests and slow readers, however many
 *   come, push out one another; who asks at once has been answered long before it is its turn.
 * - No request has a body that anybody reads: POST and the like are refused at their headers.
 * - All of this comes last in the loop (its priority), and takes a bounded time in a turn.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/timer.h"
#include "base/util.h"
#include "status/http.h"

#define CONNECTIONS_MAX 256U
#define UNNOTICED_MAX   64U /* connections that were ended, which the library has not noticed yet */
#define SILENT_S        10U
#define MEMORY_MAX      ((size_t)32 << 10) /* of a connection: its headers, and a piece of the response */
#define SLACK_USEC      (50 * USEC_PER_MSEC)

struct http_connection {
        TAILQ_ENTRY(http_connection) link; /* while it has not been ended */
        int fd;
        bool ended;
};

struct http {
        struct MHD_Daemon *daemon;
        sd_event_source *source, *again;
        struct timer timer;
        TAILQ_HEAD(, http_connection) connections; /* oldest first */
        unsigned int n_connections;
        http_fn fn;
        void *userdata;
};

/* ---- connections ---- */

static void http_end(struct http *h, struct http_connection *c)
{
        TAILQ_REMOVE(&h->connections, c, link);
        h->n_connections--;
        c->ended = true;
}

static void http_on_connection(void *userdata, struct MHD_Connection *connection, void **context,
                               enum MHD_ConnectionNotificationCode code)
{
        struct http *h = userdata;
        struct http_connection *c = *context;
        const union MHD_ConnectionInfo *info;

        if (code == MHD_CONNECTION_NOTIFY_CLOSED && c) {
                if (!c->ended)
                        http_end(h, c);
                free(c);
                *context = NULL;
        } else if (code == MHD_CONNECTION_NOTIFY_STARTED) {
                info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
                c = info ? calloc(1, sizeof(*c)) : NULL;
                if (!c)
                        return;
                c->fd = info->connect_fd;
                TAILQ_INSERT_TAIL(&h->connections, c, link);
                h->n_connections++;
                *context = c;
        }
}

void http_add(struct http *h, int fd, const struct sockaddr *address, socklen_t n_address)
{
        struct http_connection *oldest = TAILQ_FIRST(&h->connections);

        if (h->n_connections >= CONNECTIONS_MAX && oldest) {
                (void)shutdown(oldest->fd, SHUT_RDWR);
                http_end(h, oldest);
        }
        (void)MHD_add_connection(h->daemon, fd, address, n_address);
}

/* ---- requests ---- */

static enum MHD_Result http_on_request(void *userdata, struct MHD_Connection *connection, const char *path,
                                       const char *method, const char *version, const char *body, size_t *n_body,
                                       void **context)
{
        struct http *h = userdata;

        (void)version;
        (void)body;
        (void)n_body;
        (void)context;
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
                return http_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are served here\n");
        return h->fn(h->userdata, connection, path);
}

void http_dress(struct MHD_Response *response, const char *type)
{
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
        (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
}

enum MHD_Result http_answer(struct MHD_Connection *connection, unsigned int status, const char *text)
{
        struct MHD_Response *response =
                MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);
        enum MHD_Result r;

        if (!response)
                return MHD_NO;
        http_dress(response, "text/plain; charset=utf-8");
        if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
                (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
        if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
                (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
        r = MHD_queue_response(connection, status, response);
        MHD_destroy_response(response);
        return r;
}

/* ---- the loop ---- */

/* What it has in hand already shows in no descriptor: its time is 0. A timer would be late by its slack. */
void http_run(struct http *h)
{
        MHD_UNSIGNED_LONG_LONG wait_ms;

        (void)MHD_run(h->daemon);
        timer_stop(&h->timer);
        if (MHD_get_timeout(h->daemon, &wait_ms) != MHD_YES)
                return;
        if (wait_ms == 0)
                (void)sd_event_source_set_enabled(h->again, SD_EVENT_ONESHOT);
        else
                timer_set(&h->timer, usec_now() + wait_ms * USEC_PER_MSEC);
}

static int http_on_again(sd_event_source *source, void *userdata)
{
        (void)source;
        http_run(userdata);
        return 0;
}

static void http_on_timer(void *userdata)
{
        http_run(userdata);
}

static int http_on_ready(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        (void)source;
        (void)fd;
        (void)events;
        http_run(userdata);
        return 0;
}

static int http_start(struct http *h, sd_event *event)
{
        const union MHD_DaemonInfo *info;
        int r;

        h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, http_on_request, h,
                                     MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX + UNNOTICED_MAX,
                                     MHD_OPTION_CONNECTION_TIMEOUT, SILENT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                     MEMORY_MAX, MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, h, MHD_OPTION_END);
        info = h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
        if (!info)
                return -ENOMEM;
        r = sd_event_add_io(event, &h->source, info->epoll_fd, EPOLLIN, http_on_ready, h);
        if (r >= 0)
                r = sd_event_source_set_priority(h->source, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_add_defer(event, &h->again, http_on_again, h);
        if (r >= 0)
                r = sd_event_source_set_enabled(h->again, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_priority(h->again, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = timer_init(&h->timer, event, SLACK_USEC, http_on_timer, h);
        if (r >= 0)
                r = sd_event_source_set_priority(h->timer.source, SD_EVENT_PRIORITY_IDLE);
        return r < 0 ? r : 0;
}

int http_new(struct http **ret, sd_event *event, http_fn fn, void *userdata)
{
        struct http *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        TAILQ_INIT(&h->connections);
        h->fn = fn;
        h->userdata = userdata;
        r = http_start(h, event);
        if (r < 0)
                http_free(h);
        else
                *ret = h;
        return r;
}

static void http_drop_source(sd_event_source *source)
{
        if (source)
                (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        sd_event_source_unref(source);
}

struct http *http_free(struct http *h)
{
        if (h) {
                http_drop_source(h->source);
                http_drop_source(h->again);
                timer_deinit(&h->timer);
                if (h->daemon)
                        MHD_stop_daemon(h->daemon);
                free(h);
        }
        return NULL;
}
