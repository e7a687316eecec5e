#pragma once

/*
 * The table's numbers as words: the ones that configuration and manual pages use.
 *
 * Each returns NULL for a number that this version does not know; whoever prints then prints the number.
 */

#include "table/format.h"

const char *view_state_word(uint32_t state);
const char *view_source_word(uint32_t source);
const char *view_reason_word(uint32_t reason); /* NULL also for KHS_REASON_NONE */
const char *view_order_word(uint32_t order);
const char *view_family_word(uint32_t family); /* of a policy */
const char *view_answers_word(uint32_t answers);
const char *view_protocol_word(uint32_t protocol);
