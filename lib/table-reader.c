/*
 * Reading a table, see table-reader.h; format and protocol are in table-format.h and
 * table-atomic.h.
 *
 * How a lookup stays right while the writer works: the entry's ref leads to a block (acquire). Its
 * header is copied between two looks at its seq, with a second look at the ref in between. If seq is
 * odd or has changed, the block is in another use; if the ref has, the record has moved on: the
 * search begins again. Otherwise a key in the block that is not ours means that the tags of two keys
 * are equal, and the search goes on.
 *
 * pread(2) copies are covered by the same checks: a system call orders no less than an acquire.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bytes.h"
#include "crc32c.h"
#include "siphash.h"
#include "table-atomic.h"
#include "table-reader.h"

#define MAX_TRIES   8  /* searches before we give up; more than one is rare, see tests/bench */
#define MAX_RECORDS 16 /* blocks looked at in one search: equal 31-bit tags are not met by chance */

#define CHECKSUM_WORD (offsetof(struct khs_table_static, checksum) / 4)
#define MAX_CHUNK   16 /* words copied at a time; a bucket, a record header */

/* Never a valid seq, ref or size: what can't be read is damaged, by the same checks. */
#define UNREADABLE 0xffU

/*
 * The raw system call is no cancellation point, and means the same in every C library. pread(2) of
 * a short or vanished file reads as UNREADABLE.
 */
static __attribute__((noinline, cold)) void pread_words(int fd, uint32_t word, uint32_t *ret, uint32_t n_words)
{
        uint64_t offset = (uint64_t)word * 4;
        int saved_errno = errno;
        long n;

#if __SIZEOF_LONG__ == 8
        n = syscall(SYS_pread64, fd, ret, (size_t)n_words * 4, offset);
#else
        n = syscall(SYS_pread64, fd, ret, (size_t)n_words * 4, (uint32_t)offset, (uint32_t)(offset >> 32));
#endif
        errno = saved_errno;
        if (n != (long)n_words * 4)
                memset(ret, UNREADABLE, (size_t)n_words * 4);
}

uint32_t khs_view_pread(const struct khs_view *view, uint32_t word)
{
        uint32_t value;

        pread_words(view->fd, word, &value, 1);
        return value;
}

/* What takes `map` is given the view's, loaded once: the compiler must think that any store changes the view. */
KHS_INLINE uint32_t load(const struct khs_view *view, const uint32_t *map, uint32_t word)
{
        return __builtin_expect(map != NULL, 1) ? khs_load_relaxed(map + word) : khs_view_pread(view, word);
}

KHS_INLINE uint32_t load_acquire(const struct khs_view *view, const uint32_t *map, uint32_t word)
{
        return __builtin_expect(map != NULL, 1) ? khs_load_acquire(map + word) : khs_view_pread(view, word);
}

KHS_INLINE void load_words(const struct khs_view *view, const uint32_t *map, uint32_t word, uint32_t *ret,
                           uint32_t n_words)
{
        if (!map) {
                pread_words(view->fd, word, ret, n_words);
                return;
        }
#pragma GCC unroll 16
        for (uint32_t i = 0; i < n_words; i++)
                ret[i] = khs_load_relaxed(map + word + i);
}

void khs_view_copy(const struct khs_view *view, uint32_t word, uint32_t *ret, uint32_t n_words)
{
        const uint32_t *map = view->map;

        if (!map)
                pread_words(view->fd, word, ret, n_words);
        /* Never many: unrolled, it would be half a kilobyte in every process. */
#pragma GCC unroll 1
        for (uint32_t i = 0; map && i < n_words; i++)
                ret[i] = khs_load_relaxed(map + word + i);
}

/* What is needed of the static part once, besides what the view keeps. */
struct geometry {
        uint32_t file_pages, idx_off, idx_log2, ridx_off, ridx_log2, arena_off;
        uint32_t n_zone, checksum;
};

/* A field of the static part, and where its private copy goes: into the view or the geometry. */
struct field {
        uint16_t offset, size;
        uint16_t dest;
        bool to_view;
};

#define TO_GEOMETRY(name, member)                                                                                  \
        { offsetof(struct khs_table_static, name), 4, offsetof(struct geometry, member), false }
#define TO_VIEW(name, member, n) { offsetof(struct khs_table_static, name), n, offsetof(struct khs_view, member), true }

static const struct field fields[] = {
        TO_GEOMETRY(file_pages, file_pages),
        TO_GEOMETRY(idx_off_pg, idx_off),
        TO_GEOMETRY(idx_log2, idx_log2),
        TO_GEOMETRY(ridx_off_pg, ridx_off),
        TO_GEOMETRY(ridx_log2, ridx_log2),
        TO_GEOMETRY(arena_off_pg, arena_off),
        TO_VIEW(arena_units, arena_units, 4),
        TO_VIEW(max_probe, max_probe, 4),
        TO_VIEW(max_addr, max_addr, 4),
        TO_VIEW(generation, generation, 4),
        TO_VIEW(hash_key, hash_key, 16),
        TO_VIEW(boot_id, boot_id, 16),
        TO_GEOMETRY(zone_len, n_zone),
        TO_VIEW(zone, zone, 256),
        TO_GEOMETRY(checksum, checksum),
        TO_VIEW(orphan_max_ds, orphan_max_ds, 4),
        TO_VIEW(flags, flags, 4),
        TO_VIEW(namespace_len, n_namespace, 1),
        TO_VIEW(namespace, namespace, 63),
};

/* The part of a field that lies in the chunk at byte `start`. */
static void field_take(const struct field *field, char *ret, size_t start, const uint32_t *chunk)
{
        size_t end = start + MAX_CHUNK * 4, from = field->offset, to = from + field->size;

        from = from > start ? from : start;
        to = to < end ? to : end;
        if (from < to)
                memcpy(ret + (from - field->offset), (const char *)chunk + (from - start), to - from);
}

/* Copies fields out of the static part, in pieces that small stacks have room for. */
static void load_static(struct khs_view *view, struct geometry *g, uint32_t *ret_crc)
{
        uint32_t chunk[MAX_CHUNK], crc = KHS_CRC32C_INIT;

        for (uint32_t word = 0; word < KHS_STATIC_SIZE / 4; word += MAX_CHUNK) {
                khs_view_copy(view, word, chunk, MAX_CHUNK);
                for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
                        field_take(&fields[i], (fields[i].to_view ? (char *)view : (char *)g) + fields[i].dest,
                                   (size_t)word * 4, chunk);
                for (uint32_t i = 0; i < MAX_CHUNK; i++)
                        crc = khs_crc32c_word(crc, word + i == CHECKSUM_WORD ? 0 : chunk[i]);
        }
        *ret_crc = khs_crc32c_end(crc);
}

/* Whether n_bytes from page `off` lie behind the header and inside the file. */
static bool pages_ok(uint32_t off, uint64_t n_bytes, uint32_t file_pages)
{
        return off >= 1 && off <= file_pages && n_bytes <= (uint64_t)(file_pages - off) * KHS_TABLE_PAGE;
}

static int init_geometry(struct khs_view *view, const struct geometry *g)
{
        if ((uint64_t)g->file_pages * (KHS_TABLE_PAGE / 4) != view->n_words)
                return -EBADMSG;
        if (g->idx_log2 < KHS_IDX_LOG2_MIN || g->idx_log2 > KHS_IDX_LOG2_MAX ||
            !pages_ok(g->idx_off, sizeof(struct khs_entry) << g->idx_log2, g->file_pages))
                return -EBADMSG;
        if (g->ridx_log2 && (g->ridx_log2 < KHS_IDX_LOG2_MIN || g->ridx_log2 > KHS_RIDX_LOG2_MAX ||
                             !pages_ok(g->ridx_off, (uint64_t)sizeof(struct khs_entry) << g->ridx_log2, g->file_pages)))
                return -EBADMSG;
        if (!pages_ok(g->arena_off, (uint64_t)view->arena_units * KHS_UNIT, g->file_pages))
                return -EBADMSG;
        if (view->max_probe < 1 || view->max_probe > KHS_PROBE_MAX || view->max_addr > KHS_MAX_ADDRS)
                return -EBADMSG;

        view->idx_word = g->idx_off * (KHS_TABLE_PAGE / 4);
        view->n_buckets = (1U << g->idx_log2) / KHS_BUCKET_ENTRIES;
        view->ridx_word = g->ridx_off * (KHS_TABLE_PAGE / 4);
        view->n_rbuckets = g->ridx_log2 ? (1U << g->ridx_log2) / KHS_BUCKET_ENTRIES : 0;
        view->arena_word = g->arena_off * (KHS_TABLE_PAGE / 4);
        if (view->max_probe > view->n_buckets)
                view->max_probe = view->n_buckets;
        return 0;
}

/* The first words say whether the rest means anything to us. */
static int check_format(const struct khs_view *view)
{
        uint32_t words[5]; /* magic, endian, major and minor, header_size, flags_incompat */

        khs_view_copy(view, 0, words, 5);
        if (words[0] != KHS_MAGIC || words[1] != KHS_ENDIAN || (words[2] & 0xffff) != KHS_MAJOR ||
            words[3] != KHS_HEADER_SIZE || words[4] & ~KHS_FLAGS_INCOMPAT_KNOWN)
                return -EPROTONOSUPPORT;
        return 0;
}

static __attribute__((cold)) int init_static(struct khs_view *view)
{
        struct geometry g;
        uint32_t crc;

        load_static(view, &g, &crc);
        if (crc != g.checksum || g.n_zone > KHS_KEY_MAX || view->n_namespace > sizeof(view->namespace) - 1)
                return -EBADMSG;
        view->n_zone = (uint8_t)g.n_zone;
        view->zone[g.n_zone] = '\0';
        view->namespace[view->n_namespace] = '\0';
        return init_geometry(view, &g);
}

int khs_view_init(struct khs_view *ret, const void *map, int fd, uint64_t size)
{
        int r;

        if (size < KHS_HEADER_SIZE || size % KHS_TABLE_PAGE || size / KHS_TABLE_PAGE > KHS_MAX_FILE_PAGES)
                return -EBADMSG;
        ret->map = map;
        ret->fd = fd;
        ret->n_words = (uint32_t)(size / 4);

        r = check_format(ret);
        if (r < 0)
                return r;
        return init_static(ret);
}

/* Whether a record of these sizes fits into its block, and the block into the arena. */
KHS_INLINE bool sizes_ok(const struct khs_view *view, uint32_t unit, struct khs_found *found)
{
        const struct khs_record *record = &found->record;
        uint32_t n_words, n_key_words;

        if (record->units < 1 || record->units > KHS_MAX_UNITS || record->units > view->arena_units - unit)
                return false;
        if (record->n4 > view->max_addr || record->n6 > view->max_addr)
                return false;

        found->n_key = record->key & KHS_KEY_LEN_MASK;
        n_key_words = (found->n_key + 3) / 4;
        n_words = KHS_UNIT_WORDS + n_key_words + record->n4 + 4 * record->n6;
        found->v4_word = found->block + KHS_UNIT_WORDS + n_key_words;
        found->v6_word = found->v4_word + record->n4;
        return n_words <= record->units * KHS_UNIT_WORDS && record->attrs < record->units * KHS_UNIT_WORDS;
}

/*
 * Copies the header of the block behind a ref.
 *
 * Return: 0; -EAGAIN the block is in other use; -EBADMSG damaged: sizes that can't be, though the
 * block did not change.
 */
KHS_INLINE int load_record(const struct khs_view *view, const uint32_t *map, uint32_t ref, struct khs_found *ret)
{
        uint32_t unit = ref - 1, *words = &ret->record.seq;

        if (unit >= view->arena_units)
                return -EBADMSG;
        ret->block = view->arena_word + unit * KHS_UNIT_WORDS;

        words[0] = load_acquire(view, map, ret->block);
        if (words[0] & 1)
                return -EAGAIN;
        load_words(view, map, ret->block + 1, words + 1, KHS_UNIT_WORDS - 1);
        if (sizes_ok(view, unit, ret))
                return 0;
        return khs_found_valid(view, ret) ? -EBADMSG : -EAGAIN;
}

/* The bytes behind the last whole word, zeros above. */
static inline uint32_t last_word(const char *key, size_t n_key)
{
        if (n_key < 4)
                return (uint32_t)khs_load_tail(key, n_key);
        return khs_load32(key + n_key - 4) >> 8 * (4 - n_key % 4);
}

/* In pieces that small stacks have room for. */
static __attribute__((noinline, cold)) bool key_equal_by_pread(int fd, uint32_t word, const char *key, size_t n_key)
{
        for (size_t n; n_key > 0; key += n, n_key -= n, word += MAX_CHUNK) {
                uint32_t theirs[MAX_CHUNK], ours[MAX_CHUNK] = { 0 };

                n = n_key < sizeof(ours) ? n_key : sizeof(ours);
                memcpy(ours, key, n);
                pread_words(fd, word, theirs, (uint32_t)(n + 3) / 4);
                if (memcmp(ours, theirs, (n + 3) / 4 * 4) != 0) /* the writer pads with zeros */
                        return false;
        }
        return true;
}

KHS_INLINE bool key_equal(const struct khs_view *view, const uint32_t *map, const struct khs_found *found,
                          const char *key, size_t n_key)
{
        uint32_t word = found->block + KHS_UNIT_WORDS, differ = 0;
        size_t n = n_key / 4;
        const uint32_t *theirs;

        if (found->n_key != n_key)
                return false;
        if (!map)
                return key_equal_by_pread(view->fd, word, key, n_key);
        theirs = map + word;
        for (size_t i = 0; i < n; i++)
                differ |= khs_load_relaxed(theirs + i) ^ khs_load32(key + 4 * i);
        if (n_key % 4) /* the writer pads with zeros */
                differ |= khs_load_relaxed(theirs + n) ^ last_word(key, n_key);
        return differ == 0;
}

/*
 * Looks behind one entry whose tag is ours.
 *
 * After the copy, the entry first and the block last: if the entry still leads here, and the block's
 * seq is still the same after that, then what was copied is what the entry led to at that moment. The
 * other way round, a block that is used again twice could come back under another key or with a
 * version that is not published yet (tests/model shows both).
 *
 * Return: 0; -ENOENT another key, or none; -EAGAIN it is changing: search again; -EBADMSG.
 */
KHS_INLINE int examine(const struct khs_view *view, const uint32_t *map, uint32_t entry, uint32_t tag, const char *key,
                       size_t n_key, struct khs_found *ret)
{
        uint32_t ref = load_acquire(view, map, entry + 1);
        bool equal;
        int r;

        if (ref == 0)
                return -ENOENT;
        r = load_record(view, map, ref, ret);
        equal = r == 0 && key_equal(view, map, ret, key, n_key);
        if (load_acquire(view, map, entry + 1) != ref || load(view, map, entry) != tag)
                return -EAGAIN;
        if (r < 0)
                return r;
        if (!khs_found_valid(view, ret))
                return -EAGAIN;
        return equal ? 0 : -ENOENT;
}

KHS_INLINE int search(const struct khs_view *view, const uint32_t *map, uint64_t hash, const char *key, size_t n_key,
                      struct khs_found *ret)
{
        uint32_t tag = (uint32_t)(hash >> 32) | 1, bucket = (uint32_t)hash, n_records = 0;

        for (uint32_t probe = 0; probe < view->max_probe; probe++, bucket++) {
                uint32_t entry = view->idx_word + (bucket & (view->n_buckets - 1)) * KHS_BUCKET_ENTRIES * 2;
                uint32_t buffer[KHS_BUCKET_ENTRIES * 2];
                const uint32_t *tags = map ? map + entry : buffer;

                if (!map)
                        pread_words(view->fd, entry, buffer, KHS_BUCKET_ENTRIES * 2);
                for (uint32_t i = 0; i < KHS_BUCKET_ENTRIES; i++, entry += 2, tags += 2) {
                        uint32_t t = khs_load_relaxed(tags);
                        int r;

                        if (t == 0)
                                return -ENOENT;
                        if (t != tag)
                                continue;
                        if (++n_records > MAX_RECORDS)
                                return -EBADMSG;
                        r = examine(view, map, entry, tag, key, n_key, ret);
                        if (r != -ENOENT)
                                return r;
                }
        }
        return -ENOENT;
}

/* The first time, too, where there is no map. */
static __attribute__((noinline, cold)) int search_again(const struct khs_view *view, uint64_t hash, const char *key,
                                                        size_t n_key, struct khs_found *ret)
{
        for (int i = view->map ? 1 : 0; i < MAX_TRIES; i++) {
                int r = search(view, view->map, hash, key, n_key, ret);

                if (r != -EAGAIN)
                        return r;
        }
        return -EBUSY;
}

int khs_view_find(const struct khs_view *view, const char *key, size_t n_key, struct khs_found *ret)
{
        uint64_t hash = khs_siphash13(view->hash_key, key, n_key);
        const uint32_t *map = view->map;
        int r = map ? search(view, map, hash, key, n_key, ret) : -EAGAIN; /* what pread(2) needs is not inlined */

        return r == -EAGAIN ? search_again(view, hash, key, n_key, ret) : r;
}

static __attribute__((cold)) void load_key(const struct khs_view *view, uint32_t word, uint32_t n_key, char *ret)
{
        uint32_t chunk[MAX_CHUNK / 2];

        for (uint32_t done = 0; done < n_key; done += sizeof(chunk), word += MAX_CHUNK / 2) {
                uint32_t n = n_key - done < sizeof(chunk) ? n_key - done : sizeof(chunk);

                khs_view_copy(view, word, chunk, (n + 3) / 4);
                memcpy(ret + done, chunk, n);
        }
        ret[n_key] = '\0';
}

int khs_view_entry(const struct khs_view *view, uint32_t i, struct khs_found *ret, char key[static 256])
{
        uint32_t ref = khs_view_load_acquire(view, view->idx_word + i * 2 + 1);
        int r;

        if (ref == 0)
                return -ENOENT;
        r = load_record(view, view->map, ref, ret);
        if (r < 0)
                return r;
        load_key(view, ret->block + KHS_UNIT_WORDS, ret->n_key, key);
        if (khs_view_load_acquire(view, view->idx_word + i * 2 + 1) != ref) /* as in examine() */
                return -EAGAIN;
        return khs_found_valid(view, ret) ? 0 : -EAGAIN;
}

int khs_view_next(const struct khs_view *view, uint32_t *cursor, struct khs_found *ret, char key[static 256])
{
        while (*cursor < view->n_buckets * KHS_BUCKET_ENTRIES) {
                if (khs_view_entry(view, (*cursor)++, ret, key) == 0)
                        return 0;
        }
        return -ENOENT;
}

/* Addresses that lie one after the other. */
static __attribute__((noinline, cold)) char *pread_run(const struct khs_view *view, uint32_t word, uint32_t count,
                                                       uint32_t n_words, char *out, size_t stride)
{
        uint32_t chunk[MAX_CHUNK];

        while (count > 0) {
                uint32_t n = count < MAX_CHUNK / n_words ? count : MAX_CHUNK / n_words;

                pread_words(view->fd, word, chunk, n * n_words);
                for (uint32_t i = 0; i < n; i++, out += stride)
                        memcpy(out, chunk + (size_t)i * n_words, (size_t)n_words * 4);
                word += n * n_words;
                count -= n;
        }
        return out;
}

void khs_found_pread(const struct khs_view *view, const struct khs_found *found, int family, uint32_t first,
                     uint32_t count, void *ret, size_t stride)
{
        uint32_t n = family == AF_INET ? found->record.n4 : found->record.n6, n_words = family == AF_INET ? 1 : 4;
        uint32_t word = family == AF_INET ? found->v4_word : found->v6_word;
        uint32_t n_tail = count < n - first ? count : n - first;
        char *out;

        /* From `first` to the end, then from the beginning. */
        out = pread_run(view, word + first * n_words, n_tail, n_words, ret, stride);
        pread_run(view, word, count - n_tail, n_words, out, stride);
}

int khs_found_alias(const struct khs_view *view, const struct khs_found *found, char ret[static 256])
{
        uint32_t room = found->record.units * KHS_UNIT_WORDS - (found->v4_word - found->block);
        uint32_t n_key;

        if (room < 1)
                return -EBADMSG;
        n_key = khs_view_load(view, found->v4_word);
        if (n_key >= 1 && n_key <= KHS_KEY_MAX && (n_key + 3) / 4 <= room - 1) {
                load_key(view, found->v4_word + 1, n_key, ret);
                return khs_found_valid(view, found) ? (int)n_key : -EBUSY;
        }
        return khs_found_valid(view, found) ? -EBADMSG : -EBUSY;
}
