/*
 * The writer of a directory, see table-writer.h: which file is written to (table-record.c does
 * that), when a new one is made, and how one that an earlier writer left is taken over.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "table-atomic.h"
#include "table-record.h"
#include "table-writer.h"

#define LOCK_NAME     "lock"
#define MIN_IDX_LOG2  9    /* one page of index: 256 services at half load */
#define MIN_UNITS     1024 /* 64 KiB of arena */
#define GROW_TRIES    4    /* new hash keys, or doubled indexes, until every key finds its place */

struct khs_writer {
        int dir_fd;
        struct khs_table_static fixed; /* what the next file's header says */
        uint64_t max_bytes;
        struct khs_file *file;
        bool published;
        uint32_t n_refused;
        struct khs_image *image;
};

int khs_writer_lock(int dir_fd)
{
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        int fd;

        fd = openat(dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
                int r = errno == EACCES ? -EAGAIN : -errno;

                (void)close(fd);
                return r;
        }
        return fd;
}

/* Room for twice as many entries: every key finds its place near its bucket. */
static uint32_t index_log2(uint64_t n, uint32_t max)
{
        uint32_t log2 = MIN_IDX_LOG2;

        while (log2 < max && 1ULL << log2 < 2 * n)
                log2++;
        return log2;
}

/* What a new file must hold. */
struct need {
        uint64_t n_keys, n_addresses;
        uint64_t units, wanted_units; /* at least; better */
};

/* The largest arena that fits beside the indexes into max_bytes, at most `wanted`. */
static uint32_t arena_within(uint64_t max_bytes, struct khs_geometry g, uint64_t wanted)
{
        uint64_t indexes, room;

        g.arena_units = 0;
        indexes = khs_file_size(&g);
        room = max_bytes > indexes ? (max_bytes - indexes) / KHS_TABLE_PAGE * (KHS_TABLE_PAGE / KHS_UNIT) : 0;
        return (uint32_t)(wanted < room ? wanted : room);
}

/* A filled file without a name; tries other hash keys, then larger indexes. */
static int build(struct khs_writer *w, const struct need *need, uint32_t now_ds, struct khs_file **ret)
{
        bool reverse = w->fixed.flags & KHS_FLAG_REVERSE;
        int r = -ENOSPC;

        for (uint32_t i = 0; i < GROW_TRIES; i++) {
                struct khs_geometry g = {
                        .idx_log2 = index_log2(need->n_keys, KHS_IDX_LOG2_MAX) + i / 2,
                        .ridx_log2 = reverse ? index_log2(need->n_addresses, KHS_RIDX_LOG2_MAX) + i / 2 : 0,
                };
                struct khs_file *file = NULL;

                g.arena_units = arena_within(w->max_bytes, g, need->wanted_units);
                if (g.idx_log2 > KHS_IDX_LOG2_MAX || g.ridx_log2 > KHS_RIDX_LOG2_MAX || g.arena_units < need->units)
                        return -ENOSPC;
                r = khs_file_new(&file, w->dir_fd, &w->fixed, &g, w->max_bytes);
                if (r < 0)
                        return r;
                if (w->file)
                        r = khs_file_copy(file, w->file, w->image, now_ds);
                if (r == 0) {
                        *ret = file;
                        return 0;
                }
                khs_file_free(file, w->dir_fd);
                if (r != -EXFULL)
                        return r;
        }
        return r;
}

/* Takes a new file into use. */
static int switch_to(struct khs_writer *w, struct khs_file *file)
{
        if (w->published) {
                int r = khs_file_publish(file, w->dir_fd);

                if (r < 0) {
                        khs_file_free(file, w->dir_fd);
                        return r;
                }
                /* Ours need not have had the name any more: somebody may have removed it. */
                khs_file_supersede(w->file);
        }
        khs_file_free(w->file, w->dir_fd);
        w->file = file;
        w->fixed.generation++;
        khs_writer_set_refused(w, w->n_refused);
        return 0;
}

/*
 * A new file with room for what is there, what rests, and one more row, and half of that again: each
 * byte is copied a constant number of times on average, and a table is never more than half empty.
 * When an index was too full, `wider` makes it twice as large.
 */
static int grow(struct khs_writer *w, const struct khs_row *row, bool wider, uint32_t now_ds)
{
        const struct khs_pool *pool = &w->file->pool;
        uint64_t live = (uint64_t)pool->n_cut - pool->n_free, more = row ? khs_row_units(row) : 1;
        const struct need need = {
                .n_keys = (w->file->n_keys + 1ULL) * (wider ? 2 : 1),
                .n_addresses = ((uint64_t)w->file->n_addresses + (row ? row->n4 + row->n6 : 0)) * (wider ? 2 : 1),
                .units = live + more,
                .wanted_units = (live + more + khs_pool_resting(pool, now_ds)) * 3 / 2 + MIN_UNITS,
        };
        struct khs_file *file;
        int r;

        r = build(w, &need, now_ds, &file);
        return r < 0 ? r : switch_to(w, file);
}

int khs_writer_put(struct khs_writer *w, const struct khs_row *row, uint32_t now_ds)
{
        int r;

        if (!khs_row_ok(row))
                return -EINVAL;
        r = khs_file_put(w->file, row, w->image, now_ds);
        if (r != -ENOSPC && r != -EXFULL)
                return r;
        r = grow(w, row, r == -EXFULL, now_ds);
        if (r == 0)
                r = khs_file_put(w->file, row, w->image, now_ds);
        return r == -EXFULL ? -ENOSPC : r;
}

int khs_writer_delete(struct khs_writer *w, const char *key, size_t n_key, uint32_t now_ds)
{
        return khs_file_delete(w->file, key, n_key, now_ds);
}

void khs_writer_retain(struct khs_writer *w, bool (*keep)(void *userdata, const char *key, const char *target),
                       void *userdata, uint32_t now_ds)
{
        khs_file_retain(w->file, keep, userdata, now_ds);
}

/* ---- the writer ---- */

static int set_params(struct khs_writer *w, const struct khs_table_params *params)
{
        const char *namespace = params->namespace ? params->namespace : "";
        size_t n_zone = strlen(params->zone), n_namespace = strlen(namespace);

        if (n_zone > KHS_KEY_MAX || n_namespace > sizeof(w->fixed.namespace))
                return -EINVAL;
        memset(w->fixed.zone, 0, sizeof(w->fixed.zone));
        memset(w->fixed.namespace, 0, sizeof(w->fixed.namespace));
        memcpy(w->fixed.zone, params->zone, n_zone);
        memcpy(w->fixed.namespace, namespace, n_namespace);
        w->fixed.zone_len = (uint32_t)n_zone;
        w->fixed.namespace_len = (uint8_t)n_namespace;
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
        r = set_params(w, params);
        if (r < 0) {
                khs_writer_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

int khs_writer_new(struct khs_writer **ret, int dir_fd, const struct khs_table_params *params, uint32_t generation)
{
        const struct need need = {
                .n_keys = params->n_services,
                .n_addresses = params->n_services,
                .units = 1,
                .wanted_units = MIN_UNITS + 2ULL * params->n_services,
        };
        struct khs_writer *w;
        struct khs_file *file;
        int r;

        r = writer_alloc(&w, dir_fd, params);
        if (r < 0)
                return r;
        w->fixed.generation = generation;
        r = build(w, &need, 0, &file);
        if (r == 0)
                r = switch_to(w, file);
        if (r < 0) {
                khs_writer_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

int khs_writer_adopt(struct khs_writer **ret, int dir_fd, const struct khs_table_params *params, uint32_t now_ds)
{
        struct khs_writer *w;
        int r;

        r = writer_alloc(&w, dir_fd, params);
        if (r < 0)
                return r;
        r = khs_file_adopt(&w->file, dir_fd, &w->fixed, w->max_bytes, now_ds);
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
                r = set_params(w, params);
        if (r == 0)
                r = grow(w, NULL, false, now_ds);
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
        struct stat stat;

        if (fstatat(w->dir_fd, KHS_TABLE_NAME, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
            stat.st_dev == w->file->device && stat.st_ino == w->file->inode)
                return 0;
        return fstat(w->dir_fd, &stat) == 0 && stat.st_nlink > 0 ? -ESTALE : -ENOTDIR;
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
