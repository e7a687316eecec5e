/*
 * From a path to its answer.
 *
 *     request --> route --> body of now, if it is there --> queued
 *                              | not: a snapshot of the table, written once for all who ask until it is too old
 *
 * So however many ask, the table is read twice a second at most, and less often where that takes long. A body that a
 * slow client still reads stays until that has it, or is pushed out.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "status/http.h"
#include "status/listener.h"
#include "status/metrics.h"
#include "status/page.h"
#include "status/status.h"
#include "status/stream.h"

#define FRESH_USEC    (500 * USEC_PER_MSEC)
#define COST_FACTOR   20U /* a twentieth of the time is spent on snapshots at most */
#define STREAMS_MAX   4U
#define STREAMS_LARGE 20000U /* services: then one at a time */

enum body { BODY_METRICS, BODY_OPENMETRICS, BODY_PAGE, N_BODIES };

struct status {
        const char *directory;
        struct listener listener;
        struct http *http;
        struct snapshot *snapshot;             /* NULL: none was needed yet */
        struct MHD_Response *bodies[N_BODIES]; /* of it; NULL: not asked for yet */
        unsigned int n_streams, n_begun;       /* those there are, and those that began with this snapshot */
};

/* ---- bodies ---- */

static void status_drop_snapshot(struct status *s)
{
        for (size_t i = 0; i < N_BODIES; i++) {
                if (s->bodies[i])
                        MHD_destroy_response(s->bodies[i]);
                s->bodies[i] = NULL;
        }
        s->snapshot = snapshot_unref(s->snapshot);
        s->n_begun = 0;
}

/* NULL for want of memory. */
static struct snapshot *status_snapshot(struct status *s)
{
        if (s->snapshot) {
                uint64_t good_for = s->snapshot->cost_usec * COST_FACTOR;

                if (usec_now() - s->snapshot->taken_usec < (good_for > FRESH_USEC ? good_for : FRESH_USEC))
                        return s->snapshot;
        }
        status_drop_snapshot(s);
        return snapshot_take(&s->snapshot, s->directory) < 0 ? NULL : s->snapshot;
}

static void body_write(FILE *to, enum body body, const struct snapshot *snapshot)
{
        if (body == BODY_PAGE)
                page_write(to, snapshot);
        else
                metrics_write(to, snapshot, body == BODY_OPENMETRICS);
}

static struct MHD_Response *body_new(enum body body, const struct snapshot *snapshot)
{
        struct MHD_Response *response = NULL;
        char *text = NULL;
        size_t n_text;
        FILE *to = open_memstream(&text, &n_text);

        if (!to)
                return NULL;
        body_write(to, body, snapshot);
        if (fclose(to) == 0)
                response = MHD_create_response_from_buffer(n_text, text, MHD_RESPMEM_MUST_FREE);
        if (!response)
                free(text);
        return response;
}

static void body_dress(struct MHD_Response *response, enum body body)
{
        if (body != BODY_PAGE) {
                http_dress(response, metrics_type(body == BODY_OPENMETRICS));
                return;
        }
        http_dress(response, "text/html; charset=utf-8");
        (void)MHD_add_response_header(response, "Content-Security-Policy",
                                      "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
                                      "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
}

static enum MHD_Result status_send_body(struct status *s, struct MHD_Connection *connection, enum body body)
{
        const struct snapshot *snapshot = status_snapshot(s);

        if (snapshot && !s->bodies[body]) {
                s->bodies[body] = body_new(body, snapshot);
                if (s->bodies[body])
                        body_dress(s->bodies[body], body);
        }
        if (!snapshot || !s->bodies[body])
                return http_answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
        return MHD_queue_response(connection, MHD_HTTP_OK, s->bodies[body]);
}

/* ---- paths ---- */

static enum MHD_Result status_metrics(struct status *s, struct MHD_Connection *connection)
{
        const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);

        return status_send_body(s, connection, metrics_wants_open(accept) ? BODY_OPENMETRICS : BODY_METRICS);
}

static enum MHD_Result status_page(struct status *s, struct MHD_Connection *connection)
{
        return status_send_body(s, connection, BODY_PAGE);
}

static enum MHD_Result status_healthz(struct status *s, struct MHD_Connection *connection)
{
        const struct snapshot *snapshot = status_snapshot(s);

        if (snapshot && snapshot_is_well(snapshot))
                return http_answer(connection, MHD_HTTP_OK, "ok\n");
        return http_answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                           snapshot && snapshot->error == 0 ? "no heartbeat\n" : "no table\n");
}

static enum MHD_Result status_readyz(struct status *s, struct MHD_Connection *connection)
{
        const struct snapshot *snapshot = status_snapshot(s);
        char why[SNAPSHOT_WHY_MAX], text[SNAPSHOT_WHY_MAX + 16];

        if (!snapshot || !snapshot_is_well(snapshot))
                return status_healthz(s, connection);
        if (snapshot_is_ready(snapshot, why, sizeof(why)))
                return http_answer(connection, MHD_HTTP_OK, "ready\n");
        (void)snprintf(text, sizeof(text), "not ready: %s\n", why);
        return http_answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

/* Each is written for one client alone: few at a time, and few in the time that a snapshot is good for. */
static bool status_has_room(const struct status *s)
{
        unsigned int max = s->snapshot->catalog.n_services > STREAMS_LARGE ? 1 : STREAMS_MAX;

        return s->n_streams < max && s->n_begun < max;
}

static enum MHD_Result status_services(struct status *s, struct MHD_Connection *connection)
{
        struct snapshot *snapshot = status_snapshot(s);
        struct MHD_Response *response;
        enum MHD_Result r;

        if (!snapshot || snapshot->error < 0)
                return status_healthz(s, connection);
        if (!status_has_room(s))
                return http_answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "others are being answered\n");
        response = stream_new(snapshot, &s->n_streams);
        if (!response)
                return http_answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
        s->n_begun++;
        http_dress(response, "application/json");
        r = MHD_queue_response(connection, MHD_HTTP_OK, response);
        MHD_destroy_response(response);
        return r;
}

static enum MHD_Result status_file(struct MHD_Connection *connection, const char *text, const char *type)
{
        struct MHD_Response *response =
                MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
        enum MHD_Result r;

        if (!response)
                return MHD_NO;
        http_dress(response, type);
        r = MHD_queue_response(connection, MHD_HTTP_OK, response);
        MHD_destroy_response(response);
        return r;
}

static enum MHD_Result status_style(struct status *s, struct MHD_Connection *connection)
{
        (void)s;
        return status_file(connection, page_style, "text/css; charset=utf-8");
}

static enum MHD_Result status_script(struct status *s, struct MHD_Connection *connection)
{
        (void)s;
        return status_file(connection, page_script, "text/javascript; charset=utf-8");
}

static enum MHD_Result status_on_request(void *userdata, struct MHD_Connection *connection, const char *path)
{
        static const struct {
                const char *path;
                enum MHD_Result (*fn)(struct status *s, struct MHD_Connection *connection);
        } routes[] = {
                { "/", status_page },
                { "/metrics", status_metrics },
                { "/healthz", status_healthz },
                { "/readyz", status_readyz },
                { "/api/services", status_services },
                { "/status.css", status_style },
                { "/status.js", status_script },
        };

        for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
                if (strcmp(path, routes[i].path) == 0)
                        return routes[i].fn(userdata, connection);
        return http_answer(connection, MHD_HTTP_NOT_FOUND,
                           "not found; there are /, /metrics, /healthz, /readyz and /api/services\n");
}

/* ---- its life ---- */

static void status_on_accepted(void *userdata, int fd, const struct sockaddr *address, socklen_t n_address)
{
        struct status *s = userdata;

        http_add(s->http, fd, address, n_address);
}

static void status_on_turn(void *userdata)
{
        struct status *s = userdata;

        http_run(s->http);
}

int status_new(struct status **ret, sd_event *event, const char *directory)
{
        struct status *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->directory = directory;
        s->listener = (struct listener){
                .event = event,
                .accepted = status_on_accepted,
                .done = status_on_turn,
                .userdata = s,
        };
        r = listener_init(&s->listener);
        if (r < 0)
                status_free(s);
        else
                *ret = s;
        return r;
}

struct status *status_free(struct status *s)
{
        if (s) {
                listener_deinit(&s->listener);
                http_free(s->http);
                status_drop_snapshot(s);
                free(s);
        }
        return NULL;
}

/* Where nobody asks for it, there is no server either. */
void status_listen(struct status *s, const char *where)
{
        int r = where && !s->http ? http_new(&s->http, s->listener.event, status_on_request, s) : 0;

        if (r < 0)
                log_message(LOG_ERR, "metrics-listen: no server: %s", strerror(-r));
        listener_set(&s->listener, r < 0 ? NULL : where);
        if (!where) {
                s->http = http_free(s->http);
                status_drop_snapshot(s);
        }
}
