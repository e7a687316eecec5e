/*
 * The next file of a writer. A file never changes its geometry, so a table that is full, or whose header
 * has to say something else, moves into another file:
 *
 *     plan     index: room for half as many keys again, a power of two, at most half full;
 *              arena: as large as wanted, or what the indexes leave of max_bytes
 *     build    an empty file without a name, then every record copied, with its version and times
 *
 * It is built in one go, less than 100 ms for 100,000 services of 50 addresses. The daemon does nothing
 * else meanwhile. Readers do not notice, since the file in use is neither touched nor marked before the new
 * one has its name.
 *
 * Every file has a hash key of its own: when more keys meet in a neighbourhood than it has places, by bad
 * luck or because somebody guessed the key, the next one scatters them anew.
 */

#include <errno.h>

#include "write/growth.h"

#define MIN_IDX_LOG2 9 /* one page of index: 256 services at half load */
#define MAX_TRIES    4 /* of another hash key and a doubled index, until every key finds a place */

/* At most half full: so nearly every key finds a place near its bucket. */
static uint32_t growth_index_log2(uint64_t n, uint32_t max)
{
        uint32_t log2 = MIN_IDX_LOG2;

        while (log2 < max && 1ULL << log2 < 2 * n)
                log2++;
        return log2;
}

/* The largest arena that fits beside the indexes into max_bytes, at most `wanted`. */
static uint32_t growth_arena_within(uint64_t max_bytes, struct khs_geometry geometry, uint64_t wanted)
{
        uint64_t indexes, room;

        geometry.arena_units = 0;
        indexes = khs_file_size(&geometry);
        room = max_bytes > indexes ? (max_bytes - indexes) / KHS_TABLE_PAGE * (KHS_TABLE_PAGE / KHS_UNIT) : 0;
        return (uint32_t)(wanted < room ? wanted : room);
}

int khs_growth_plan(const struct khs_growth *g, struct khs_geometry *ret)
{
        bool reverse = g->fixed->flags & KHS_FLAG_REVERSE;
        struct khs_geometry geometry = {
                .idx_log2 = growth_index_log2(g->n_keys * 3 / 2, KHS_IDX_LOG2_MAX),
                .ridx_log2 = reverse ? growth_index_log2(g->n_addresses * 3 / 2, KHS_RIDX_LOG2_MAX) : 0,
        };

        geometry.arena_units = growth_arena_within(g->max_bytes, geometry, g->wanted_units);
        if (geometry.arena_units < g->units)
                return -ENOSPC;
        *ret = geometry;
        return 0;
}

static int growth_try(const struct khs_growth *g, const struct khs_geometry *geometry, struct khs_file **ret,
                      struct khs_image *image, uint32_t now_ds)
{
        struct khs_file *file;
        int r;

        r = khs_file_new(&file, g->dir_fd, g->fixed, geometry, g->from);
        if (r < 0)
                return r;
        if (g->from)
                r = khs_file_copy(file, g->from, image, now_ds);
        if (r < 0) {
                khs_file_free(file, g->dir_fd);
                return r;
        }
        *ret = file;
        return 0;
}

int khs_growth_build(const struct khs_growth *g, struct khs_file **ret, struct khs_image *image, uint32_t now_ds)
{
        struct khs_growth wider = *g;
        int r = -EXFULL;

        for (unsigned int i = 0; r == -EXFULL && i < MAX_TRIES; i++, wider.n_keys *= 2, wider.n_addresses *= 2) {
                struct khs_geometry geometry;

                r = khs_growth_plan(&wider, &geometry);
                if (r == 0)
                        r = growth_try(&wider, &geometry, ret, image, now_ds);
        }
        return r;
}

static bool growth_is_index_tight(uint32_t log2, uint64_t n)
{
        return log2 > 0 && n >= (1ULL << log2) / 8 * 3;
}

bool khs_geometry_is_tight(const struct khs_geometry *g, uint64_t units, uint64_t n_keys, uint64_t n_reverse)
{
        return units >= g->arena_units / 4 * 3 || growth_is_index_tight(g->idx_log2, n_keys) ||
               growth_is_index_tight(g->ridx_log2, n_reverse);
}
