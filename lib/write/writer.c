/*
 * The writer of a directory: which file it writes to, when a larger one takes its place, and how it takes
 * over the one that a previous writer left. What goes into a file is up to write/record/record.c.
 *
 *                     khs_writer_new()                     khs_writer_adopt()
 *                           |                                      |
 *     w->file:     table.v1.new, unpublished -- publish() --> table.v1, live
 *                                                           |   ^
 *                    put() finds it full, tend() finds it   |   |  built whole, renamed
 *                    three quarters full, renew()           v   |  over the name
 *                                                       table.v1.new
 *     w->old:      superseded, without a name, until its readers have left it
 *
 * A file that has the name never says less than the one that had it before.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "table/atomic.h"
#include "write/growth.h"
#include "write/record/record.h"
#include "write/writer.h"

#define MIN_UNITS   1024           /* 64 KiB of arena */
#define LARGE_UNITS (256U * 1024U) /* 16 MiB */
#define CALM_DS     6000           /* ten minutes from one file to the next, unless a put waits for it */
#define LEAVE_DS    600            /* within a minute readers leave a superseded file */

struct khs_writer {
        int dir_fd;
        struct khs_table_static fixed; /* what the next file's header says */
        uint64_t max_bytes;
        struct khs_file *file;
        bool published;
        uint32_t n_refused;
        struct khs_image *image;

        bool is_calm; /* no growth ahead of need before calm_ds */
        uint32_t calm_ds;

        struct khs_file *old; /* superseded at old_ds */
        uint32_t old_ds;
};

/* ---- new files ---- */

/* No growth ahead of need for a while. */
static void writer_calm(struct khs_writer *w, uint32_t now_ds)
{
        w->is_calm = true;
        w->calm_ds = now_ds + CALM_DS;
}

static bool writer_is_calm(struct khs_writer *w, uint32_t now_ds)
{
        if (w->is_calm && (int32_t)(now_ds - w->calm_ds) >= 0)
                w->is_calm = false;
        return w->is_calm;
}

/*
 * Whoever unmaps a file last waits until the kernel has freed its pages, a tenth of a millisecond for
 * each MiB. That must not be a lookup, so the writer keeps the file until its readers are gone.
 */
static void writer_retire(struct khs_writer *w, uint32_t now_ds)
{
        khs_file_supersede(w->file); /* publishing does not reach it if somebody removed it */
        w->old = w->file;
        w->old_ds = now_ds;
}

/* A new file takes the place of the one in use. */
static int writer_replace(struct khs_writer *w, const struct khs_growth *growth, uint32_t now_ds)
{
        struct khs_file *file;
        int r;

        w->old = khs_file_free(w->old, w->dir_fd);
        r = khs_growth_build(growth, &file, w->image, now_ds);
        if (r < 0)
                return r;
        if (w->published) {
                r = khs_file_publish(file, w->dir_fd);
                if (r < 0) {
                        khs_file_free(file, w->dir_fd);
                        return r;
                }
                writer_retire(w, now_ds);
        } else {
                khs_file_free(w->file, w->dir_fd);
        }
        w->file = file;
        w->fixed.generation++;
        writer_calm(w, now_ds);
        khs_writer_set_refused(w, w->n_refused);
        return 0;
}

/* Units that hold records. */
static uint64_t writer_live_units(const struct khs_writer *w)
{
        return (uint64_t)w->file->pool.n_cut - w->file->pool.n_free;
}

/* With those at rest: while changes go on at this pace, there are always as many. */
static uint64_t writer_used_units(const struct khs_writer *w, uint32_t now_ds)
{
        return writer_live_units(w) + khs_pool_resting(&w->file->pool, now_ds);
}

/* Twice as much; of a large table 16 MiB or two fifths more, since what is free in it is taken from the machine. */
static uint64_t writer_with_room(uint64_t units)
{
        uint64_t more = units;

        if (more > LARGE_UNITS)
                more = units / 5 * 2 > LARGE_UNITS ? units / 5 * 2 : LARGE_UNITS;
        return units + more > MIN_UNITS ? units + more : MIN_UNITS;
}

/* A file with room beyond what is in use, and what another row needs, if any. */
static struct khs_growth writer_growth(const struct khs_writer *w, const struct khs_row *row, uint32_t now_ds)
{
        uint64_t more = row ? khs_row_units(row) : 0;

        return (struct khs_growth){
                .dir_fd = w->dir_fd,
                .fixed = &w->fixed,
                .from = w->file,
                .max_bytes = w->max_bytes,
                .n_keys = w->file->n_keys + 1ULL,
                .n_addresses = w->file->n_addresses + (row ? (uint64_t)row->n4 + row->n6 : 0),
                .units = writer_live_units(w) + more,
                .wanted_units = writer_with_room(writer_used_units(w, now_ds) + more),
        };
}

/* Whether the file is three quarters full, and the next one would not be. */
static bool writer_is_growth_due(const struct khs_writer *w, const struct khs_growth *growth, uint32_t now_ds)
{
        const struct khs_file *file = w->file;
        struct khs_geometry next;

        return khs_geometry_is_tight(&file->geometry, file->pool.n_cut, file->n_keys, file->n_reverse) &&
               khs_growth_plan(growth, &next) == 0 &&
               !khs_geometry_is_tight(&next, writer_used_units(w, now_ds), file->n_keys, file->n_reverse);
}

int khs_writer_tend(struct khs_writer *w, uint32_t now_ds)
{
        const struct khs_growth growth = writer_growth(w, NULL, now_ds);
        int r;

        if (w->old && now_ds - w->old_ds >= LEAVE_DS)
                w->old = khs_file_free(w->old, w->dir_fd);
        if (!w->published || writer_is_calm(w, now_ds) || !writer_is_growth_due(w, &growth, now_ds))
                return 0;
        r = writer_replace(w, &growth, now_ds);
        writer_calm(w, now_ds);
        return r;
}

/* ---- records ---- */

int khs_writer_put(struct khs_writer *w, const struct khs_row *row, uint32_t now_ds)
{
        int r;

        if (!khs_row_ok(row))
                return -EINVAL;
        r = khs_file_put(w->file, row, w->image, now_ds);
        if (r == -ENOSPC || r == -EXFULL || r == -EBADMSG) {
                const struct khs_growth growth = writer_growth(w, row, now_ds);

                r = writer_replace(w, &growth, now_ds);
                if (r == 0)
                        r = khs_file_put(w->file, row, w->image, now_ds);
        }
        return r == -EXFULL ? -ENOSPC : r;
}

int khs_writer_delete(struct khs_writer *w, const char *key, size_t n_key, uint32_t now_ds)
{
        int r = khs_file_delete(w->file, key, n_key, now_ds);

        if (r != -EBADMSG)
                return r;
        r = khs_writer_renew(w, NULL, now_ds);
        if (r < 0)
                return r;
        (void)khs_file_delete(w->file, key, n_key, now_ds); /* if it was not the damaged one */
        return 0;
}

void khs_writer_drop_pending(struct khs_writer *w, const char *key, size_t n_key, uint32_t now_ds)
{
        khs_file_drop_pending(w->file, key, n_key, now_ds);
}

void khs_writer_retain(struct khs_writer *w, bool (*keep)(void *userdata, const char *key, const char *target),
                       void *userdata, uint32_t now_ds)
{
        khs_file_retain(w->file, keep, userdata, now_ds);
}

/* ---- the writer ---- */

/* The rest of the field is 0. Return: its length; -EINVAL: it is too long, and @field untouched. */
static int writer_set_text(char *field, size_t n_field, const char *text)
{
        size_t n = text ? strlen(text) : 0;

        if (n > n_field)
                return -EINVAL;
        memset(field, 0, n_field);
        memcpy(field, text ? text : "", n);
        return (int)n;
}

static int writer_set_params(struct khs_writer *w, const struct khs_table_params *params)
{
        struct khs_table_static next = w->fixed;
        int n_zone = writer_set_text(next.zone, KHS_KEY_MAX, params->zone),
            n_namespace = writer_set_text(next.namespace, sizeof(next.namespace), params->namespace),
            n_node_name = writer_set_text(next.node_name, sizeof(next.node_name), params->node_name),
            n_node_zone = writer_set_text(next.node_zone, sizeof(next.node_zone), params->node_zone);

        if (n_zone < 0 || n_namespace < 0 || n_node_name < 0 || n_node_zone < 0)
                return -EINVAL;
        w->fixed = next;
        w->fixed.zone_len = (uint32_t)n_zone;
        w->fixed.namespace_len = (uint8_t)n_namespace;
        w->fixed.node_name_len = (uint8_t)n_node_name;
        w->fixed.node_zone_len = (uint8_t)n_node_zone;
        w->fixed.orphan_max_ds = params->orphan_max_ds;
        w->fixed.flags = params->reverse ? KHS_FLAG_REVERSE : 0;
        w->max_bytes = params->max_bytes;
        return 0;
}

/* A writer without a file. */
static int writer_alloc(struct khs_writer **ret, int dir_fd, const struct khs_table_params *params)
{
        struct khs_writer *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->image = khs_image_new();
        if (!w->image) {
                free(w);
                return -ENOMEM;
        }
        w->dir_fd = dir_fd;
        w->fixed = (struct khs_table_static){
                .magic = KHS_MAGIC,
                .endian = KHS_ENDIAN,
                .major = KHS_MAJOR,
                .minor = KHS_MINOR,
                .header_size = KHS_HEADER_SIZE,
                .max_probe = KHS_PROBE_DEFAULT,
                .max_addr = KHS_MAX_ADDRS,
        };
        r = writer_set_params(w, params);
        if (r < 0) {
                khs_writer_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

int khs_writer_new(struct khs_writer **ret, int dir_fd, const struct khs_table_params *params, uint32_t generation)
{
        struct khs_growth first = {
                .dir_fd = dir_fd,
                .n_keys = params->n_services,
                .n_addresses = params->n_services,
                .units = 1,
                .wanted_units = MIN_UNITS + 2ULL * params->n_services,
        };
        struct khs_writer *w;
        int r;

        r = writer_alloc(&w, dir_fd, params);
        if (r < 0)
                return r;
        w->fixed.generation = generation;
        first.fixed = &w->fixed;
        first.max_bytes = w->max_bytes;
        khs_file_discard_unfinished(dir_fd);
        r = khs_growth_build(&first, &w->file, w->image, 0);
        if (r == -ENOSPC) { /* for so many */
                first.n_keys = first.n_addresses = 0;
                first.wanted_units = MIN_UNITS;
                r = khs_growth_build(&first, &w->file, w->image, 0);
        }
        if (r < 0) {
                khs_writer_free(w);
                return r;
        }
        w->fixed.generation++;
        *ret = w;
        return 0;
}

/* One that is made now would have a quarter of its room at most. */
static bool writer_is_nearly_empty(const struct khs_writer *w)
{
        return writer_with_room(writer_live_units(w)) <= w->file->geometry.arena_units / 4;
}

int khs_writer_adopt(struct khs_writer **ret, int dir_fd, const struct khs_table_params *params, uint32_t now_ds)
{
        struct khs_writer *w;
        int r;

        r = writer_alloc(&w, dir_fd, params);
        if (r < 0)
                return r;
        r = khs_file_adopt(&w->file, dir_fd, &w->fixed, w->max_bytes, now_ds);
        if (r == 0 && writer_is_nearly_empty(w))
                r = -EFBIG;
        if (r < 0) {
                khs_writer_free(w);
                return r;
        }
        w->fixed.generation = ((const struct khs_table_header *)w->file->map)->fixed.generation + 1;
        w->published = true;
        khs_file_discard_unfinished(dir_fd);
        khs_file_beat(w->file);
        *ret = w;
        return 0;
}

struct khs_writer *khs_writer_free(struct khs_writer *w)
{
        if (w) {
                khs_file_free(w->old, w->dir_fd);
                khs_file_free(w->file, w->dir_fd);
                khs_image_free(w->image);
                free(w);
        }
        return NULL;
}

void khs_writer_commit(struct khs_writer *w)
{
        khs_file_commit(w->file);
}

void khs_writer_wake(struct khs_writer *w)
{
        khs_file_wake(w->file);
}

int khs_writer_publish(struct khs_writer *w)
{
        int r = khs_file_publish(w->file, w->dir_fd);

        if (r == 0)
                w->published = true;
        return r;
}

int khs_writer_renew(struct khs_writer *w, const struct khs_table_params *params, uint32_t now_ds)
{
        struct khs_table_static fixed = w->fixed;
        uint64_t max_bytes = w->max_bytes;
        int r = 0;

        if (params)
                r = writer_set_params(w, params);
        if (r == 0) {
                struct khs_growth same = writer_growth(w, NULL, now_ds);

                same.wanted_units = w->file->geometry.arena_units;
                r = writer_replace(w, &same, now_ds);
        }
        if (r < 0) {
                w->fixed = fixed;
                w->max_bytes = max_bytes;
        }
        return r;
}

void khs_writer_beat(struct khs_writer *w)
{
        khs_file_beat(w->file);
}

int khs_writer_check(const struct khs_writer *w)
{
        return khs_file_has_name(w->file, w->dir_fd, KHS_TABLE_NAME) ? 0 : -ESTALE;
}

void khs_writer_set_refused(struct khs_writer *w, uint32_t n_refused)
{
        struct khs_table_header *header = (struct khs_table_header *)w->file->map;

        w->n_refused = n_refused;
        khs_store_relaxed(&header->n_refused, n_refused);
}

uint64_t khs_writer_size(const struct khs_writer *w)
{
        return w->file->size;
}
