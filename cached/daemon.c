/*
 * The daemon: what is made in which order, and what happens every second.
 *
 *     configuration --> directory and lock --> sources --> table --> registry --> loop
 *
 * The table of the previous daemon is answering all the while. Everything that it knew is in ours before ours
 * gets its name, and nothing is sent to a server before the loop runs. READY is said when every service has an
 * answer of its source or of the previous daemon, or after READY_USEC. The heartbeat is the first thing that a
 * second brings, since readers give up a table whose heart stops.
 */

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-event.h>

#include "base/log.h"
#include "base/notify.h"
#include "base/timer.h"
#include "base/util.h"
#include "cluster.h"
#include "config/follow/live.h"
#include "daemon.h"
#include "publish/directory.h"
#include "publish/predecessor.h"
#include "publish/publisher.h"
#include "registry.h"
#include "source/dns/source.h"
#include "source/static.h"
#include "status/status.h"

#define RESOLV_CONF     "/etc/resolv.conf"
#define BEAT_USEC       (1 * USEC_PER_SEC)
#define BEAT_SLACK_USEC (10 * USEC_PER_MSEC)
#define READY_USEC      (5 * USEC_PER_SEC) /* after that we are ready, whatever is still pending */
#define EXIT_USAGE      2

struct daemon {
        sd_event *event;
        struct timer beat_timer;
        struct notify *notify;
        struct config_live *config;
        struct directory *directory;
        struct publisher *publisher;
        struct source_dns *dns;
        struct cluster *cluster;
        struct source *fixed; /* static addresses */
        struct registry *registry;
        struct status *status;
        enum log_format log_format; /* of the command line */
        uint64_t started_usec;
        bool ready;
        bool asked; /* SIGHUP has come and is not answered yet */
};

/* ---- configuration ---- */

static struct config_live_options daemon_live_options(const struct daemon_options *options)
{
        return (struct config_live_options){
                .main_file = options->config_file,
                .services = options->services,
                .n_services = options->n_services,
                .env_services = options->env_services,
                .resolv_conf = RESOLV_CONF,
        };
}

static struct khs_table_params daemon_table_params(const struct config *config)
{
        return (struct khs_table_params){
                .zone = config->cluster_domain,
                .namespace = config->namespace_explicit ? config->namespace : "",
                .node_name = cluster_node(config),
                .node_zone = cluster_zone(config),
                .orphan_max_ds = (uint32_t)(config->orphan_max / (USEC_PER_SEC / 10)),
                .reverse = config->reverse,
                .max_bytes = config->max_table_size,
                .n_services = (uint32_t)config->n_services,
        };
}

static struct source_dns_options daemon_dns_options(const struct config *config)
{
        return (struct source_dns_options){
                .cluster_domain = config->cluster_domain,
                .servers = config->dns_servers,
                .n_servers = config->n_dns_servers,
                .resolv_conf = RESOLV_CONF,
                .transport = config->dns_transport == CONFIG_TRANSPORT_TCP ? DNS_TCP : DNS_UDP,
                .query_rate = config->query_rate,
        };
}

static void daemon_set_log(const struct daemon *d, const struct config *config)
{
        log_set_level(config->log_level);
        log_set_format(d->log_format != LOG_FORMAT_AUTO ? d->log_format : (enum log_format)config->log_format);
}

static bool config_has_dns_services(const struct config *config)
{
        for (size_t i = 0; i < config->n_services; i++) {
                if (config->services[i].source == KHS_SOURCE_DNS)
                        return true;
        }
        return false;
}

/* A server may come later. Until then there is what is known, or nothing. Return: whether anything is. */
static bool daemon_check_servers(const struct daemon *d, const struct config *config)
{
        struct registry_counts c;
        bool known;

        if (source_dns_n_servers(d->dns) > 0 || !config_has_dns_services(config))
                return true;
        registry_count(d->registry, &c);
        known = c.n_stale + c.n_empty > 0;
        log_message(LOG_ERR, "no DNS server: %s cannot be used, and dns-servers is not set%s", RESOLV_CONF,
                    known ? "; what is known is served for max-stale" : "");
        return known;
}

/* ---- the service manager ---- */

static void daemon_update_status(struct daemon *d)
{
        struct registry_counts c;
        char status[256];

        registry_count(d->registry, &c);
        (void)snprintf(
                status, sizeof(status),
                "%zu services, %zu addresses: %zu fresh, %zu stale, %zu empty, %zu pending, %zu expired, %zu refused",
                c.n_services, c.n_addresses, c.n_fresh, c.n_stale, c.n_empty, c.n_pending, c.n_expired,
                publisher_n_refused(d->publisher));
        if (!d->ready && (registry_n_awaited(d->registry) == 0 || usec_now() - d->started_usec >= READY_USEC)) {
                d->ready = true;
                notify_ready(d->notify);
                log_message(LOG_INFO, "ready: %s", status);
        }
        notify_status(d->notify, status);
}

/* ---- handlers of the loop ---- */

static void daemon_on_beat(void *userdata)
{
        struct daemon *d = userdata;

        if (directory_check(d->directory) < 0) {
                (void)sd_event_exit(d->event, EXIT_FAILURE);
                return;
        }
        publisher_beat(d->publisher);
        source_dns_check_resolv_conf(d->dns);
        registry_tick(d->registry);
        daemon_update_status(d);
        notify_beat(d->notify);
        log_beat();
}

/* In the first round of the loop: we are ready where all services are known already. */
static int daemon_on_start(sd_event_source *source, void *userdata)
{
        (void)source;
        daemon_update_status(userdata);
        return 0;
}

/* After every round of the loop until READY, which the beat would notice up to a second later. */
static int daemon_on_round(sd_event_source *source, void *userdata)
{
        struct daemon *d = userdata;

        if (!d->ready && registry_n_awaited(d->registry) == 0)
                daemon_update_status(d);
        return d->ready ? sd_event_source_set_enabled(source, SD_EVENT_OFF) : 0;
}

/* A part that can't take the new configuration keeps the old one; the others go on. */
static void daemon_apply_config(struct daemon *d)
{
        const struct config *config = config_live_get(d->config);
        const struct khs_table_params params = daemon_table_params(config);
        const struct source_dns_options options = daemon_dns_options(config);
        int r;

        daemon_set_log(d, config);
        r = publisher_set_params(d->publisher, &params);
        if (r < 0)
                log_message(LOG_ERR, "the table's header stays as it was: %s", strerror(-r));
        r = source_dns_reconfigure(d->dns, &options);
        if (r < 0)
                log_message(LOG_ERR, "the DNS servers stay as they were: %s", strerror(-r));
        cluster_reconfigure(d->cluster, config);
        registry_apply(d->registry, config, NULL);
        status_listen(d->status, config->metrics_listen);
        (void)daemon_check_servers(d, config);
        log_message(LOG_INFO, "configuration: %zu services, %zu errors", config->n_services,
                    config_live_n_errors(d->config));
}

/*
 * Reports a reload to the service manager if it has asked for it, or if anything changes. Before READY it knows
 * that we are busy. A reading that is put off reports nothing: each RELOADING has its READY.
 */
static void daemon_on_config(void *userdata)
{
        struct daemon *d = userdata;
        int r = config_live_load(d->config, d->asked);
        bool reload = r > 0 || d->asked;

        if (r == -EAGAIN)
                return;
        if (reload && d->ready)
                notify_reloading(d->notify);
        if (reload && r >= 0)
                daemon_apply_config(d);
        if (reload && d->ready)
                notify_ready(d->notify);
        d->asked = false;
        daemon_update_status(d);
}

static int daemon_on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct daemon *d = userdata;

        (void)source;
        (void)info;
        d->asked = true;
        config_live_ask(d->config);
        return 0;
}

static int daemon_on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct daemon *d = userdata;

        (void)source;
        log_message(LOG_INFO, "signal %u: stopping; the table stays for the next daemon", info->ssi_signo);
        notify_stopping(d->notify);
        return sd_event_exit(d->event, EXIT_SUCCESS);
}

/* ---- start ---- */

/* Signals wait for the loop, even while the configuration is read. */
static int daemon_block_signals(void)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

static int daemon_add_signals(struct daemon *d)
{
        int r;

        r = sd_event_add_signal(d->event, NULL, SIGTERM, daemon_on_stop, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGINT, daemon_on_stop, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGHUP, daemon_on_hangup, d);
        return r;
}

static int daemon_start_sources(struct daemon *d)
{
        const struct config *config = config_live_get(d->config);
        const struct source_dns_options options = daemon_dns_options(config);
        int r = source_dns_new(&d->dns, d->event, &options);

        if (r == 0)
                r = source_static_new(&d->fixed);
        if (r == 0)
                r = cluster_new(&d->cluster, d->event, source_dns_source(d->dns), config);
        if (r < 0)
                log_message(LOG_ERR, "the sources can't be started: %s", strerror(-r));
        return r;
}

/*
 * The previous daemon's table is taken over in place, or everything that it knew goes into a new file before
 * that gets its name: no lookup meets a gap.
 */
static int daemon_start_table(struct daemon *d)
{
        const struct config *config = config_live_get(d->config);
        struct khs_table_params params = daemon_table_params(config);
        struct source *const sources[] = {
                [KHS_SOURCE_DNS] = cluster_source(d->cluster),
                [KHS_SOURCE_KUBERNETES] = cluster_source(d->cluster),
                [KHS_SOURCE_STATIC] = d->fixed,
        };
        struct predecessor *predecessor = NULL;
        int r;

        r = predecessor_open(&predecessor, K8SHSVC_RUNDIR, config->cluster_domain);
        if (r == 0)
                r = publisher_new(&d->publisher, d->event, directory_fd(d->directory), &params, predecessor);
        if (r == 0)
                r = registry_new(&d->registry, d->publisher, sources);
        if (r == 0) {
                registry_apply(d->registry, config, predecessor);
                publisher_retain(d->publisher, registry_keeps, d->registry);
                r = publisher_open(d->publisher);
        }
        predecessor_close(predecessor);
        if (r < 0)
                log_message(LOG_ERR, "%s/" KHS_TABLE_NAME " can't be written: %s", K8SHSVC_RUNDIR, strerror(-r));
        return r < 0 ? r : directory_check(d->directory);
}

static int daemon_start_loop(struct daemon *d)
{
        int r;

        d->started_usec = usec_now();
        r = timer_init(&d->beat_timer, d->event, BEAT_SLACK_USEC, daemon_on_beat, d);
        if (r >= 0)
                r = sd_event_source_set_priority(d->beat_timer.source, SD_EVENT_PRIORITY_IMPORTANT);
        if (r >= 0)
                r = sd_event_add_defer(d->event, NULL, daemon_on_start, d);
        if (r >= 0)
                r = sd_event_add_post(d->event, NULL, daemon_on_round, d);
        if (r < 0) {
                log_message(LOG_ERR, "the event loop can't be set up: %s", strerror(-r));
                return r;
        }
        timer_set_period(&d->beat_timer, BEAT_USEC);
        return 0;
}

/* Whoever asks is answered from the table: it is there. */
static int daemon_start_status(struct daemon *d)
{
        int r = status_new(&d->status, d->event, K8SHSVC_RUNDIR);

        if (r < 0)
                log_message(LOG_ERR, "metrics can't be served: %s", strerror(-r));
        else
                status_listen(d->status, config_live_get(d->config)->metrics_listen);
        return r;
}

static int daemon_start(struct daemon *d)
{
        int r;

        daemon_set_log(d, config_live_get(d->config));
        r = directory_new(&d->directory, K8SHSVC_RUNDIR);
        if (r == -ENOMEM)
                log_message(LOG_ERR, "out of memory");
        notify_status(d->notify, "filling the table");
        if (r == 0)
                r = daemon_start_sources(d);
        if (r == 0)
                r = daemon_start_table(d);
        if (r == 0 && !daemon_check_servers(d, config_live_get(d->config)))
                r = -EDESTADDRREQ;
        if (r == 0)
                r = daemon_start_status(d);
        if (r == 0)
                r = daemon_start_loop(d);
        return r;
}

static int daemon_make_loop(struct daemon *d)
{
        int r = daemon_block_signals();

        if (r >= 0)
                r = sd_event_default(&d->event);
        if (r >= 0)
                r = daemon_add_signals(d);
        if (r >= 0)
                r = notify_new(&d->notify, d->event);
        if (r < 0)
                log_message(LOG_ERR, "no event loop: %s", strerror(-r));
        return r;
}

static int daemon_run_loop(struct daemon *d, const struct daemon_options *options)
{
        const struct config_live_options live = daemon_live_options(options);
        int r = daemon_make_loop(d);

        if (r < 0)
                return EXIT_FAILURE;
        notify_status(d->notify, "reading the configuration");
        r = config_live_new(&d->config, d->event, &live, daemon_on_config, d);
        if (r == -EINVAL)
                return EXIT_USAGE;
        /* Every error in the files has been logged. */
        log_limit();
        if (r < 0 || daemon_start(d) < 0)
                return EXIT_FAILURE;
        r = sd_event_loop(d->event);
        if (r < 0)
                log_message(LOG_ERR, "the event loop ended: %s", strerror(-r));
        return r < 0 ? EXIT_FAILURE : r;
}

static void daemon_deinit(struct daemon *d)
{
        status_free(d->status);
        source_free(d->fixed);
        if (!d->cluster && d->dns)
                source_free(source_dns_source(d->dns));
        cluster_free(d->cluster);
        registry_free(d->registry);
        publisher_free(d->publisher);
        config_live_free(d->config);
        notify_free(d->notify);
        timer_deinit(&d->beat_timer);
        sd_event_unref(d->event);
        directory_free(d->directory);
}

int daemon_run(const struct daemon_options *options)
{
        struct daemon d = { .log_format = options->log_format };
        int status;

        log_set_format(d.log_format);
        status = daemon_run_loop(&d, options);
        daemon_deinit(&d);
        return status;
}

int daemon_check_config(const struct daemon_options *options, bool live)
{
        const struct config_live_options live_options = daemon_live_options(options);
        struct config_live *config = NULL;
        bool clean;
        int r;

        log_set_format(options->log_format);
        log_set_once();
        r = config_live_new(&config, NULL, &live_options, NULL, NULL);
        clean = r == 0 && config_live_n_findings(config) == 0;
        if (r == 0 && live)
                clean = cluster_check_access(config_live_get(config), stdout) == 0 && clean;
        config_live_free(config);
        if (r == -EINVAL)
                return EXIT_USAGE;
        return clean ? EXIT_SUCCESS : EXIT_FAILURE;
}
