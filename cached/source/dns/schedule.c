/*
 * Names that were registered together must not be asked together for ever, so every delay has its jitter.
 *
 * That of an answer's interval only ever shortens it: a change must be visible within the TTL (held between the
 * limits) and a second, and +10 % of a TTL of 30 s would be 3 s late. With 80..100 % the mean is 90 %.
 *
 * That of the pause between negatives only ever lengthens it: negatives closer than 2 s would not be counted.
 */

#include "source/dns/schedule.h"
#include "base/util.h"

#define NEGATIVE_USEC    (2 * USEC_PER_SEC)
#define OTHER_USEC       (300 * USEC_PER_SEC)
#define FAILURE_MAX_USEC (30 * USEC_PER_SEC)
#define FIRST_MAX_USEC   (5 * USEC_PER_SEC)
#define HOSTS_USEC       (300 * USEC_PER_SEC)
#define RECOVERY_MIN     50U
#define BUCKETS_PER_SEC  4U

/* @low_percent .. @high_percent of @usec */
static uint64_t spread(uint64_t usec, uint64_t low_percent, uint64_t high_percent, uint32_t random)
{
        return usec * low_percent / 100 + usec * (high_percent - low_percent) / 100 * (random >> 16) / 65535U;
}

static uint64_t interval(uint64_t min_usec, uint64_t max_usec, uint32_t ttl_s, uint32_t random)
{
        uint64_t usec = ttl_s * USEC_PER_SEC;

        usec = usec > max_usec ? max_usec : usec;
        usec = usec < min_usec ? min_usec : usec;
        return spread(usec, 80, 100, random);
}

uint64_t dns_schedule_answer(struct dns_schedule *schedule, uint64_t min_usec, uint64_t max_usec, uint32_t ttl_s,
                             uint32_t random)
{
        schedule->n_failures = 0;
        schedule->n_negatives = 0;
        schedule->had_addresses = true;
        return interval(min_usec, max_usec, ttl_s, random);
}

uint64_t dns_schedule_negative(struct dns_schedule *schedule, uint64_t min_usec, uint64_t max_usec, uint32_t ttl_s,
                               bool other_has_addresses, uint32_t random)
{
        schedule->n_failures = 0;
        if (schedule->n_negatives < DNS_NEGATIVES)
                schedule->n_negatives++;
        if (schedule->n_negatives < DNS_NEGATIVES)
                return spread(NEGATIVE_USEC, 100, 110, random);
        if (other_has_addresses && !schedule->had_addresses)
                return spread(OTHER_USEC, 80, 100, random);
        return interval(min_usec, max_usec, ttl_s, random);
}

uint64_t dns_schedule_failure(struct dns_schedule *schedule, uint32_t random)
{
        uint32_t n = schedule->n_failures < 5 ? schedule->n_failures++ : 5;
        uint64_t usec = USEC_PER_SEC << n;

        return spread(usec > FAILURE_MAX_USEC ? FAILURE_MAX_USEC : usec, 90, 110, random);
}

uint64_t dns_schedule_hosts(uint32_t n_open, uint32_t n_single, uint32_t random)
{
        uint64_t usec = HOSTS_USEC;

        if (n_open == 0)
                usec += n_single * USEC_PER_SEC;
        else if (n_open <= 8)
                usec = USEC_PER_SEC << (n_open - 1);
        return spread(usec, 90, 110, random);
}

uint64_t dns_schedule_first(uint64_t max_usec, uint32_t random)
{
        return spread(max_usec > FIRST_MAX_USEC ? FIRST_MAX_USEC : max_usec, 0, 100, random);
}

/*
 * The bucket is kept as the time at which it is full again: a token moves that time by 1/rate, and
 * there is one as long as it is less than a bucket's worth away. The rate may change in between.
 */
static uint64_t token_usec(uint32_t rate)
{
        rate = rate ? rate : 1;
        return (USEC_PER_SEC + rate - 1) / rate;
}

static uint64_t bucket_usec(uint32_t rate)
{
        return rate < BUCKETS_PER_SEC ? token_usec(rate) : USEC_PER_SEC / BUCKETS_PER_SEC;
}

uint64_t dns_bucket_next(const struct dns_bucket *bucket, uint32_t rate)
{
        uint64_t room = bucket_usec(rate) - token_usec(rate);

        return bucket->full_usec > room ? bucket->full_usec - room : 0;
}

bool dns_bucket_take(struct dns_bucket *bucket, uint32_t rate, uint64_t now_usec)
{
        if (dns_bucket_next(bucket, rate) > now_usec)
                return false;
        if (bucket->full_usec < now_usec)
                bucket->full_usec = now_usec;
        bucket->full_usec += token_usec(rate);
        return true;
}

static void meter_advance(struct dns_meter *meter, uint64_t now_usec)
{
        uint64_t second = now_usec / USEC_PER_SEC;

        if (second - meter->second > 60)
                meter->second = second - 60;
        while (meter->second < second)
                meter->counts[++meter->second % 60] = 0;
}

void dns_meter_add(struct dns_meter *meter, uint64_t now_usec)
{
        if (meter->first == 0)
                meter->first = now_usec / USEC_PER_SEC;
        meter_advance(meter, now_usec);
        meter->counts[meter->second % 60]++;
}

uint32_t dns_meter_mean(struct dns_meter *meter, uint64_t now_usec)
{
        uint64_t sum = 0, n_seconds;

        meter_advance(meter, now_usec);
        for (unsigned int i = 0; i < 60; i++)
                sum += meter->counts[i];
        n_seconds = meter->first > 0 ? meter->second - meter->first + 1 : 60;
        n_seconds = n_seconds < 60 ? n_seconds : 60;
        return (uint32_t)((sum + n_seconds - 1) / n_seconds);
}

uint32_t dns_recovery_rate(uint32_t mean, uint32_t query_rate)
{
        uint64_t rate = 2ULL * mean;

        rate = rate < RECOVERY_MIN ? RECOVERY_MIN : rate;
        rate = rate * BUCKETS_PER_SEC / (BUCKETS_PER_SEC + 1);
        return rate < query_rate ? (uint32_t)rate : query_rate;
}
