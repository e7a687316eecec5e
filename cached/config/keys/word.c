/*
 * Words with a meaning, which a table holds.
 */

#include <string.h>

#include "config/keys/word.h"

const struct config_word *config_word_find(const struct config_word *words, const char *text)
{
        for (; words->text; words++)
                if (strcmp(words->text, text) == 0)
                        return words;
        return NULL;
}

struct hint config_word_hint(const struct config_word *words, const char *found)
{
        struct hint hint = { 0 };

        for (; words && words->text; words++)
                hint_offer(&hint, found, words->text);
        return hint;
}
