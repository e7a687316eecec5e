/*
 * One task for each family of a service. A finding sets the time of the next question before it is reported:
 * the report is always the last thing done, since it may free the family.
 *
 * Most services have one family only. The other one is then parked, and asked every five minutes; it is asked
 * at once when the family that had addresses has lost them, since the service may have moved.
 */

#include <netinet/in.h>

#include "base/util.h"
#include "source/dns/addresses.h"

#define RETRY_USEC USEC_PER_SEC /* a random order, not that of the names */

bool dns_addresses_is_running(const struct dns_addresses *family)
{
        return family->task.tasks;
}

static int addresses_question(struct dns_task *task, struct dns_name *ret_name, uint16_t *ret_type)
{
        const struct dns_addresses *family = container_of(task, struct dns_addresses, task);

        *ret_type = family->family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA;
        return dns_name_of_service(ret_name, family->key, &task->tasks->domain);
}

static struct dns_answer addresses_read(struct dns_task *task, const struct dns_question *question,
                                        const uint8_t *packet, size_t n_packet)
{
        struct dns_tasks *tasks = task->tasks;

        return dns_answer_read(&tasks->domain, question, packet, n_packet, tasks->addrs);
}

static void addresses_report(struct dns_addresses *family, const struct dns_answer *answer)
{
        struct dns_tasks *tasks = family->task.tasks;
        struct finding result = {
                .family = family->family,
                .kind = answer->kind,
                .reason = answer->reason,
                .source = KHS_SOURCE_DNS,
                .ttl_s = answer->ttl_s,
                .n_addrs = answer->n_addrs,
                .addrs = answer->n_addrs > 0 ? tasks->addrs : NULL,
        };

        if (answer->kind == FINDING_ANSWER)
                tasks->stats.n_answers++;
        else if (answer->kind == FINDING_NEGATIVE)
                tasks->stats.n_negatives++;
        else
                tasks->stats.n_failures++;
        if (answer->kind == FINDING_FAILURE)
                tasks->stats.failures[answer->reason]++;
        family->report(family, &result);
}

static uint64_t addresses_settle_negative(struct dns_addresses *family, uint32_t ttl_s)
{
        struct dns_addresses *other = family->other;
        bool other_has = other && dns_addresses_is_running(other) && other->has_addresses;
        uint64_t delay = dns_schedule_negative(&family->schedule, family->min_usec, family->max_usec, ttl_s, other_has,
                                               random_u32()),
                 due;

        if (family->schedule.n_negatives < DNS_NEGATIVES)
                return delay;
        family->parked = other_has && !family->schedule.had_addresses;
        family->has_addresses = false;
        /* The service may have moved to the other family: that one is no longer parked. */
        if (other && dns_addresses_is_running(other) && other->parked && dns_task_is_put(&other->task, &due)) {
                other->parked = false;
                dns_task_put(&other->task, DNS_PACED, usec_now());
        }
        return delay;
}

/* Sets the time of the next round, then reports. */
static void addresses_done(struct dns_task *task, const struct dns_answer *answer)
{
        struct dns_addresses *family = container_of(task, struct dns_addresses, task);
        uint64_t delay;

        family->parked = false;
        if (answer->kind == FINDING_ANSWER) {
                family->has_addresses = true;
                delay = dns_schedule_answer(&family->schedule, family->min_usec, family->max_usec, answer->ttl_s,
                                            random_u32());
        } else if (answer->kind == FINDING_NEGATIVE) {
                delay = addresses_settle_negative(family, answer->ttl_s);
        } else if (!dns_pool_any_up(task->tasks->pool)) {
                dns_task_wait(task);
                addresses_report(family, answer);
                return;
        } else {
                delay = dns_schedule_failure(&family->schedule, random_u32());
        }
        dns_task_put(task, DNS_PACED, usec_now() + delay);
        addresses_report(family, answer);
}

static const struct dns_task_class addresses_class = { .question = addresses_question,
                                                       .read = addresses_read,
                                                       .done = addresses_done };

int dns_addresses_start(struct dns_addresses *family, struct dns_tasks *tasks, bool has_data)
{
        int r = dns_task_open(&family->task, tasks, &addresses_class);

        if (r < 0)
                return r;
        family->task.cold = !has_data;
        dns_task_put(&family->task, has_data ? DNS_PACED : DNS_URGENT,
                     usec_now() + (has_data ? dns_schedule_first(family->max_usec, random_u32()) : 0));
        return 0;
}

void dns_addresses_stop(struct dns_addresses *family)
{
        dns_task_close(&family->task);
        *family = (struct dns_addresses){ .key = NULL };
}

void dns_addresses_retry(struct dns_addresses *family)
{
        uint64_t due = usec_now() + random_u32() % RETRY_USEC, old;

        if (family->schedule.n_failures > 0 && dns_task_is_put(&family->task, &old) && old > due)
                dns_task_put(&family->task, DNS_PACED, due);
}

void dns_addresses_hurry(struct dns_addresses *family)
{
        uint64_t due = usec_now() + dns_schedule_first(family->max_usec, random_u32()), old;

        if (family->parked && family->other && dns_addresses_is_running(family->other))
                return;
        family->parked = false;
        if (dns_task_is_put(&family->task, &old) && old > due)
                dns_task_put(&family->task, (enum dns_queue)family->task.queue, due);
}
