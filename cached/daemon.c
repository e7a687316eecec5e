/* The daemon, see daemon.h. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "daemon.h"
#include "log.h"
#include "predecessor.h"
#include "publish.h"
#include "registry.h"
#include "source-dns.h"
#include "util.h"

#define MAIN_FILE        "k8shsvc.conf"
#define RESOLV_CONF      "/etc/resolv.conf"
#define SERVICE_ACCOUNT  "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
#define BEAT_USEC        (1 * USEC_PER_SEC)
#define BEAT_SLACK_USEC  (10 * USEC_PER_MSEC)
#define READY_USEC       (5 * USEC_PER_SEC) /* start-up is told to be over, whatever is still pending */
#define EXIT_USAGE       2

struct daemon {
        sd_event *event;
        sd_event_source *beat_timer;
        struct config_origin origin;
        char *conf_dir; /* conf.d beside --config */
        struct config_loader *loader;
        struct config *config;
        size_t n_config_messages; /* warnings, too */
        int dir_fd, lock_fd;
        struct publisher *publisher;
        struct source_dns *dns;
        struct registry *registry;
        uint64_t started_usec;
        bool ready;
        char status[256];
};

/* ---- configuration ---- */

static void on_config_message(void *userdata, int priority, const char *message)
{
        struct daemon *d = userdata;

        d->n_config_messages++;
        log_message(priority, "%s", message);
}

/* "conf.d" beside the main file, as in /etc/k8shsvc. */
static char *conf_dir_beside(const char *main_file)
{
        const char *slash = strrchr(main_file, '/');
        char *ret = NULL;

        if (asprintf(&ret, "%.*sconf.d", slash ? (int)(slash - main_file + 1) : 0, main_file) < 0)
                return NULL;
        return ret;
}

static int load_config(struct daemon *d, const struct daemon_options *options, size_t *ret_errors)
{
        const char *main_file = options->config_file ? options->config_file : K8SHSVC_CONFDIR "/" MAIN_FILE;
        int r;

        d->conf_dir = conf_dir_beside(main_file);
        if (!d->conf_dir)
                return -ENOMEM;
        d->origin = (struct config_origin){
                .main_file = main_file,
                .main_file_given = options->config_file != NULL,
                .conf_dir = d->conf_dir,
                .run_dir = K8SHSVC_RUNDIR "/conf.d",
                .services = options->services,
                .n_services = options->n_services,
                .env_services = options->env_services,
                .resolv_conf = RESOLV_CONF,
                .service_account_namespace = SERVICE_ACCOUNT,
        };
        r = config_loader_new(&d->loader, &d->origin, on_config_message, d);
        return r < 0 ? r : config_load(d->loader, &d->config, ret_errors);
}

static struct khs_table_params table_params(const struct config *config)
{
        return (struct khs_table_params){
                .zone = config->cluster_domain,
                .namespace = config->namespace_explicit ? config->namespace : "",
                .orphan_max_ds = (uint32_t)(config->orphan_max / (USEC_PER_SEC / 10)),
                .reverse = config->reverse,
                .max_bytes = config->max_table_size,
                .n_services = (uint32_t)config->n_services,
        };
}

static struct source_dns_options dns_options(const struct config *config)
{
        return (struct source_dns_options){
                .cluster_domain = config->cluster_domain,
                .servers = config->dns_servers,
                .n_servers = config->n_dns_servers,
                .resolv_conf = RESOLV_CONF,
                .transport = config->dns_transport,
                .query_rate = config->query_rate,
                .allow_cidr = config->allow_cidr,
                .n_allow_cidr = config->n_allow_cidr,
        };
}

/* What this version reads but can't do yet is said, not passed over. */
static void tell_unserved(const struct config *config)
{
        size_t n_kubernetes = 0;

        for (size_t i = 0; i < config->n_services; i++)
                n_kubernetes += config->services[i].source == KHS_SOURCE_KUBERNETES;
        if (n_kubernetes > 0)
                log_message(LOG_WARNING, "source = kubernetes: this version has no Kubernetes source, DNS is asked instead (%zu services)",
                            n_kubernetes);
        if (config->n_pods + config->n_namespaces > 0)
                log_message(LOG_WARNING, "[pods] and [namespace] sections need the Kubernetes source, which this version has not (%zu sections)",
                            config->n_pods + config->n_namespaces);
}

/* ---- telling the service manager ---- */

static void update_status(struct daemon *d)
{
        struct registry_counts c;
        char status[sizeof(d->status)];

        registry_count(d->registry, &c);
        (void)snprintf(status, sizeof(status),
                       "%zu services, %zu addresses: %zu fresh, %zu stale, %zu empty, %zu pending, %zu expired, %zu refused",
                       c.n_services, c.n_addresses, c.n_fresh, c.n_stale, c.n_empty, c.n_pending, c.n_expired,
                       publisher_n_refused(d->publisher));

        if (!d->ready && (c.n_pending == 0 || usec_now() - d->started_usec >= READY_USEC)) {
                d->ready = true;
                (void)sd_notifyf(false, "READY=1\nSTATUS=%s", status);
                log_message(LOG_INFO, "ready: %s", status);
        } else if (strcmp(status, d->status) != 0) {
                (void)sd_notifyf(false, "STATUS=%s", status);
        }
        memcpy(d->status, status, sizeof(status));
}

static void notify_reloading(void)
{
        struct timespec now = { 0 };

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        (void)sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%llu",
                         (unsigned long long)now.tv_sec * USEC_PER_SEC + (unsigned long long)now.tv_nsec / 1000);
}

/* ---- what the loop asks for ---- */

static int on_beat(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct daemon *d = userdata;
        uint64_t now = usec_now();

        if (publisher_beat(d->publisher) == -ENOTDIR) {
                log_message(LOG_ERR, "%s was removed: nobody could find a table in it; exiting", K8SHSVC_RUNDIR);
                return sd_event_exit(d->event, EXIT_FAILURE);
        }
        source_dns_check_resolv_conf(d->dns);
        registry_tick(d->registry);
        update_status(d);

        /* From the last beat's time, so that beats do not drift; from now, after a long sleep. */
        usec = now - usec > BEAT_USEC ? now : usec;
        (void)sd_event_source_set_time(source, usec + BEAT_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* In the first round of the loop: with all services known from before, it is ready. */
static int on_start(sd_event_source *source, void *userdata)
{
        (void)source;
        update_status(userdata);
        return 0;
}

/* After every round of the loop until READY: the beat would tell it up to a second later. */
static int on_round(sd_event_source *source, void *userdata)
{
        struct daemon *d = userdata;

        if (!d->ready && registry_n_pending(d->registry) == 0)
                update_status(d);
        return d->ready ? sd_event_source_set_enabled(source, SD_EVENT_OFF) : 0;
}

/* Each part keeps what it had where the new can't be taken; the rest goes on. */
static void apply_config(struct daemon *d, struct config *config)
{
        const struct khs_table_params params = table_params(config);
        const struct source_dns_options options = dns_options(config);
        int r;

        log_set_level(config->log_level);
        tell_unserved(config);
        r = publisher_set_params(d->publisher, &params);
        if (r < 0)
                log_message(LOG_ERR, "the table's header stays as it was: %s", strerror(-r));
        r = source_dns_reconfigure(d->dns, &options);
        if (r < 0)
                log_message(LOG_ERR, "the DNS servers stay as they were: %s", strerror(-r));
        registry_apply(d->registry, config, NULL);
        config_free(d->config);
        d->config = config;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct daemon *d = userdata;
        struct config *config;
        size_t n_errors;
        int r;

        (void)source;
        (void)info;
        notify_reloading();
        r = config_load(d->loader, &config, &n_errors);
        if (r == 0) {
                apply_config(d, config);
                log_message(LOG_INFO, "reloaded: %zu services, %zu errors", config->n_services, n_errors);
        } else {
                log_message(LOG_ERR, "reload failed, the configuration stays as it was: %s", strerror(-r));
        }
        (void)sd_notify(false, "READY=1");
        update_status(d);
        return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct daemon *d = userdata;

        (void)source;
        log_message(LOG_INFO, "signal %u: stopping; the table stays for the next daemon", info->ssi_signo);
        (void)sd_notify(false, "STOPPING=1");
        return sd_event_exit(d->event, EXIT_SUCCESS);
}

/* ---- start ---- */

/* Signals wait for the loop. */
static int setup_signals(struct daemon *d)
{
        sigset_t set;
        int r;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        r = sd_event_add_signal(d->event, NULL, SIGTERM, on_stop, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGINT, on_stop, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGHUP, on_reload, d);
        return r;
}

/* Errors here are those that a person makes: each has a line of its own. */
static int take_directory(struct daemon *d)
{
        bool made = mkdir(K8SHSVC_RUNDIR, 0755) == 0;

        if (!made && errno != EEXIST) {
                log_message(LOG_ERR, "%s can't be made: %s", K8SHSVC_RUNDIR, strerror(errno));
                return -errno;
        }
        d->dir_fd = open(K8SHSVC_RUNDIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (d->dir_fd >= 0 && made)
                (void)fchmod(d->dir_fd, 0755); /* whatever the umask: every program must get in */
        if (d->dir_fd < 0) {
                log_message(LOG_ERR, "%s can't be opened: %s", K8SHSVC_RUNDIR, strerror(errno));
                return -errno;
        }
        d->lock_fd = khs_writer_lock(d->dir_fd);
        if (d->lock_fd == -EAGAIN)
                log_message(LOG_ERR, "%s belongs to another k8shsvcd that is running", K8SHSVC_RUNDIR);
        else if (d->lock_fd < 0)
                log_message(LOG_ERR, "%s can't be written: %s", K8SHSVC_RUNDIR, strerror(-d->lock_fd));
        return d->lock_fd < 0 ? d->lock_fd : 0;
}

static bool has_dns_services(const struct config *config)
{
        for (size_t i = 0; i < config->n_services; i++) {
                if (config->services[i].source != KHS_SOURCE_STATIC)
                        return true;
        }
        return false;
}

static int start_dns(struct daemon *d)
{
        const struct source_dns_options options = dns_options(d->config);
        int r = source_dns_new(&d->dns, d->event, &options);

        if (r < 0) {
                log_message(LOG_ERR, "the DNS source can't be started: %s", strerror(-r));
                return r;
        }
        if (source_dns_n_servers(d->dns) == 0 && has_dns_services(d->config)) {
                log_message(LOG_ERR, "no DNS server: %s names none, and dns-servers is not set", RESOLV_CONF);
                return -EDESTADDRREQ;
        }
        return 0;
}

/*
 * What the daemon before left is taken over in place, or everything that it knew goes into a new file
 * before that gets its name: no lookup meets a gap.
 */
static int start_table(struct daemon *d)
{
        struct khs_table_params params = table_params(d->config);
        struct predecessor *predecessor = NULL;
        int r;

        r = predecessor_open(&predecessor, K8SHSVC_RUNDIR, d->config->cluster_domain);
        if (r == 0)
                r = publisher_new(&d->publisher, d->event, d->dir_fd, &params, predecessor_generation(predecessor) + 1);
        if (r == 0)
                r = registry_new(&d->registry, d->publisher, d->dns);
        if (r == 0) {
                registry_apply(d->registry, d->config, predecessor);
                publisher_retain(d->publisher, registry_keeps, d->registry);
                r = publisher_open(d->publisher);
        }
        predecessor_close(predecessor);
        if (r < 0)
                log_message(LOG_ERR, "%s/" KHS_TABLE_NAME " can't be written: %s", K8SHSVC_RUNDIR, strerror(-r));
        return r;
}

static int start_loop(struct daemon *d)
{
        int r;

        d->started_usec = usec_now();
        r = sd_event_add_time(d->event, &d->beat_timer, CLOCK_BOOTTIME, d->started_usec + BEAT_USEC, BEAT_SLACK_USEC,
                              on_beat, d);
        if (r >= 0)
                r = sd_event_add_defer(d->event, NULL, on_start, d);
        if (r >= 0)
                r = sd_event_add_post(d->event, NULL, on_round, d);
        if (r >= 0)
                r = sd_event_set_watchdog(d->event, true);
        if (r < 0)
                log_message(LOG_ERR, "the event loop can't be set up: %s", strerror(-r));
        return r;
}

static int start(struct daemon *d)
{
        int r;

        r = sd_event_default(&d->event);
        if (r >= 0)
                r = setup_signals(d);
        if (r < 0) {
                log_message(LOG_ERR, "no event loop: %s", strerror(-r));
                return r;
        }
        log_set_level(d->config->log_level);
        tell_unserved(d->config);
        r = take_directory(d);
        if (r == 0)
                r = start_dns(d);
        if (r == 0)
                r = start_table(d);
        if (r == 0)
                r = start_loop(d);
        return r;
}

static void deinit(struct daemon *d)
{
        registry_free(d->registry);
        source_dns_free(d->dns);
        publisher_free(d->publisher);
        sd_event_source_unref(d->beat_timer);
        sd_event_unref(d->event);
        config_free(d->config);
        config_loader_free(d->loader);
        free(d->conf_dir);
        if (d->lock_fd >= 0)
                (void)close(d->lock_fd);
        if (d->dir_fd >= 0)
                (void)close(d->dir_fd);
}

int daemon_run(const struct daemon_options *options)
{
        struct daemon d = { .dir_fd = -1, .lock_fd = -1 };
        size_t n_errors;
        int r;

        r = load_config(&d, options, &n_errors);
        if (r == -EINVAL) {
                deinit(&d);
                return EXIT_USAGE;
        }
        if (r == 0)
                r = start(&d);
        if (r >= 0)
                r = sd_event_loop(d.event);
        deinit(&d);
        return r < 0 ? EXIT_FAILURE : r;
}

int daemon_check_config(const struct daemon_options *options)
{
        struct daemon d = { .dir_fd = -1, .lock_fd = -1 };
        size_t n_errors = 0;
        int r;

        r = load_config(&d, options, &n_errors);
        deinit(&d);
        if (r == -EINVAL)
                return EXIT_USAGE;
        return r < 0 || n_errors > 0 || d.n_config_messages > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
