/*
 * Records into one file, see write/record.h; the orderings are table/atomic.h's.
 *
 * A record is first put together in private memory, the image: header, key, addresses, attributes,
 * zeros to the end of the block. Then it is compared with what the table says, and copied into a fresh
 * block, word by word. This is the only memory that a put needs besides the arena, and it is
 * allocated once.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "read/crc.h"
#include "table/atomic.h"
#include "table/siphash.h"
#include "write/record.h"
#include "write/reverse-index.h"

static uint32_t words_of(size_t n_bytes)
{
        return (uint32_t)((n_bytes + 3) / 4);
}

/* A record without its attributes. */
static uint32_t base_words(const struct khs_row *row)
{
        uint32_t n = KHS_UNIT_WORDS + words_of(row->n_key);

        return row->target ? n + 1 + words_of(row->n_target) : n + row->n4 + 4 * row->n6;
}

static uint32_t block_units(uint64_t n_words)
{
        uint64_t units = (n_words + KHS_UNIT_WORDS - 1) / KHS_UNIT_WORDS;

        return units <= KHS_MAX_UNITS ? khs_pool_units(khs_pool_class((uint32_t)units)) : KHS_MAX_UNITS;
}

uint32_t khs_row_units(const struct khs_row *row)
{
        return block_units(base_words(row) + khs_attrs_words_max(row));
}

bool khs_row_ok(const struct khs_row *row)
{
        if (row->n_key < 1 || row->n_key > KHS_KEY_MAX || row->n4 > KHS_MAX_ADDRS || row->n6 > KHS_MAX_ADDRS)
                return false;
        if (row->target && (row->n_target < 1 || row->n_target > KHS_KEY_MAX || row->n4 || row->n6))
                return false;
        if (row->n_shared > 2 * KHS_MAX_ADDRS - row->n4 - row->n6 || (row->n_shared > 0 && !row->endpoints))
                return false;
        for (uint32_t i = 0; i < row->n_shared; i++) {
                if (row->shared[i] >= row->n4 + row->n6 || (i > 0 && row->shared[i] < row->shared[i - 1]))
                        return false;
        }
        return !(row->target && row->endpoints);
}

struct khs_image *khs_image_new(void)
{
        struct khs_image *image = calloc(1, sizeof(*image));

        if (image)
                image->attrs = khs_attrs_scratch_new();
        return image && !image->attrs ? khs_image_free(image) : image;
}

struct khs_image *khs_image_free(struct khs_image *image)
{
        if (image)
                free(image->attrs);
        free(image);
        return NULL;
}

static void put_bytes(uint32_t *ret, const void *bytes, size_t n)
{
        if (n % 4)
                ret[n / 4] = 0;
        if (n > 0)
                memcpy(ret, bytes, n);
}

/*
 * Puts the block together, as it will be but for seq and CRC. Addresses come before all: attributes
 * for which even the largest block has no room are left out.
 */
static void image_fill(struct khs_image *image, const struct khs_row *row, uint32_t tag)
{
        uint32_t *payload = image->words + KHS_UNIT_WORDS, n = base_words(row), n_attrs = 0, units;

        put_bytes(payload, row->key, row->n_key);
        payload += words_of(row->n_key);
        if (row->target) {
                *payload = (uint32_t)row->n_target;
                put_bytes(payload + 1, row->target, row->n_target);
        }
        put_bytes(payload, row->v4, (size_t)row->n4 * 4);
        put_bytes(payload + row->n4, row->v6, (size_t)row->n6 * 16);
        if (row->endpoints && row->n4 + row->n6 > 0)
                n_attrs = khs_attrs_encode(image->attrs, row, image->words + n, KHS_IMAGE_WORDS - n);

        units = block_units(n + n_attrs);
        memset(image->words + n + n_attrs, 0, (size_t)(units * KHS_UNIT_WORDS - n - n_attrs) * 4);
        *(struct khs_record *)image->words = (struct khs_record){
                .units = units,
                .key = (uint32_t)row->n_key |
                       (row->flags & ~(n_attrs || row->n4 + row->n6 == 0 ? 0 : KHS_REC_HOSTS_COMPLETE)) |
                       (row->target ? KHS_REC_ALIAS : 0),
                .n4 = row->n4,
                .n6 = row->n6,
                .policy = row->policy,
                .fresh_until_ds = row->fresh_until_ds,
                .stale_until_ds = row->stale_until_ds,
                .version = row->version,
                .tag = tag,
                .attrs = n_attrs ? n : 0,
                .status = row->status,
                .since_ds = row->since_ds,
                .ttl_s = row->ttl_s,
                .port = row->port,
        };
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
                uint32_t *entry = khs_bucket(file->map + file->idx_word, file->n_buckets, (uint32_t)hash + probe);

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

/* Number of an index entry: what the reverse index refers to. */
static uint32_t entry_number(const struct khs_file *file, const uint32_t *entry)
{
        return (uint32_t)(entry - (file->map + file->idx_word)) / 2;
}

/* A block that no entry refers to any more. */
static void retire(struct khs_file *file, uint32_t ref, uint32_t now_ds)
{
        const struct khs_record *record = record_at(file, ref);

        count_record(file, record, -1);
        khs_pool_give(&file->pool, khs_pool_class(record->units), ref - 1, now_ds);
}

/* The image into a fresh block, and the block behind the entry. */
static int place(struct khs_file *file, uint32_t *entry, bool found, const uint32_t *image, uint32_t now_ds)
{
        const struct khs_record *record = (const struct khs_record *)image, *old = NULL;
        uint32_t unit, old_ref = found ? entry[1] : 0;
        int r;

        if (old_ref)
                old = record_at(file, old_ref);
        if (!khs_reverse_room(file, old, record))
                return -EXFULL;
        r = khs_pool_take(&file->pool, khs_pool_class(record->units), now_ds, &unit);
        if (r < 0)
                return r;
        block_write(file, unit, image, record->units);
        khs_entry_publish(entry, record->tag, unit + 1);
        count_record(file, record, 1);
        khs_reverse_update(file, entry_number(file, entry), old, record);
        if (old_ref)
                retire(file, old_ref, now_ds);
        return 0;
}

static void withdraw(struct khs_file *file, uint32_t *entry, uint32_t now_ds)
{
        uint32_t ref = entry[1];

        khs_store_release(entry + 1, 0);
        khs_reverse_update(file, entry_number(file, entry), record_at(file, ref), NULL);
        retire(file, ref, now_ds);
}

/* Whether a record says the same but for what may be stored in place. */
static bool same_content(const struct khs_file *file, uint32_t ref, const uint32_t *image)
{
        const struct khs_record *new = (const struct khs_record *)image, *old = record_at(file, ref);

        return old->units == new->units && old->key == new->key && old->n4 == new->n4 && old->n6 == new->n6 &&
               old->policy == new->policy && old->version == new->version &&
               old->port == new->port &&memcmp(old + 1, new + 1, (size_t)(new->units - 1) * KHS_UNIT) == 0;
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

int khs_file_put(struct khs_file *file, const struct khs_row *row, struct khs_image *image, uint32_t now_ds)
{
        uint64_t hash = khs_siphash13(file->hash_key, row->key, row->n_key);
        struct khs_record *record;
        uint32_t *entry;
        bool found;

        entry = entry_find(file, hash, row->key, row->n_key, &found);
        if (!entry || (!found && file->n_keys >= file->n_buckets * KHS_BUCKET_ENTRIES / 2))
                return -EXFULL;

        image_fill(image, row, (uint32_t)(hash >> 32) | 1);
        if (found && same_content(file, entry[1], image->words)) {
                touch(file, entry[1], row);
                return 0;
        }
        record = (struct khs_record *)image->words;
        record->crc = khs_record_crc(record);
        return place(file, entry, found, image->words, now_ds);
}

int khs_file_delete(struct khs_file *file, const char *key, size_t n_key, uint32_t now_ds)
{
        uint64_t hash = khs_siphash13(file->hash_key, key, n_key);
        uint32_t *entry;
        bool found;

        entry = entry_find(file, hash, key, n_key, &found);
        if (!found)
                return -ENOENT;
        withdraw(file, entry, now_ds);
        return 0;
}

static int copy_record(struct khs_file *to, const struct khs_file *from, uint32_t ref, struct khs_image *image,
                       uint32_t now_ds)
{
        struct khs_record *record = (struct khs_record *)image->words;
        const char *key = (const char *)(record + 1);
        uint32_t *entry;
        uint64_t hash;
        bool found;

        memcpy(image->words, block_at(from, ref), (size_t)record_at(from, ref)->units * KHS_UNIT);
        hash = khs_siphash13(to->hash_key, key, record->key & KHS_KEY_LEN_MASK);
        entry = entry_find(to, hash, key, record->key & KHS_KEY_LEN_MASK, &found);
        if (!entry)
                return -EXFULL;
        if (found)
                return 0;
        record->tag = (uint32_t)(hash >> 32) | 1;
        record->crc = khs_record_crc(record);
        return place(to, entry, false, image->words, now_ds);
}

int khs_file_copy(struct khs_file *to, const struct khs_file *from, uint32_t *entry, uint32_t n_words,
                  struct khs_image *image, uint32_t now_ds)
{
        for (uint32_t seen = 0; *entry < from->n_buckets * KHS_BUCKET_ENTRIES && seen < n_words; ++*entry) {
                uint32_t ref = from->map[from->idx_word + (size_t)*entry * 2 + 1];
                int r;

                seen += 2;
                if (ref == 0)
                        continue;
                seen += record_at(from, ref)->units * KHS_UNIT_WORDS;
                r = copy_record(to, from, ref, image, now_ds);
                if (r < 0)
                        return r;
        }
        return *entry < from->n_buckets * KHS_BUCKET_ENTRIES;
}

/* The key of a record, and its target's, NUL-terminated. */
static void read_keys(const struct khs_record *record, char key[static 256], char target[static 256])
{
        const uint32_t *payload = (const uint32_t *)(record + 1);
        uint32_t n_key = record->key & KHS_KEY_LEN_MASK;

        memcpy(key, payload, n_key);
        key[n_key] = '\0';
        target[0] = '\0';
        if (record->key & KHS_REC_ALIAS) {
                payload += words_of(n_key);
                memcpy(target, payload + 1, *payload);
                target[*payload] = '\0';
        }
}

void khs_file_retain(struct khs_file *file, bool (*keep)(void *userdata, const char *key, const char *target),
                     void *userdata, uint32_t now_ds)
{
        for (uint32_t i = 0; i < file->n_buckets * KHS_BUCKET_ENTRIES; i++) {
                uint32_t *entry = file->map + file->idx_word + (size_t)i * 2, ref = entry[1];
                char key[256], target[256];

                if (ref == 0)
                        continue;
                read_keys(record_at(file, ref), key, target);
                if (!keep(userdata, key, target[0] ? target : NULL))
                        withdraw(file, entry, now_ds);
        }
}
