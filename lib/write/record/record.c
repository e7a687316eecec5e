/*
 * How a record gets into a file, so that a reader sees the old one or the new one:
 *
 *     image    put together in private memory: header, key, addresses, near ones first, attributes, zeros to the end
 *     block    a fresh one: seq odd, the image word by word, seq even
 *     entry    its ref changes from the old block to the new one, by one store
 *     pool     gets the old block back, to be reused after the grace time
 *
 * An image that says what the table says already changes at most the few words that may be stored in
 * place. The image is the only memory that a put needs outside the arena, and is allocated once. The
 * memory orders are explained in table/atomic.h.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "read/crc.h"
#include "table/atomic.h"
#include "table/siphash.h"
#include "write/record/record.h"
#include "write/reverse-index.h"

#define COPY_AHEAD 16 /* how many entries ahead of the copy a record is prefetched */

static uint32_t record_words_of(size_t n_bytes)
{
        return (uint32_t)((n_bytes + 3) / 4);
}

/* A record without its attributes. */
static uint32_t record_base_words(const struct khs_row *row)
{
        uint32_t n = KHS_UNIT_WORDS + record_words_of(row->n_key);

        return row->target ? n + 1 + record_words_of(row->n_target) : n + row->n4 + 4 * row->n6;
}

static uint32_t record_block_units(uint64_t n_words)
{
        uint64_t units = (n_words + KHS_UNIT_WORDS - 1) / KHS_UNIT_WORDS;

        return units <= KHS_MAX_UNITS ? khs_pool_units(khs_pool_class((uint32_t)units)) : KHS_MAX_UNITS;
}

uint32_t khs_row_units(const struct khs_row *row)
{
        return record_block_units(record_base_words(row) + khs_attrs_words_max(row));
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

static void record_put_bytes(uint32_t *ret, const void *bytes, size_t n)
{
        if (n % 4)
                ret[n / 4] = 0;
        if (n > 0)
                memcpy(ret, bytes, n);
}

/*
 * Puts the block together, except for seq and CRC. Addresses come first: attributes that do not fit into
 * the largest block are left out.
 */
static void record_fill_image(struct khs_image *image, const struct khs_row *row, uint32_t tag)
{
        uint32_t *payload = image->words + KHS_UNIT_WORDS, n = record_base_words(row), n_attrs = 0, units;

        record_put_bytes(payload, row->key, row->n_key);
        payload += record_words_of(row->n_key);
        if (row->target) {
                *payload = (uint32_t)row->n_target;
                record_put_bytes(payload + 1, row->target, row->n_target);
        }
        record_put_bytes(payload, row->v4, (size_t)row->n4 * 4);
        record_put_bytes(payload + row->n4, row->v6, (size_t)row->n6 * 16);
        if (row->endpoints && row->n4 + row->n6 > 0)
                n_attrs = khs_attrs_encode(image->attrs, row, image->words + n, KHS_IMAGE_WORDS - n);

        units = record_block_units(n + n_attrs);
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

static uint32_t *record_block(const struct khs_file *file, uint32_t ref)
{
        return file->map + file->arena_word + (size_t)(ref - 1) * KHS_UNIT_WORDS;
}

/* Words of a record without its attributes; more than any block has if a count is out of range. */
static uint32_t record_head_words(const struct khs_record *head, const uint32_t *payload)
{
        uint32_t n_key = head->key & KHS_KEY_LEN_MASK, n = KHS_UNIT_WORDS + record_words_of(n_key), n_target;

        if (n_key < 1 || n_key > KHS_KEY_MAX || head->n4 > KHS_MAX_ADDRS || head->n6 > KHS_MAX_ADDRS)
                return UINT32_MAX;
        if (!(head->key & KHS_REC_ALIAS))
                return n + head->n4 + 4 * head->n6;
        if (n >= head->units * KHS_UNIT_WORDS)
                return UINT32_MAX;
        n_target = payload[n - KHS_UNIT_WORDS];
        return n_target >= 1 && n_target <= KHS_KEY_MAX ? n + 1 + record_words_of(n_target) : UINT32_MAX;
}

/*
 * The record that an entry refers to. Only this process writes here, so plain reads do not race; but what is
 * read is believed no more than a reader would, and blocks are where the pool says. Return: false: damaged.
 */
static bool record_load(const struct khs_file *file, uint32_t ref, struct khs_written *ret)
{
        uint32_t units = khs_pool_used_units(&file->pool, ref - 1);

        if (units == 0)
                return false;
        ret->payload = record_block(file, ref) + KHS_UNIT_WORDS;
        memcpy(&ret->head, record_block(file, ref), sizeof(ret->head));
        return ret->head.units == units && record_head_words(&ret->head, ret->payload) <= units * KHS_UNIT_WORDS;
}

/* Where a key is, or where it can be put. */
struct record_place {
        uint32_t *entry;        /* its own; else the first free one within the probe window; else NULL */
        struct khs_written old; /* what its own entry refers to */
};

/* Return: 1: the key is there; 0: it is not; -EBADMSG: a record that may be the one is damaged. */
static int record_find(const struct khs_file *file, uint64_t hash, const char *key, size_t n_key,
                       struct record_place *ret)
{
        uint32_t tag = (uint32_t)(hash >> 32) | 1;

        ret->entry = NULL;
        for (uint32_t probe = 0; probe < KHS_PROBE_DEFAULT && probe < file->n_buckets; probe++) {
                uint32_t *entry = khs_bucket(file->map + file->idx_word, file->n_buckets, (uint32_t)hash + probe);

                for (uint32_t i = 0; i < KHS_BUCKET_ENTRIES; i++, entry += 2) {
                        if (entry[1] == 0 && !ret->entry)
                                ret->entry = entry;
                        if (entry[0] == 0)
                                return 0;
                        if (entry[0] != tag || entry[1] == 0)
                                continue;
                        if (!record_load(file, entry[1], &ret->old))
                                return -EBADMSG;
                        if ((ret->old.head.key & KHS_KEY_LEN_MASK) != n_key ||
                            memcmp(ret->old.payload, key, n_key) != 0)
                                continue;
                        ret->entry = entry;
                        return 1;
                }
        }
        return 0;
}

static void record_write_block(struct khs_file *file, uint32_t unit, const uint32_t *image, uint32_t units)
{
        uint32_t *block = record_block(file, unit + 1);
        uint32_t seq = khs_load_relaxed(block) | 1;

        khs_store_relaxed(block, seq);
        khs_fence_release();
        for (uint32_t i = 1; i < units * KHS_UNIT_WORDS; i++)
                khs_store_relaxed(block + i, image[i]);
        khs_store_release(block, seq + 1);
}

static void record_count(struct khs_file *file, const struct khs_record *record, int sign)
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

/* Number of an index entry, by which the reverse index refers to it. */
static uint32_t record_entry_number(const struct khs_file *file, const uint32_t *entry)
{
        return (uint32_t)(entry - (file->map + file->idx_word)) / 2;
}

/* Gives back a block to which no entry refers any more. */
static void record_retire(struct khs_file *file, uint32_t ref, const struct khs_record *head, uint32_t now_ds)
{
        record_count(file, head, -1);
        khs_pool_give(&file->pool, ref - 1, now_ds);
}

/* Writes the image into a fresh block and lets the entry refer to it. @old: of the entry; NULL: it is free. */
static int record_publish(struct khs_file *file, uint32_t *entry, const struct khs_written *old, const uint32_t *image,
                          uint32_t now_ds)
{
        struct khs_written new = { .payload = image + KHS_UNIT_WORDS };
        uint32_t unit, old_ref = entry[1];
        int r;

        memcpy(&new.head, image, sizeof(new.head));
        if (!khs_reverse_room(file, old, &new))
                return -EXFULL;
        r = khs_pool_take(&file->pool, khs_pool_class(new.head.units), now_ds, &unit);
        if (r < 0)
                return r;
        record_write_block(file, unit, image, new.head.units);
        khs_entry_publish(entry, new.head.tag, unit + 1);
        record_count(file, &new.head, 1);
        khs_reverse_update(file, record_entry_number(file, entry), old, &new);
        if (old)
                record_retire(file, old_ref, &old->head, now_ds);
        return 0;
}

static void record_withdraw(struct khs_file *file, uint32_t *entry, const struct khs_written *old, uint32_t now_ds)
{
        uint32_t ref = entry[1];

        khs_store_release(entry + 1, 0);
        khs_reverse_update(file, record_entry_number(file, entry), old, NULL);
        record_retire(file, ref, &old->head, now_ds);
}

/* Whether a record differs at most in words that may be stored in place. */
static bool record_says_same(const struct khs_written *old, const uint32_t *image)
{
        const struct khs_record *new = (const struct khs_record *)image, *head = &old->head;

        return head->units == new->units && head->key == new->key && head->n4 == new->n4 && head->n6 == new->n6 &&
               head->policy == new->policy && head->version == new->version &&
               head->port == new->port &&memcmp(old->payload, new + 1, (size_t)(new->units - 1) * KHS_UNIT) == 0;
}

static void record_touch(struct khs_file *file, uint32_t ref, const struct khs_row *row)
{
        struct khs_record *record = (struct khs_record *)record_block(file, ref);

        khs_store_relaxed(&record->fresh_until_ds, row->fresh_until_ds);
        khs_store_relaxed(&record->stale_until_ds, row->stale_until_ds);
        khs_store_relaxed(&record->status, row->status);
        khs_store_relaxed(&record->since_ds, row->since_ds);
        khs_store_relaxed(&record->ttl_s, row->ttl_s);
}

int khs_file_put(struct khs_file *file, const struct khs_row *row, struct khs_image *image, uint32_t now_ds)
{
        uint64_t hash = khs_siphash13(file->hash_key, row->key, row->n_key);
        struct record_place place;
        struct khs_record *record;
        int r;

        r = record_find(file, hash, row->key, row->n_key, &place);
        if (r < 0)
                return r;
        if (!place.entry || (r == 0 && file->n_keys >= file->n_buckets * KHS_BUCKET_ENTRIES / 2))
                return -EXFULL;

        record_fill_image(image, khs_near_first(&image->near, row), (uint32_t)(hash >> 32) | 1);
        if (r == 1 && record_says_same(&place.old, image->words)) {
                record_touch(file, place.entry[1], row);
                return 0;
        }
        record = (struct khs_record *)image->words;
        record->crc = khs_record_crc(record);
        return record_publish(file, place.entry, r == 1 ? &place.old : NULL, image->words, now_ds);
}

int khs_file_delete(struct khs_file *file, const char *key, size_t n_key, uint32_t now_ds)
{
        uint64_t hash = khs_siphash13(file->hash_key, key, n_key);
        struct record_place place;
        int r;

        r = record_find(file, hash, key, n_key, &place);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        record_withdraw(file, place.entry, &place.old, now_ds);
        return 0;
}

void khs_file_drop_pending(struct khs_file *file, const char *key, size_t n_key, uint32_t now_ds)
{
        struct record_place place;

        if (record_find(file, khs_siphash13(file->hash_key, key, n_key), key, n_key, &place) == 1 &&
            !(place.old.head.key & KHS_REC_ALIAS) && (uint8_t)place.old.head.status == KHS_SERVICE_PENDING)
                record_withdraw(file, place.entry, &place.old, now_ds);
}

static int record_copy(struct khs_file *to, const struct khs_written *from, struct khs_image *image, uint32_t now_ds)
{
        struct khs_record *record = (struct khs_record *)image->words;
        uint32_t n_key = from->head.key & KHS_KEY_LEN_MASK;
        struct record_place place;
        uint64_t hash;
        int r;

        *record = from->head;
        memcpy(record + 1, from->payload, (size_t)(from->head.units - 1) * KHS_UNIT);
        hash = khs_siphash13(to->hash_key, record + 1, n_key);
        if (!khs_record_retag(record, (uint32_t)(hash >> 32) | 1))
                return 0; /* damaged */
        r = record_find(to, hash, (const char *)(record + 1), n_key, &place);
        if (r != 0)
                return r < 0 ? r : 0; /* twice in a damaged table */
        if (!place.entry)
                return -EXFULL;
        return record_publish(to, place.entry, NULL, image->words, now_ds);
}

int khs_file_copy(struct khs_file *to, const struct khs_file *from, struct khs_image *image, uint32_t now_ds)
{
        const struct khs_entry *entries = (const struct khs_entry *)(from->map + from->idx_word);
        uint32_t n = from->n_buckets * KHS_BUCKET_ENTRIES;
        struct khs_written record;
        int r = 0;

        for (uint32_t i = 0; r == 0 && i < n; i++) {
                /* Neighbours in the index are far apart in the arena. This saves 15 % at 100,000 services. */
                if (i + COPY_AHEAD < n && entries[i + COPY_AHEAD].ref > 0)
                        __builtin_prefetch(record_block(from, entries[i + COPY_AHEAD].ref));
                if (entries[i].ref > 0 && record_load(from, entries[i].ref, &record))
                        r = record_copy(to, &record, image, now_ds);
        }
        return r;
}

/* The key of a record, and its target's, NUL-terminated. */
static void record_read_keys(const struct khs_written *record, char key[static 256], char target[static 256])
{
        uint32_t n_key = record->head.key & KHS_KEY_LEN_MASK, n_target = 0;

        memcpy(key, record->payload, n_key);
        key[n_key] = '\0';
        if (record->head.key & KHS_REC_ALIAS) {
                n_target = record->payload[record_words_of(n_key)] & KHS_KEY_LEN_MASK;
                memcpy(target, record->payload + record_words_of(n_key) + 1, n_target);
        }
        target[n_target] = '\0';
}

void khs_file_retain(struct khs_file *file, bool (*keep)(void *userdata, const char *key, const char *target),
                     void *userdata, uint32_t now_ds)
{
        for (uint32_t i = 0; i < file->n_buckets * KHS_BUCKET_ENTRIES; i++) {
                uint32_t *entry = file->map + file->idx_word + (size_t)i * 2;
                struct khs_written record;
                char key[256], target[256];

                if (entry[1] == 0 || !record_load(file, entry[1], &record))
                        continue;
                record_read_keys(&record, key, target);
                if (!keep(userdata, key, target[0] ? target : NULL))
                        record_withdraw(file, entry, &record, now_ds);
        }
}
