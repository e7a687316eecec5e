#pragma once

/*
 * When a name is asked again, and how many names a second. Pure functions of their arguments.
 *
 * Times are microseconds; each function that returns a delay takes 32 random bits for its jitter.
 */

#include <stdbool.h>
#include <stdint.h>

/* What servers have said of one family of one service so far. Zeroed at first. */
struct dns_schedule {
        uint32_t n_failures; /* in a row; any answer or negative ends it */
        uint8_t n_negatives; /* in a row, up to DNS_NEGATIVES; failures neither count nor reset */
        bool had_addresses;  /* ever */
};

#define DNS_NEGATIVES 3U /* so many in a row, 2 s apart, withdraw the addresses */

/* An answer: its TTL held between @min and @max, and 80..100 % of that. */
uint64_t dns_schedule_answer(struct dns_schedule *schedule, uint64_t min_usec, uint64_t max_usec, uint32_t ttl_s,
                             uint32_t random);

/*
 * A negative: after 2.0..2.2 s until DNS_NEGATIVES were seen in a row, then as an answer. A family
 * that never had an address while the other one has: every 5 minutes (@other_has_addresses).
 */
uint64_t dns_schedule_negative(struct dns_schedule *schedule, uint64_t min_usec, uint64_t max_usec, uint32_t ttl_s,
                               bool other_has_addresses, uint32_t random);

/* A failure: after 1, 2, 4 ... 30 s, +- 10 %. */
uint64_t dns_schedule_failure(struct dns_schedule *schedule, uint32_t random);

/*
 * Host names. After a round that left nothing open: every 5 minutes, and a second more for each of
 * its @n_single questions for one host or one address. After the @n_open-th in a row that left
 * something open: 1, 2, 4 ... 300 s. All +- 10 %.
 */
uint64_t dns_schedule_hosts(uint32_t n_open, uint32_t n_single, uint32_t random);

/* The first question for a name whose addresses are known from before: 0 .. min(@max, 5 s). */
uint64_t dns_schedule_first(uint64_t max_usec, uint32_t random);

/* A token bucket of a quarter second's tokens. Zeroed at first: then it is full. */
struct dns_bucket {
        uint64_t full_usec; /* when it will be full */
};

/* Takes a token at @rate per second; false when there is none. */
bool dns_bucket_take(struct dns_bucket *bucket, uint32_t rate, uint64_t now_usec);
/* When dns_bucket_take() will be true. */
uint64_t dns_bucket_next(const struct dns_bucket *bucket, uint32_t rate);

/* Events in each of the last 60 seconds. Zeroed at first. */
struct dns_meter {
        uint32_t counts[60];
        uint64_t first, second; /* the one in which it began to count, the present one */
};

void dns_meter_add(struct dns_meter *meter, uint64_t now_usec);
/* Mean per second over the last minute, or since the first event where that is less. */
uint32_t dns_meter_mean(struct dns_meter *meter, uint64_t now_usec);
/*
 * Tokens a second after an outage: so many that twice @mean, or 50, pass in any second, the bucket's
 * first quarter included; at most @query_rate.
 */
uint32_t dns_recovery_rate(uint32_t mean, uint32_t query_rate);
