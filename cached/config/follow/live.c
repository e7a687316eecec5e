/*
 * The configuration of a running daemon, see config/follow/live.h.
 *
 * An event says only that something in a directory has moved, and most often it concerns nobody: an
 * editor's swap file, a volume that is written anew with what it held before. So what was read
 * is compared with what was in use, file by file, and each line of the log with those of the last
 * time: nothing is done and nothing said that is not new.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "base/util.h"
#include "config/follow/live.h"
#include "table/siphash.h"

#define MAIN_FILE       "k8shsvc.conf"
#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
#define PUT_OFF_MAX     3U
#define SAID_MAX        20000U /* lines that are remembered; those beyond are said each time */

/* Lines of the log, as hashes. */
struct said {
        uint64_t *hashes;
        size_t n_hashes, n_allocated;
};

struct config_live {
        struct config_origin origin; /* the loader and the watch borrow it */
        char *conf_dir;              /* conf.d beside the main file */
        struct config_loader *loader;
        struct config_watch *watch;
        struct config *config;
        size_t n_errors, n_findings;
        bool repeat; /* say what was said before, too */
        bool behind; /* what was read last is not in use */
        void (*pulse)(void *userdata);
        void *userdata;
        unsigned int n_put_off;        /* loads that met a change under way, in a row */
        struct said said, said_before; /* the latter sorted */
};

/* ---- what is said ---- */

static int compare_hashes(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

static bool said_has(const struct said *said, uint64_t hash)
{
        return said->n_hashes > 0 && bsearch(&hash, said->hashes, said->n_hashes, sizeof(hash), compare_hashes);
}

static void said_add(struct said *said, uint64_t hash)
{
        if (said->n_hashes == said->n_allocated) {
                size_t n = said->n_allocated ? said->n_allocated * 2 : 64;
                uint64_t *hashes = n <= SAID_MAX * 2 ? reallocarray(said->hashes, n, sizeof(*hashes)) : NULL;

                if (!hashes)
                        return;
                said->hashes = hashes;
                said->n_allocated = n;
        }
        said->hashes[said->n_hashes++] = hash;
}

static void said_begin(struct config_live *l, bool repeat)
{
        l->repeat = repeat;
        l->n_findings = 0;
        l->said.n_hashes = 0;
}

static void said_end(struct config_live *l)
{
        struct said before = l->said_before;

        if (l->said.n_hashes > 1)
                qsort(l->said.hashes, l->said.n_hashes, sizeof(*l->said.hashes), compare_hashes);
        l->said_before = l->said;
        l->said = before;
}

static void on_finding(void *userdata, int priority, const char *message)
{
        static const uint8_t key[16] = { 0 }; /* whoever writes a file gains nothing by a collision */
        struct config_live *l = userdata;
        uint64_t hash = khs_siphash13(key, message, strlen(message));

        l->n_findings++;
        said_add(&l->said, hash);
        if (l->repeat || !said_has(&l->said_before, hash))
                log_message(priority, "%s", message);
}

/* ---- reading ---- */

static void on_pulse(void *userdata)
{
        struct config_live *l = userdata;

        if (l->pulse)
                l->pulse(l->userdata);
}

static int load(struct config_live *l, bool repeat, struct config **ret)
{
        int r;

        said_begin(l, repeat);
        r = config_load(l->loader, ret, &l->n_errors);
        if (r == 0)
                said_end(l);
        return r;
}

/* Whether the change that was met is worth waiting for: somebody may write without end. */
static bool put_off(struct config_live *l)
{
        if (config_watch_settled(l->watch) || l->n_put_off >= PUT_OFF_MAX) {
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

        r = load(l, asked && l->n_put_off == 0, &config);
        if (r < 0) {
                log_message(LOG_ERR, "the configuration can't be read and stays as it was: %s", strerror(-r));
                return r;
        }
        if (!config_loader_unchanged(l->loader) || strcmp(config->namespace, l->config->namespace) != 0)
                l->behind = true;
        if (put_off(l)) {
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

static int set_origin(struct config_live *l, const struct config_live_options *options)
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
                    config_watch_fn fn, void (*pulse)(void *userdata), void *userdata)
{
        struct config_live *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->pulse = pulse;
        l->userdata = userdata;
        r = set_origin(l, options);
        /* Followed first: a change while it is read is seen later. */
        if (r == 0 && event)
                r = config_watch_new(&l->watch, event, &l->origin, fn, userdata);
        if (r == 0)
                r = config_loader_new(&l->loader, &l->origin, on_finding, l);
        if (r == 0) {
                config_loader_set_pulse(l->loader, on_pulse);
                r = load(l, true, &l->config);
        }
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
                config_watch_free(l->watch);
                config_free(l->config);
                config_loader_free(l->loader);
                free(l->said.hashes);
                free(l->said_before.hashes);
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
        config_watch_ask(l->watch);
}

void config_live_beat(struct config_live *l)
{
        config_watch_beat(l->watch);
}
