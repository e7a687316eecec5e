/*
 * The end of a picture, and the one question that is asked of it.
 *
 * Everything is freed by name. The tables of keys could do it, but then whoever looks at a picture
 * would depend on how it is read.
 */

#include <stdlib.h>
#include <string.h>

#include "config/config.h"

void config_service_deinit(struct config_service *service)
{
        for (size_t i = 0; i < service->n_aliases; i++)
                free(service->aliases[i]);
        free(service->aliases);
        free(service->ports);
        free(service->endpoints);
        free(service->selector);
        free(service->go_micro);
        free(service->name);
        free(service->namespace);
        free(service->key);
        free(service->origin);
}

static void services_free(struct config_service *services, size_t n_services)
{
        for (size_t i = 0; i < n_services; i++)
                config_service_deinit(&services[i]);
        free(services);
}

struct config *config_free(struct config *config)
{
        if (!config)
                return NULL;
        services_free(config->services, config->n_services);
        services_free(config->pods, config->n_pods);
        services_free(config->namespaces, config->n_namespaces);
        free(config->cluster_domain);
        free(config->namespace);
        free(config->dns_servers);
        free(config->metrics_listen);
        free(config->allow_cidr);
        free(config->kubeconfig);
        free(config->api_server);
        free(config->zone);
        free(config->node);
        free(config);
        return NULL;
}

static int compare_key(const void *key, const void *service)
{
        return strcmp(key, ((const struct config_service *)service)->key);
}

const struct config_service *config_find(const struct config *config, const char *key)
{
        if (config->n_services == 0)
                return NULL;
        return bsearch(key, config->services, config->n_services, sizeof(config->services[0]), compare_key);
}
