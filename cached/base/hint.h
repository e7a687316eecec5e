#pragma once

/*
 * What somebody may have meant who wrote a word that is not known.
 */

/* "; did you mean WORD?", to be put behind an error; empty while no word is near. */
struct hint {
        char text[288];
        unsigned int distance;
};

/* Keeps @word if it is the nearest one to @found so far. Begin with an empty hint. */
void hint_offer(struct hint *hint, const char *found, const char *word);
