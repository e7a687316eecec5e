#pragma once

/*
 * Host names and ports of one service's addresses, asked for whenever these change, and every five minutes.
 * They come behind the addresses, which never wait for them.
 */

#include <stddef.h>
#include <stdint.h>

#include "source/dns/task.h"
#include "source/source.h"
#include "wire/srv.h"

struct dns_hosts;

/**
 * dns_hosts_new() - begin; nothing is asked before addresses are known
 *
 * @srv:    scratch for the answer at hand, shared by all
 * @key:    "S.N"; borrowed
 * @report: called with FINDING_ENDPOINTS and @userdata; frees nothing from within
 *
 * Return: 0, or -ENOMEM.
 */
int dns_hosts_new(struct dns_hosts **ret, struct dns_tasks *tasks, struct dns_srv *srv, const char *key,
                  source_report_fn report, void *userdata);
/* Returns NULL. */
struct dns_hosts *dns_hosts_free(struct dns_hosts *hosts);

/* The service's ports; those with a name are asked for. Return: 0, or -ENOMEM: they are as they were. */
int dns_hosts_set_ports(struct dns_hosts *hosts, const struct khs_port *ports, size_t n_ports);

/* What DNS has just said of the addresses of one family. */
void dns_hosts_addresses(struct dns_hosts *hosts, const struct finding *finding);
/* That family is no longer asked for, or the service has lost its addresses. */
void dns_hosts_forget(struct dns_hosts *hosts, uint8_t family);
