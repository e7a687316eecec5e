/*
 * Reports are found by fingerprints of 32 bits. Two endpoints whose fingerprints are equal, one in 67 million pairs of
 * a full handle, are passed over together: a pod is spared for ten seconds, and no answer is wrong.
 *
 *     word     fingerprint of address and port  |  CLOCK_MONOTONIC_COARSE in deciseconds
 *
 * A program that knows its port, where the table does not, sets it in the address that it was given. Such an endpoint
 * is found by its address, for which there is a second word.
 */

#include <time.h>

#include "api/reports.h"
#include "table/clock.h"
#include "table/siphash.h"

static uint32_t reports_clock_ds(void)
{
        uint32_t now = khs_clock_ds(CLOCK_MONOTONIC_COARSE);

        return now > 0 ? now : 1;
}

static uint64_t reports_load(const khs_report *word)
{
        return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static uint32_t reports_fingerprint(struct khs_reported endpoint, bool port)
{
        static const uint8_t key[16] = "k8shsvc reports";

        if (!port)
                endpoint.port = 0;
        return (uint32_t)khs_siphash13(key, &endpoint, sizeof(endpoint));
}

static bool reports_is_recent(uint64_t word, uint32_t now_ds)
{
        return word != 0 && now_ds - (uint32_t)word < KHS_REPORT_LAST_DS;
}

uint32_t khs_reports_now(const struct khs_reports *reports)
{
        uint32_t last = __atomic_load_n(&reports->last_ds, __ATOMIC_RELAXED), now;

        if (last == 0)
                return 0;
        now = reports_clock_ds();
        return now - last < KHS_REPORT_LAST_DS ? now : 0;
}

bool khs_reports_has(const struct khs_reports *reports, uint32_t now_ds, const struct khs_reported *endpoint)
{
        const khs_report *words = endpoint->port > 0 ? reports->endpoints : reports->addresses;
        uint32_t fingerprint = reports_fingerprint(*endpoint, true);

        for (uint32_t i = 0; i < KHS_N_REPORTS; i++) {
                uint64_t word = reports_load(&words[i]);

                if (word >> 32 == fingerprint && reports_is_recent(word, now_ds))
                        return true;
        }
        return false;
}

/* Where a report of this fingerprint is, or the place of the oldest. */
static uint32_t reports_place(const struct khs_reports *reports, uint32_t fingerprint, uint32_t now_ds)
{
        uint32_t oldest = 0, most = 0;

        for (uint32_t i = 0; i < KHS_N_REPORTS; i++) {
                uint64_t word = reports_load(&reports->endpoints[i]);
                uint32_t age = word == 0 ? UINT32_MAX : now_ds - (uint32_t)word;

                if (word != 0 && word >> 32 == fingerprint)
                        return i;
                if (age > most) {
                        oldest = i;
                        most = age;
                }
        }
        return oldest;
}

static void reports_store(struct khs_reports *reports, uint32_t i, uint64_t endpoint, uint64_t address)
{
        __atomic_store_n(&reports->endpoints[i], endpoint, __ATOMIC_RELAXED);
        __atomic_store_n(&reports->addresses[i], address, __ATOMIC_RELAXED);
}

void khs_reports_add(struct khs_reports *reports, const struct khs_reported *endpoint)
{
        uint32_t now = reports_clock_ds(), fingerprint = reports_fingerprint(*endpoint, true);

        reports_store(reports, reports_place(reports, fingerprint, now), (uint64_t)fingerprint << 32 | now,
                      (uint64_t)reports_fingerprint(*endpoint, false) << 32 | now);
        __atomic_store_n(&reports->last_ds, now, __ATOMIC_RELAXED);
}

void khs_reports_forget(struct khs_reports *reports, const struct khs_reported *endpoint)
{
        uint32_t fingerprint = reports_fingerprint(*endpoint, true);

        for (uint32_t i = 0; i < KHS_N_REPORTS; i++) {
                uint64_t word = reports_load(&reports->endpoints[i]);

                if (word != 0 && word >> 32 == fingerprint)
                        reports_store(reports, i, 0, 0);
        }
}
