/*
 * Every series of the daemon.
 *
 * Series of a service are there for the first SERVICES_MAX by name: each costs whoever stores it for weeks. The
 * others are in the sums, and k8shsvc_services_without_series says how many they are. Series that count are there from
 * the start, with 0: what appears with its first event has no rate.
 */

#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "status/metric.h"
#include "status/metrics.h"
#include "view/words.h"

#define SERVICES_MAX     1000U
#define N_LABELS(labels) (sizeof(labels) / sizeof(*(labels)))

static const char *const result_words[COUNTED_N_RESULTS] = {
        [COUNTED_ANSWER] = "answer",
        [COUNTED_NEGATIVE] = "negative",
        [COUNTED_FAILURE] = "failure",
};

static const char *const transport_words[COUNTED_N_TRANSPORTS] = { [COUNTED_TCP] = "tcp", [COUNTED_UDP] = "udp" };

static const char *const query_words[COUNTED_N_QUERIES] = {
        [COUNTED_NOERROR] = "noerror",   [COUNTED_NXDOMAIN] = "nxdomain", [COUNTED_SERVFAIL] = "servfail",
        [COUNTED_REFUSED] = "refused",   [COUNTED_OTHER] = "other",       [COUNTED_TIMEOUT] = "timeout",
        [COUNTED_UNREACHABLE] = "error", [COUNTED_REPEATED] = "repeated",
};

static const char *const restart_words[COUNTED_N_RESTARTS] = {
        [COUNTED_ENDED] = "ended",
        [COUNTED_GONE] = "gone",
        [COUNTED_SILENT] = "silent",
        [COUNTED_FAILED] = "failed",
};

/* ---- counters ---- */

static void metrics_sources(struct metric_writer *w)
{
        metric_begin(w, "k8shsvc_source_results", METRIC_COUNTER, NULL, "What sources have found out of services.");
        for (uint32_t source = KHS_SOURCE_DNS; source <= KHS_SOURCE_STATIC; source++)
                for (size_t i = 0; i < COUNTED_N_RESULTS; i++) {
                        const struct metric_label labels[] = { { "source", view_source_word(source) },
                                                               { "result", result_words[i] } };

                        metric_count(w, "_total", labels, N_LABELS(labels), counters.results[source][i]);
                }
}

static void metrics_watches(struct metric_writer *w)
{
        metric_begin(w, "k8shsvc_watch_restarts", METRIC_COUNTER, NULL,
                     "Watches of the API server that were begun anew.");
        for (size_t i = 0; i < COUNTED_N_RESTARTS; i++) {
                const struct metric_label reason = { "reason", restart_words[i] };

                metric_count(w, "_total", &reason, 1, counters.restarts[i]);
        }
}

static void metrics_queries(struct metric_writer *w)
{
        metric_begin(w, "k8shsvc_dns_queries", METRIC_COUNTER, NULL, "Queries to DNS servers that have ended.");
        for (size_t transport = 0; transport < COUNTED_N_TRANSPORTS; transport++)
                for (size_t i = 0; i < COUNTED_N_QUERIES; i++) {
                        const struct metric_label labels[] = { { "transport", transport_words[transport] },
                                                               { "result", query_words[i] } };

                        metric_count(w, "_total", labels, N_LABELS(labels), counters.queries[transport][i]);
                }
}

static void metrics_counters(struct metric_writer *w)
{
        metrics_sources(w);
        metrics_watches(w);
        metrics_queries(w);
        metric_begin(w, "k8shsvc_publishes", METRIC_COUNTER, NULL, "Services written to the table.");
        metric_count(w, "_total", NULL, 0, counters.n_publishes);
        metric_begin(w, "k8shsvc_log_dropped", METRIC_COUNTER, NULL,
                     "Messages that were not logged: too many, or nobody read.");
        metric_count(w, "_total", NULL, 0, log_n_dropped());
        metric_begin(w, "k8shsvc_propagation_seconds", METRIC_HISTOGRAM, "seconds",
                     "From the change of a pod, by last-change-trigger-time of its EndpointSlice, to the table.");
        metric_histogram(w, &counters.propagation);
}

/* ---- the table ---- */

static void metrics_bytes(struct metric_writer *w, const char *name, const char *help, uint64_t value)
{
        metric_begin(w, name, METRIC_GAUGE, "bytes", help);
        metric_count(w, "", NULL, 0, value);
}

static void metrics_table(struct metric_writer *w, const struct snapshot *s)
{
        metrics_bytes(w, "k8shsvc_table_size_bytes", "Size of the table's file.", s->header.size_bytes);
        metrics_bytes(w, "k8shsvc_table_used_bytes", "Of that, what is in use.", s->header.used_bytes);
        metric_begin(w, "k8shsvc_heartbeat_timestamp_seconds", METRIC_GAUGE, "seconds",
                     "When the table was last confirmed.");
        metric_put(w, "", NULL, 0, (double)s->real_usec / USEC_PER_SEC - (double)s->header.beat_age_ds / 10);
}

/* ---- services ---- */

/* Only a service of which nothing was heard yet has no source. */
static void metrics_states(struct metric_writer *w, const struct snapshot *s)
{
        size_t counts[KHS_SOURCE_STATIC + 1][KHS_SERVICE_EXPIRED + 1] = { 0 };

        for (size_t i = 0; i < s->catalog.n_services; i++) {
                const struct view_service *service = &s->catalog.services[i];

                if (service->source <= KHS_SOURCE_STATIC && service->state <= KHS_SERVICE_EXPIRED)
                        counts[service->source][service->state]++;
        }
        metric_begin(w, "k8shsvc_services", METRIC_GAUGE, NULL, "Registered services.");
        for (uint32_t source = 0; source <= KHS_SOURCE_STATIC; source++)
                for (uint32_t state = 0; state <= KHS_SERVICE_EXPIRED; state++) {
                        const char *word = view_source_word(source);
                        const struct metric_label labels[] = { { "state", view_state_word(state) },
                                                               { "source", word ? word : "none" } };

                        if (source > 0 || state == KHS_SERVICE_PENDING || counts[source][state] > 0)
                                metric_count(w, "", labels, N_LABELS(labels), counts[source][state]);
                }
}

/* "S.N" */
static void metrics_name(const struct view_service *service, char name[static 256], const char **ret_namespace)
{
        char *dot;

        strcpy(name, service->key);
        dot = strchr(name, '.');
        if (dot)
                *dot = '\0';
        *ret_namespace = dot ? dot + 1 : "";
}

static void metrics_endpoints(struct metric_writer *w, const struct snapshot *s, size_t n)
{
        metric_begin(w, "k8shsvc_service_endpoints", METRIC_GAUGE, NULL, "Addresses of a service.");
        for (size_t i = 0; i < n; i++) {
                const struct view_service *service = &s->catalog.services[i];
                struct metric_label labels[] = { { "namespace", NULL }, { "service", NULL }, { "family", "ipv4" } };
                char name[256];

                metrics_name(service, name, &labels[0].value);
                labels[1].value = name;
                metric_count(w, "", labels, N_LABELS(labels), service->n4);
                labels[2].value = "ipv6";
                metric_count(w, "", labels, N_LABELS(labels), service->n6);
        }
}

static void metrics_ages(struct metric_writer *w, const struct snapshot *s, size_t n)
{
        metric_begin(w, "k8shsvc_service_age_seconds", METRIC_GAUGE, "seconds",
                     "For how long a service has been in its state.");
        for (size_t i = 0; i < n; i++) {
                const struct view_service *service = &s->catalog.services[i];
                struct metric_label labels[] = { { "namespace", NULL }, { "service", NULL } };
                char name[256];

                metrics_name(service, name, &labels[0].value);
                labels[1].value = name;
                metric_put(w, "", labels, N_LABELS(labels), (double)service->age_ds / 10);
        }
}

static void metrics_services(struct metric_writer *w, const struct snapshot *s)
{
        size_t n_all = s->catalog.n_services, n = n_all < SERVICES_MAX ? n_all : SERVICES_MAX;

        metrics_states(w, s);
        metric_begin(w, "k8shsvc_services_refused", METRIC_GAUGE, NULL,
                     "Services and aliases for which the table has no room.");
        metric_count(w, "", NULL, 0, s->header.n_refused);
        metric_begin(w, "k8shsvc_services_without_series", METRIC_GAUGE, NULL,
                     "Services beyond the first 1,000 by name, which have no series of their own.");
        metric_count(w, "", NULL, 0, n_all - n);
        metrics_endpoints(w, s, n);
        metrics_ages(w, s, n);
}

/* ---- all together ---- */

void metrics_write(FILE *to, const struct snapshot *snapshot, bool openmetrics)
{
        static const struct metric_label version = { "version", K8SHSVC_VERSION };
        struct metric_writer w = { .to = to, .openmetrics = openmetrics };

        metric_begin(&w, "k8shsvc_build", METRIC_INFO, NULL, "The daemon.");
        metric_count(&w, "_info", &version, 1, 1);
        metrics_counters(&w);
        if (snapshot->error == 0) {
                metrics_table(&w, snapshot);
                metrics_services(&w, snapshot);
        }
        metric_end(&w);
}

const char *metrics_type(bool openmetrics)
{
        return openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                           : "text/plain; version=0.0.4; charset=utf-8";
}

/* Prometheus names its preferred format first, with versions that are all ours to choose from. */
bool metrics_wants_open(const char *accept)
{
        return accept && strstr(accept, "application/openmetrics-text");
}
