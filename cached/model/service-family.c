/*
 * The state machine of one family; the picture is in service-family.h.
 *
 * DNS says NXDOMAIN for "no pods" and for "no such service", and CoreDNS has been seen to say it of services
 * that have both (coredns#6518, 1 in 6). So its negatives count only three in a row, each 2 s or more after the
 * one before; a failure between them neither counts nor resets. What the Kubernetes API says counts at once.
 *
 * An open watch says nothing while nothing changes, and that is its confirmation. What it has reported stands:
 * it is confirmed anew whenever half of max-stale is gone, which is as often as the table is written for it.
 */

#include "model/service-family.h"

bool service_family_is_known(const struct service_family *f)
{
        return f->state != KHS_SERVICE_PENDING && f->state != KHS_SERVICE_EXPIRED;
}

int64_t service_family_stale_until(const struct service_family *f, uint64_t max_stale)
{
        return service_family_is_known(f) ? f->confirmed + (int64_t)max_stale : 0;
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
        f->standing = finding->standing;
        f->ttl_s = finding->ttl_s;
        f->fresh_until = now + (uint64_t)finding->ttl_s * 1000000ULL;
        f->confirmed = (int64_t)now;
        service_family_enter(f, f->n > 0 ? KHS_SERVICE_FRESH : KHS_SERVICE_EMPTY, reason, now);
}

void service_family_fail(struct service_family *f, const struct finding *finding, enum khs_reason reason, uint64_t now)
{
        if (f->standing)
                f->confirmed = (int64_t)(finding->heard_usec > 0 ? finding->heard_usec : now);
        f->standing = false;
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

bool service_family_stand(struct service_family *f, uint64_t max_stale, uint64_t now)
{
        if (!f->standing || (int64_t)now - f->confirmed < (int64_t)(max_stale / 2))
                return false;
        f->confirmed = (int64_t)now;
        return true;
}

/*
 * DNS is asked only now and then for a family that a service has never had: while the other family is
 * confirmed, it is still known to have none.
 */
bool service_family_is_too_old(const struct service_family *f, const struct service_family *other, uint64_t max_stale,
                               uint64_t now)
{
        if (!service_family_is_known(f) || (f->state == KHS_SERVICE_EMPTY && other->state == KHS_SERVICE_FRESH))
                return false;
        return (int64_t)now >= service_family_stale_until(f, max_stale);
}
