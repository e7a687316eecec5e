/*
 * An update costs what it changes: the addresses of a record are sorted, so one walk over the old and the
 * new ones finds those that come or go. Entries of the forward index never move within a file, so nothing
 * else changes here when a record moves into another block.
 */

#include <string.h>

#include "table/atomic.h"
#include "table/siphash.h"
#include "write/reverse-index.h"

void khs_entry_publish(uint32_t *entry, uint32_t tag, uint32_t ref)
{
        if (khs_load_relaxed(entry) != tag) {
                /* It is free. Nobody may find the new tag with an old ref. */
                khs_store_relaxed(entry + 1, 0);
                khs_fence_release();
                khs_store_relaxed(entry, tag);
        }
        khs_store_release(entry + 1, ref);
}

/* The entry of an address and a number (*ret_found), else the first free one within reach, else NULL. */
static uint32_t *reverse_place(const struct khs_file *file, uint64_t hash, uint32_t number, bool *ret_found)
{
        uint32_t tag = (uint32_t)(hash >> 32) | 1, *free_entry = NULL;

        *ret_found = false;
        for (uint32_t probe = 0; probe < KHS_PROBE_DEFAULT && probe < file->n_rbuckets; probe++) {
                uint32_t *entry = khs_bucket(file->map + file->ridx_word, file->n_rbuckets, (uint32_t)hash + probe);

                for (uint32_t i = 0; i < KHS_BUCKET_ENTRIES; i++, entry += 2) {
                        if (entry[1] == 0 && !free_entry)
                                free_entry = entry;
                        if (entry[0] == 0)
                                return free_entry;
                        if (entry[0] == tag && entry[1] == number + 1) {
                                *ret_found = true;
                                return entry;
                        }
                }
        }
        return free_entry;
}

static void reverse_add(struct khs_file *file, uint32_t number, const void *address, size_t size)
{
        uint64_t hash = khs_siphash13(file->hash_key, address, size);
        uint32_t *entry;
        bool found;

        entry = reverse_place(file, hash, number, &found);
        if (!entry || found)
                return;
        khs_entry_publish(entry, (uint32_t)(hash >> 32) | 1, number + 1);
        file->n_reverse++;
}

static void reverse_drop(struct khs_file *file, uint32_t number, const void *address, size_t size)
{
        uint64_t hash = khs_siphash13(file->hash_key, address, size);
        uint32_t *entry;
        bool found;

        entry = reverse_place(file, hash, number, &found);
        if (!found)
                return;
        khs_store_release(entry + 1, 0);
        file->n_reverse--;
}

/* The addresses of one family, in their order: near ones, which come first, and the others are sorted each. */
struct run {
        const char *near, *far, *far_begin, *end;
        size_t size;
};

static struct run reverse_run_of(const void *addresses, size_t n, size_t size)
{
        const char *begin = addresses, *end = begin + n * size, *far = begin;

        while (far < end && (far == begin || memcmp(far - size, far, size) < 0))
                far += size;
        return (struct run){ begin, far, far, end, size };
}

static struct run reverse_run(const struct khs_written *record, size_t size)
{
        const uint32_t *addresses;

        if (!record || record->head.key & KHS_REC_ALIAS)
                return (struct run){ .size = size };
        addresses = record->payload + ((record->head.key & KHS_KEY_LEN_MASK) + 3) / 4;
        if (size == 4)
                return reverse_run_of(addresses, record->head.n4, 4);
        return reverse_run_of(addresses + record->head.n4, record->head.n6, 16);
}

/* The next address; NULL: there are no more. */
static const char *reverse_run_head(const struct run *run)
{
        bool near = run->near < run->far_begin, far = run->far < run->end;

        if (near && far)
                return memcmp(run->near, run->far, run->size) < 0 ? run->near : run->far;
        return near ? run->near : far ? run->far : NULL;
}

static void reverse_run_pass(struct run *run, const char *head)
{
        if (run->near < run->far_begin && head == run->near)
                run->near += run->size;
        else
                run->far += run->size;
}

static void reverse_follow(struct khs_file *file, uint32_t number, struct run old, struct run new)
{
        for (;;) {
                const char *gone = reverse_run_head(&old), *here = reverse_run_head(&new);
                int order = !gone ? 1 : !here ? -1 : memcmp(gone, here, old.size);

                if (!gone && !here)
                        return;
                if (order < 0)
                        reverse_drop(file, number, gone, old.size);
                else if (order > 0)
                        reverse_add(file, number, here, new.size);
                if (order <= 0)
                        reverse_run_pass(&old, gone);
                if (order >= 0)
                        reverse_run_pass(&new, here);
        }
}

void khs_reverse_update(struct khs_file *file, uint32_t number, const struct khs_written *old,
                        const struct khs_written *new)
{
        if (!file->n_rbuckets)
                return;
        reverse_follow(file, number, reverse_run(old, 4), reverse_run(new, 4));
        reverse_follow(file, number, reverse_run(old, 16), reverse_run(new, 16));
}

bool khs_reverse_room(const struct khs_file *file, const struct khs_written *old, const struct khs_written *new)
{
        uint32_t n_old = old ? old->head.n4 + old->head.n6 : 0, n_new = new->head.n4 + new->head.n6;

        return !file->n_rbuckets || n_new <= n_old ||
               file->n_reverse + (n_new - n_old) <= file->n_rbuckets * KHS_BUCKET_ENTRIES / 2;
}
