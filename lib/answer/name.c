/*
 * Names and their forms, see answer/name.h. One pass, eight bytes at a time, so that a name that is not ours
 * costs nanoseconds: every lookup of every program on the machine comes through here.
 */

#include <errno.h>
#include <string.h>

#include "answer/name.h"
#include "table/bytes.h"

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

/* What is known of the labels so far. */
struct labels {
        size_t start; /* of the one that has not ended yet */
        size_t n_first;
        uint8_t n;
};

/* The n <= 8 bytes from `at` on. */
KHS_INLINE bool take_word(struct khs_name *name, size_t at, uint64_t word, size_t n, struct labels *labels)
{
        uint64_t dots;

        if (!fold(&word, n, &dots))
                return false;
        memcpy(name->text + at, &word, sizeof(word));
        for (; dots; dots &= dots - 1) {
                size_t i = at + (size_t)__builtin_ctzll(dots) / 8;

                if (!label_ok(labels->start, i))
                        return false;
                if (labels->n++ == 1)
                        labels->n_first = i;
                labels->start = i + 1;
        }
        return true;
}

/* Copies in lower case, counts labels, drops one final dot (which is told). */
static int normalise(struct khs_name *name, const char *text, size_t n_text, bool *ret_final_dot)
{
        struct labels labels = { .n = 1 };
        size_t at = 0;

        *ret_final_dot = n_text > 0 && text[n_text - 1] == '.';
        if (*ret_final_dot)
                n_text--;
        if (n_text == 0 || n_text > KHS_NAME_MAX)
                return -ENOENT;

        _Static_assert(sizeof(name->text) >= (KHS_NAME_MAX + 7) / 8 * 8, "room for whole words");
        for (; at + 8 <= n_text; at += 8) {
                if (!take_word(name, at, khs_load64(text + at), 8, &labels))
                        return -ENOENT;
        }
        if (at < n_text && !take_word(name, at, khs_load_tail(text + at, n_text - at), n_text - at, &labels))
                return -ENOENT;
        if (!label_ok(labels.start, n_text))
                return -ENOENT;
        name->len = (uint8_t)n_text;
        name->n_labels = labels.n;
        name->n_first = (uint8_t)(labels.n == 1 ? n_text : labels.n_first);
        return 0;
}

static bool is_localhost(const struct khs_name *name)
{
        if (!ends_with(name->text, name->len, LOCAL, N_LOCAL))
                return false;
        return name->len == N_LOCAL || name->text[name->len - N_LOCAL - 1] == '.';
}

/* In the first n bytes of a normalised name. */
static uint8_t count_labels(const struct khs_name *name, size_t n)
{
        uint8_t n_labels = 1;

        for (size_t at = 0; at < n; at += 8) {
                uint64_t dots = khs_bytes_in(khs_load64(name->text + at), '.', '.');

                if (n - at < 8)
                        dots &= KHS_HIGHS >> (64 - 8 * (n - at));
                for (; dots; dots &= dots - 1)
                        n_labels++;
        }
        return n_labels;
}

/* Whether this is the zone; @text is as long, and what is before it may be read. */
static bool is_zone(const char *text, const struct khs_zone *zone)
{
        size_t n = zone->n, i = 0;
        uint32_t differ = 0;

        for (; i + 4 <= n; i += 4)
                differ |= khs_zone_word(zone, i) ^ khs_load32(text + i);
        if (i < n)
                differ |= (khs_zone_word(zone, i) ^ (khs_load32(text + n - 4) >> 8 * (4 - n % 4))) << 8 * (4 - n % 4);
        return differ == 0;
}

/* Length of the name without .svc.D, or 0. */
static size_t cut_zone(const struct khs_name *name, const struct khs_zone *zone)
{
        size_t n = name->len;

        if (zone->n == 0 || n <= zone->n + 1 + N_SVC)
                return 0;
        n -= zone->n + 1;
        if (name->text[n] != '.' || !ends_with(name->text, n, SVC, N_SVC) || !is_zone(name->text + n + 1, zone))
                return 0;
        return n - N_SVC;
}

int khs_name_parse(struct khs_name *ret, const char *text, size_t n_text, const struct khs_zone *zone)
{
        bool final_dot;
        size_t cut;
        int r;

        r = normalise(ret, text, n_text, &final_dot);
        if (r < 0)
                return r;

        cut = cut_zone(ret, zone);
        if (!cut) {
                if (final_dot || is_localhost(ret))
                        return -ENOENT;
                if (ret->n_labels > 2 && ends_with(ret->text, ret->len, SVC, N_SVC))
                        cut = ret->len - N_SVC;
        }

        ret->in_cluster = cut > 0;
        if (ret->in_cluster) {
                ret->len = (uint8_t)cut;
                ret->n_labels = count_labels(ret, cut);
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

/* As is_zone(), for a text in any case. */
static bool is_zone_folded(const char *text, const struct khs_zone *zone)
{
        uint32_t word = 0;

        for (size_t i = 0; i < zone->n; i++, word >>= 8) {
                if (i % 4 == 0)
                        word = khs_zone_word(zone, i);
                if (text[i] != (char)word && fold_one(text[i]) != (char)word)
                        return false;
        }
        return true;
}

/* Whether ".svc." in any case begins here; stops where the text does. */
static bool begins_with_svc(const char *text)
{
        static const char svc[] = ".svc.";

        for (size_t i = 0; svc[i]; i++) {
                if (text[i] != svc[i] && fold_one(text[i]) != svc[i])
                        return false;
        }
        return true;
}

/* N of "N.svc.D", given any case and perhaps a final dot. Compared where it lies: stacks are small. */
static KHS_NOINLINE size_t search_namespace(const char *domain, const struct khs_zone *zone, char *ret)
{
        size_t n_domain = strnlen(domain, KHS_NAME_MAX + 2), n = 0; /* bounded: resolv.conf may hold anything */

        if (n_domain > 0 && domain[n_domain - 1] == '.')
                n_domain--;
        while (n <= KHS_LABEL_MAX && n < n_domain && (ret[n] = fold_one(domain[n])))
                n++;
        if (!zone->n || !label_ok(0, n) || n_domain > KHS_NAME_MAX || n_domain != n + N_SVC + 1 + zone->n ||
            !begins_with_svc(domain + n))
                return 0;
        ret[n] = '\0';
        return is_zone_folded(domain + n + N_SVC + 1, zone) ? n : 0;
}

size_t khs_name_search(const char *const *search, const struct khs_zone *zone, char ret[static KHS_LABEL_MAX + 1])
{
        for (; *search; search++) {
                size_t n = search_namespace(*search, zone, ret);

                if (n > 0)
                        return n;
        }
        return 0;
}
