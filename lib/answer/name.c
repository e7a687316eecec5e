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
 * Whether DNS would allow the name is not looked at on the way: the table's keys are names that it allows, so a name
 * that is found was one of them. khs_name_valid() is for those who must know it of a name that is not found.
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
#define N_DOTS  ((KHS_NAME_MAX + N_BYTES - 1) / N_BYTES) /* sixteen bytes each */

/* By pointers only: how functions pass vectors depends on whether the machine has them. */
typedef int8_t bytes __attribute__((vector_size(N_BYTES)));

/* The result of comparing bytes as one bit each, the first byte's lowest. */
static inline uint16_t name_bits(const bytes *compared)
{
#ifdef __SSE2__
        typedef char chars __attribute__((vector_size(N_BYTES)));

        return (uint16_t)__builtin_ia32_pmovmskb128((chars)*compared);
#else
        uint64_t words[2];

        memcpy(words, compared, sizeof(words));
        for (int i = 0; i < 2; i++)
                words[i] = (words[i] & KHS_ONES) * 0x0102040810204080ULL >> 56;
        return (uint16_t)(words[0] | words[1] << 8);
#endif
}

/* Sixteen bytes in lower case. Return: where their dots are. */
static inline uint16_t name_fold_bytes(const bytes *given, char *ret)
{
        typedef uint8_t moved __attribute__((vector_size(N_BYTES)));

        /* Moved to where Z is the greatest number that a byte can be, capitals are those above the one before A. */
        bytes capitals = (bytes)((moved)*given + (INT8_MAX - 'Z')) > INT8_MAX - 'Z' + 'A' - 1;
        bytes lower = *given | (capitals & 0x20), dots = *given == '.';

        memcpy(ret, &lower, sizeof(lower));
        return name_bits(&dots);
}

/* A name of less than sixteen bytes, of which nothing behind it is read. */
static inline void name_load_short(bytes *ret, const char *text, size_t n)
{
        typedef uint64_t words __attribute__((vector_size(N_BYTES)));

        if (n < 8)
                *ret = (bytes)(words){ khs_load_tail(text, n), 0 };
        else
                *ret = (bytes)(words){ khs_load64(text), khs_load_tail(text + 8, n - 8) };
}

/*
 * A whole name, 0 < n <= KHS_NAME_MAX, in lower case. Its last bytes are loaded together with some before them, and
 * stored first: what is read next, from the beginning on, then was stored in one piece, for which a processor does not
 * have to wait.
 */
KHS_INLINE void name_fold(char ret[static 256], const char *text, size_t n, uint16_t ret_dots[static N_DOTS])
{
        size_t rest = n % N_BYTES;
        bytes given;

        if (n < N_BYTES) {
                name_load_short(&given, text, n);
                ret_dots[0] = name_fold_bytes(&given, ret);
                return;
        }
        if (rest > 0) {
                memcpy(&given, text + n - N_BYTES, N_BYTES);
                ret_dots[n / N_BYTES] = (uint16_t)(name_fold_bytes(&given, ret + n - N_BYTES) >> (N_BYTES - rest));
        }
        for (size_t at = 0; at + N_BYTES <= n; at += N_BYTES) {
                memcpy(&given, text + at, N_BYTES);
                *ret_dots++ = name_fold_bytes(&given, ret + at);
        }
}

/* Where a name ends without its .svc.D; at n, if that is not how it ends. */
static inline size_t name_end(const char *text, size_t n, const struct khs_zone *zone)
{
        size_t n_tail = N_SVC + 1 + zone->n;
        const char *tail = text + n - n_tail;

        if (zone->n == 0 || n <= n_tail || memcmp(tail, SVC ".", N_SVC + 1) != 0 ||
            !khs_equal_bytes(tail + N_SVC + 1, zone->bytes, zone->n))
                return n;
        return n - n_tail;
}

/* Counts the labels in the first n bytes. */
static inline void name_count_labels(struct khs_name *name, const uint16_t *dots, size_t n)
{
        size_t n_labels = 1, n_first = n;

        for (size_t at = 0; at < n; at += N_BYTES) {
                uint32_t left = *dots++ & (n - at < N_BYTES ? (1U << (n - at)) - 1 : UINT32_MAX);

                for (; left; left &= left - 1) {
                        if (n_labels++ == 1)
                                n_first = at + (size_t)__builtin_ctz(left);
                }
        }
        name->n_labels = (uint8_t)n_labels;
        name->n_first = (uint8_t)n_first;
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
        uint16_t dots[N_DOTS];

        if (n == 0 || n > KHS_NAME_MAX)
                return -ENOENT;
        name_fold(ret->text, text, n, dots);
        end = name_end(text, n, zone); /* most are in lower case */
        if (end == n)
                end = name_end(ret->text, n, zone);
        name_count_labels(ret, dots, end);

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

/* The letters, digits and the hyphen of RFC 1123, and the underscore that aliases may have. */
static bool name_is_allowed(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool khs_name_valid(const struct khs_name *name)
{
        size_t n_label = 0;

        for (size_t i = 0; i < name->len; i++) {
                if (name->text[i] == '.' && n_label > 0)
                        n_label = 0;
                else if (!name_is_allowed(name->text[i]) || ++n_label > KHS_LABEL_MAX)
                        return false;
        }
        return n_label > 0;
}

/* N of "N.svc.D", in any case and perhaps with a final dot. */
static size_t name_search_namespace(const char *domain, const struct khs_zone *zone, char *ret)
{
        size_t n_domain = strnlen(domain, KHS_NAME_MAX + 1); /* bounded: programs set what they like */
        uint16_t dots[N_DOTS];
        struct khs_name name;
        size_t n = n_domain > 0 && domain[n_domain - 1] == '.' ? n_domain - 1 : n_domain, end;

        if (n == 0 || n > KHS_NAME_MAX)
                return 0;
        name_fold(name.text, domain, n, dots);
        end = name_end(name.text, n, zone);
        name.len = (uint8_t)end;
        if (end == n || memchr(name.text, '.', end) || !khs_name_valid(&name))
                return 0;
        memcpy(ret, name.text, end);
        ret[end] = '\0';
        return end;
}

size_t khs_name_search(const char *const *search, size_t n_search, const struct khs_zone *zone,
                       char ret[static KHS_LABEL_MAX + 1])
{
        for (size_t i = 0; i < n_search && search[i]; i++) {
                size_t n = name_search_namespace(search[i], zone, ret);

                if (n > 0)
                        return n;
        }
        return 0;
}
