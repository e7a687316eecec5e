/*
 * The writer of a directory, see write/writer.h: which file is written to (write/record.c does
 * that), when a new one is made, and how one that an earlier writer left is taken over.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "table/atomic.h"
#include "write/growth.h"
#include "write/record.h"
#include "write/writer.h"

#define LOCK_NAME "lock"
#define MIN_UNITS 1024 /* 64 KiB of arena */
#define CALM_DS   6000 /* ten minutes: between two new files that no put is waiting for */
#define LEAVE_DS  600  /* readers leave a superseded file within a minute */

struct khs_writer {
        int dir_fd;
        struct khs_table_static fixed; /* what the next file's header says */
        uint64_t max_bytes;
        struct khs_file *file;
        bool published;
        uint32_t n_refused;
        struct khs_image *image;

        struct khs_growth growth; /* the next file, made in slices */
        bool is_due;              /* it is to be begun, or not yet over */
        bool is_sparse;           /* most of the arena is free, since sparse_ds */
        uint32_t sparse_ds;
        bool is_calm; /* no new file ahead of need before calm_ds */
        uint32_t calm_ds;

        struct khs_file *old; /* superseded at old_ds */
        uint32_t old_ds;
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

/* ---- new files ---- */

/*
 * The last one who lets go of a file has to wait until the kernel has freed its pages, a tenth of a
 * millisecond for each MiB. That ought not to be a lookup: we hold on until readers are gone.
 */
static void retire(struct khs_writer *w, uint32_t now_ds)
{
        khs_file_free(w->old, w->dir_fd);
        w->old = w->file;
        w->old_ds = now_ds;
}

/* Return: 1 there is more; 0. */
static int release_old(struct khs_writer *w, uint32_t n_words)
{
        if (khs_file_unmap(w->old, (uint64_t)n_words * KHS_UNIT) > 0)
                return 1;
        w->old = khs_file_free(w->old, w->dir_fd);
        return 0;
}

/* Takes the new file into use. */
static int switch_over(struct khs_writer *w, uint32_t now_ds)
{
        struct khs_file *file = khs_growth_take(&w->growth);

        if (w->published) {
                int r = khs_file_publish(file, w->dir_fd);

                if (r < 0) {
                        khs_file_free(file, w->dir_fd);
                        return r;
                }
                /* Ours need not have had the name any more: somebody may have removed it. */
                khs_file_supersede(w->file);
                retire(w, now_ds);
        } else {
                khs_file_free(w->file, w->dir_fd);
        }
        w->file = file;
        w->fixed.generation++;
        w->is_due = w->is_sparse = false;
        khs_writer_set_refused(w, w->n_refused);
        return 0;
}

static int begin(struct khs_writer *w, const struct khs_need *need)
{
        w->growth = (struct khs_growth){
                .dir_fd = w->dir_fd,
                .fixed = &w->fixed,
                .max_bytes = w->max_bytes,
                .from = w->file,
                .need = *need,
        };
        return khs_growth_begin(&w->growth);
}

/* What is left of it, at once. */
static int finish(struct khs_writer *w, uint32_t now_ds)
{
        int r;

        do
                r = khs_growth_step(&w->growth, KHS_ALL_WORDS, w->image, now_ds);
        while (r > 0);
        return r < 0 ? r : switch_over(w, now_ds);
}

static int build(struct khs_writer *w, const struct khs_need *need, uint32_t now_ds)
{
        int r;

        khs_growth_drop(&w->growth);
        w->old = khs_file_free(w->old, w->dir_fd);
        r = begin(w, need);
        return r < 0 ? r : finish(w, now_ds);
}

/* Units that records are in. */
static uint64_t live_units(const struct khs_pool *pool)
{
        return (uint64_t)pool->n_cut - pool->n_free;
}

/* And those at rest: there will be as many at any time. */
static uint64_t used_units(const struct khs_pool *pool, uint32_t now_ds)
{
        return live_units(pool) + khs_pool_resting(pool, now_ds);
}

/*
 * A new file with room for what is there, what rests, and one more row, and half of that again: each
 * byte is copied a constant number of times on average, and a table is never more than half empty.
 * When an index was too full, `wider` makes it twice as large.
 */
static int grow(struct khs_writer *w, const struct khs_row *row, bool wider, uint32_t now_ds)
{
        const struct khs_pool *pool = &w->file->pool;
        uint64_t live = live_units(pool), more = row ? khs_row_units(row) : 1;
        const struct khs_need need = {
                .n_keys = (w->file->n_keys + 1ULL) * (wider ? 2 : 1),
                .n_addresses = ((uint64_t)w->file->n_addresses + (row ? row->n4 + row->n6 : 0)) * (wider ? 2 : 1),
                .units = live + more,
                .wanted_units = (used_units(pool, now_ds) + more) * 3 / 2 + MIN_UNITS,
        };

        return build(w, &need, now_ds);
}

/* ---- ahead of need ---- */

/* No new file ahead of need for a while. */
static void calm(struct khs_writer *w, uint32_t now_ds)
{
        w->is_due = w->is_sparse = false;
        w->is_calm = true;
        w->calm_ds = now_ds + CALM_DS;
}

static bool is_calm(struct khs_writer *w, uint32_t now_ds)
{
        if (w->is_calm && (int32_t)(now_ds - w->calm_ds) >= 0)
                w->is_calm = false;
        return w->is_calm;
}

/* Three quarters of what the arena or an index takes. */
static bool is_tight(const struct khs_file *file)
{
        uint32_t n_entries = file->n_buckets * KHS_BUCKET_ENTRIES, n_rentries = file->n_rbuckets * KHS_BUCKET_ENTRIES;

        return file->pool.n_cut >= file->pool.n_units / 4 * 3 || file->n_keys >= n_entries / 8 * 3 ||
               (n_rentries > 0 && file->n_reverse >= n_rentries / 8 * 3);
}

/*
 * Half as much again as there is, and a bit: the next one is due when a fifth is added. How much rests is
 * known only when as many puts go on for the grace time.
 */
static uint64_t units_ahead(const struct khs_pool *pool, uint32_t now_ds)
{
        return live_units(pool) * 8 / 5 + khs_pool_resting(pool, now_ds) * 5ULL / 2 + MIN_UNITS;
}

/* Less than a quarter of the arena is used, for ten minutes, and a new one would be much smaller. */
static bool is_sparse(struct khs_writer *w, uint32_t now_ds)
{
        const struct khs_pool *pool = &w->file->pool;

        if (used_units(pool, now_ds) >= pool->n_units / 4 || units_ahead(pool, now_ds) > pool->n_units / 2) {
                w->is_sparse = false;
                return false;
        }
        if (!w->is_sparse)
                w->sparse_ds = now_ds;
        w->is_sparse = true;
        return now_ds - w->sparse_ds >= CALM_DS && !is_calm(w, now_ds);
}

/* Return: 1; a negative errno. */
static int begin_ahead(struct khs_writer *w, uint32_t now_ds)
{
        const struct khs_need need = {
                .n_keys = w->file->n_keys * 3ULL / 2 + 1,
                .n_addresses = w->file->n_addresses * 3ULL / 2 + 1,
                .units = used_units(&w->file->pool, now_ds) * 4 / 3 + 1,
                .wanted_units = units_ahead(&w->file->pool, now_ds),
        };
        int r;

        r = begin(w, &need);
        if (r < 0)
                calm(w, now_ds);
        return r < 0 ? r : 1;
}

/* Whether a file takes more than another one: then there will be as many more of its kind as there is more to hold. */
static bool is_larger(const struct khs_geometry *g, const struct khs_geometry *than)
{
        return g->arena_units >= than->arena_units / 8 * 9 || g->idx_log2 > than->idx_log2 ||
               g->ridx_log2 > than->ridx_log2;
}

/* A slice, and the switch behind the last one. Return: 1 there is more; 0; a negative errno. */
static int go_on(struct khs_writer *w, uint32_t n_words, uint32_t now_ds)
{
        bool is_copying = w->growth.file->map != NULL;
        struct khs_geometry before = w->file->geometry;
        int r;

        r = khs_growth_step(&w->growth, n_words, w->image, now_ds);
        if (r == -ENOSPC && is_copying)
                return 1; /* it has become too small: it is still due, and will be larger */
        if (r == 0)
                r = switch_over(w, now_ds);
        if (r < 0 || (r == 0 && !is_larger(&w->file->geometry, &before)))
                calm(w, now_ds);
        return r;
}

bool khs_writer_wants_step(const struct khs_writer *w)
{
        return w->is_due;
}

/* What is in the way, then what is under way. Return: as khs_writer_step(). */
static int advance(struct khs_writer *w, uint32_t n_words, uint32_t now_ds)
{
        if (w->old && (w->is_due || now_ds - w->old_ds >= LEAVE_DS))
                return release_old(w, n_words) || w->is_due;
        if (w->growth.file)
                return go_on(w, n_words, now_ds);
        return w->is_due ? begin_ahead(w, now_ds) : 0;
}

int khs_writer_step(struct khs_writer *w, uint32_t now_ds)
{
        if (!w->published)
                return 0;
        if (!w->growth.file && is_sparse(w, now_ds))
                w->is_due = true;
        return advance(w, KHS_SLICE_WORDS, now_ds);
}

/* ---- records ---- */

static bool is_full(int r)
{
        return r == -ENOSPC || r == -EXFULL;
}

/*
 * What was put into the file in use. Where puts cut blocks or take places in the index it is full before
 * long. Then as much of the next one is made as the room that this put took asks for: of the last
 * quarter, each word stands for three that are to be copied and five to be allocated.
 */
static void follow(struct khs_writer *w, const struct khs_row *row, uint32_t n_cut, bool is_more, uint32_t now_ds)
{
        if (w->growth.file)
                khs_growth_put(&w->growth, row, w->image, now_ds);
        if (!w->is_due)
                w->is_due = is_more && is_tight(w->file) && !is_calm(w, now_ds);
        if (w->is_due && n_cut > 0)
                (void)advance(w, n_cut * KHS_UNIT_WORDS * 6, now_ds);
}

static int put(struct khs_writer *w, const struct khs_row *row, uint32_t now_ds)
{
        struct khs_file *file = w->file;
        uint32_t n_cut = file->pool.n_cut, n_keys = file->n_keys, n_reverse = file->n_reverse;
        int r;

        r = khs_file_put(file, row, w->image, now_ds);
        if (r < 0 || !w->published)
                return r;
        n_cut = file->pool.n_cut - n_cut;
        follow(w, row, n_cut, n_cut > 0 || file->n_keys > n_keys || file->n_reverse > n_reverse, now_ds);
        return 0;
}

int khs_writer_put(struct khs_writer *w, const struct khs_row *row, uint32_t now_ds)
{
        int r;

        if (!khs_row_ok(row))
                return -EINVAL;
        r = put(w, row, now_ds);
        if (is_full(r) && w->growth.file && finish(w, now_ds) == 0)
                r = put(w, row, now_ds);
        if (is_full(r)) {
                r = grow(w, row, r == -EXFULL, now_ds);
                if (r == 0)
                        r = put(w, row, now_ds);
        }
        return r == -EXFULL ? -ENOSPC : r;
}

int khs_writer_delete(struct khs_writer *w, const char *key, size_t n_key, uint32_t now_ds)
{
        khs_growth_delete(&w->growth, key, n_key, now_ds);
        return khs_file_delete(w->file, key, n_key, now_ds);
}

void khs_writer_retain(struct khs_writer *w, bool (*keep)(void *userdata, const char *key, const char *target),
                       void *userdata, uint32_t now_ds)
{
        khs_growth_drop(&w->growth);
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
        const struct khs_need need = {
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
        khs_file_discard_unfinished(dir_fd);
        r = build(w, &need, 0);
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
                khs_growth_drop(&w->growth);
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

        if (fstatat(w->dir_fd, KHS_TABLE_NAME, &stat, AT_SYMLINK_NOFOLLOW) == 0 && stat.st_dev == w->file->device &&
            stat.st_ino == w->file->inode)
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
