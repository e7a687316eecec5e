/*
 * Finding records in a table that its writer changes meanwhile.
 *
 *     entry { tag, ref } --acquire--> block { seq | header | key | addresses | attributes }
 *
 * The header of the block that an entry refers to is copied between two looks at the block's seq, with a second
 * look at the entry's ref in between. If seq is odd or has changed, the block is in another use; if ref has changed,
 * the record has moved on: the search starts again. If neither has, and the block holds another key than ours, the
 * tags of two keys are equal, and the search goes on.
 *
 * What pread(2) copies passes the same checks: a system call orders no less than an acquire.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "read/view.h"
#include "table/atomic.h"
#include "table/bytes.h"
#include "table/crc32c.h"
#include "table/siphash.h"

#define MAX_TRIES   8  /* searches before we give up; a second one is rare */
#define MAX_RECORDS 16 /* blocks examined in one search: 31-bit tags are not equal by chance */

#define MAX_CHUNK 16 /* words copied at a time */

/* Never a valid seq, ref or size: the checks for damage also find what can't be read. */
#define UNREADABLE 0xffU

/*
 * The raw system call is not a cancellation point, and is the same in every C library. A file that is too short
 * or gone reads as UNREADABLE. May change errno, which khs_map_leave() restores.
 */
static inline void view_pread_inline(int fd, uint32_t word, uint32_t *ret, uint32_t n_words)
{
        uint64_t offset = (uint64_t)word * 4;
        long n;

#if __SIZEOF_LONG__ == 8
        n = syscall(SYS_pread64, fd, ret, (size_t)n_words * 4, offset);
#elif defined(__arm__) /* 64 bits are passed in an even register and the next: syscall(2) */
        n = syscall(SYS_pread64, fd, ret, (size_t)n_words * 4, 0, (uint32_t)offset, (uint32_t)(offset >> 32));
#else
        n = syscall(SYS_pread64, fd, ret, (size_t)n_words * 4, (uint32_t)offset, (uint32_t)(offset >> 32));
#endif
        if (n != (long)n_words * 4)
                memset(ret, UNREADABLE, (size_t)n_words * 4);
}

static void view_pread(int fd, uint32_t word, uint32_t *ret, uint32_t n_words)
{
        view_pread_inline(fd, word, ret, n_words);
}

/* The end of the deepest of all calls: the same inside it, for a frame less. */
uint32_t khs_view_pread(const struct khs_view *view, uint32_t word)
{
        uint32_t value;

        view_pread_inline(view->fd, word, &value, 1);
        return value;
}

/*
 * `map` is view->map, loaded once: the compiler must assume that any store changes the view. What is KHS_INLINE
 * below becomes one function, khs_view_find(): 72 instructions less of 800.
 */
static inline uint32_t view_load(const struct khs_view *view, const uint32_t *map, size_t word)
{
        return __builtin_expect(map != NULL, 1) ? khs_load_relaxed(map + word) : khs_view_pread(view, (uint32_t)word);
}

static inline uint32_t view_load_acquire(const struct khs_view *view, const uint32_t *map, size_t word)
{
        return __builtin_expect(map != NULL, 1) ? khs_load_acquire(map + word) : khs_view_pread(view, (uint32_t)word);
}

static inline uint64_t view_load_pair(const struct khs_view *view, const uint32_t *map, size_t word)
{
        if (__builtin_expect(map != NULL, 1))
                return khs_load_pair(map + word);
        return khs_view_pread(view, (uint32_t)word) | (uint64_t)khs_view_pread(view, (uint32_t)word + 1) << 32;
}

/* A block's header without its seq. */
KHS_INLINE void view_load_header(const struct khs_view *view, const uint32_t *map, size_t block, uint32_t *ret)
{
        if (!map) {
                view_pread(view->fd, (uint32_t)block + 1, ret + 1, KHS_UNIT_WORDS - 1);
                return;
        }
        ret[1] = khs_load_relaxed(map + block + 1);
#pragma GCC unroll 8
        for (uint32_t i = 2; i < KHS_UNIT_WORDS; i += 2) {
                uint64_t pair = khs_load_pair(map + block + i);

                memcpy(ret + i, &pair, sizeof(pair));
        }
}

void khs_view_copy(const struct khs_view *view, uint32_t word, uint32_t *ret, uint32_t n_words)
{
        const uint32_t *map = view->map;

        if (!map) {
                view_pread(view->fd, word, ret, n_words);
                return;
        }
        /* Never many: unrolled, it would be half a kilobyte in every process. */
#pragma GCC unroll 1
        for (uint32_t i = 0; i < n_words; i++)
                ret[i] = khs_load_relaxed(map + word + i);
}

void khs_view_copy_bytes(const struct khs_view *view, uint32_t word, uint32_t n, char *ret)
{
        const uint32_t *map = view->map;
        uint32_t bytes;

        for (; n >= 4; n -= 4, ret += 4) {
                bytes = view_load(view, map, word++);
                memcpy(ret, &bytes, 4);
        }
        if (n == 0)
                return;
        for (bytes = view_load(view, map, word); n > 0; n--, bytes >>= 8)
                *ret++ = (char)bytes;
}

static void view_copy_text(const struct khs_view *view, uint32_t word, uint32_t n, char *ret)
{
        khs_view_copy_bytes(view, word, n, ret);
        ret[n] = '\0';
}

/* A word of the static part by the name of the field that it is, or begins with. */
#define STATIC_WORD(field) ((uint32_t)(offsetof(struct khs_table_static, field) / 4))
#define HEAD_WORDS         STATIC_WORD(zone) /* all that the geometry is made of */
#define HEAD(field)        head[STATIC_WORD(field)]

/* Of the static part, in pieces that small stacks have room for. */
static uint32_t view_static_crc(const struct khs_view *view)
{
        uint32_t chunk[MAX_CHUNK], crc = KHS_CRC32C_INIT;

        for (uint32_t word = 0; word < KHS_STATIC_SIZE / 4; word += MAX_CHUNK) {
                khs_view_copy(view, word, chunk, MAX_CHUNK);
                for (uint32_t i = 0; i < MAX_CHUNK; i++)
                        crc = khs_crc32c_word(crc, word + i == STATIC_WORD(checksum) ? 0 : chunk[i]);
        }
        return khs_crc32c_end(crc);
}

/* Whether n_bytes from page `off` lie behind the header and inside the file. */
static bool view_pages_ok(uint32_t off, uint64_t n_bytes, uint32_t file_pages)
{
        return off >= 1 && off <= file_pages && n_bytes <= (uint64_t)(file_pages - off) * KHS_TABLE_PAGE;
}

static int view_init_geometry(struct khs_view *view, const uint32_t *head)
{
        uint32_t file_pages = HEAD(file_pages), idx_log2 = HEAD(idx_log2), ridx_log2 = HEAD(ridx_log2);

        if ((uint64_t)file_pages * (KHS_TABLE_PAGE / 4) != view->n_words)
                return -EBADMSG;
        if (idx_log2 < KHS_IDX_LOG2_MIN || idx_log2 > KHS_IDX_LOG2_MAX ||
            !view_pages_ok(HEAD(idx_off_pg), sizeof(struct khs_entry) << idx_log2, file_pages))
                return -EBADMSG;
        if (ridx_log2 &&
            (ridx_log2 < KHS_IDX_LOG2_MIN || ridx_log2 > KHS_RIDX_LOG2_MAX ||
             !view_pages_ok(HEAD(ridx_off_pg), (uint64_t)sizeof(struct khs_entry) << ridx_log2, file_pages)))
                return -EBADMSG;
        if (!view_pages_ok(HEAD(arena_off_pg), (uint64_t)HEAD(arena_units) * KHS_UNIT, file_pages))
                return -EBADMSG;
        if (HEAD(max_probe) < 1 || HEAD(max_probe) > KHS_PROBE_MAX || HEAD(max_addr) > KHS_MAX_ADDRS)
                return -EBADMSG;

        view->idx_word = HEAD(idx_off_pg) * (KHS_TABLE_PAGE / 4);
        view->n_buckets = (1U << idx_log2) / KHS_BUCKET_ENTRIES;
        view->ridx_word = HEAD(ridx_off_pg) * (KHS_TABLE_PAGE / 4);
        view->n_rbuckets = ridx_log2 ? (1U << ridx_log2) / KHS_BUCKET_ENTRIES : 0;
        view->arena_word = HEAD(arena_off_pg) * (KHS_TABLE_PAGE / 4);
        view->arena_units = HEAD(arena_units);
        view->max_probe = (uint8_t)(HEAD(max_probe) < view->n_buckets ? HEAD(max_probe) : view->n_buckets);
        view->max_addr = HEAD(max_addr);
        return 0;
}

/* The texts, and the sum over all. */
static int view_init_texts(struct khs_view *view)
{
        uint32_t namespace[(1 + sizeof(((struct khs_table_static *)NULL)->namespace)) / 4]; /* its length comes first */

        khs_view_copy(view, STATIC_WORD(namespace_len), namespace, sizeof(namespace) / 4);
        if (view_static_crc(view) != khs_view_load(view, STATIC_WORD(checksum)) ||
            *(uint8_t *)namespace >= sizeof(view->namespace))
                return -EBADMSG;
        view_copy_text(view, STATIC_WORD(zone), view->n_zone, view->zone);
        view->n_namespace = *(uint8_t *)namespace;
        memcpy(view->namespace, (char *)namespace + 1, view->n_namespace);
        view->namespace[view->n_namespace] = '\0';
        return 0;
}

/* The first words say whether the rest means anything to us. */
static int view_init_head(struct khs_view *view)
{
        uint32_t head[HEAD_WORDS];

        khs_view_copy(view, 0, head, HEAD_WORDS);
        if (HEAD(magic) != KHS_MAGIC || HEAD(endian) != KHS_ENDIAN || (HEAD(major) & 0xffff) != KHS_MAJOR ||
            HEAD(header_size) != KHS_HEADER_SIZE || HEAD(flags_incompat) & ~KHS_FLAGS_INCOMPAT_KNOWN)
                return -EPROTONOSUPPORT;
        if (HEAD(zone_len) > KHS_KEY_MAX)
                return -EBADMSG;
        memcpy(view->hash_key, &HEAD(hash_key), sizeof(view->hash_key));
        view->n_zone = (uint8_t)HEAD(zone_len);
        return view_init_geometry(view, head);
}

int khs_view_init(struct khs_view *ret, const void *map, int fd, uint64_t size)
{
        int r;

        if (size < KHS_HEADER_SIZE || size % KHS_TABLE_PAGE || size / KHS_TABLE_PAGE > KHS_MAX_FILE_PAGES)
                return -EBADMSG;
        ret->map = map;
        ret->fd = fd;
        ret->n_words = (uint32_t)(size / 4);

        r = view_init_head(ret);
        return r < 0 ? r : view_init_texts(ret);
}

/* Whether a record of these sizes fits into its block, and the block into the arena. */
KHS_INLINE bool view_sizes_ok(const struct khs_view *view, uint32_t unit, struct khs_found *found)
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
KHS_INLINE int view_load_record(const struct khs_view *view, const uint32_t *map, uint32_t ref, struct khs_found *ret)
{
        uint32_t unit = ref - 1, *words = &ret->record.seq;
        size_t block;

        if (unit >= view->arena_units)
                return -EBADMSG;
        block = view->arena_word + unit * KHS_UNIT_WORDS;
        ret->block = (uint32_t)block;

        words[0] = view_load_acquire(view, map, block);
        if (words[0] & 1)
                return -EAGAIN;
        view_load_header(view, map, block, words);
        if (view_sizes_ok(view, unit, ret))
                return 0;
        return khs_found_valid(view, ret) ? -EBADMSG : -EAGAIN;
}

/* The writer pads keys with zeros to whole words. */
KHS_INLINE bool view_key_equal(const struct khs_view *view, const uint32_t *map, const struct khs_found *found,
                               const char *key, size_t n_key)
{
        size_t word = found->block + KHS_UNIT_WORDS;
        uint64_t differ = 0, rest;

        if (found->n_key != n_key)
                return false;
        for (; n_key >= 8; n_key -= 8, key += 8, word += 2)
                differ |= view_load_pair(view, map, word) ^ khs_load64(key);
        if (n_key > 0) {
                rest = n_key > 4 ? view_load_pair(view, map, word) : view_load(view, map, word);
                differ |= rest ^ khs_load_tail(key, n_key);
        }
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
KHS_INLINE int view_examine(const struct khs_view *view, const uint32_t *map, size_t entry, uint32_t tag,
                            const char *key, size_t n_key, struct khs_found *ret)
{
        uint32_t ref = view_load_acquire(view, map, entry + 1);
        bool equal;
        int r;

        if (ref == 0)
                return -ENOENT;
        r = view_load_record(view, map, ref, ret);
        equal = r == 0 && view_key_equal(view, map, ret, key, n_key);
        if (view_load_acquire(view, map, entry + 1) != ref || view_load(view, map, entry) != tag)
                return -EAGAIN;
        if (r < 0)
                return r;
        if (!khs_found_valid(view, ret))
                return -EAGAIN;
        return equal ? 0 : -ENOENT;
}

KHS_INLINE int view_search(const struct khs_view *view, const uint32_t *map, uint64_t hash, const char *key,
                           size_t n_key, struct khs_found *ret)
{
        uint32_t tag = (uint32_t)(hash >> 32) | 1, bucket = (uint32_t)hash, n_records = 0;

        for (uint32_t probe = 0; probe < view->max_probe; probe++, bucket++) {
                size_t entry = view->idx_word + (bucket & (view->n_buckets - 1)) * KHS_BUCKET_ENTRIES * 2;

                for (uint32_t i = 0; i < KHS_BUCKET_ENTRIES; i++, entry += 2) {
                        uint32_t t = view_load(view, map, entry);
                        int r;

                        if (t == 0)
                                return -ENOENT;
                        if (t != tag)
                                continue;
                        if (++n_records > MAX_RECORDS)
                                return -EBADMSG;
                        r = view_examine(view, map, entry, tag, key, n_key, ret);
                        if (r != -ENOENT)
                                return r;
                }
        }
        return -ENOENT;
}

/* All searches but the first; that, too, where there is no map. Not inlined: 5 instructions less. */
static __attribute__((noinline)) int view_search_again(const struct khs_view *view, uint64_t hash, const char *key,
                                                       size_t n_key, struct khs_found *ret)
{
        for (int i = view->map ? 1 : 0; i < MAX_TRIES; i++) {
                int r = view_search(view, view->map, hash, key, n_key, ret);

                if (r != -EAGAIN)
                        return r;
        }
        return -EBUSY;
}

int khs_view_find(const struct khs_view *view, const char *key, size_t n_key, struct khs_found *ret)
{
        uint64_t hash = khs_siphash13(view->hash_key, key, n_key);
        const uint32_t *map = view->map;
        int r = map ? view_search(view, map, hash, key, n_key, ret) : -EAGAIN; /* what pread(2) needs is not inlined */

        return r == -EAGAIN ? view_search_again(view, hash, key, n_key, ret) : r;
}

int khs_view_entry(const struct khs_view *view, uint32_t i, struct khs_found *ret, char *key)
{
        uint32_t ref = khs_view_load_acquire(view, view->idx_word + i * 2 + 1);
        int r;

        if (ref == 0)
                return -ENOENT;
        r = view_load_record(view, view->map, ref, ret);
        if (r < 0)
                return r;
        if (key)
                view_copy_text(view, ret->block + KHS_UNIT_WORDS, ret->n_key, key);
        if (khs_view_load_acquire(view, view->idx_word + i * 2 + 1) != ref) /* as in view_examine() */
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

void khs_found_pread(const struct khs_view *view, const struct khs_found *found, int family, uint32_t n, uint32_t first,
                     uint32_t count, void *ret, size_t stride)
{
        uint32_t n_words = family == AF_INET ? 1 : 4, word = family == AF_INET ? found->v4_word : found->v6_word;
        uint32_t address[4];
        char *out = ret;

        for (; count > 0; count--, out += stride) {
                view_pread(view->fd, word + first * n_words, address, n_words);
                memcpy(out, address, (size_t)n_words * 4);
                first = first + 1 < n ? first + 1 : 0;
        }
}

int khs_found_alias(const struct khs_view *view, const struct khs_found *found, char ret[static 256])
{
        uint32_t room = found->record.units * KHS_UNIT_WORDS - (found->v4_word - found->block);
        uint32_t n_key;

        if (room < 1)
                return -EBADMSG;
        n_key = khs_view_load(view, found->v4_word);
        if (n_key >= 1 && n_key <= KHS_KEY_MAX && (n_key + 3) / 4 <= room - 1) {
                view_copy_text(view, found->v4_word + 1, n_key, ret);
                return khs_found_valid(view, found) ? (int)n_key : -EBUSY;
        }
        return khs_found_valid(view, found) ? -EBADMSG : -EBUSY;
}
