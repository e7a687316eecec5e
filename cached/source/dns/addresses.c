/* Addresses by A and AAAA, see source/dns/addresses.h. A report is always the last thing done: it may free the family.
 */

#include <netinet/in.h>

#include "base/util.h"
#include "source/dns/addresses.h"

/* lookup is the first member. */
static struct dns_family *family_of(struct dns_lookup *lookup)
{
        return (struct dns_family *)(void *)lookup;
}

bool dns_family_is_running(const struct dns_family *family)
{
        return family->lookup.lookups;
}

static int question(struct dns_lookup *lookup, struct dns_name *ret_name, uint16_t *ret_type)
{
        const struct dns_family *family = family_of(lookup);

        *ret_type = family->family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA;
        return dns_lookups_service_name(lookup->lookups, family->key, ret_name);
}

static void read_reply(struct dns_lookup *lookup, const struct dns_question *question, const uint8_t *packet,
                       size_t n_packet, struct dns_answer *ret)
{
        dns_answer_read(&lookup->lookups->rules, question, packet, n_packet, ret, lookup->lookups->addrs);
}

static void family_report(struct dns_family *family, const struct dns_answer *answer)
{
        struct dns_lookups *lookups = family->lookup.lookups;
        struct finding result = {
                .family = family->family,
                .kind = answer->kind,
                .reason = answer->reason,
                .source = KHS_SOURCE_DNS,
                .ttl_s = answer->ttl_s,
                .n_addrs = answer->n_addrs,
                .addrs = answer->n_addrs > 0 ? lookups->addrs : NULL,
        };

        if (answer->kind == FINDING_ANSWER)
                lookups->stats.n_answers++;
        else if (answer->kind == FINDING_NEGATIVE)
                lookups->stats.n_negatives++;
        else
                lookups->stats.n_failures++;
        if (answer->kind == FINDING_FAILURE)
                lookups->stats.failures[answer->reason]++;
        family->report(family, &result);
}

static uint64_t settle_negative(struct dns_family *family, uint32_t ttl_s)
{
        struct dns_family *other = family->other;
        bool other_has = other && dns_family_is_running(other) && other->has_addresses;
        uint64_t delay = dns_schedule_negative(&family->schedule, family->min_usec, family->max_usec, ttl_s, other_has,
                                               dns_random32()),
                 due;

        if (family->schedule.n_negatives < DNS_NEGATIVES)
                return delay;
        family->parked = other_has && !family->schedule.had_addresses;
        family->has_addresses = false;
        /* The service may have moved to the other family: that one is no longer parked. */
        if (other && dns_family_is_running(other) && other->parked && dns_lookup_is_put(&other->lookup, &due)) {
                other->parked = false;
                dns_lookup_put(&other->lookup, DNS_PACED, usec_now());
        }
        return delay;
}

/* When is the next round? Then tell. */
static void done(struct dns_lookup *lookup, const struct dns_answer *answer)
{
        struct dns_family *family = family_of(lookup);
        uint64_t delay;

        family->parked = false;
        if (answer->kind == FINDING_ANSWER) {
                family->has_addresses = true;
                delay = dns_schedule_answer(&family->schedule, family->min_usec, family->max_usec, answer->ttl_s,
                                            dns_random32());
        } else if (answer->kind == FINDING_NEGATIVE) {
                delay = settle_negative(family, answer->ttl_s);
        } else if (!dns_pool_any_up(lookup->lookups->pool)) {
                dns_lookup_wait(lookup);
                family_report(family, answer);
                return;
        } else {
                delay = dns_schedule_failure(&family->schedule, dns_random32());
        }
        dns_lookup_put(lookup, DNS_PACED, usec_now() + delay);
        family_report(family, answer);
}

static const struct dns_lookup_class family_class = { .question = question, .read = read_reply, .done = done };

int dns_family_start(struct dns_family *family, struct dns_lookups *lookups, bool has_data)
{
        int r = dns_lookup_open(&family->lookup, lookups, &family_class);

        if (r < 0)
                return r;
        family->lookup.cold = !has_data;
        dns_lookup_put(&family->lookup, has_data ? DNS_PACED : DNS_URGENT,
                       usec_now() + (has_data ? dns_schedule_first(family->max_usec, dns_random32()) : 0));
        return 0;
}

void dns_family_stop(struct dns_family *family)
{
        dns_lookup_close(&family->lookup);
        *family = (struct dns_family){ .key = NULL };
}

void dns_family_hurry(struct dns_family *family)
{
        uint64_t due = usec_now() + dns_schedule_first(family->max_usec, dns_random32()), old;

        if (family->parked && family->other && dns_family_is_running(family->other))
                return;
        family->parked = false;
        if (dns_lookup_is_put(&family->lookup, &old) && old > due)
                dns_lookup_put(&family->lookup, (enum dns_queue)family->lookup.queue, due);
}
