/*
 * Words, and how near two of them are.
 *
 * The distance is that of Damerau and Levenshtein in its restricted form: letters inserted, left
 * out, exchanged, and neighbours that changed places, any case. One slip in a short word or two in a
 * long one are taken for a typing error; a hint that is more than that misleads.
 */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/keys/word.h"

#define LENGTH_MAX 31U

static unsigned int least(unsigned int a, unsigned int b)
{
        return a < b ? a : b;
}

static unsigned int word_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
        unsigned int rows[LENGTH_MAX + 1][LENGTH_MAX + 1];

        for (unsigned int i = 0; i <= n_a; i++)
                rows[i][0] = i;
        for (unsigned int j = 0; j <= n_b; j++)
                rows[0][j] = j;
        for (size_t i = 1; i <= n_a; i++) {
                for (size_t j = 1; j <= n_b; j++) {
                        bool same = strncasecmp(&a[i - 1], &b[j - 1], 1) == 0;

                        rows[i][j] = least(rows[i - 1][j - 1] + !same, least(rows[i - 1][j], rows[i][j - 1]) + 1);
                        if (i > 1 && j > 1 && strncasecmp(&a[i - 1], &b[j - 2], 1) == 0 &&
                            strncasecmp(&a[i - 2], &b[j - 1], 1) == 0)
                                rows[i][j] = least(rows[i][j], rows[i - 2][j - 2] + 1);
                }
        }
        return rows[n_a][n_b];
}

const struct config_word *config_word_find(const struct config_word *words, const char *text)
{
        for (; words->text; words++)
                if (strcmp(words->text, text) == 0)
                        return words;
        return NULL;
}

void config_hint_offer(struct config_hint *hint, const char *found, const char *word)
{
        size_t n_found = strlen(found), n_word = strlen(word);
        unsigned int distance;

        if (n_found > LENGTH_MAX || n_word > LENGTH_MAX)
                return;
        distance = word_distance(found, n_found, word, n_word);
        if (distance > 2 || distance * 3 > n_found || (hint->text[0] && distance >= hint->distance))
                return;
        hint->distance = distance;
        (void)snprintf(hint->text, sizeof(hint->text), "; did you mean %s?", word);
}

struct config_hint config_word_hint(const struct config_word *words, const char *found)
{
        struct config_hint hint = { 0 };

        for (; words && words->text; words++)
                config_hint_offer(&hint, found, words->text);
        return hint;
}
