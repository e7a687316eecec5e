/*
 * A streak ends with an answer; a negative ends that of SERVFAIL. Other failures neither count nor reset.
 */

#include "source/dns/hosts/belief.h"
#include "base/util.h"

#define STREAK_LENGTH 3U
#define STREAK_USEC   (2 * USEC_PER_SEC)

/* Once more the same. Return: whether it has come often enough. */
static bool streak_goes_on(struct dns_streak *streak)
{
        uint64_t now = usec_now();

        if (streak->n < STREAK_LENGTH && (streak->n == 0 || now - streak->last_usec >= STREAK_USEC)) {
                streak->last_usec = now;
                streak->n++;
        }
        return streak->n >= STREAK_LENGTH;
}

bool dns_belief_take(struct dns_belief *belief, const struct dns_answer *answer)
{
        if (answer->kind == FINDING_ANSWER)
                *belief = (struct dns_belief){ .had = true };
        if (answer->kind != FINDING_NEGATIVE)
                return true;
        belief->servfails = (struct dns_streak){ .n = 0 };
        if (streak_goes_on(&belief->negatives))
                belief->had = false;
        return !belief->had;
}

bool dns_belief_is_too_large(struct dns_belief *belief, const struct dns_answer *answer)
{
        return answer->kind == FINDING_FAILURE && answer->reason == KHS_REASON_SERVFAIL &&
               streak_goes_on(&belief->servfails);
}
