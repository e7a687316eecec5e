/*
 * Answers of a Kubernetes API server: any bytes, through the stream, the decoders and the join. The first byte of
 * the input says what they are, the second how large the pieces are in which they come:
 *
 *     1 a list, not a watch    2 pods, not slices    4 pods with go-micro    8, 16 include    32 order = zone
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "source/kube/decode/endpoint-slice.h"
#include "source/kube/decode/field.h"
#include "source/kube/decode/join.h"
#include "source/kube/decode/pod.h"
#include "source/kube/watch/stream.h"

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition))                                                                                      \
                        __builtin_trap();                                                                              \
        } while (0)

#define SLICES_MAX 8U

enum { LIST = 1, PODS = 2, GO_MICRO = 4, SERVING = 8, ALL = 16, ZONE = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
        uint8_t what;
        struct kube_slice *slices[SLICES_MAX];
        size_t n_slices, n_objects;
        uint64_t sum; /* of what has come, in its order */
};

static void check_slice(const struct kube_slice *slice)
{
        CHECK(kube_is_name(slice->name) && kube_is_label(slice->service));
        for (uint32_t i = 0; i < slice->n_ports; i++) {
                const struct khs_row_port *port = &slice->ports[i];

                CHECK(port->number > 0 && (!port->name || kube_is_label(port->name)));
        }
        for (uint32_t i = 0; i < slice->n_endpoints; i++) {
                const struct kube_endpoint *e = &slice->endpoints[i];
                const char *host = kube_slice_text(slice, e->host), *node = kube_slice_text(slice, e->node);

                CHECK(e->family == AF_INET || e->family == AF_INET6);
                CHECK(e->first_port + e->n_ports <= slice->n_ports && e->n_ports <= KUBE_PORTS_MAX);
                CHECK(!host || kube_is_label(host));
                CHECK(!node || kube_is_name(node));
        }
}

static int on_object(void *userdata, json_t *object)
{
        struct run *run = userdata;
        const json_t *event = kube_field(object, "object", JSON_OBJECT, NULL);
        struct kube_slice *slice = NULL;
        unsigned int faults = 0;
        int r;

        run->n_objects++;
        run->sum = run->sum * 31 + json_object_size(object);
        if (!(run->what & LIST) && event)
                object = (json_t *)event;
        if (run->what & PODS)
                r = kube_pod_decode(&slice, object, "default", "web", run->what & GO_MICRO ? "web" : NULL, &faults);
        else
                r = kube_slice_decode(&slice, object, "default", &faults);
        CHECK(r == 0 || (r == -EBADMSG && !slice && faults > 0));
        CHECK(faults == 0 || kube_fault_text(faults));
        if (r < 0)
                return 0;
        check_slice(slice);
        run->sum = run->sum * 31 + slice->n_endpoints;
        if (run->n_slices < SLICES_MAX)
                run->slices[run->n_slices++] = slice;
        else
                kube_slice_free(slice);
        return 0;
}

static int feed(struct run *run, const uint8_t *data, size_t size, size_t piece)
{
        struct kube_stream stream;
        int r = 0;

        kube_stream_init(&stream, run->what & LIST, on_object, run);
        for (size_t at = 0; at < size && r == 0; at += piece) {
                size_t n = size - at < piece ? size - at : piece;
                char *copy = malloc(n); /* as long as the piece: what reads beyond it is seen */

                CHECK(copy);
                memcpy(copy, data + at, n);
                r = kube_stream_feed(&stream, copy, n);
                free(copy);
        }
        if (r == 0)
                r = kube_stream_end(&stream);
        kube_stream_deinit(&stream);
        CHECK(r == 0 || r == -EBADMSG || r == -EMSGSIZE);
        return r;
}

static int compare(const struct finding_endpoint *a, const struct finding_endpoint *b)
{
        int r = a->family == b->family ? memcmp(a->bytes, b->bytes, sizeof(a->bytes)) : a->family == AF_INET ? -1 : 1;

        return r != 0 ? r : strcmp(a->host ? a->host : "", b->host ? b->host : "");
}

static void check_joined(const struct kube_joined *joined, const struct kube_view *view)
{
        for (uint32_t i = 0; i < joined->n_endpoints; i++) {
                const struct finding_endpoint *e = &joined->endpoints[i];

                CHECK(i == 0 || compare(e - 1, e) < 0);
                CHECK(!e->near || view->order == KHS_ORDER_ZONE);
                CHECK(e->n_ports <= KUBE_PORTS_MAX);
                for (uint32_t k = 0; k < e->n_ports; k++)
                        CHECK(e->ports[k].number > 0);
        }
}

static void join(const struct run *run)
{
        const struct kube_view view = {
                .include = run->what & ALL       ? SOURCE_INCLUDE_ALL
                           : run->what & SERVING ? SOURCE_INCLUDE_SERVING
                                                 : SOURCE_INCLUDE_READY,
                .order = run->what & ZONE ? KHS_ORDER_ZONE : KHS_ORDER_ROTATE,
                .zone = "a",
                .node = "n1",
        };
        const struct kube_slice *slices[SLICES_MAX];
        struct kube_joined joined;

        for (size_t i = 0; i < run->n_slices; i++)
                slices[i] = run->slices[i];
        CHECK(kube_join(&joined, slices, run->n_slices, &view) == 0);
        check_joined(&joined, &view);
        kube_joined_deinit(&joined);
}

static void run_free(struct run *run)
{
        for (size_t i = 0; i < run->n_slices; i++)
                kube_slice_free(run->slices[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct run whole = { 0 }, pieces = { 0 };
        int r;

        if (size < 2)
                return 0;
        whole.what = pieces.what = data[0];
        r = feed(&whole, data + 2, size - 2, size);
        CHECK(feed(&pieces, data + 2, size - 2, data[1] % 16U + 1U) == r);
        CHECK(whole.n_objects == pieces.n_objects && whole.sum == pieces.sum);
        join(&whole);
        run_free(&whole);
        run_free(&pieces);
        return 0;
}
