#pragma once

/*
 * Words with a meaning, and the one that somebody may have meant.
 */

struct config_word {
        const char *text; /* NULL: the end of a table */
        int value;
};

/* The word that is exactly @text, or NULL. */
const struct config_word *config_word_find(const struct config_word *words, const char *text);

/* "; did you mean WORD?", to be put behind a finding; empty while no word is near. */
struct config_hint {
        char text[64];
        unsigned int distance;
};

/* Keeps @word if it is the nearest one to @found so far. Begin with an empty hint. */
void config_hint_offer(struct config_hint *hint, const char *found, const char *word);
struct config_hint config_word_hint(const struct config_word *words, const char *found);
