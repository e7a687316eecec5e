#pragma once

/*
 * What the daemon has counted since it started. Counted where it happens; status/metrics.c shows it.
 */

#include <stdint.h>

#include "table/format.h" /* enum khs_source */

enum counted_result { COUNTED_ANSWER, COUNTED_NEGATIVE, COUNTED_FAILURE, COUNTED_N_RESULTS };

enum counted_transport { COUNTED_TCP, COUNTED_UDP, COUNTED_N_TRANSPORTS };

/* How a query ended: by the rcode of its reply, or without one. */
enum counted_query {
        COUNTED_NOERROR,
        COUNTED_NXDOMAIN,
        COUNTED_SERVFAIL,
        COUNTED_REFUSED,
        COUNTED_OTHER, /* rcode */
        COUNTED_TIMEOUT,
        COUNTED_UNREACHABLE, /* refused connections and other errors of the network */
        COUNTED_REPEATED,    /* sent again, another way: it says nothing */
        COUNTED_N_QUERIES,
};

/* Why a watch was opened again. */
enum counted_restart {
        COUNTED_ENDED,  /* by the server, as it should */
        COUNTED_GONE,   /* 410: its version is too old */
        COUNTED_SILENT, /* no byte, not even a bookmark */
        COUNTED_FAILED, /* HTTP status, network, TLS, unreadable */
        COUNTED_N_RESTARTS,
};

/* A classic histogram of Prometheus. */
#define HISTOGRAM_N_BOUNDS 13U
struct histogram {
        uint64_t buckets[HISTOGRAM_N_BOUNDS + 1]; /* not cumulative; the last one is for all beyond */
        double sum;                               /* seconds */
};

/* Upper bounds, in seconds: 5 ms to 60 s. */
extern const double histogram_bounds[HISTOGRAM_N_BOUNDS];
void histogram_add(struct histogram *histogram, double seconds);

struct counters {
        uint64_t results[KHS_SOURCE_STATIC + 1][COUNTED_N_RESULTS];
        uint64_t queries[COUNTED_N_TRANSPORTS][COUNTED_N_QUERIES];
        uint64_t restarts[COUNTED_N_RESTARTS];
        uint64_t n_publishes;
        struct histogram propagation; /* from the change of a pod to its publication, as far as the API says */
};

/* Of the process, which has one thread that counts. */
extern struct counters counters;
