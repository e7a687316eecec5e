/*
 * Names and their forms.
 *
 * Every lookup of every program on the machine comes through here, so a name is read sixteen bytes at a time, in
 * the vectors that gcc and clang make of SSE2, NEON or words:
 *
 *     given     Web-0.Web.default.SVC.cluster.local
 *     text      web-0.web.default.svc.cluster.local     in lower case
 *     dots      00000100010000000100010000000100000     one bit for each byte, by which labels are counted
 *     end       web-0.web.default                       without .svc.D
 *
 * Whether every byte is allowed falls out of the same steps.
 */

#include <errno.h>
#include <string.h>

#include "answer/name.h"
#include "table/bytes.h"

#define SVC     ".svc"
#define N_SVC   (sizeof(SVC) - 1)
#define LOCAL   "localhost"
#define N_LOCAL (sizeof(LOCAL) - 1)

#define N_BYTES 16U

typedef int8_t bytes __attribute__((vector_size(N_BYTES)));

/* The result of comparing bytes as one bit each, the first byte's lowest. */
static inline uint32_t name_bits(bytes compared)
{
#ifdef __SSE2__
        typedef char chars __attribute__((vector_size(N_BYTES)));

        return (uint32_t)__builtin_ia32_pmovmskb128((chars)compared);
#else
        uint64_t words[2];

        memcpy(words, &compared, sizeof(words));
        for (int i = 0; i < 2; i++)
                words[i] = (words[i] & KHS_ONES) * 0x0102040810204080ULL >> 56;
        return (uint32_t)(words[0] | words[1] << 8);
#endif
}

/* Bytes in lower case, and one bit for each that our names may have, or that is a dot. */
struct folded {
        bytes lower;
        uint32_t allowed, dots;
};

/* Allowed are the letters, digits and the hyphen of RFC 1123, the underscore that aliases may have, and the dot. */
static inline struct folded name_fold_bytes(const void *text)
{
        bytes given, lower, letters, others;

        memcpy(&given, text, sizeof(given));
        lower = given | 0x20;
        letters = (lower >= 'a') & (lower <= 'z');
        others = ((given >= '-') & (given <= '9') & (given != '/')) | (given == '_');
        return (struct folded){
                .lower = given | (letters & 0x20),
                .allowed = name_bits(letters | others),
                .dots = name_bits(given == '.'),
        };
}

/* The last bytes of a name, less than 16, which begin at `at`. Nothing beyond the name is read. */
static inline struct folded name_fold_rest(char *ret, const char *text, size_t n_text, size_t at)
{
        uint32_t used = (1U << (n_text - at)) - 1, skipped = 0;
        struct folded f;

        if (n_text >= N_BYTES) { /* together with some before them, once more */
                skipped = (uint32_t)(at + N_BYTES - n_text);
                f = name_fold_bytes(text + n_text - N_BYTES);
                memcpy(ret + n_text - N_BYTES, &f.lower, N_BYTES);
        } else {
                uint64_t words[2] = { khs_load_tail(text, n_text), 0 };

                if (n_text >= 8) {
                        words[0] = khs_load64(text);
                        words[1] = khs_load_tail(text + 8, n_text - 8);
                }
                f = name_fold_bytes(words);
                memcpy(ret, &f.lower, N_BYTES);
        }
        f.allowed = (f.allowed >> skipped) | ~used;
        f.dots = f.dots >> skipped & used;
        return f;
}

#define N_DOTS ((KHS_NAME_MAX + 63) / 64)

/* The whole name, of at most KHS_NAME_MAX bytes, in lower case. Return: whether every byte is allowed. */
static inline bool name_fold(char ret[static 256], const char *text, size_t n_text, uint64_t ret_dots[static N_DOTS])
{
        uint32_t allowed = 0xffff;
        struct folded f;
        size_t at = 0;

        memset(ret_dots, 0, N_DOTS * sizeof(*ret_dots));
        for (; at + N_BYTES <= n_text; at += N_BYTES) {
                f = name_fold_bytes(text + at);
                memcpy(ret + at, &f.lower, N_BYTES);
                allowed &= f.allowed;
                ret_dots[at / 64] |= (uint64_t)f.dots << at % 64;
        }
        if (at < n_text) {
                f = name_fold_rest(ret, text, n_text, at);
                allowed &= f.allowed;
                ret_dots[at / 64] |= (uint64_t)f.dots << at % 64;
        }
        return allowed == 0xffff;
}

/* Where a name in lower case ends without its .svc.D; at n, if that is not how it ends. */
static inline size_t name_end(const char *text, size_t n, const struct khs_zone *zone)
{
        size_t n_tail = N_SVC + 1 + zone->n;
        const char *tail = text + n - n_tail;

        if (zone->n == 0 || n <= n_tail || memcmp(tail, SVC ".", N_SVC + 1) != 0 ||
            memcmp(tail + N_SVC + 1, zone->bytes, zone->n) != 0)
                return n;
        return n - n_tail;
}

/* Counts the labels in the first n bytes. Return: whether each has a length that DNS allows. */
static inline bool name_count_labels(struct khs_name *name, const uint64_t *dots, size_t n)
{
        size_t start = 0;

        name->n_labels = 1;
        name->n_first = (uint8_t)n;
        for (size_t word = 0; word < n; word += 64, dots++) {
                uint64_t left = n - word < 64 ? *dots & ((1ULL << (n - word)) - 1) : *dots;

                for (; left; left &= left - 1) {
                        size_t dot = word + (size_t)__builtin_ctzll(left);

                        if (dot - start - 1 >= KHS_LABEL_MAX) /* as is -1 */
                                return false;
                        if (name->n_labels++ == 1)
                                name->n_first = (uint8_t)dot;
                        start = dot + 1;
                }
        }
        return n - start - 1 < KHS_LABEL_MAX;
}

static bool name_ends_with(const char *text, size_t n, const char *tail, size_t n_tail)
{
        return n >= n_tail && memcmp(text + n - n_tail, tail, n_tail) == 0;
}

static bool name_is_localhost(const char *text, size_t n)
{
        return name_ends_with(text, n, LOCAL, N_LOCAL) && (n == N_LOCAL || text[n - N_LOCAL - 1] == '.');
}

int khs_name_parse(struct khs_name *ret, const char *text, size_t n_text, const struct khs_zone *zone)
{
        bool final_dot = n_text > 0 && text[n_text - 1] == '.';
        size_t n = n_text - final_dot, end;
        uint64_t dots[N_DOTS];

        if (n == 0 || n > KHS_NAME_MAX || !name_fold(ret->text, text, n, dots))
                return -ENOENT;
        end = name_end(ret->text, n, zone);
        if (!name_count_labels(ret, dots, end))
                return -ENOENT;

        if (end == n) {
                if (final_dot || name_is_localhost(ret->text, n))
                        return -ENOENT;
                if (ret->n_labels > 2 && name_ends_with(ret->text, n, SVC, N_SVC)) {
                        end -= N_SVC;
                        ret->n_labels--;
                }
        }
        ret->in_cluster = end < n;
        if (ret->in_cluster && ret->n_labels != 2 && ret->n_labels != 3)
                return -ENOENT;
        ret->len = (uint8_t)end;
        ret->text[end] = '\0';
        return 0;
}

/* N of "N.svc.D", in any case and perhaps with a final dot. */
static size_t name_search_namespace(const char *domain, const struct khs_zone *zone, char *ret)
{
        size_t n = strnlen(domain, KHS_NAME_MAX + 2), end; /* bounded: resolv.conf may hold anything */
        uint64_t dots[N_DOTS];
        char text[256];

        if (n > 0 && domain[n - 1] == '.')
                n--;
        if (n == 0 || n > KHS_NAME_MAX || !name_fold(text, domain, n, dots))
                return 0;
        end = name_end(text, n, zone);
        if (end == n || end > KHS_LABEL_MAX || dots[0] & ((1ULL << end) - 1))
                return 0;
        memcpy(ret, text, end);
        ret[end] = '\0';
        return end;
}

size_t khs_name_search(const char *const *search, const struct khs_zone *zone, char ret[static KHS_LABEL_MAX + 1])
{
        for (; *search; search++) {
                size_t n = name_search_namespace(*search, zone, ret);

                if (n > 0)
                        return n;
        }
        return 0;
}
