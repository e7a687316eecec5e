/* The static source, see source/static.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "source/static.h"

#define CONFIRM_USEC (30 * USEC_PER_SEC)

struct source_static {
        source_report_fn report;
        void *userdata;
        uint64_t next_usec;
        uint32_t n4, n6;
        uint8_t (*v4)[4];
        uint8_t (*v6)[16];
};

static int compare4(const void *a, const void *b)
{
        return memcmp(a, b, 4);
}

static int compare16(const void *a, const void *b)
{
        return memcmp(a, b, 16);
}

/* Sorted, without duplicates: an address with two ports is one address. */
static uint32_t collect(const struct config_service *config, uint8_t family, size_t size, void *ret)
{
        uint8_t *out = ret;
        uint32_t n = 0, kept = 0;

        for (size_t i = 0; i < config->n_endpoints && n < KHS_MAX_ADDRS; i++) {
                if (config->endpoints[i].family == family)
                        memcpy(out + n++ * size, config->endpoints[i].bytes, size);
        }
        if (n > 0)
                qsort(ret, n, size, size == 4 ? compare4 : compare16);
        for (uint32_t i = 0; i < n; i++) {
                if (kept == 0 || memcmp(out + (kept - 1) * size, out + i * size, size) != 0)
                        memmove(out + kept++ * size, out + i * size, size);
        }
        return kept;
}

int source_static_new(struct source_static **ret, const struct config_service *config, source_report_fn report,
                      void *userdata)
{
        struct source_static *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->report = report;
        s->userdata = userdata;
        s->v4 = calloc(config->n_endpoints + 1, sizeof(*s->v4));
        s->v6 = calloc(config->n_endpoints + 1, sizeof(*s->v6));
        if (!s->v4 || !s->v6) {
                source_static_free(s);
                return -ENOMEM;
        }
        s->n4 = collect(config, AF_INET, sizeof(*s->v4), s->v4);
        s->n6 = collect(config, AF_INET6, sizeof(*s->v6), s->v6);
        *ret = s;
        return 0;
}

struct source_static *source_static_free(struct source_static *s)
{
        if (s) {
                free(s->v4);
                free(s->v6);
                free(s);
        }
        return NULL;
}

bool source_static_equal(const struct source_static *a, const struct source_static *b)
{
        return a->n4 == b->n4 && a->n6 == b->n6 && memcmp(a->v4, b->v4, a->n4 * sizeof(*a->v4)) == 0 &&
               memcmp(a->v6, b->v6, a->n6 * sizeof(*a->v6)) == 0;
}

static void report_family(struct source_static *s, uint8_t family, uint32_t n, const void *addrs)
{
        const struct finding result = {
                .family = family,
                .kind = n > 0 ? FINDING_ANSWER : FINDING_NEGATIVE,
                .reason = n > 0 ? KHS_REASON_NONE : KHS_REASON_NODATA,
                .source = KHS_SOURCE_STATIC,
                .ttl_s = SOURCE_STATIC_TTL_S,
                .n_addrs = n,
                .addrs = addrs,
        };

        s->report(s->userdata, &result);
}

void source_static_tick(struct source_static *s, uint64_t now_usec)
{
        if (now_usec < s->next_usec)
                return;
        s->next_usec = now_usec + CONFIRM_USEC;
        report_family(s, AF_INET, s->n4, s->v4);
        report_family(s, AF_INET6, s->n6, s->v6);
}
