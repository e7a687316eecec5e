/*
 * Names and their forms, see name.h. One pass, eight bytes at a time, so that a name that is not ours
 * costs nanoseconds: every lookup of every program on the machine comes through here.
 */

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "name.h"

#define SVC     ".svc"
#define N_SVC   (sizeof(SVC) - 1)
#define LOCAL   "localhost"
#define N_LOCAL (sizeof(LOCAL) - 1)

/*
 * Eight bytes in lower case, and where their dots are (0x80 in each). Only the first n count. False
 * when one of them is none that our names have: RFC 1123 letters, digits and hyphen, the underscore
 * that aliases may have, the dot.
 */
static inline bool fold(uint64_t *word, size_t n, uint64_t *ret_dots)
{
        uint64_t w = *word, used = n == 8 ? KHS_HIGHS : KHS_HIGHS >> (64 - 8 * n), good;

        if (w & KHS_HIGHS)
                return false;
        w |= khs_bytes_in(w, 'A', 'Z') >> 2; /* 0x20 */
        good = khs_bytes_in(w, 'a', 'z') | khs_bytes_in(w, '0', '9') | khs_bytes_in(w, '-', '.') |
               khs_bytes_in(w, '_', '_');
        *ret_dots = khs_bytes_in(w, '.', '.') & used;
        *word = w;
        return (good & used) == used;
}

static bool ends_with(const char *text, size_t n_text, const char *tail, size_t n_tail)
{
        return n_text >= n_tail && memcmp(text + n_text - n_tail, tail, n_tail) == 0;
}

/* A label that ends before byte `end`. */
static inline bool label_ok(size_t start, size_t end)
{
        return end > start && end - start <= KHS_LABEL_MAX;
}

/* Copies in lower case, counts labels, drops one final dot (which is told). */
static int normalise(struct khs_name *name, const char *text, size_t n_text, bool *ret_final_dot)
{
        size_t label = 0, n_first = 0; /* label: where it began */
        uint8_t n_labels = 1;

        *ret_final_dot = n_text > 0 && text[n_text - 1] == '.';
        if (*ret_final_dot)
                n_text--;
        if (n_text == 0 || n_text > KHS_NAME_MAX)
                return -ENOENT;

        _Static_assert(sizeof(name->text) >= (KHS_NAME_MAX + 7) / 8 * 8, "room for whole words");
        for (size_t at = 0; at < n_text; at += 8) {
                size_t n = n_text - at < 8 ? n_text - at : 8;
                uint64_t word = n == 8 ? khs_load64(text + at) : khs_load_tail(text + at, n), dots;

                if (!fold(&word, n, &dots))
                        return -ENOENT;
                memcpy(name->text + at, &word, sizeof(word));
                for (; dots; dots &= dots - 1) {
                        size_t i = at + (size_t)__builtin_ctzll(dots) / 8;

                        if (!label_ok(label, i))
                                return -ENOENT;
                        if (n_labels++ == 1)
                                n_first = i;
                        label = i + 1;
                }
        }
        if (!label_ok(label, n_text))
                return -ENOENT;
        name->len = (uint8_t)n_text;
        name->n_labels = n_labels;
        name->n_first = (uint8_t)(n_labels == 1 ? n_text : n_first);
        return 0;
}

static bool is_localhost(const struct khs_name *name)
{
        if (!ends_with(name->text, name->len, LOCAL, N_LOCAL))
                return false;
        return name->len == N_LOCAL || name->text[name->len - N_LOCAL - 1] == '.';
}

static unsigned int count_dots(const char *text, size_t n)
{
        unsigned int n_dots = 0;

        for (size_t i = 0; i < n; i++)
                n_dots += text[i] == '.';
        return n_dots;
}

/* Length of the name without .svc.D, or 0. */
static size_t cut_zone(const struct khs_name *name, const char *zone, size_t n_zone)
{
        size_t n = name->len;

        if (n_zone == 0 || n <= n_zone + 1 + N_SVC)
                return 0;
        if (!ends_with(name->text, n, zone, n_zone) || name->text[n - n_zone - 1] != '.')
                return 0;
        n -= n_zone + 1;
        return ends_with(name->text, n, SVC, N_SVC) ? n - N_SVC : 0;
}

int khs_name_parse(struct khs_name *ret, const char *text, size_t n_text, const char *zone, size_t n_zone)
{
        bool final_dot;
        size_t cut;
        int r;

        r = normalise(ret, text, n_text, &final_dot);
        if (r < 0)
                return r;

        cut = cut_zone(ret, zone, n_zone);
        if (!cut) {
                if (final_dot || is_localhost(ret))
                        return -ENOENT;
                if (ret->n_labels > 2 && ends_with(ret->text, ret->len, SVC, N_SVC))
                        cut = ret->len - N_SVC;
        }

        ret->in_cluster = cut > 0;
        if (ret->in_cluster) {
                ret->len = (uint8_t)cut;
                ret->n_labels = (uint8_t)(count_dots(ret->text, cut) + 1);
                if (ret->n_labels != 2 && ret->n_labels != 3)
                        return -ENOENT;
        }
        ret->text[ret->len] = '\0';
        return 0;
}

/* A letter, digit or hyphen that names have, in lower case; 0: none. */
static char fold_one(char c)
{
        if (c >= 'A' && c <= 'Z')
                return (char)(c + ('a' - 'A'));
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ? c : 0;
}

/* Whether the text is this in any case; @lower is what names have, and may have dots. */
static bool equal_folded(const char *text, const char *lower, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (text[i] != lower[i] && fold_one(text[i]) != lower[i])
                        return false;
        }
        return true;
}

/* N of "N.svc.D", given any case and perhaps a final dot. Compared where it lies: stacks are small. */
static size_t search_namespace(const char *domain, const char *zone, size_t n_zone, char *ret)
{
        static const char svc[] = ".svc.";
        size_t n_domain = strnlen(domain, KHS_NAME_MAX + 2), n = 0; /* bounded: resolv.conf may hold anything */

        if (n_domain > 0 && domain[n_domain - 1] == '.')
                n_domain--;
        while (n <= KHS_LABEL_MAX && n < n_domain && (ret[n] = fold_one(domain[n])))
                n++;
        if (!n_zone || !label_ok(0, n) || n_domain > KHS_NAME_MAX || n_domain != n + strlen(svc) + n_zone ||
            !equal_folded(domain + n, svc, strlen(svc)) || !equal_folded(domain + n + strlen(svc), zone, n_zone))
                return 0;
        ret[n] = '\0';
        return n;
}

size_t khs_name_search(const char *const *search, const char *zone, size_t n_zone, char ret[static KHS_LABEL_MAX + 1])
{
        for (; *search; search++) {
                size_t n = search_namespace(*search, zone, n_zone, ret);

                if (n > 0)
                        return n;
        }
        return 0;
}
