/*
 * States, reasons and numbers, for people.
 */

#include <stdio.h>

#include "ctl/state.h"
#include "model/finding.h"
#include "table/format.h"

enum style state_style(uint8_t state)
{
        switch (state) {
        case KHS_SERVICE_FRESH:
                return STYLE_GOOD;
        case KHS_SERVICE_STALE:
        case KHS_SERVICE_EMPTY:
                return STYLE_WARNING;
        default:
                return STYLE_BAD;
        }
}

struct state_word state_word(const char *word, uint32_t number)
{
        struct state_word ret;

        if (word)
                (void)snprintf(ret.text, sizeof(ret.text), "%s", word);
        else
                (void)snprintf(ret.text, sizeof(ret.text), "%u", number);
        return ret;
}

const char *state_reason_text(uint8_t reason)
{
        return finding_reason_text((enum khs_reason)reason);
}
