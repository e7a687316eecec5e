#pragma once

/*
 * One family of a service: which state it is in, and for how long its addresses may be served.
 *
 *                 answer                      failure, or a negative that does not count yet
 *     PENDING ------------> FRESH ------------------------------------> STALE
 *        |                  ^   ^ answer                                  |
 *        |  negative that   |   '-----------------------------------------'
 *        |  counts          |
 *        '----------------> EMPTY <--- negative that counts --- FRESH, STALE
 *
 *     and from STALE and EMPTY to EXPIRED, max-stale after the first question that went unanswered.
 *
 * What a source has said stands until a question goes unanswered. Nobody need repeat it: a watch reports nothing
 * while nothing changes, and a question that waits for its turn, as the query rate has it, is not unanswered.
 *
 * A process that was stopped could not ask. What it knew before stands for one more question; where that goes
 * unanswered, too, the time of the stop counts, but for a last round of questions: the network may be slower to wake
 * up. The same holds for what an earlier daemon knew, and for a watch that was silent for long. Where a question had
 * gone unanswered before the stop, there is but the last round: sources do not say again that they fail.
 *
 * Pure; times are microseconds of CLOCK_BOOTTIME.
 */

#include <stdbool.h>
#include <stdint.h>

#include "model/finding.h"

#define SERVICE_NEGATIVES         3
#define SERVICE_NEGATIVE_GAP_USEC 2000000ULL

struct service_family {
        uint8_t state;  /* enum khs_service_state */
        uint8_t reason; /* enum khs_reason: why it is not fresh, or not by the preferred source */
        uint8_t source; /* enum khs_source: who spoke last */
        uint8_t n_negatives;
        bool standing;   /* no question has gone unanswered since the source last said so */
        bool last_round; /* it was given one after a stop: the next stop gives no other */
        uint64_t last_negative;
        uint64_t since;    /* start of the state */
        int64_t confirmed; /* max-stale counts from then; moves on while it stands */
        int64_t heard;     /* before a stop: from when max-stale counts if the next question goes unanswered; 0: none */
        uint32_t ttl_s;
        uint32_t n;
        void *addrs; /* n x 4 or 16 bytes, sorted; owned by the service */
};

/* Whether the source has said anything that still counts. */
bool service_family_is_known(const struct service_family *f);
/* End of the time for which it may be served; 0 where there is nothing to serve. */
int64_t service_family_stale_until(const struct service_family *f, uint64_t max_stale);

/* The start of a state moves only with the state: "stale since" is not the last failure. */
void service_family_enter(struct service_family *f, enum khs_service_state state, enum khs_reason reason, uint64_t now);
/* The source has said what the family's addresses are, as many as it has now. */
void service_family_confirm(struct service_family *f, const struct finding *finding, enum khs_reason reason,
                            uint64_t now);
/* A question went unanswered, for this reason. */
void service_family_fail(struct service_family *f, const struct finding *finding, enum khs_reason reason,
                         uint64_t max_stale, uint64_t now);
/* Counts a negative. Return: whether it is to be believed. */
bool service_family_counts_negative(struct service_family *f, const struct finding *finding, uint64_t now);

/* Nobody could ask since @heard. Return: whether the table must hear of it. */
bool service_family_resume(struct service_family *f, int64_t heard, uint64_t max_stale, uint64_t now);
/* Confirms what stands, as often as the table must hear of it. Return: whether it must. */
bool service_family_stand(struct service_family *f, uint64_t max_stale, uint64_t now);
