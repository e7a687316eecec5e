/*
 * Names and their forms, see name.h. One pass over the bytes, so that a name that is not ours
 * costs nanoseconds: every lookup of every program on the machine comes through here.
 */

#include <errno.h>
#include <string.h>

#include "name.h"

#define SVC     ".svc"
#define N_SVC   (sizeof(SVC) - 1)
#define LOCAL   "localhost"
#define N_LOCAL (sizeof(LOCAL) - 1)

/*
 * RFC 1123 letters in lower case, digits and hyphen, the underscore that aliases may have, and the
 * dot; 0 for all other bytes, which no name of ours has.
 */
static const char folded[256] = {
        ['-'] = '-', ['.'] = '.', ['_'] = '_',
        ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4',
        ['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9',
#define LETTER(upper, lower) [upper] = lower, [lower] = lower
        LETTER('A', 'a'), LETTER('B', 'b'), LETTER('C', 'c'), LETTER('D', 'd'), LETTER('E', 'e'), LETTER('F', 'f'),
        LETTER('G', 'g'), LETTER('H', 'h'), LETTER('I', 'i'), LETTER('J', 'j'), LETTER('K', 'k'), LETTER('L', 'l'),
        LETTER('M', 'm'), LETTER('N', 'n'), LETTER('O', 'o'), LETTER('P', 'p'), LETTER('Q', 'q'), LETTER('R', 'r'),
        LETTER('S', 's'), LETTER('T', 't'), LETTER('U', 'u'), LETTER('V', 'v'), LETTER('W', 'w'), LETTER('X', 'x'),
        LETTER('Y', 'y'), LETTER('Z', 'z'),
#undef LETTER
};

static bool ends_with(const char *text, size_t n_text, const char *tail, size_t n_tail)
{
        return n_text >= n_tail && memcmp(text + n_text - n_tail, tail, n_tail) == 0;
}

/* Copies in lower case, counts labels, drops one final dot (which is told). */
static int normalise(struct khs_name *name, const char *text, size_t n_text, bool *ret_final_dot)
{
        size_t label = 0, i; /* where the label began */

        *ret_final_dot = n_text > 0 && text[n_text - 1] == '.';
        if (*ret_final_dot)
                n_text--;
        if (n_text == 0 || n_text > KHS_NAME_MAX)
                return -ENOENT;

        name->n_labels = 0;
        for (i = 0; i < n_text; i++) {
                char c = folded[(unsigned char)text[i]];

                name->text[i] = c;
                if (c != '.' && c != 0)
                        continue;
                if (c == 0 || i == label || i - label > KHS_LABEL_MAX)
                        return -ENOENT;
                if (name->n_labels++ == 0)
                        name->n_first = (uint8_t)i;
                label = i + 1;
        }
        if (i == label || i - label > KHS_LABEL_MAX)
                return -ENOENT;
        if (name->n_labels++ == 0)
                name->n_first = (uint8_t)i;
        name->len = (uint8_t)i;
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

/* N of "N.svc.D", given any case and perhaps a final dot. */
static size_t search_namespace(const char *domain, const char *zone, size_t n_zone, char *ret)
{
        struct khs_name name;
        bool final_dot;
        size_t n;

        /* Bounded: resolv.conf may hold anything. */
        if (normalise(&name, domain, strnlen(domain, KHS_NAME_MAX + 2), &final_dot) < 0)
                return 0;
        n = cut_zone(&name, zone, n_zone);
        if (n == 0 || n != name.n_first)
                return 0;
        memcpy(ret, name.text, n);
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
