/* The text of metrics, out of arbitrary bytes and of counters; and who wants which format. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "status/metric.h"
#include "status/metrics.h"

static char *text;
static size_t n_text;

static FILE *begin(void)
{
        FILE *to = open_memstream(&text, &n_text);

        cr_assert_not_null(to);
        return to;
}

static void expect(FILE *to, const char *expected)
{
        (void)fclose(to);
        cr_expect_str_eq(text, expected);
        free(text);
}

Test(metrics, a_value_can_not_forge_a_series)
{
        struct metric_writer w = { .to = begin() };
        const struct metric_label labels[] = { { "a", "x\"} 1\ny \\" }, { "b", "\xff\xc3\xbc" } };

        metric_begin(&w, "m", METRIC_GAUGE, "seconds", "Help.");
        metric_count(&w, "", labels, 2, UINT64_MAX);
        metric_put(&w, "", NULL, 0, 0.25);
        metric_end(&w);
        expect(w.to, "# HELP m Help.\n# TYPE m gauge\n"
                     "m{a=\"x\\\"} 1\\ny \\\\\",b=\"\xef\xbf\xbd\xc3\xbc\"} 18446744073709551615\nm 0.250\n");
}

Test(metrics, families_are_named_as_each_format_wants)
{
        static const struct {
                enum metric_type type;
                const char *plain, *open;
        } cases[] = {
                { METRIC_COUNTER, "# HELP m_total H.\n# TYPE m_total counter\nm_total 1\n",
                  "# HELP m H.\n# TYPE m counter\n# UNIT m u\nm_total 1\n# EOF\n" },
                { METRIC_INFO, "# HELP m_info H.\n# TYPE m_info gauge\nm_total 1\n",
                  "# HELP m H.\n# TYPE m info\n# UNIT m u\nm_total 1\n# EOF\n" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                for (int openmetrics = 0; openmetrics < 2; openmetrics++) {
                        struct metric_writer w = { .to = begin(), .openmetrics = openmetrics };

                        metric_begin(&w, "m", cases[i].type, "u", "H.");
                        metric_count(&w, "_total", NULL, 0, 1);
                        metric_end(&w);
                        expect(w.to, openmetrics ? cases[i].open : cases[i].plain);
                }
}

Test(metrics, a_histogram_is_cumulative)
{
        struct metric_writer w = { .to = begin() };
        struct histogram h = { 0 };

        histogram_add(&h, -5); /* a clock that is behind */
        histogram_add(&h, 0.005);
        histogram_add(&h, 0.0051);
        histogram_add(&h, 60);
        histogram_add(&h, 61);
        metric_begin(&w, "m", METRIC_HISTOGRAM, NULL, "H.");
        metric_histogram(&w, &h);
        expect(w.to, "# HELP m H.\n# TYPE m histogram\nm_bucket{le=\"0.005\"} 2\nm_bucket{le=\"0.01\"} 3\n"
                     "m_bucket{le=\"0.025\"} 3\nm_bucket{le=\"0.05\"} 3\nm_bucket{le=\"0.1\"} 3\n"
                     "m_bucket{le=\"0.25\"} 3\nm_bucket{le=\"0.5\"} 3\nm_bucket{le=\"1.0\"} 3\n"
                     "m_bucket{le=\"2.5\"} 3\nm_bucket{le=\"5.0\"} 3\nm_bucket{le=\"10.0\"} 3\n"
                     "m_bucket{le=\"30.0\"} 3\nm_bucket{le=\"60.0\"} 4\nm_bucket{le=\"+Inf\"} 5\n"
                     "m_sum 121.010\nm_count 5\n");
}

Test(metrics, there_are_counters_where_there_is_no_table)
{
        const struct snapshot snapshot = { .error = -ENOENT };

        for (int openmetrics = 0; openmetrics < 2; openmetrics++) {
                FILE *to = begin();

                metrics_write(to, &snapshot, openmetrics);
                (void)fclose(to);
                cr_expect(strstr(text, "\nk8shsvc_publishes_total 0\n"));
                cr_expect_null(strstr(text, "k8shsvc_heartbeat"), "a time that nobody knows");
                cr_expect_eq(strcmp(text + n_text - 6, "# EOF\n") == 0, openmetrics);
                free(text);
        }
}

Test(metrics, openmetrics_is_for_who_accepts_it)
{
        cr_expect(metrics_wants_open("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"));
        cr_expect_not(metrics_wants_open("text/plain;version=0.0.4"));
        cr_expect_not(metrics_wants_open("*/*"));
        cr_expect_not(metrics_wants_open(NULL));
}
