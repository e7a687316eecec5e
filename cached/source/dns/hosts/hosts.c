/*
 * When a service's host names are asked for. What a round asks is round.c's.
 *
 * A round begins when the addresses have changed (a little later: A and AAAA come one after the other), and
 * otherwise in dns_schedule_hosts()'s time. One that the addresses overtake ends as it would have, and the
 * next one follows. What it has learned is reported at its end; of a long one also once a second.
 *
 * - What single questions have found out is kept for later rounds: these ask for what is new. After five
 *   minutes, and a second more for each of them, everything is asked again.
 * - An answer that was negative or failed may mean that the service model has forgotten addresses, with their
 *   hosts. So the first addresses after it begin a round, even if they are as they were.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/util.h"
#include "source/dns/hosts/hosts.h"
#include "source/dns/hosts/round.h"

#define JOIN_USEC   (20 * USEC_PER_MSEC)
#define REPORT_USEC USEC_PER_SEC

/* Asks the questions of one slot of the round. */
struct hosts_task {
        struct dns_task task;
        struct dns_hosts *hosts;
        uint32_t slot;
};

struct hosts_addresses {
        uint32_t n;
        uint8_t *bytes;
        bool missed; /* the next answer counts as another one */
};

struct dns_hosts {
        struct hosts_task slots[DNS_ROUND_WINDOW]; /* the first one's time is the round's */
        struct dns_tasks *tasks;
        struct dns_srv *srv;
        const char *key;
        source_report_fn report;
        void *userdata;

        struct khs_port *ports; /* with a name, each once */
        size_t n_ports;
        struct dns_belief *beliefs;          /* of the ports, and then of the service */
        struct hosts_addresses addresses[2]; /* IPv4, IPv6 */

        struct dns_round round;
        bool again; /* the addresses have changed since it began */
        uint64_t reported_usec;
        struct dns_host_map *kept; /* what took single questions */
        uint64_t kept_until;
        uint32_t n_open_rounds; /* in a row that left something open */
};

static bool hosts_has_addresses(const struct dns_hosts *hosts)
{
        return hosts->addresses[0].n + hosts->addresses[1].n > 0;
}

/* Whether the servers answer for any of the addresses at present. */
static bool hosts_are_answerable(const struct dns_hosts *hosts)
{
        for (size_t i = 0; i < 2; i++)
                if (hosts->addresses[i].n > 0 && !hosts->addresses[i].missed)
                        return true;
        return false;
}

/* @last: of the round. */
static void hosts_report(struct dns_hosts *hosts, bool last)
{
        struct finding finding = { .kind = FINDING_ENDPOINTS, .source = KHS_SOURCE_DNS };
        struct dns_round *round = &hosts->round;
        struct dns_host_findings findings;

        hosts->reported_usec = usec_now();
        if (dns_host_map_report(round->map, hosts->ports, last && round->hosts_complete, round->ports_complete,
                                &findings) < 0) {
                round->failed = true;
                return;
        }
        finding.endpoints = findings.endpoints;
        finding.n_endpoints = findings.n_endpoints;
        if (findings.n_endpoints > 0)
                hosts->report(hosts->userdata, &finding);
        dns_host_findings_deinit(&findings);
}

static void hosts_drop_kept(struct dns_hosts *hosts)
{
        if (hosts->kept && usec_now() >= hosts->kept_until)
                hosts->kept = dns_host_map_free(hosts->kept);
}

/* The next round: at @rest_usec, or sooner if something was left open or came up meanwhile. */
static void hosts_schedule(struct dns_hosts *hosts, bool open, uint64_t rest_usec)
{
        uint64_t now = usec_now(), due = rest_usec;
        bool again = hosts->again;

        hosts->again = false;
        hosts_drop_kept(hosts);
        if (!hosts_has_addresses(hosts))
                return;
        hosts->n_open_rounds = open && !again ? hosts->n_open_rounds + 1 : 0;
        if (open)
                due = now + dns_schedule_hosts(hosts->n_open_rounds, 0, random_u32());
        if (hosts->kept && due > hosts->kept_until)
                due = hosts->kept_until;
        dns_task_put(&hosts->slots[0].task, DNS_HOSTS, again ? now + JOIN_USEC : due);
}

/* ---- the round ---- */

static int hosts_round_begin(struct dns_hosts *hosts)
{
        struct dns_round_start start = {
                .addrs = { { hosts->addresses[0].n, hosts->addresses[0].bytes },
                           { hosts->addresses[1].n, hosts->addresses[1].bytes } },
                .ports = hosts->ports,
                .n_ports = (uint32_t)hosts->n_ports,
                .beliefs = hosts->beliefs,
        };
        uint32_t slot;
        int r = dns_name_of_service(&start.service, hosts->key, &hosts->tasks->domain);

        if (r < 0)
                return r;
        hosts_drop_kept(hosts);
        start.kept = hosts->kept;
        r = dns_round_begin(&hosts->round, &start);
        if (r < 0)
                return r;
        hosts->again = false;
        hosts->reported_usec = usec_now();
        (void)dns_round_next(&hosts->round, &slot); /* the first one, by slot 0 */
        return 0;
}

static void hosts_round_end(struct dns_hosts *hosts)
{
        struct dns_round *round = &hosts->round;
        bool used_kept = round->used_kept, open, keep;
        uint32_t n_single = round->n_single, n_open;
        uint64_t rest;

        hosts_report(hosts, true);
        n_open = dns_host_map_n_open(round->map, 0);
        open = round->failed || n_open > 0;
        /* A host that was kept may have moved to an address that is without one now: then all are asked anew. */
        keep = used_kept ? n_open == 0 : n_single > 0;
        dns_host_map_free(hosts->kept);
        hosts->kept = keep ? round->map : NULL;
        round->map = keep ? NULL : round->map;
        dns_round_end(round);
        rest = usec_now() + dns_schedule_hosts(0, n_single, random_u32());
        if (!used_kept)
                hosts->kept_until = rest;
        hosts_schedule(hosts, open, rest);
}

static void hosts_round_abort(struct dns_hosts *hosts)
{
        for (size_t i = 0; i < DNS_ROUND_WINDOW; i++)
                dns_task_cancel(&hosts->slots[i].task);
        dns_round_end(&hosts->round);
}

/* ---- the tasks' side ---- */

static int hosts_question(struct dns_task *task, struct dns_name *ret_name, uint16_t *ret_type)
{
        struct hosts_task *slot = container_of(task, struct hosts_task, task);
        struct dns_hosts *hosts = slot->hosts;
        int r = hosts->round.step == DNS_STEP_IDLE ? hosts_round_begin(hosts) : 0;

        return r < 0 ? r : dns_round_question(&hosts->round, slot->slot, ret_name, ret_type);
}

static struct dns_answer hosts_read(struct dns_task *task, const struct dns_question *question, const uint8_t *packet,
                                    size_t n_packet)
{
        struct hosts_task *slot = container_of(task, struct hosts_task, task);
        struct dns_hosts *hosts = slot->hosts;
        const struct dns_round_scratch scratch = { hosts->srv, hosts->tasks->addrs };

        return dns_round_read(&hosts->round, slot->slot, &hosts->tasks->domain, question, packet, n_packet, &scratch);
}

static void hosts_done(struct dns_task *task, const struct dns_answer *answer)
{
        struct hosts_task *slot = container_of(task, struct hosts_task, task);
        struct dns_hosts *hosts = slot->hosts;
        struct dns_round *round = &hosts->round;
        uint32_t next;

        if (round->step == DNS_STEP_IDLE) { /* not even begun, or no server */
                hosts_schedule(hosts, true, 0);
                return;
        }
        dns_round_done(round, slot->slot, answer, hosts_are_answerable(hosts), task->query.transport == DNS_UDP);
        while (dns_round_next(round, &next))
                dns_task_put(&hosts->slots[next].task, DNS_HOSTS, usec_now());
        if (round->over)
                hosts_round_end(hosts);
        else if (usec_now() - hosts->reported_usec >= REPORT_USEC)
                hosts_report(hosts, false);
}

static const struct dns_task_class hosts_class = {
        .question = hosts_question, .read = hosts_read, .done = hosts_done, .hosts = true
};

/* ---- the owner's side ---- */

int dns_hosts_new(struct dns_hosts **ret, struct dns_tasks *tasks, struct dns_srv *srv, const char *key,
                  source_report_fn report, void *userdata)
{
        struct dns_hosts *hosts = calloc(1, sizeof(*hosts));
        int r = -ENOMEM;

        if (!hosts)
                return -ENOMEM;
        hosts->tasks = tasks;
        hosts->srv = srv;
        hosts->key = key;
        hosts->report = report;
        hosts->userdata = userdata;
        hosts->addresses[0].missed = hosts->addresses[1].missed = true;
        hosts->beliefs = calloc(1, sizeof(*hosts->beliefs));
        if (hosts->beliefs)
                r = 0;
        for (uint32_t i = 0; r == 0 && i < DNS_ROUND_WINDOW; i++) {
                hosts->slots[i].hosts = hosts;
                hosts->slots[i].slot = i;
                r = dns_task_open(&hosts->slots[i].task, tasks, &hosts_class);
        }
        if (r < 0) {
                dns_hosts_free(hosts);
                return r;
        }
        *ret = hosts;
        return 0;
}

struct dns_hosts *dns_hosts_free(struct dns_hosts *hosts)
{
        if (!hosts)
                return NULL;
        for (size_t i = 0; i < DNS_ROUND_WINDOW; i++)
                dns_task_close(&hosts->slots[i].task);
        dns_host_map_free(hosts->kept);
        dns_round_end(&hosts->round);
        for (size_t i = 0; i < 2; i++)
                free(hosts->addresses[i].bytes);
        free(hosts->ports);
        free(hosts->beliefs);
        free(hosts);
        return NULL;
}

/* There is something new to learn: soon, or after the round that is going on. */
static void hosts_hurry(struct dns_hosts *hosts)
{
        uint64_t due = usec_now() + JOIN_USEC, old;

        hosts->n_open_rounds = 0;
        if (hosts->round.step != DNS_STEP_IDLE)
                hosts->again = true;
        else if (!dns_task_is_put(&hosts->slots[0].task, &old) || old > due)
                dns_task_put(&hosts->slots[0].task, DNS_HOSTS, due);
}

static bool hosts_has_port(const struct khs_port *ports, size_t n_ports, const struct khs_port *port)
{
        for (size_t i = 0; i < n_ports; i++)
                if (ports[i].udp == port->udp && strcmp(ports[i].name, port->name) == 0)
                        return true;
        return false;
}

int dns_hosts_set_ports(struct dns_hosts *hosts, const struct khs_port *ports, size_t n_ports)
{
        struct khs_port *named = calloc(n_ports + 1, sizeof(*named));
        struct dns_belief *beliefs = calloc(n_ports + 1, sizeof(*beliefs));
        size_t n_named = 0;
        bool same;

        if (!named || !beliefs) {
                free(named);
                free(beliefs);
                return -ENOMEM;
        }
        for (size_t i = 0; i < n_ports; i++)
                if (ports[i].kind == KHS_PORT_NAME && !hosts_has_port(named, n_named, &ports[i]))
                        named[n_named++] = ports[i];
        same = n_named == hosts->n_ports;
        for (size_t i = 0; same && i < n_named; i++)
                same = hosts_has_port(hosts->ports, hosts->n_ports, &named[i]);
        if (same) {
                free(named);
                free(beliefs);
                return 0;
        }
        hosts_round_abort(hosts);
        beliefs[n_named] = hosts->beliefs[hosts->n_ports];
        free(hosts->ports);
        free(hosts->beliefs);
        hosts->ports = named;
        hosts->beliefs = beliefs;
        hosts->n_ports = n_named;
        if (hosts_has_addresses(hosts))
                hosts_hurry(hosts);
        return 0;
}

void dns_hosts_addresses(struct dns_hosts *hosts, const struct finding *finding)
{
        struct hosts_addresses *addresses = &hosts->addresses[finding->family == AF_INET6];
        size_t size = finding->n_addrs * address_size(finding->family);
        bool same = finding->n_addrs == addresses->n && finding->n_addrs > 0 &&
                    memcmp(addresses->bytes, finding->addrs, size) == 0;
        uint8_t *bytes;

        if (finding->kind != FINDING_ANSWER) {
                addresses->missed = true;
                return;
        }
        if (same && !addresses->missed)
                return;
        if (!same) {
                bytes = malloc(size);
                if (!bytes) {
                        addresses->missed = true; /* the next answer tries again */
                        return;
                }
                memcpy(bytes, finding->addrs, size);
                free(addresses->bytes);
                addresses->bytes = bytes;
                addresses->n = finding->n_addrs;
        }
        addresses->missed = false;
        hosts_hurry(hosts);
}

void dns_hosts_forget(struct dns_hosts *hosts, uint8_t family)
{
        struct hosts_addresses *addresses = &hosts->addresses[family == AF_INET6];

        free(addresses->bytes);
        *addresses = (struct hosts_addresses){ .missed = true };
}
