#pragma once

/*
 * Whether an SRV name has records, by what servers have said of it over time.
 *
 * CoreDNS has been seen to deny names by mistake, and knot says SERVFAIL for good where an answer has more
 * than 64 KiB. So either is believed only when it has come three times, 2 s apart, with no answer between.
 */

#include <stdbool.h>
#include <stdint.h>

#include "wire/answer.h"

/* The same reply in a row, of those that are far enough apart. */
struct dns_streak {
        uint8_t n;
        uint64_t last_usec;
};

/* Zeroed at first. */
struct dns_belief {
        bool had; /* records */
        struct dns_streak negatives, servfails;
};

/* Takes in the end of a round's question. Return: whether a negative may be true; true for anything else. */
bool dns_belief_take(struct dns_belief *belief, const struct dns_answer *answer);

/* The same for a failure. Return: whether there is an answer, but one that the server can never give. */
bool dns_belief_is_too_large(struct dns_belief *belief, const struct dns_answer *answer);
