#pragma once

/*
 * The picture of the daemon's configuration: what all files, K8SHSVC_SERVICES and --service say
 * together. config/loader.h makes it.
 *
 * A picture is complete and within all limits: defaults are filled in, names are completed and in
 * lower case, keys are unique. It owns everything in it. Times are in microseconds.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer/target.h"
#include "base/address.h"
#include "table/format.h" /* enum khs_source, khs_order, khs_family, KHS_ANSWERS_* */

typedef uint64_t config_usec;

enum config_include { CONFIG_INCLUDE_READY, CONFIG_INCLUDE_SERVING, CONFIG_INCLUDE_ALL };
enum config_hosts { CONFIG_HOSTS_AUTO, CONFIG_HOSTS_YES, CONFIG_HOSTS_NO };
enum config_transport { CONFIG_TRANSPORT_TCP, CONFIG_TRANSPORT_UDP };

struct config_service {
        char *name;      /* S; NULL for the defaults of a [namespace] section */
        char *namespace; /* N, completed */
        char *key;       /* "S.N", the key of the table's index */
        char *selector;  /* of a [pods] section; NULL otherwise */
        char *go_micro;  /* of a [pods] section: the go-micro name; NULL: not a go-micro service */

        struct khs_port *ports;
        size_t n_ports;
        uint32_t answers; /* KHS_ANSWERS_AUTO, KHS_ANSWERS_ALL, or 1..KHS_MAX_ADDRS (single = 1) */
        uint8_t order;    /* enum khs_order */
        uint8_t family;   /* enum khs_family */
        uint8_t include;  /* enum config_include */
        uint8_t hosts;    /* enum config_hosts */
        uint8_t source;   /* enum khs_source */
        char **aliases;   /* lower case, unique, none of them the name of something else */
        size_t n_aliases;
        struct address *endpoints; /* static source */
        size_t n_endpoints;
        config_usec refresh_min, refresh_max, max_stale;

        char *origin; /* where it was registered: "FILE:LINE", "--service" or "K8SHSVC_SERVICES" */
};

struct config {
        uint8_t source; /* enum khs_source: default of the services */
        char *cluster_domain;
        char *namespace;             /* completes bare names; never NULL and never "auto" */
        bool namespace_explicit;     /* namespace = was given and is not auto */
        struct address *dns_servers; /* port 53 filled in; none: follow resolv.conf */
        size_t n_dns_servers;
        uint8_t dns_transport; /* enum config_transport */
        uint32_t query_rate;
        config_usec refresh_min, refresh_max, max_stale, orphan_max;
        char *metrics_listen; /* NULL when off */
        struct network *allow_cidr;
        size_t n_allow_cidr;
        uint64_t max_table_size; /* bytes */
        bool reverse;
        uint8_t log_format;                          /* enum log_format */
        int log_level;                               /* LOG_ERR ... LOG_DEBUG */
        char *kubeconfig, *api_server, *zone, *node; /* NULL when not given */

        struct config_service *services; /* sorted by key, keys unique */
        size_t n_services;
        struct config_service *pods; /* [pods] sections: kubernetes source */
        size_t n_pods;
        struct config_service *namespaces; /* [namespace] sections: kubernetes source */
        size_t n_namespaces;
};

/* The [service] registered as "S.N", or NULL. [pods] are not looked at. */
const struct config_service *config_find(const struct config *config, const char *key);

struct config *config_free(struct config *config);
/* Frees what a service holds, not itself. */
void config_service_deinit(struct config_service *service);
