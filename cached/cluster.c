/*
 * Kubernetes and DNS put together.
 *
 * The environment (the API server's address in a pod, the node's name and zone) is read here and nowhere below: a
 * source is made of values.
 */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "cluster.h"
#include "source/fallback.h"
#if K8SHSVC_KUBERNETES
#include "source/kube/access.h"
#include "source/kube/source.h"
#endif

struct cluster {
        struct source *source;
        struct source *kube;           /* NULL where it was left out of the build; the fallback's */
        size_t n_services, n_sections; /* that need it, as logged last */
};

/* A label's value has at most 63 bytes, the name of an object 253. */
static const char *cluster_environment(const char *name, size_t n_max)
{
        const char *value = getenv(name);

        return value && strlen(value) <= n_max ? value : NULL;
}

const char *cluster_node(const struct config *config)
{
        return config->node ? config->node : cluster_environment("NODE_NAME", 253);
}

const char *cluster_zone(const struct config *config)
{
        return config->zone ? config->zone : cluster_environment("NODE_ZONE", 63);
}

#if K8SHSVC_KUBERNETES

static struct source_kube_options cluster_kube_options(const struct config *config, char host[static HOST_NAME_MAX + 1])
{
        if (gethostname(host, HOST_NAME_MAX) < 0)
                host[0] = '\0';
        host[HOST_NAME_MAX] = '\0';
        return (struct source_kube_options){
                .kubeconfig = config->kubeconfig,
                .api_server = config->api_server,
                .service_host = getenv("KUBERNETES_SERVICE_HOST"),
                .service_port = getenv("KUBERNETES_SERVICE_PORT"),
                .zone = cluster_zone(config),
                .node = cluster_node(config),
                .host = host,
        };
}

static int cluster_make(struct cluster *n, sd_event *event, struct source *dns, const struct config *config)
{
        char host[HOST_NAME_MAX + 1];
        const struct source_kube_options options = cluster_kube_options(config, host);
        int r = source_kube_new(&n->kube, event, &options);

        if (r < 0)
                return r;
        r = source_fallback_new(&n->source, event, n->kube, dns, KHS_SOURCE_KUBERNETES, FALLBACK_GRACE_USEC);
        if (r < 0)
                source_free(n->kube);
        return r;
}

void cluster_reconfigure(struct cluster *n, const struct config *config)
{
        char host[HOST_NAME_MAX + 1];
        const struct source_kube_options options = cluster_kube_options(config, host);
        int r = source_kube_reconfigure(n->kube, &options);

        if (r < 0)
                log_message(LOG_ERR, "the API server stays as it was: %s", strerror(-r));
}

static struct source_service cluster_section(const struct config_service *section)
{
        return (struct source_service){ .namespace = section->namespace,
                                        .order = section->order,
                                        .selector = section->selector,
                                        .go_micro = section->go_micro };
}

int cluster_check_access(const struct config *config, FILE *to)
{
        size_t n = config->n_services + config->n_pods + config->n_namespaces;
        _cleanup_(cleanup_free) struct source_service *all = calloc(n + 1, sizeof(*all));
        char host[HOST_NAME_MAX + 1];
        const struct source_kube_options options = cluster_kube_options(config, host);
        struct source_set set = { .services = all };

        if (!all)
                return -ENOMEM;
        for (size_t i = 0; i < config->n_services; i++) {
                if (config->services[i].source == KHS_SOURCE_KUBERNETES)
                        all[set.n_services++] = cluster_section(&config->services[i]);
        }
        for (size_t i = 0; i < config->n_pods; i++)
                all[set.n_services++] = cluster_section(&config->pods[i]);
        set.namespaces = all + set.n_services;
        for (size_t i = 0; i < config->n_namespaces; i++)
                all[set.n_services + set.n_namespaces++] = cluster_section(&config->namespaces[i]);
        if (set.n_services + set.n_namespaces == 0) {
                (void)fputs("# no section uses the Kubernetes source\n", to);
                return 0;
        }
        return kube_access_check(&options, &set, to);
}

#else

int cluster_check_access(const struct config *config, FILE *to)
{
        (void)config;
        (void)to;
        log_message(LOG_ERR, "this build lacks the Kubernetes source");
        return -ENOTSUP;
}

static int cluster_make(struct cluster *n, sd_event *event, struct source *dns, const struct config *config)
{
        (void)event;
        n->source = dns;
        cluster_reconfigure(n, config);
        return 0;
}

/* What this build lacks is logged, once, until it changes. */
void cluster_reconfigure(struct cluster *n, const struct config *config)
{
        size_t n_services = 0, n_sections = config->n_pods + config->n_namespaces;

        for (size_t i = 0; i < config->n_services; i++)
                n_services += config->services[i].source == KHS_SOURCE_KUBERNETES;
        if (n_services > 0 && n_services != n->n_services)
                log_message(LOG_WARNING,
                            "source = kubernetes: this build lacks the Kubernetes source; DNS is asked instead (%zu "
                            "services)",
                            n_services);
        if (n_sections > 0 && n_sections != n->n_sections)
                log_message(LOG_WARNING,
                            "[pods] and [namespace] sections need the Kubernetes source, which this build lacks (%zu "
                            "sections)",
                            n_sections);
        n->n_services = n_services;
        n->n_sections = n_sections;
}

#endif

int cluster_new(struct cluster **ret, sd_event *event, struct source *dns, const struct config *config)
{
        struct cluster *n = calloc(1, sizeof(*n));
        int r;

        if (!n)
                return -ENOMEM;
        r = cluster_make(n, event, dns, config);
        if (r < 0) {
                free(n);
                return r;
        }
        *ret = n;
        return 0;
}

struct cluster *cluster_free(struct cluster *n)
{
        if (n) {
                source_free(n->source);
                free(n);
        }
        return NULL;
}

struct source *cluster_source(const struct cluster *n)
{
        return n->source;
}
