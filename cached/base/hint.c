/*
 * How near two words are.
 *
 * The distance is that of Damerau and Levenshtein in its restricted form: letters inserted, left
 * out, exchanged, and neighbours that changed places, any case. One slip in a short word or two in a
 * long one are taken for a typing error; a hint that is more than that misleads.
 */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hint.h"

#define LENGTH_MAX   253U /* of a name in DNS */
#define DISTANCE_MAX 2U

static unsigned int hint_least(unsigned int a, unsigned int b)
{
        return a < b ? a : b;
}

static bool hint_same_letter(char a, char b)
{
        return strncasecmp(&a, &b, 1) == 0;
}

/* A row of the table of distances needs the two before it. */
static unsigned int hint_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
        unsigned int rows[3][LENGTH_MAX + 1];

        for (unsigned int j = 0; j <= n_b; j++)
                rows[0][j] = j;
        for (unsigned int i = 1; i <= n_a; i++) {
                unsigned int *row = rows[i % 3], *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];

                row[0] = i;
                for (size_t j = 1; j <= n_b; j++) {
                        row[j] = hint_least(above[j - 1] + !hint_same_letter(a[i - 1], b[j - 1]),
                                            hint_least(above[j], row[j - 1]) + 1);
                        if (i > 1 && j > 1 && hint_same_letter(a[i - 1], b[j - 2]) &&
                            hint_same_letter(a[i - 2], b[j - 1]))
                                row[j] = hint_least(row[j], before[j - 2] + 1);
                }
        }
        return rows[n_a % 3][n_b];
}

void hint_offer(struct hint *hint, const char *found, const char *word)
{
        size_t n_found = strlen(found), n_word = strlen(word);
        unsigned int distance;

        if (n_found > LENGTH_MAX || n_word > LENGTH_MAX || n_found > n_word + DISTANCE_MAX ||
            n_word > n_found + DISTANCE_MAX)
                return;
        distance = hint_distance(found, n_found, word, n_word);
        if (distance > DISTANCE_MAX || distance * 3 > n_found || (hint->text[0] && distance >= hint->distance))
                return;
        hint->distance = distance;
        (void)snprintf(hint->text, sizeof(hint->text), "; did you mean %s?", word);
}
