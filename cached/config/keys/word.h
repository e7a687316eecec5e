#pragma once

/*
 * Words with a meaning, and the one that somebody may have meant.
 */

#include "base/hint.h"

struct config_word {
        const char *text; /* NULL: the end of a table */
        int value;
};

/* The word that is exactly @text, or NULL. */
const struct config_word *config_word_find(const struct config_word *words, const char *text);

struct hint config_word_hint(const struct config_word *words, const char *found);
