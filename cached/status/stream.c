/*
 * Half a million endpoints are more than a hundred megabytes of JSON: neither is that held in memory for a client that
 * may never read it, nor does the loop wait while all of it is written. Each piece has a few services, which are read
 * from the table when it is their turn.
 *
 * A client that takes its time holds on to a snapshot, so it is given a deadline.
 */

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "status/stream.h"
#include "view/service-json.h"

#define PIECE_BYTES   ((size_t)32 << 10)
#define DEADLINE_USEC (60 * USEC_PER_SEC)

struct stream {
        unsigned int *n_streams;
        struct snapshot *snapshot;
        uint64_t begun_usec;
        struct json_writer json;
        size_t next; /* service */
        bool is_over;
        char *piece;
        size_t n_piece, at;
};

/* ---- pieces ---- */

/* One that is gone meanwhile is not listed. */
static void stream_put_service(struct stream *s)
{
        const struct snapshot *snapshot = s->snapshot;
        const char *key = snapshot->catalog.services[s->next++].key;
        struct view_service whole;

        if (view_catalog_whole(&snapshot->catalog, &snapshot->table, key, &whole) < 0)
                return;
        view_service_json(&s->json, NULL, &whole);
        view_service_deinit(&whole);
}

static void stream_put_piece(struct stream *s)
{
        if (s->next == 0)
                json_put_open(&s->json, NULL, '[');
        while (s->next < s->snapshot->catalog.n_services && ftell(s->json.to) < (long)PIECE_BYTES)
                stream_put_service(s);
        if (s->next < s->snapshot->catalog.n_services)
                return;
        json_put_close(&s->json, ']');
        json_put_end(&s->json);
        s->is_over = true;
}

static bool stream_next_piece(struct stream *s)
{
        free(s->piece);
        s->piece = NULL;
        s->n_piece = s->at = 0;
        s->json.to = open_memstream(&s->piece, &s->n_piece);
        if (!s->json.to)
                return false;
        stream_put_piece(s);
        return fclose(s->json.to) == 0;
}

static ssize_t stream_read(void *userdata, uint64_t position, char *ret, size_t max)
{
        struct stream *s = userdata;
        size_t n;

        (void)position;
        if (usec_now() - s->begun_usec > DEADLINE_USEC)
                return MHD_CONTENT_READER_END_WITH_ERROR;
        if (s->at == s->n_piece && s->is_over)
                return MHD_CONTENT_READER_END_OF_STREAM;
        if (s->at == s->n_piece && !stream_next_piece(s))
                return MHD_CONTENT_READER_END_WITH_ERROR;
        n = s->n_piece - s->at < max ? s->n_piece - s->at : max;
        memcpy(ret, s->piece + s->at, n);
        s->at += n;
        return (ssize_t)n;
}

/* ---- its life ---- */

static void stream_free(void *userdata)
{
        struct stream *s = userdata;

        (*s->n_streams)--;
        snapshot_unref(s->snapshot);
        free(s->piece);
        free(s);
}

struct MHD_Response *stream_new(struct snapshot *snapshot, unsigned int *n_streams)
{
        struct stream *s = calloc(1, sizeof(*s));
        struct MHD_Response *response;

        if (!s)
                return NULL;
        s->begun_usec = usec_now();
        s->snapshot = snapshot_ref(snapshot);
        s->n_streams = n_streams;
        (*n_streams)++;
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, stream_read, s, stream_free);
        if (!response)
                stream_free(s);
        return response;
}
