/*
 * The state machine of one family; the picture is in service-family.h.
 *
 * DNS says NXDOMAIN for "no pods" and for "no such service", and CoreDNS has been seen to say it of services
 * that have both (coredns#6518, 1 in 6). So its negatives count only three in a row, each 2 s or more after the
 * one before; a failure between them neither counts nor resets. What the Kubernetes API says counts at once.
 *
 * What stands is confirmed anew whenever half of max-stale is gone, which is as often as the table is written for
 * it. However short max-stale is, the table's time must outlast the pause to the next confirmation.
 */

#include "model/service-family.h"

#define STANDING_MIN_USEC 10000000 /* much more than two ticks */
#define ROUND_USEC        10000000 /* that questions take to be answered, or to fail, in every way that there is */

static int64_t later(int64_t a, int64_t b)
{
        return a > b ? a : b;
}

bool service_family_is_known(const struct service_family *f)
{
        return f->state != KHS_SERVICE_PENDING && f->state != KHS_SERVICE_EXPIRED;
}

int64_t service_family_stale_until(const struct service_family *f, uint64_t max_stale)
{
        int64_t from = f->standing && f->heard ? f->heard : f->confirmed;

        if (!service_family_is_known(f))
                return 0;
        return later(from + (int64_t)max_stale, f->standing ? f->confirmed + STANDING_MIN_USEC : INT64_MIN);
}

void service_family_enter(struct service_family *f, enum khs_service_state state, enum khs_reason reason, uint64_t now)
{
        if (f->state != state)
                f->since = now;
        f->state = (uint8_t)state;
        f->reason = (uint8_t)reason;
}

void service_family_confirm(struct service_family *f, const struct finding *finding, enum khs_reason reason,
                            uint64_t now)
{
        if (f->n > 0)
                f->n_negatives = 0;
        f->source = finding->source;
        f->standing = true;
        f->ttl_s = finding->ttl_s;
        f->confirmed = (int64_t)now;
        f->heard = 0;
        f->last_round = false;
        service_family_enter(f, f->n > 0 ? KHS_SERVICE_FRESH : KHS_SERVICE_EMPTY, reason, now);
}

void service_family_fail(struct service_family *f, const struct finding *finding, enum khs_reason reason,
                         uint64_t max_stale, uint64_t now)
{
        int64_t heard = finding->heard_usec > 0 ? (int64_t)finding->heard_usec : f->heard;
        int64_t last_round = (int64_t)now - later((int64_t)max_stale - ROUND_USEC, 0);

        if (f->standing)
                f->confirmed = heard ? later(heard, last_round) : (int64_t)now;
        f->standing = false;
        f->heard = 0;
        f->source = finding->source;
        if (f->state == KHS_SERVICE_FRESH || f->state == KHS_SERVICE_STALE)
                service_family_enter(f, KHS_SERVICE_STALE, reason, now);
        else
                f->reason = (uint8_t)reason;
}

bool service_family_counts_negative(struct service_family *f, const struct finding *finding, uint64_t now)
{
        if (finding->source != KHS_SOURCE_DNS)
                return true;
        if (f->n_negatives == 0 || now - f->last_negative >= SERVICE_NEGATIVE_GAP_USEC) {
                f->last_negative = now;
                if (f->n_negatives < SERVICE_NEGATIVES)
                        f->n_negatives++;
        }
        return f->n_negatives >= SERVICE_NEGATIVES;
}

bool service_family_resume(struct service_family *f, int64_t heard, uint64_t max_stale, uint64_t now)
{
        int64_t last_round = (int64_t)now + ROUND_USEC - (int64_t)max_stale;

        if (f->standing && !f->heard)
                f->heard = heard;
        if (f->standing || f->last_round || !service_family_is_known(f) || f->confirmed >= last_round)
                return false;
        f->last_round = true;
        f->confirmed = last_round;
        return true;
}

bool service_family_stand(struct service_family *f, uint64_t max_stale, uint64_t now)
{
        int64_t half = (f->heard ? STANDING_MIN_USEC : later((int64_t)max_stale, STANDING_MIN_USEC)) / 2;

        if (!f->standing || service_family_stale_until(f, max_stale) - (int64_t)now > half)
                return false;
        f->confirmed = (int64_t)now;
        return true;
}
