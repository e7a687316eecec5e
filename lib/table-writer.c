/*
 * Writing records, see table-writer.h; the orderings are table-atomic.h's.
 *
 * A record is first put together in private memory, the image: header, key, addresses, zeros to
 * the end of the block. Then it is compared with what the table says, and copied into a fresh
 * block, word by word. This is the only memory that a put needs besides the arena, and it is
 * allocated once.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "siphash.h"
#include "table-atomic.h"
#include "table-crc.h"
#include "table-file.h"
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
        uint32_t image[KHS_MAX_UNITS * KHS_UNIT_WORDS];
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

/* ---- images ---- */

static uint32_t words_of(size_t n_bytes)
{
        return (uint32_t)((n_bytes + 3) / 4);
}

static uint32_t image_words(const struct khs_row *row)
{
        uint32_t n = KHS_UNIT_WORDS + words_of(row->n_key);

        return row->target ? n + 1 + words_of(row->n_target) : n + row->n4 + 4 * row->n6;
}

static bool row_ok(const struct khs_row *row)
{
        if (row->n_key < 1 || row->n_key > KHS_KEY_MAX || row->n4 > KHS_MAX_ADDRS || row->n6 > KHS_MAX_ADDRS)
                return false;
        return !row->target || (row->n_target >= 1 && row->n_target <= KHS_KEY_MAX && !row->n4 && !row->n6);
}

/* Puts the block together, as it will be but for seq; `units` is its class's size. */
static void image_fill(uint32_t *image, const struct khs_row *row, uint32_t tag, uint32_t units)
{
        struct khs_record *record = (struct khs_record *)image;
        uint32_t *payload = image + KHS_UNIT_WORDS, crc;

        memset(image, 0, (size_t)units * KHS_UNIT);
        *record = (struct khs_record){
                .units = units,
                .key = (uint32_t)row->n_key | row->flags | (row->target ? KHS_REC_ALIAS : 0),
                .n4 = row->n4,
                .n6 = row->n6,
                .policy = row->policy,
                .fresh_until_ds = row->fresh_until_ds,
                .stale_until_ds = row->stale_until_ds,
                .version = row->version,
                .tag = tag,
                .status = row->status,
                .since_ds = row->since_ds,
                .ttl_s = row->ttl_s,
                .port = row->port,
        };

        memcpy(payload, row->key, row->n_key);
        payload += words_of(row->n_key);
        if (row->target) {
                *payload = (uint32_t)row->n_target;
                memcpy(payload + 1, row->target, row->n_target);
        }
        if (row->n4 > 0)
                memcpy(payload, row->v4, (size_t)row->n4 * 4);
        if (row->n6 > 0)
                memcpy(payload + row->n4, row->v6, (size_t)row->n6 * 16);

        crc = khs_record_crc_head(record);
        for (uint32_t i = KHS_UNIT_WORDS; i < units * KHS_UNIT_WORDS; i++)
                crc = khs_crc32c_word(crc, image[i]);
        record->crc = khs_crc32c_end(crc);
}

/* ---- entries and blocks ---- */

static uint32_t *block_at(const struct khs_file *file, uint32_t ref)
{
        return file->map + file->arena_word + (size_t)(ref - 1) * KHS_UNIT_WORDS;
}

static struct khs_record *record_at(const struct khs_file *file, uint32_t ref)
{
        return (struct khs_record *)block_at(file, ref);
}

static uint32_t *bucket_at(const struct khs_file *file, uint32_t bucket)
{
        return file->map + file->idx_word + (size_t)(bucket & (file->n_buckets - 1)) * KHS_BUCKET_ENTRIES * 2;
}

static bool key_is(const struct khs_file *file, uint32_t ref, const char *key, size_t n_key)
{
        const struct khs_record *record = record_at(file, ref);

        /* This process alone writes here: plain reads of what it wrote itself are no race. */
        return (record->key & KHS_KEY_LEN_MASK) == n_key && memcmp(record + 1, key, n_key) == 0;
}

/* The place of a key: its entry (*ret_found), else the first free one in reach, else NULL. */
static uint32_t *entry_find(const struct khs_file *file, uint64_t hash, const char *key, size_t n_key, bool *ret_found)
{
        uint32_t tag = (uint32_t)(hash >> 32) | 1, *free_entry = NULL;

        *ret_found = false;
        for (uint32_t probe = 0; probe < KHS_PROBE_DEFAULT && probe < file->n_buckets; probe++) {
                uint32_t *entry = bucket_at(file, (uint32_t)hash + probe);

                for (uint32_t i = 0; i < KHS_BUCKET_ENTRIES; i++, entry += 2) {
                        if (entry[1] == 0 && !free_entry)
                                free_entry = entry;
                        if (entry[0] == 0)
                                return free_entry;
                        if (entry[0] == tag && entry[1] != 0 && key_is(file, entry[1], key, n_key)) {
                                *ret_found = true;
                                return entry;
                        }
                }
        }
        return free_entry;
}

static void block_write(struct khs_file *file, uint32_t unit, const uint32_t *image, uint32_t units)
{
        uint32_t *block = block_at(file, unit + 1);
        uint32_t seq = khs_load_relaxed(block) | 1;

        khs_store_relaxed(block, seq);
        khs_fence_release();
        for (uint32_t i = 1; i < units * KHS_UNIT_WORDS; i++)
                khs_store_relaxed(block + i, image[i]);
        khs_store_release(block, seq + 1);
}

static void entry_publish(uint32_t *entry, uint32_t tag, uint32_t ref)
{
        if (khs_load_relaxed(entry) != tag) {
                /* Free: nobody may find the new tag with an old ref. */
                khs_store_relaxed(entry + 1, 0);
                khs_fence_release();
                khs_store_relaxed(entry, tag);
        }
        khs_store_release(entry + 1, ref);
}

static void count_record(struct khs_file *file, const struct khs_record *record, int sign)
{
        struct khs_table_header *header = (struct khs_table_header *)file->map;

        file->n_keys += (uint32_t)sign;
        if (!(record->key & KHS_REC_ALIAS)) {
                file->n_services += (uint32_t)sign;
                file->n_addresses += (uint32_t)sign * (record->n4 + record->n6);
        }
        khs_store_relaxed(&header->n_services, file->n_services);
        khs_store_relaxed(&header->n_addresses, file->n_addresses);
        khs_store_relaxed(&header->free_units, file->pool.n_units - file->pool.n_cut + file->pool.n_free);
}

static void retire(struct khs_file *file, uint32_t ref, uint32_t now_ds)
{
        const struct khs_record *record = record_at(file, ref);

        count_record(file, record, -1);
        khs_pool_give(&file->pool, khs_pool_class(record->units), ref - 1, now_ds);
}

/* The image into a fresh block, and the block behind the entry. */
static int place(struct khs_file *file, uint32_t *entry, bool found, const uint32_t *image, uint32_t now_ds)
{
        const struct khs_record *record = (const struct khs_record *)image;
        uint32_t unit, old = found ? entry[1] : 0;
        int r;

        r = khs_pool_take(&file->pool, khs_pool_class(record->units), now_ds, &unit);
        if (r < 0)
                return r;
        block_write(file, unit, image, record->units);
        entry_publish(entry, record->tag, unit + 1);
        count_record(file, record, 1);
        if (old)
                retire(file, old, now_ds);
        return 0;
}

/* Whether a record says the same but for what may be stored in place. */
static bool same_content(const struct khs_file *file, uint32_t ref, const uint32_t *image)
{
        const struct khs_record *new = (const struct khs_record *)image, *old = record_at(file, ref);

        return old->units == new->units && old->crc == new->crc && old->key == new->key && old->n4 == new->n4 &&
               old->n6 == new->n6 && old->policy == new->policy && old->version == new->version &&
               old->port == new->port &&
               memcmp(old + 1, new + 1, (size_t)(new->units - 1) * KHS_UNIT) == 0;
}

static void touch(struct khs_file *file, uint32_t ref, const struct khs_row *row)
{
        struct khs_record *record = record_at(file, ref);

        khs_store_relaxed(&record->fresh_until_ds, row->fresh_until_ds);
        khs_store_relaxed(&record->stale_until_ds, row->stale_until_ds);
        khs_store_relaxed(&record->status, row->status);
        khs_store_relaxed(&record->since_ds, row->since_ds);
        khs_store_relaxed(&record->ttl_s, row->ttl_s);
}

/* Return: 0; -ENOSPC the arena is full; -EXFULL the index has no room near the key's bucket. */
static int put(struct khs_writer *w, const struct khs_row *row, uint32_t now_ds)
{
        uint64_t hash = khs_siphash13(w->file->hash_key, row->key, row->n_key);
        uint32_t units = (image_words(row) + KHS_UNIT_WORDS - 1) / KHS_UNIT_WORDS;
        uint32_t *entry;
        bool found;

        entry = entry_find(w->file, hash, row->key, row->n_key, &found);
        if (!entry || (!found && w->file->n_keys >= w->file->n_buckets * KHS_BUCKET_ENTRIES / 2))
                return -EXFULL;

        units = khs_pool_units(khs_pool_class(units));
        image_fill(w->image, row, (uint32_t)(hash >> 32) | 1, units);
        if (found && same_content(w->file, entry[1], w->image)) {
                touch(w->file, entry[1], row);
                return 0;
        }
        return place(w->file, entry, found, w->image, now_ds);
}

/* ---- new files ---- */

/* Everything that one file says into another, empty one. Versions and times stay what they are. */
static int copy_records(struct khs_file *to, const struct khs_file *from, uint32_t *image, uint32_t now_ds)
{
        const uint32_t *entry = from->map + from->idx_word;

        for (uint32_t i = 0; i < from->n_buckets * KHS_BUCKET_ENTRIES; i++, entry += 2) {
                struct khs_record *record = (struct khs_record *)image;
                const char *key = (const char *)(record + 1);
                uint32_t *new_entry, crc;
                uint64_t hash;
                bool found;
                int r;

                if (entry[1] == 0)
                        continue;
                memcpy(image, block_at(from, entry[1]), (size_t)record_at(from, entry[1])->units * KHS_UNIT);
                hash = khs_siphash13(to->hash_key, key, record->key & KHS_KEY_LEN_MASK);
                new_entry = entry_find(to, hash, key, record->key & KHS_KEY_LEN_MASK, &found);
                if (!new_entry)
                        return -EXFULL;

                record->tag = (uint32_t)(hash >> 32) | 1;
                crc = khs_record_crc_head(record);
                for (uint32_t word = KHS_UNIT_WORDS; word < record->units * KHS_UNIT_WORDS; word++)
                        crc = khs_crc32c_word(crc, image[word]);
                record->crc = khs_crc32c_end(crc);
                r = place(to, new_entry, false, image, now_ds);
                if (r < 0)
                        return r;
        }
        return 0;
}

static uint32_t idx_log2_for(uint64_t n_keys)
{
        uint32_t log2 = MIN_IDX_LOG2;

        while (log2 < KHS_IDX_LOG2_MAX && 1ULL << log2 < 2 * n_keys)
                log2++;
        return log2;
}

/* The largest arena that fits beside this index into max_bytes, at most `wanted`. */
static uint32_t arena_within(uint64_t max_bytes, uint32_t idx_log2, uint64_t wanted)
{
        uint64_t fixed_bytes = khs_file_size(idx_log2, 0), room;

        room = max_bytes > fixed_bytes ? (max_bytes - fixed_bytes) / KHS_TABLE_PAGE * (KHS_TABLE_PAGE / KHS_UNIT) : 0;
        return (uint32_t)(wanted < room ? wanted : room);
}

/* A filled file of this geometry without a name; tries other hash keys, then larger indexes. */
static int build(struct khs_writer *w, uint32_t idx_log2, uint64_t wanted_units, uint64_t needed_units,
                 uint32_t now_ds, struct khs_file **ret)
{
        int r = -ENOSPC;

        for (int i = 0; i < GROW_TRIES; i++, idx_log2 += i & 1 ? 0 : 1) {
                uint32_t units = arena_within(w->max_bytes, idx_log2, wanted_units);
                struct khs_file *file = NULL;

                if (idx_log2 > KHS_IDX_LOG2_MAX || units < needed_units || units == 0)
                        return -ENOSPC;
                r = khs_file_new(&file, w->dir_fd, &w->fixed, idx_log2, units, w->max_bytes);
                if (r < 0)
                        return r;
                if (w->file)
                        r = copy_records(file, w->file, w->image, now_ds);
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
        }
        khs_file_free(w->file, w->dir_fd);
        w->file = file;
        w->fixed.generation++;
        khs_writer_set_refused(w, w->n_refused);
        return 0;
}

/*
 * A new file with room for what is there, what rests, and `more` units, and half of that again: each
 * byte is copied a constant number of times on average, and a table is never more than half empty.
 */
static int grow(struct khs_writer *w, uint32_t more, uint32_t n_more_keys, uint32_t now_ds)
{
        const struct khs_pool *pool = &w->file->pool;
        uint64_t live = (uint64_t)pool->n_cut - pool->n_free;
        uint64_t wanted = (live + more + khs_pool_resting(pool, now_ds)) * 3 / 2 + MIN_UNITS;
        struct khs_file *file;
        int r;

        r = build(w, idx_log2_for((uint64_t)w->file->n_keys + n_more_keys), wanted, live + more, now_ds, &file);
        return r < 0 ? r : switch_to(w, file);
}

int khs_writer_put(struct khs_writer *w, const struct khs_row *row, uint32_t now_ds)
{
        uint32_t units;
        int r;

        if (!row_ok(row))
                return -EINVAL;
        units = (image_words(row) + KHS_UNIT_WORDS - 1) / KHS_UNIT_WORDS;
        if (units > KHS_MAX_UNITS)
                return -EINVAL;

        r = put(w, row, now_ds);
        if (r != -ENOSPC && r != -EXFULL)
                return r;
        r = grow(w, khs_pool_units(khs_pool_class(units)), r == -EXFULL ? w->file->n_keys + 1 : 1, now_ds);
        if (r == 0)
                r = put(w, row, now_ds);
        return r == -EXFULL ? -ENOSPC : r;
}

int khs_writer_delete(struct khs_writer *w, const char *key, size_t n_key, uint32_t now_ds)
{
        uint64_t hash = khs_siphash13(w->file->hash_key, key, n_key);
        uint32_t *entry, ref;
        bool found;

        entry = entry_find(w->file, hash, key, n_key, &found);
        if (!found)
                return -ENOENT;
        ref = entry[1];
        khs_store_release(entry + 1, 0);
        retire(w->file, ref, now_ds);
        return 0;
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
        w->max_bytes = params->max_bytes;
        return 0;
}

int khs_writer_new(struct khs_writer **ret, int dir_fd, const struct khs_table_params *params, uint32_t generation)
{
        struct khs_writer *w = calloc(1, sizeof(*w));
        struct khs_file *file;
        int r;

        if (!w)
                return -ENOMEM;
        w->dir_fd = dir_fd;
        w->fixed = (struct khs_table_static){
                .magic = KHS_MAGIC,
                .endian = KHS_ENDIAN,
                .major = KHS_MAJOR,
                .minor = KHS_MINOR,
                .header_size = KHS_HEADER_SIZE,
                .max_probe = KHS_PROBE_DEFAULT,
                .max_addr = KHS_MAX_ADDRS,
                .generation = generation,
        };
        r = set_params(w, params);
        if (r == 0)
                r = build(w, idx_log2_for(params->n_services), MIN_UNITS + 2ULL * params->n_services, 1, 0, &file);
        if (r == 0)
                r = switch_to(w, file);
        if (r < 0) {
                khs_writer_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

struct khs_writer *khs_writer_free(struct khs_writer *w)
{
        if (w) {
                khs_file_free(w->file, w->dir_fd);
                free(w);
        }
        return NULL;
}

void khs_writer_commit(struct khs_writer *w)
{
        struct khs_table_header *header = (struct khs_table_header *)w->file->map;

        khs_store_release(&header->changes, khs_load_relaxed(&header->changes) + 1);
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
                r = grow(w, 1, 1, now_ds);
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
