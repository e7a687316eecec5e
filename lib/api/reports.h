#pragma once

/*
 * Endpoints that a program could not reach: what k8shsvc_pick() passes over for a while.
 *
 * Threads and forked children may use one at the same time: a report is two words of 64 bits, each stored at once, so
 * there is no lock that a thread could leave behind. Reports that are made at the same instant may lose one of them.
 */

#include <stdbool.h>
#include <stdint.h>

#define KHS_N_REPORTS      64U
#define KHS_REPORT_LAST_DS 100U

/* A fingerprint in the high half, when it was reported in the low one; 0: none. Loaded and stored at once, for which
 * 32-bit programs need the alignment. */
typedef uint64_t khs_report __attribute__((aligned(8)));

struct khs_reports {
        khs_report endpoints[KHS_N_REPORTS]; /* by address and port */
        khs_report addresses[KHS_N_REPORTS]; /* the same reports by address alone */
        uint32_t last_ds;                    /* when the last was made; 0: never */
};

/* An address and port as reports know them. */
struct khs_reported {
        uint8_t addr[16]; /* an IPv4 address in the first 4 bytes, the others 0 */
        uint16_t port;
        uint16_t family;
};

/* Whether there are any. Return: now, for khs_reports_has(); 0: none. */
uint32_t khs_reports_now(const struct khs_reports *reports);

/* Whether an endpoint was reported within the last 10 s. If its port is 0, which is unknown, its address was. */
bool khs_reports_has(const struct khs_reports *reports, uint32_t now_ds, const struct khs_reported *endpoint);

/* Adds a report, or makes it a new one. Where there is no room, the oldest is dropped. */
void khs_reports_add(struct khs_reports *reports, const struct khs_reported *endpoint);
void khs_reports_forget(struct khs_reports *reports, const struct khs_reported *endpoint);
