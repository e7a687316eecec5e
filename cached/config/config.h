#pragma once

/*
 * The daemon's configuration: files, K8SHSVC_SERVICES and --service, merged into one picture.
 *
 * INI files are read by libini_config (which knows the line of every value and error). What is
 * good stays: an error costs one key or one file, never the daemon. struct config_loader keeps
 * the last good version of each file, so that a reload with a broken file changes nothing.
 *
 * Everything here is owned by the config and freed by config_free(). Times are in microseconds.
 * Names are lower case.
 */

#include <netinet/in.h>
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

        struct khs_port *ports;
        size_t n_ports;
        uint32_t answers; /* KHS_ANSWERS_AUTO, KHS_ANSWERS_ALL, or 1..KHS_MAX_ADDRS (single = 1) */
        uint8_t order;    /* enum khs_order */
        uint8_t family;   /* enum khs_family */
        uint8_t include;  /* enum config_include */
        uint8_t hosts;    /* enum config_hosts */
        uint8_t source;   /* enum khs_source */
        char **aliases;   /* lower case, checked against the rules of design section 4, unique */
        size_t n_aliases;
        struct address *endpoints; /* static source */
        size_t n_endpoints;
        config_usec refresh_min, refresh_max, max_stale;

        char *origin; /* where it was registered: "FILE:LINE", "--service" or "K8SHSVC_SERVICES" */
};

struct config {
        uint8_t source; /* enum khs_source: default of the services */
        char *cluster_domain;
        char *namespace;             /* completes bare names; never NULL after config_load() */
        bool namespace_explicit;     /* namespace = was given and is not auto */
        struct address *dns_servers; /* port 53 filled in; none: follow resolv.conf */
        size_t n_dns_servers;
        uint8_t dns_transport; /* enum config_transport */
        config_usec refresh_min, refresh_max, max_stale, orphan_max;
        uint32_t query_rate;
        char *metrics_listen; /* NULL when off */
        struct network *allow_cidr;
        size_t n_allow_cidr;
        uint64_t max_table_size; /* bytes */
        bool reverse;
        int log_level;                        /* LOG_ERR ... LOG_DEBUG */
        char *kubeconfig, *api_server, *zone; /* NULL when not given */

        struct config_service *services; /* sorted by key, keys unique */
        size_t n_services;
        struct config_service *pods; /* [pods] sections: kubernetes source */
        size_t n_pods;
        struct config_service *namespaces; /* [namespace] sections: kubernetes source */
        size_t n_namespaces;
};

/*
 * Where configuration comes from. Borrowed for the life of the loader. A missing file or
 * directory is no error, but for a main file that was named by --config.
 */
struct config_origin {
        const char *main_file;       /* CONFDIR/k8shsvc.conf or --config */
        bool main_file_given;        /* --config: must exist and be readable */
        const char *conf_dir;        /* conf.d beside main_file; NULL: none */
        const char *run_dir;         /* RUNDIR/conf.d; NULL: none */
        const char *const *services; /* --service targets */
        size_t n_services;
        const char *env_services;              /* K8SHSVC_SERVICES or NULL */
        const char *resolv_conf;               /* for namespace = auto */
        const char *service_account_namespace; /* file; for namespace = auto */
};

/*
 * config_report_fn() - one finding, ready to print: "FILE:LINE: [SECTION] KEY: found, expected".
 * @priority is LOG_ERR for what was left out, LOG_WARNING for what was mended.
 */
typedef void (*config_report_fn)(void *userdata, int priority, const char *message);

struct config_loader;

int config_loader_new(struct config_loader **ret, const struct config_origin *origin, config_report_fn report,
                      void *userdata);
struct config_loader *config_loader_free(struct config_loader *loader);

/* @pulse is called now and then during a load that takes long, with the loader's userdata. */
void config_loader_set_pulse(struct config_loader *loader, void (*pulse)(void *userdata));

/**
 * config_load() - read all files (again) and merge
 *
 * @ret:        the new configuration, owned by the caller; always usable on success
 * @ret_errors: number of errors, 0 when all is clean; a warning is none
 *
 * Lowest first: defaults, main file, conf_dir, run_dir (each in strcmp order), K8SHSVC_SERVICES,
 * --service. A later file replaces a key's whole value. An empty value restores the inherited one:
 * what the key would be had no file set it, that is [daemon]'s for source, refresh-min,
 * refresh-max and max-stale of a service and the built-in default for all others.
 *
 * The first call is the start: a file with a syntax error is skipped, of a readable file only a bad
 * key or section. Later calls are reloads: a file that has changed and has any error counts as its
 * last good version, or as absent where there is none. What the start has taken of a bad file is
 * its last good version. A file that is gone is forgotten, but for that of --config.
 *
 * On failure nothing is forgotten: the next call finds the last good versions that this one found.
 *
 * Return: 0; -ENOMEM; only from the first call: -EINVAL when a --service or K8SHSVC_SERVICES target
 * is bad (reported; the daemon prints its usage and exits 2), another negative errno when the file
 * of --config cannot be read (reported). A target that a reload makes bad is an error like others.
 */
int config_load(struct config_loader *loader, struct config **ret, size_t *ret_errors);
struct config *config_free(struct config *config);

/*
 * Whether the last successful load used what the one before had used, to the letter and line. The
 * namespace may differ all the same: `auto` asks other files.
 */
bool config_loader_unchanged(const struct config_loader *loader);

/* The [service] registered as "S.N", or NULL. [pods] are not looked at. */
const struct config_service *config_find(const struct config *config, const char *key);
