#pragma once

/*
 * Writing metrics: the text format of Prometheus 0.0.4, and OpenMetrics 1.0.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/counters.h"

struct metric_writer {
        FILE *to;
        bool openmetrics; /* else the text format */
        const char *name;
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_INFO, METRIC_HISTOGRAM };

/* A label: a name that needs no care, and any value. */
struct metric_label {
        const char *name, *value;
};

/*
 * What comes next is of the family @name, which is written without the suffix of its type ("_total", "_info"). @unit:
 * which the name ends with, or NULL.
 */
void metric_begin(struct metric_writer *w, const char *name, enum metric_type type, const char *unit, const char *help);

/* @labels: @n of them; NULL where there are none. */
void metric_put(struct metric_writer *w, const char *suffix, const struct metric_label *labels, size_t n, double value);
/* The same, of a whole number. */
void metric_count(struct metric_writer *w, const char *suffix, const struct metric_label *labels, size_t n,
                  uint64_t value);
void metric_histogram(struct metric_writer *w, const struct histogram *histogram);
/* Nothing comes any more. */
void metric_end(struct metric_writer *w);
