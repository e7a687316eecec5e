/*
 * Loading the daemon's configuration files.
 */

#include <stdlib.h>

#include "ctl/configuration.h"

#define ACCOUNT_NAMESPACE "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

static void configuration_ignore(void *userdata, int priority, const char *message)
{
        (void)userdata;
        (void)priority;
        (void)message;
}

int ctl_load_configuration(struct config **ret, config_report_fn report, void *userdata)
{
        const struct config_origin origin = {
                .main_file = K8SHSVC_CONFDIR "/k8shsvc.conf",
                .conf_dir = K8SHSVC_CONFDIR "/conf.d",
                .run_dir = K8SHSVC_RUNDIR "/conf.d",
                .env_services = getenv("K8SHSVC_SERVICES"), /* the daemon's, too, in its container */
                .resolv_conf = "/etc/resolv.conf",
                .service_account_namespace = ACCOUNT_NAMESPACE,
        };
        struct config_loader *loader;
        size_t n_errors;
        int r = config_loader_new(&loader, &origin, report ? report : configuration_ignore, userdata);

        if (r < 0)
                return r;
        r = config_load(loader, ret, &n_errors);
        (void)config_loader_free(loader);
        return r;
}
