#pragma once

/*
 * Where configuration comes from.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * Borrowed for the life of the loader. A missing file or directory is no error, except for a main
 * file that --config names.
 */
struct config_origin {
        const char *main_file;       /* CONFDIR/k8shsvc.conf or --config; NULL: none */
        bool main_file_given;        /* by --config: it must exist and be readable */
        const char *conf_dir;        /* conf.d beside main_file; NULL: none */
        const char *run_dir;         /* RUNDIR/conf.d; NULL: none */
        const char *const *services; /* --service targets */
        size_t n_services;
        const char *env_services;              /* K8SHSVC_SERVICES or NULL */
        const char *resolv_conf;               /* for namespace = auto */
        const char *service_account_namespace; /* file; for namespace = auto */
};
