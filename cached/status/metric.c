/*
 * The two formats differ in little: OpenMetrics names the family of a counter without its "_total", knows units and
 * the type "info", and ends with a line that says so.
 */

#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"
#include "status/metric.h"

static const struct {
        const char *text, *open, *suffix;
} metric_types[] = {
        [METRIC_COUNTER] = { "counter", "counter", "_total" },
        [METRIC_GAUGE] = { "gauge", "gauge", "" },
        [METRIC_INFO] = { "gauge", "info", "_info" },
        [METRIC_HISTOGRAM] = { "histogram", "histogram", "" },
};

void metric_begin(struct metric_writer *w, const char *name, enum metric_type type, const char *unit, const char *help)
{
        const char *suffix = w->openmetrics ? "" : metric_types[type].suffix;

        w->name = name;
        (void)fprintf(w->to, "# HELP %s%s %s\n", name, suffix, help);
        (void)fprintf(w->to, "# TYPE %s%s %s\n", name, suffix,
                      w->openmetrics ? metric_types[type].open : metric_types[type].text);
        if (w->openmetrics && unit)
                (void)fprintf(w->to, "# UNIT %s %s\n", name, unit);
}

static void metric_value(FILE *to, const char *text)
{
        while (*text) {
                size_t n = utf8_length(text);

                if (*text == '"' || *text == '\\')
                        (void)fputc_unlocked('\\', to);
                if (*text == '\n')
                        (void)fputs_unlocked("\\n", to);
                else if (n == 0)
                        (void)fputs_unlocked("\xef\xbf\xbd", to);
                else
                        (void)fwrite_unlocked(text, 1, n, to);
                text += n > 0 ? n : 1;
        }
}

static void metric_series(struct metric_writer *w, const char *suffix, const struct metric_label *labels, size_t n)
{
        (void)fputs_unlocked(w->name, w->to);
        (void)fputs_unlocked(suffix, w->to);
        for (size_t i = 0; i < n; i++) {
                (void)fputc_unlocked(i == 0 ? '{' : ',', w->to);
                (void)fputs_unlocked(labels[i].name, w->to);
                (void)fputs_unlocked("=\"", w->to);
                metric_value(w->to, labels[i].value);
                (void)fputc_unlocked('"', w->to);
        }
        (void)fputs_unlocked(n > 0 ? "} " : " ", w->to);
}

void metric_put(struct metric_writer *w, const char *suffix, const struct metric_label *labels, size_t n, double value)
{
        metric_series(w, suffix, labels, n);
        (void)fprintf(w->to, "%.3f\n", value);
}

void metric_count(struct metric_writer *w, const char *suffix, const struct metric_label *labels, size_t n,
                  uint64_t value)
{
        metric_series(w, suffix, labels, n);
        (void)fprintf(w->to, "%" PRIu64 "\n", value);
}

void metric_histogram(struct metric_writer *w, const struct histogram *histogram)
{
        uint64_t n = 0;

        for (unsigned int i = 0; i <= HISTOGRAM_N_BOUNDS; i++) {
                char bound[16] = "+Inf";
                const struct metric_label le = { "le", bound };

                if (i < HISTOGRAM_N_BOUNDS) {
                        (void)snprintf(bound, sizeof(bound), "%g", histogram_bounds[i]);
                        /* Both formats must have the same label. */
                        if (!strchr(bound, '.'))
                                strcat(bound, ".0");
                }
                n += histogram->buckets[i];
                metric_count(w, "_bucket", &le, 1, n);
        }
        metric_put(w, "_sum", NULL, 0, histogram->sum);
        metric_count(w, "_count", NULL, 0, n);
}

void metric_end(struct metric_writer *w)
{
        if (w->openmetrics)
                (void)fputs("# EOF\n", w->to);
}
