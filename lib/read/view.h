#pragma once

/*
 * Reading one table: validate its header once, then find records and copy out of them.
 *
 * The table is hostile input. Its geometry is copied to private memory and checked before use, every offset
 * is checked again in every lookup, every loop is bounded, and only khs_load_*() touch the map. A damaged
 * table can cost an answer; it never causes a crash, a wrong key or unbounded work.
 *
 * A view reads through a map, or by pread(2) where mapping is impossible or unwise: a process with another
 * privilege than its caller's must not be exposed to SIGBUS.
 *
 * No allocation, no lock, and no state besides the view, which never changes once it is initialised: any
 * number of threads may use one. read/open.h opens files, read/map.h keeps them mapped and replaces them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "table/atomic.h"
#include "table/bytes.h"
#include "table/format.h"

struct khs_view {
        const uint32_t *map; /* NULL: pread from fd */
        int fd;              /* -1: there is a map */
        uint32_t n_words;    /* size of the file; 8 GiB are 2^31 words */
        uint32_t idx_word;
        uint32_t n_buckets; /* a power of two */
        uint32_t ridx_word;
        uint32_t n_rbuckets; /* 0: no reverse index */
        uint32_t arena_word;
        uint32_t arena_units;
        uint32_t max_addr;
        uint8_t hash_key[16];
        uint8_t max_probe;
        uint8_t n_zone, n_namespace; /* lengths of the next; 0: none */
        char zone[KHS_KEY_MAX + 3];  /* the cluster domain, NUL-terminated as is the next */
        char namespace[64];          /* of callers without a search domain of their own */
};

/* Views without a map lie on stacks that may be small. */
_Static_assert(sizeof(struct khs_view) <= 384, "stack");

/**
 * khs_view_init() - validate a table's header and learn its geometry
 * @map:  the whole file, mapped; NULL to use @fd
 * @fd:   open for reading, borrowed; -1 with @map
 * @size: of the file, in bytes
 *
 * Return: 0; -EPROTONOSUPPORT: another format; -EBADMSG: damaged.
 */
int khs_view_init(struct khs_view *ret, const void *map, int fd, uint64_t size);

/*
 * One word of a view without a map; 0xffffffff, which is never a valid seq, ref or size, if it can't be read. May
 * change errno, as may everything that reads through such a view.
 */
uint32_t khs_view_pread(const struct khs_view *view, uint32_t word);

/* One word of the file, @word < view->n_words. The acquire form pairs as table/atomic.h draws it. */
static inline uint32_t khs_view_load(const struct khs_view *view, uint32_t word)
{
        return __builtin_expect(view->map != NULL, 1) ? khs_load_relaxed(view->map + word) : khs_view_pread(view, word);
}

static inline uint32_t khs_view_load_acquire(const struct khs_view *view, uint32_t word)
{
        return __builtin_expect(view->map != NULL, 1) ? khs_load_acquire(view->map + word) : khs_view_pread(view, word);
}

/* +1 with each new file. */
static inline uint32_t khs_view_generation(const struct khs_view *view)
{
        return khs_view_load(view, (uint32_t)(offsetof(struct khs_table_static, generation) / 4));
}

/* Copies words of the file, each < view->n_words, to private memory. */
void khs_view_copy(const struct khs_view *view, uint32_t word, uint32_t *ret, uint32_t n_words);

/* Copies bytes of the file that begin on a word to private memory. */
void khs_view_copy_bytes(const struct khs_view *view, uint32_t word, uint32_t n, char *ret);

/* A record as it was at one moment: a private, checked copy of its header, and where the rest is. */
struct khs_found {
        struct khs_record record;
        uint32_t block;   /* first word of the block */
        uint32_t n_key;   /* length of the key */
        uint32_t v4_word; /* first word of the addresses */
        uint32_t v6_word;
};

/**
 * khs_view_find() - the record of one key
 * @key: lower case, private memory, @n_key <= KHS_KEY_MAX bytes
 *
 * Return: 0; -ENOENT: no such key; -EBUSY: the record changed during each attempt; -EBADMSG: damaged.
 */
int khs_view_find(const struct khs_view *view, const char *key, size_t n_key, struct khs_found *ret);

/**
 * khs_view_entry() - the record behind one index entry
 * @i:   number of the entry, < n_buckets * KHS_BUCKET_ENTRIES
 * @key: receives the key, NUL-terminated, at most 256 bytes; may be NULL
 *
 * Return: 0; -ENOENT: the entry is free; -EAGAIN: the record changed meanwhile; -EBADMSG: damaged.
 */
int khs_view_entry(const struct khs_view *view, uint32_t i, struct khs_found *ret, char *key);

/**
 * khs_view_next() - iterate over all records, in no order
 * @cursor: 0 at first; advanced
 * @key:    receives the key, NUL-terminated
 *
 * Skips records that are changing or damaged.
 *
 * Return: 0; -ENOENT: there are no more.
 */
int khs_view_next(const struct khs_view *view, uint32_t *cursor, struct khs_found *ret, char key[static 256]);

/**
 * khs_view_reverse() - a service that has an address
 * @family:  AF_INET or AF_INET6
 * @address: 4 or 16 bytes, network byte order, private memory
 * @key:     receives the service's key, NUL-terminated, at most 256 bytes; may be NULL
 *
 * If several services have it, any of them.
 *
 * Return: 0; -ENOENT: no service has it; -EOPNOTSUPP: the table has no reverse index; -EBUSY: the record
 * changed during each attempt.
 */
int khs_view_reverse(const struct khs_view *view, int family, const void *address, struct khs_found *ret, char *key);

/* khs_found_copy_of() without a map. */
void khs_found_pread(const struct khs_view *view, const struct khs_found *found, int family, uint32_t n, uint32_t first,
                     uint32_t count, void *ret, size_t stride);

static inline void khs_copy_words(const uint32_t *words, uint32_t n_words, char *out)
{
        for (uint32_t w = 0; w < n_words; w++) {
                uint32_t value = khs_load_relaxed(words + w);

                memcpy(out + (size_t)w * 4, &value, sizeof(value));
        }
}

/**
 * khs_found_copy_of() - copy some of the first @n addresses of one family, cyclically
 * @family: AF_INET or AF_INET6
 * @n:      <= number of addresses of @family
 * @first:  index of the first, < @n
 * @count:  how many, <= @n
 * @ret:    4 or 16 bytes each, one every @stride bytes
 *
 * The copy is valid only if khs_found_valid() says so afterwards. Inlined, so that its caller's family and stride
 * are constants: 40 instructions for three addresses.
 */
KHS_INLINE void khs_found_copy_of(const struct khs_view *view, const struct khs_found *found, int family, uint32_t n,
                                  uint32_t first, uint32_t count, void *ret, size_t stride)
{
        const uint32_t *words = view->map;
        uint32_t n_words = family == AF_INET ? 1 : 4;
        char *out = ret;

        if (__builtin_expect(!words, 0)) {
                khs_found_pread(view, found, family, n, first, count, ret, stride);
                return;
        }
        words += family == AF_INET ? found->v4_word : found->v6_word;
        if (count == 1) {
                khs_copy_words(words + (size_t)first * n_words, n_words, out);
                return;
        }
        /* To the end in a tight loop; not when they are few, since where it ends differs from call to call. */
        for (; count > 8 && first < n; count--, first++, out += stride)
                khs_copy_words(words + (size_t)first * n_words, n_words, out);
        for (; count > 0; count--, out += stride) {
                first = first < n ? first : 0;
                khs_copy_words(words + (size_t)first++ * n_words, n_words, out);
        }
}

/* The same of all addresses of the family. */
KHS_INLINE void khs_found_copy(const struct khs_view *view, const struct khs_found *found, int family, uint32_t first,
                               uint32_t count, void *ret, size_t stride)
{
        khs_found_copy_of(view, found, family, family == AF_INET ? found->record.n4 : found->record.n6, first, count,
                          ret, stride);
}

/**
 * khs_found_alias() - the target's key of a record with KHS_REC_ALIAS
 * @ret: NUL-terminated
 *
 * Return: its length; -EBUSY: the record changed meanwhile; -EBADMSG: damaged.
 */
int khs_found_alias(const struct khs_view *view, const struct khs_found *found, char ret[static 256]);

/* Whether everything copied since the record was found belongs to it. */
static inline bool khs_found_valid(const struct khs_view *view, const struct khs_found *found)
{
        khs_fence_acquire();
        return khs_view_load(view, found->block) == found->record.seq;
}
