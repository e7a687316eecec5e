#pragma once

/*
 * How the state of a service is shown.
 */

#include "ctl/output.h"

enum style state_style(uint8_t state);

/* A word of view/words.h, or the number for which there is none. */
struct state_word {
        char text[24];
};
struct state_word state_word(const char *word, uint32_t number);

/* What a reason means; NULL: it is not known. */
const char *state_reason_text(uint8_t reason);
