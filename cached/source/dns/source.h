#pragma once

/*
 * The dns source: services learned from the cluster's DNS, by A and AAAA of "S.N.svc.D", and, where they are
 * wanted, their host names and named ports by SRV, else PTR. Names are absolute; search domains are never used.
 *
 * Reports ANSWER, NEGATIVE and FAILURE of a family, and ENDPOINTS behind the addresses; never from within
 * source_update(). While no server is up a name is reported as failed when it is due, once, and then waits.
 */

#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "source/dns/task.h" /* struct dns_task_stats */
#include "source/source.h"

struct source_dns;

/* Everything is copied. */
struct source_dns_options {
        const char *cluster_domain;
        const struct address *servers; /* with their ports */
        size_t n_servers;              /* 0: follow resolv_conf */
        const char *resolv_conf;       /* path */
        uint8_t transport;             /* enum dns_transport: DNS_TCP or DNS_UDP */
        uint32_t query_rate;           /* refresh queries a second */
};

/**
 * source_dns_new() - make the source; nothing is sent before it has services to follow
 *
 * No server at all is no error: look at source_dns_n_servers(). Freed by source_free(source_dns_source()).
 *
 * Return: 0; -EINVAL for a cluster domain that is no name; -ENOMEM or what sd-event returns.
 */
int source_dns_new(struct source_dns **ret, sd_event *event, const struct source_dns_options *options);

/* The source that it is; NULL for NULL. */
struct source *source_dns_source(struct source_dns *source);

/**
 * source_dns_reconfigure() - take the options of a reload
 *
 * Servers that stay keep their connections; what was in flight on others is asked again at once.
 *
 * Return: 0; on a negative errno the source goes on as it was.
 */
int source_dns_reconfigure(struct source_dns *source, const struct source_dns_options *options);

/*
 * Reads resolv.conf again if it has changed and is followed; for every heartbeat. While it is
 * empty or missing, the servers stay as they are.
 */
void source_dns_check_resolv_conf(struct source_dns *source);

/* How many servers there are to ask, up or down. */
size_t source_dns_n_servers(const struct source_dns *source);

struct source_dns_stats {
        struct dns_task_stats tasks;
        size_t n_followed; /* services */
        size_t n_flying;   /* questions in flight */
        size_t n_waiting;  /* names that wait for a server */
        size_t n_servers, n_servers_up;
};

void source_dns_get_stats(const struct source_dns *source, struct source_dns_stats *ret);
