#pragma once

/*
 * The dns source: services learned from the cluster's DNS, by A and AAAA of "S.N.svc.D", and, where
 * they are wanted, their host names and named ports by SRV, else PTR.
 *
 * A watch keeps one service asked and hands every finding to its report function, in the event
 * loop's thread and never from within source_dns_watch() or source_watch_update(). Names are
 * absolute; search domains are never used.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "source/dns/task.h" /* struct dns_task_stats */
#include "source/source.h"

struct source_dns;
struct source_watch;

/* Everything is copied. */
struct source_dns_options {
        const char *cluster_domain;
        const struct address *servers; /* with their ports */
        size_t n_servers;              /* 0: follow resolv_conf */
        const char *resolv_conf;       /* path */
        uint8_t transport;             /* enum dns_transport: DNS_TCP or DNS_UDP */
        uint32_t query_rate;           /* refresh queries a second */
        const struct network *allow_cidr;
        size_t n_allow_cidr;
};

/**
 * source_dns_new() - start the source; nothing is sent before there are watches
 *
 * No server at all is no error: look at source_dns_n_servers(). SIGPIPE is ignored from here on,
 * where it has its default action.
 *
 * Return: 0; -EINVAL for a cluster domain that is no name; -ENOMEM or what sd-event says.
 */
int source_dns_new(struct source_dns **ret, sd_event *event, const struct source_dns_options *options);

/* The watches must have been freed. Not from a report function. Returns NULL. */
struct source_dns *source_dns_free(struct source_dns *source);

/**
 * source_dns_reconfigure() - a reload: take new options
 *
 * Servers that stay keep their connections; what was in flight on others is asked again at once.
 * Not from a report function.
 *
 * Return: 0; on a negative errno the source goes on as it was.
 */
int source_dns_reconfigure(struct source_dns *source, const struct source_dns_options *options);

/*
 * Reads resolv.conf again if it has changed and is followed; for every heartbeat. A file without a
 * server leaves the servers as they are. Not from a report function.
 */
void source_dns_check_resolv_conf(struct source_dns *source);

/* How many servers are there to ask, up or down? */
size_t source_dns_n_servers(const struct source_dns *source);

struct source_dns_stats {
        struct dns_task_stats tasks;
        size_t n_watches;
        size_t n_flying;  /* questions in flight */
        size_t n_waiting; /* names that wait for a server */
        size_t n_servers, n_servers_up;
};

void source_dns_get_stats(const struct source_dns *source, struct source_dns_stats *ret);

/**
 * source_dns_watch() - keep a service asked
 *
 * @key:      "S.N"; copied
 * @family:   enum khs_family: any asks A and AAAA, else only the one
 * @refresh_min_usec, @refresh_max_usec: an answer's TTL is held between them
 * @has_data: addresses are known from an earlier table: the first question is spread over
 *            min(@refresh_max_usec, 5 s) and counts for the query rate; else it is asked at once
 * @report:   called with @userdata; may free this watch or any other
 *
 * While no server is up a name is reported as failed when it is due, once, and then waits.
 *
 * Return: 0; -EINVAL when the name is too long; -ENOMEM.
 */
int source_dns_watch(struct source_dns *source, struct source_watch **ret, const char *key, uint8_t family,
                     uint64_t refresh_min_usec, uint64_t refresh_max_usec, bool has_data, source_report_fn report,
                     void *userdata);

/* A reload has changed the family or the limits. Return: 0, or -ENOMEM: the family is as it was. */
int source_watch_update(struct source_watch *watch, uint8_t family, uint64_t refresh_min_usec,
                        uint64_t refresh_max_usec);

/**
 * source_watch_set_hosts() - whether host names are learned, and ports
 *
 * @ports: of the service; those with a name are asked for
 *
 * They are reported as FINDING_ENDPOINTS, behind the addresses.
 *
 * Return: 0, or -ENOMEM: what was learned until then goes on being learned.
 */
int source_watch_set_hosts(struct source_watch *watch, bool hosts, const struct khs_port *ports, size_t n_ports);

/* The service has lost some of its addresses, and what was said of them: it is said again when they come back. */
void source_watch_forget_hosts(struct source_watch *watch);

/* No report comes after it. Returns NULL. */
struct source_watch *source_watch_free(struct source_watch *watch);
