/* The next file of a writer, see write/growth.h. */

#include <errno.h>

#include "write/growth.h"

#define MIN_IDX_LOG2 9 /* one page of index: 256 services at half load */
#define MAX_TRIES    4 /* new hash keys, or doubled indexes, until every key finds its place */

/* Room for twice as many entries: every key finds its place near its bucket. */
static uint32_t index_log2(uint64_t n, uint32_t max)
{
        uint32_t log2 = MIN_IDX_LOG2;

        while (log2 < max && 1ULL << log2 < 2 * n)
                log2++;
        return log2;
}

/* The largest arena that fits beside the indexes into max_bytes, at most `wanted`. */
static uint32_t arena_within(uint64_t max_bytes, struct khs_geometry geometry, uint64_t wanted)
{
        uint64_t indexes, room;

        geometry.arena_units = 0;
        indexes = khs_file_size(&geometry);
        room = max_bytes > indexes ? (max_bytes - indexes) / KHS_TABLE_PAGE * (KHS_TABLE_PAGE / KHS_UNIT) : 0;
        return (uint32_t)(wanted < room ? wanted : room);
}

static int try_next(struct khs_growth *g)
{
        bool reverse = g->fixed->flags & KHS_FLAG_REVERSE;
        uint32_t wider = g->n_tries / 2;
        struct khs_geometry geometry = {
                .idx_log2 = index_log2(g->need.n_keys, KHS_IDX_LOG2_MAX) + wider,
                .ridx_log2 = reverse ? index_log2(g->need.n_addresses, KHS_RIDX_LOG2_MAX) + wider : 0,
        };

        g->entry = 0;
        g->n_tries++;
        geometry.arena_units = arena_within(g->max_bytes, geometry, g->need.wanted_units);
        if (geometry.idx_log2 > KHS_IDX_LOG2_MAX || geometry.ridx_log2 > KHS_RIDX_LOG2_MAX ||
            geometry.arena_units < g->need.units)
                return -ENOSPC;
        return khs_file_begin(&g->file, g->dir_fd, &geometry, g->max_bytes, g->from);
}

int khs_growth_begin(struct khs_growth *g)
{
        g->n_tries = 0;
        return try_next(g);
}

/* Return: 1 it begins again; else r. */
static int fail(struct khs_growth *g, int r)
{
        khs_growth_drop(g);
        if (r != -EXFULL || g->n_tries >= MAX_TRIES)
                return r;
        r = try_next(g);
        return r < 0 ? r : 1;
}

int khs_growth_step(struct khs_growth *g, uint32_t n_words, struct khs_image *image, uint32_t now_ds)
{
        int r;

        if (!g->file->map) {
                r = khs_file_allocate(g->file, 4ULL * n_words * sizeof(uint32_t));
                if (r == 0)
                        r = khs_file_finish(g->file, g->fixed);
                return r < 0 ? fail(g, r) : 1;
        }
        if (!g->from)
                return 0;
        r = khs_file_copy(g->file, g->from, &g->entry, n_words, image, now_ds);
        return r < 0 ? fail(g, r) : r;
}

void khs_growth_put(struct khs_growth *g, const struct khs_row *row, struct khs_image *image, uint32_t now_ds)
{
        int r;

        if (!g->file->map)
                return;
        r = khs_file_put(g->file, row, image, now_ds);
        if (r < 0)
                (void)fail(g, r);
}

void khs_growth_delete(struct khs_growth *g, const char *key, size_t n_key, uint32_t now_ds)
{
        if (g->file && g->file->map)
                (void)khs_file_delete(g->file, key, n_key, now_ds);
}

struct khs_file *khs_growth_take(struct khs_growth *g)
{
        struct khs_file *file = g->file;

        g->file = NULL;
        return file;
}

void khs_growth_drop(struct khs_growth *g)
{
        g->file = khs_file_free(g->file, g->dir_fd);
}
