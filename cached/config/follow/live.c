/*
 * The configuration of a running daemon.
 *
 * A changed file most often says what it said before: it was touched, a comment was added, a volume
 * was written anew. So what is read is compared with what is in use, file by file, and each line of
 * the log with those of the last load: nothing is done and nothing is logged that is not new.
 */

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "base/util.h"
#include "config/follow/live.h"

#define MAIN_FILE       "k8shsvc.conf"
#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
#define PUT_OFF_MAX     3U
#define LOGGED_MAX      20000U /* lines that are remembered; those beyond are logged each time */

struct config_live {
        struct config_origin origin; /* the loader and the follower borrow it */
        char *conf_dir;              /* conf.d beside the main file */
        struct config_loader *loader;
        struct config_follower *follower;
        struct config *config;
        size_t n_errors, n_findings;
        bool repeat;                  /* log also what was logged before */
        bool behind;                  /* what was read last is not in use */
        unsigned int n_put_off;       /* loads that met a change under way, in a row */
        void *logged, *logged_before; /* the lines of this load and of the last one: trees of tsearch(3) */
};

/* ---- what is logged ---- */

static int compare_lines(const void *a, const void *b)
{
        return strcmp(a, b);
}

static void logged_clear(void **logged)
{
        tdestroy(*logged, free);
        *logged = NULL;
}

static void on_finding(void *userdata, int priority, const char *message)
{
        struct config_live *l = userdata;
        char *line = l->n_findings++ < LOGGED_MAX ? strdup(message) : NULL;
        char *const *kept = line ? tsearch(line, &l->logged, compare_lines) : NULL;

        if (!kept || *kept != line)
                free(line);
        if (l->repeat || !tfind(message, &l->logged_before, compare_lines))
                log_message(priority, "%s", message);
}

/* ---- reading ---- */

static int live_read(struct config_live *l, bool repeat, struct config **ret)
{
        int r;

        l->repeat = repeat;
        l->n_findings = 0;
        r = config_load(l->loader, ret, &l->n_errors);
        if (r == 0) {
                logged_clear(&l->logged_before);
                l->logged_before = l->logged;
                l->logged = NULL;
        }
        logged_clear(&l->logged);
        return r;
}

/* Whether the change that was met is worth waiting for: somebody may write without end. */
static bool live_put_off(struct config_live *l)
{
        if (config_follower_settled(l->follower) || l->n_put_off >= PUT_OFF_MAX) {
                l->n_put_off = 0;
                return false;
        }
        l->n_put_off++;
        return true;
}

int config_live_load(struct config_live *l, bool asked)
{
        struct config *config;
        int r;

        r = live_read(l, asked && l->n_put_off == 0, &config);
        if (r < 0) {
                log_message(LOG_ERR, "the configuration cannot be read and stays as it was: %s", strerror(-r));
                config_follower_again(l->follower);
                return r;
        }
        if (!config_loader_unchanged(l->loader) || strcmp(config->namespace, l->config->namespace) != 0)
                l->behind = true;
        if (live_put_off(l)) {
                config_free(config);
                return -EAGAIN;
        }
        r = l->behind;
        l->behind = false;
        /* Whoever has applied the old one may point into it. */
        if (r == 0 && !asked) {
                config_free(config);
                return 0;
        }
        config_free(l->config);
        l->config = config;
        return r;
}

/* ---- the rest ---- */

/* "conf.d" beside the main file, as in /etc/k8shsvc. */
static char *conf_dir_beside(const char *main_file)
{
        const char *slash = strrchr(main_file, '/');
        char *ret = NULL;

        if (asprintf(&ret, "%.*sconf.d", slash ? (int)(slash - main_file + 1) : 0, main_file) < 0)
                return NULL;
        return ret;
}

static int live_set_origin(struct config_live *l, const struct config_live_options *options)
{
        const char *main_file = options->main_file ? options->main_file : K8SHSVC_CONFDIR "/" MAIN_FILE;

        l->conf_dir = conf_dir_beside(main_file);
        if (!l->conf_dir)
                return -ENOMEM;
        l->origin = (struct config_origin){
                .main_file = main_file,
                .main_file_given = options->main_file != NULL,
                .conf_dir = l->conf_dir,
                .run_dir = K8SHSVC_RUNDIR "/conf.d",
                .services = options->services,
                .n_services = options->n_services,
                .env_services = options->env_services,
                .resolv_conf = options->resolv_conf,
                .service_account_namespace = SERVICE_ACCOUNT,
        };
        return 0;
}

int config_live_new(struct config_live **ret, sd_event *event, const struct config_live_options *options,
                    config_follower_fn fn, void *userdata)
{
        struct config_live *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        r = live_set_origin(l, options);
        /* Followed first: a change while it is read is noticed later. */
        if (r == 0 && event)
                r = config_follower_new(&l->follower, event, &l->origin, fn, userdata);
        if (r == 0)
                r = config_loader_new(&l->loader, &l->origin, on_finding, l);
        if (r == 0)
                r = live_read(l, true, &l->config);
        if (r < 0 && l->n_findings == 0)
                log_message(LOG_ERR, "the configuration cannot be read or followed: %s", strerror(-r));
        if (r < 0) {
                config_live_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

struct config_live *config_live_free(struct config_live *l)
{
        if (l) {
                config_follower_free(l->follower);
                config_free(l->config);
                config_loader_free(l->loader);
                logged_clear(&l->logged);
                logged_clear(&l->logged_before);
                free(l->conf_dir);
                free(l);
        }
        return NULL;
}

const struct config *config_live_get(const struct config_live *l)
{
        return l->config;
}

size_t config_live_n_errors(const struct config_live *l)
{
        return l->n_errors;
}

size_t config_live_n_findings(const struct config_live *l)
{
        return l->n_findings;
}

void config_live_ask(struct config_live *l)
{
        config_follower_ask(l->follower);
}
