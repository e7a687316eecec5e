/*
 * From an address to a service that has it.
 *
 * The reverse index leads from the hash of an address to the number of an entry in the index, which stays valid when
 * the service's record moves. An entry may be out of date: so the record is searched for the address before it counts.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "read/view.h"
#include "table/siphash.h"

#define MAX_TRIES   8  /* as in read/view.c */
#define MAX_RECORDS 64 /* services with one address that are examined */

/* Whether the record has the address, among those of its family. */
static bool reverse_has_address(const struct khs_view *view, const struct khs_found *found, int family,
                                const void *address)
{
        uint32_t n = family == AF_INET ? found->record.n4 : found->record.n6, chunk[4];
        uint32_t word = family == AF_INET ? found->v4_word : found->v6_word, n_words = family == AF_INET ? 1 : 4;

        for (uint32_t i = 0; i < n; i++) {
                khs_view_copy(view, word + i * n_words, chunk, n_words);
                if (memcmp(chunk, address, (size_t)n_words * 4) == 0)
                        return true;
        }
        return false;
}

/* As view_search(), in the other index: the service behind one entry with the address's tag. */
static int reverse_examine(const struct khs_view *view, uint32_t entry, uint32_t tag, int family, const void *address,
                           struct khs_found *ret, char *key)
{
        uint32_t ref = khs_view_load_acquire(view, entry + 1);
        int r;

        if (ref == 0 || ref > view->n_buckets * KHS_BUCKET_ENTRIES)
                return -ENOENT;
        r = khs_view_entry(view, ref - 1, ret, key);
        if (r == 0 && !(ret->record.key & KHS_REC_ALIAS) && reverse_has_address(view, ret, family, address))
                return khs_found_valid(view, ret) ? 0 : -EAGAIN;
        if (r == -EAGAIN || (r == 0 && !khs_found_valid(view, ret)))
                return -EAGAIN;
        return khs_view_load_acquire(view, entry + 1) == ref && khs_view_load(view, entry) == tag ? -ENOENT : -EAGAIN;
}

static int reverse_search(const struct khs_view *view, uint64_t hash, int family, const void *address,
                          struct khs_found *ret, char *key)
{
        uint32_t tag = (uint32_t)(hash >> 32) | 1, bucket = (uint32_t)hash, n_records = 0;

        for (uint32_t i = 0; i < view->max_probe * KHS_BUCKET_ENTRIES; i++) {
                uint32_t b = (bucket + i / KHS_BUCKET_ENTRIES) & (view->n_rbuckets - 1);
                uint32_t entry = view->ridx_word + (b * KHS_BUCKET_ENTRIES + i % KHS_BUCKET_ENTRIES) * 2;
                uint32_t t = khs_view_load(view, entry);
                int r;

                if (t == 0)
                        return -ENOENT;
                if (t != tag)
                        continue;
                if (++n_records > MAX_RECORDS)
                        return -ENOENT;
                r = reverse_examine(view, entry, tag, family, address, ret, key);
                if (r != -ENOENT)
                        return r;
        }
        return -ENOENT;
}

int khs_view_reverse(const struct khs_view *view, int family, const void *address, struct khs_found *ret, char *key)
{
        uint64_t hash;

        if (!view->n_rbuckets)
                return -EOPNOTSUPP;
        hash = khs_siphash13(view->hash_key, address, family == AF_INET ? 4 : 16);
        for (int i = 0; i < MAX_TRIES; i++) {
                int r = reverse_search(view, hash, family, address, ret, key);

                if (r != -EAGAIN)
                        return r;
        }
        return -EBUSY;
}
