/*
 * Rounds of questions for host names, see source/dns/hosts.h.
 *
 *     IDLE --> PORTS    SRV "_PORT._PROTO.S.N.svc.D", for each port with a name
 *          --> SERVICE  SRV "S.N.svc.D": CoreDNS has every pod there, also those without the ports asked
 *                       for, which may share the address of one that has them
 *          --> HOSTS    A or AAAA "HOST.S.N.svc.D", for hosts that came without an address: also where
 *                       every address has a host, since pods in their node's network share one
 *          --> ROWS     PTR of each address that is left, where SRV had nothing, had too much to say it all,
 *                       or is refused by SERVFAIL for good: knot's word for an answer of more than 64 KiB
 *          --> IDLE     the findings are reported; in a long round also once a second
 *
 * A round begins when the addresses have changed (a little later: A and AAAA come one after the
 * other), and otherwise in dns_schedule_hosts()'s time. One that the addresses overtake ends as it
 * would have, and the next one follows.
 *
 * - What single questions have found out (HOSTS, ROWS) costs one question each and is kept for later
 *   rounds: these ask for what is new. After five minutes, and a second for each of them, all are
 *   asked again.
 * - A failure ends what it stops and takes nothing back: the round reports what it has learned. So
 *   does a negative where there were records before, until it has come three times, 2 s apart: CoreDNS
 *   has been seen to deny names by mistake, see model/service.h. One of PTR never takes anything back.
 * - SERVFAIL is for good when it has come three times, 2 s apart, with no answer between, while the
 *   addresses are answered. SRV is asked for in later rounds all the same.
 * - An answer that was negative or failed may mean that the service model has forgotten addresses,
 *   with their hosts. So the first addresses after it begin a round, even if they are as before.
 */

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "source/dns/host-map.h"
#include "source/dns/hosts.h"

#define JOIN_USEC   (20 * USEC_PER_MSEC)
#define REPORT_USEC USEC_PER_SEC
#define WINDOW      4U /* single questions of one service at a time; all of them: DNS_HOST_FLIGHT_MAX */
#define VAIN_MAX    4U /* single questions without an answer that end a round */

#define TIMES    3U /* so often a negative or SERVFAIL is to be heard */
#define GAP_USEC (2 * USEC_PER_SEC)

enum step { STEP_IDLE, STEP_PORTS, STEP_SERVICE, STEP_HOSTS, STEP_ROWS };

struct question {
        struct dns_lookup lookup; /* first member */
        struct dns_hosts *hosts;
        bool asking;
        uint8_t family; /* STEP_HOSTS */
        uint32_t about; /* host or row */
};

/* What an SRV name has said in a row; only the answers at least so long apart count. */
struct streak {
        uint8_t n;
        uint64_t last_usec;
};

/* Whether an SRV name has records. */
struct belief {
        bool had;
        struct streak negatives, servfails;
};

struct addresses {
        uint32_t n;
        uint8_t *bytes;
        bool missed; /* the next answer counts as another one */
};

struct dns_hosts {
        struct question questions[WINDOW]; /* the first one asks for SRV, and its time is the round's */
        struct dns_lookups *lookups;
        struct dns_srv *srv;
        const char *key;
        source_report_fn report;
        void *userdata;
        bool reporting, dead; /* freed from within the report */

        struct khs_port *ports; /* with a name, each once */
        struct belief *beliefs; /* of the ports */
        size_t n_ports;
        struct belief service;
        struct addresses addresses[2]; /* IPv4, IPv6 */

        struct dns_host_map *kept; /* what took single questions */
        uint64_t kept_until;
        uint32_t n_open_rounds; /* in a row that left something open */

        /* of the present round */
        struct dns_host_map *map;
        uint8_t step;        /* enum step */
        bool again;          /* the addresses have changed since */
        bool failed;         /* something was not answered */
        bool empty;          /* SRV "S.N.svc.D" names no host */
        bool cut;            /* an answer to SRV was truncated, or is too large to be given */
        bool cut_now;        /* that to the question at hand, and no whole one came since */
        bool hosts_complete; /* no host is left out */
        bool ports_complete;
        bool used_kept;
        uint32_t port; /* that is asked for */
        uint32_t cursor;
        uint32_t n_asking, n_single, n_vain;
        uint64_t reported_usec;
};

static struct question *question_of(struct dns_lookup *lookup)
{
        return (struct question *)(void *)lookup;
}

/* ---- reporting ---- */

static void hosts_destroy(struct dns_hosts *hosts)
{
        dns_host_map_free(hosts->kept);
        dns_host_map_free(hosts->map);
        for (size_t i = 0; i < 2; i++)
                free(hosts->addresses[i].bytes);
        free(hosts->ports);
        free(hosts->beliefs);
        free(hosts);
}

/* @last: of the round. Return: false if we are gone. */
static bool hosts_report(struct dns_hosts *hosts, bool last)
{
        struct finding result = { .kind = FINDING_ENDPOINTS, .source = KHS_SOURCE_DNS };
        struct dns_host_findings findings;

        hosts->reported_usec = usec_now();
        if (dns_host_map_tell(hosts->map, hosts->ports, last && hosts->hosts_complete, hosts->ports_complete,
                              &findings) < 0) {
                hosts->failed = true;
                return true;
        }
        result.endpoints = findings.endpoints;
        result.n_endpoints = findings.n_endpoints;
        hosts->reporting = true;
        if (findings.n_endpoints > 0)
                hosts->report(hosts->userdata, &result);
        hosts->reporting = false;
        dns_host_findings_deinit(&findings);
        if (!hosts->dead)
                return true;
        hosts_destroy(hosts);
        return false;
}

/* ---- the round ---- */

static int round_begin(struct dns_hosts *hosts)
{
        const struct dns_host_addrs addrs[] = {
                { hosts->addresses[0].n, hosts->addresses[0].bytes },
                { hosts->addresses[1].n, hosts->addresses[1].bytes },
        };
        int r = dns_host_map_new(&hosts->map, addrs, (uint32_t)hosts->n_ports);

        if (r < 0)
                return r;
        if (hosts->kept && usec_now() >= hosts->kept_until)
                hosts->kept = dns_host_map_free(hosts->kept);
        hosts->step = hosts->n_ports > 0 ? STEP_PORTS : STEP_SERVICE;
        hosts->again = hosts->failed = hosts->empty = hosts->cut = hosts->cut_now = hosts->used_kept = false;
        hosts->hosts_complete = hosts->ports_complete = true;
        hosts->port = hosts->cursor = hosts->n_single = hosts->n_vain = 0;
        hosts->reported_usec = usec_now();
        return 0;
}

/* The next round: at @rest_usec, or sooner if something was left open or came up meanwhile. */
static void hosts_schedule(struct dns_hosts *hosts, bool open, uint64_t rest_usec)
{
        uint64_t now = usec_now(), due = rest_usec;
        bool again = hosts->again;

        hosts->again = false;
        if (hosts->kept && hosts->kept_until <= now)
                hosts->kept = dns_host_map_free(hosts->kept);
        if (hosts->addresses[0].n + hosts->addresses[1].n == 0)
                return;
        hosts->n_open_rounds = open && !again ? hosts->n_open_rounds + 1 : 0;
        if (open)
                due = now + dns_schedule_hosts(hosts->n_open_rounds, 0, dns_random32());
        if (hosts->kept && due > hosts->kept_until)
                due = hosts->kept_until;
        dns_lookup_put(&hosts->questions[0].lookup, DNS_HOSTS, again ? now + JOIN_USEC : due);
}

/* The last thing done in a round: we may be gone afterwards. */
static void round_end(struct dns_hosts *hosts)
{
        uint64_t rest;
        bool open;

        hosts->step = STEP_IDLE;
        if (!hosts_report(hosts, true))
                return;
        open = hosts->failed || dns_host_map_n_open(hosts->map, 0) > 0;
        hosts->kept = dns_host_map_free(hosts->kept);
        /* A host that was kept may have moved to an address that is without one now: then all are asked anew. */
        if (hosts->used_kept ? dns_host_map_n_open(hosts->map, 0) == 0 : hosts->n_single > 0)
                hosts->kept = hosts->map;
        else
                dns_host_map_free(hosts->map);
        hosts->map = NULL;
        rest = usec_now() + dns_schedule_hosts(0, hosts->n_single, dns_random32());
        if (!hosts->used_kept)
                hosts->kept_until = rest;
        hosts_schedule(hosts, open, rest);
}

/* ---- single questions ---- */

static bool next_single(struct dns_hosts *hosts, struct question *question)
{
        if (hosts->n_vain >= VAIN_MAX)
                return false;
        if (hosts->step == STEP_HOSTS)
                return dns_host_map_next_host(hosts->map, &hosts->cursor, &question->about, &question->family);
        return dns_host_map_next_row(hosts->map, &hosts->cursor, &question->about);
}

/* Lets as many single questions be asked as there may be. Return: whether there are any. */
static bool ask_singles(struct dns_hosts *hosts)
{
        for (size_t i = 0; i < WINDOW; i++) {
                struct question *question = &hosts->questions[i];

                if (question->asking || !next_single(hosts, question))
                        continue;
                question->asking = true;
                hosts->n_asking++;
                hosts->n_single++;
                dns_lookup_put(&question->lookup, DNS_HOSTS, usec_now());
        }
        return hosts->n_asking > 0;
}

/* What SRV has left open. We may be gone afterwards. */
static void go_on_with_singles(struct dns_hosts *hosts)
{
        if (hosts->step == STEP_HOSTS && !ask_singles(hosts)) {
                hosts->step = STEP_ROWS;
                hosts->cursor = 0;
        }
        if (hosts->step == STEP_ROWS && (!(hosts->empty || hosts->cut) || !ask_singles(hosts)))
                round_end(hosts);
        else if (usec_now() - hosts->reported_usec >= REPORT_USEC)
                (void)hosts_report(hosts, false);
}

static void begin_singles(struct dns_hosts *hosts)
{
        bool any_host = hosts->empty || hosts->cut;

        if (hosts->kept) {
                hosts->used_kept = true;
                if (dns_host_map_take_map(hosts->map, hosts->kept, any_host) < 0) {
                        hosts->failed = true;
                        hosts->hosts_complete = false;
                }
        }
        hosts->step = STEP_HOSTS;
        go_on_with_singles(hosts);
}

static void single_done(struct question *question, const struct dns_answer *answer)
{
        struct dns_hosts *hosts = question->hosts;

        question->asking = false;
        hosts->n_asking--;
        if (answer->kind == FINDING_FAILURE) {
                hosts->n_vain++;
                if (hosts->step == STEP_HOSTS) {
                        hosts->failed = true;
                        hosts->hosts_complete = false;
                }
        }
        go_on_with_singles(hosts);
}

/* ---- SRV ---- */

/* The round's next question, at once but for the rate. */
static void go_on_with_srv(struct dns_hosts *hosts)
{
        dns_lookup_put(&hosts->questions[0].lookup, DNS_HOSTS, usec_now());
}

/* Once more the same. Return: whether it has come often enough. */
static bool streak_goes_on(struct streak *streak)
{
        uint64_t now = usec_now();

        if (streak->n < TIMES && (streak->n == 0 || now - streak->last_usec >= GAP_USEC)) {
                streak->last_usec = now;
                streak->n++;
        }
        return streak->n >= TIMES;
}

/* Return: whether that there is nothing may be true. */
static bool believe(struct belief *belief, const struct dns_answer *answer)
{
        if (answer->kind != FINDING_NEGATIVE) {
                if (answer->kind == FINDING_ANSWER)
                        *belief = (struct belief){ .had = true };
                return true;
        }
        belief->servfails = (struct streak){ .n = 0 };
        if (streak_goes_on(&belief->negatives))
                belief->had = false;
        return !belief->had;
}

static bool addresses_are_answered(const struct dns_hosts *hosts)
{
        for (size_t i = 0; i < 2; i++)
                if (hosts->addresses[i].n > 0 && !hosts->addresses[i].missed)
                        return true;
        return false;
}

/* Return: whether the answer is one that the server can't give. */
static bool is_too_large(const struct dns_hosts *hosts, struct belief *belief, const struct dns_answer *answer)
{
        return answer->kind == FINDING_FAILURE && answer->reason == KHS_REASON_SERVFAIL &&
               addresses_are_answered(hosts) && streak_goes_on(&belief->servfails);
}

/* Addresses without a host, or hosts without an address. */
static bool leaves_questions(const struct dns_hosts *hosts)
{
        uint32_t cursor = 0, host;
        uint8_t family;

        return dns_host_map_n_open(hosts->map, 0) > 0 || dns_host_map_next_host(hosts->map, &cursor, &host, &family);
}

/* After a failure the next port's turn comes with the next round. */
static void port_done(struct dns_hosts *hosts, bool answered, bool complete)
{
        hosts->failed = hosts->failed || !answered;
        hosts->hosts_complete = hosts->ports_complete = hosts->ports_complete && complete;
        hosts->port = answered ? hosts->port + 1 : (uint32_t)hosts->n_ports;
        if (hosts->port < hosts->n_ports) {
                go_on_with_srv(hosts);
        } else {
                hosts->step = STEP_SERVICE;
                go_on_with_srv(hosts);
        }
}

static void service_done(struct dns_hosts *hosts, bool complete)
{
        hosts->failed = hosts->failed || !complete;
        if (complete && leaves_questions(hosts))
                begin_singles(hosts);
        else
                round_end(hosts);
}

static void srv_done(struct dns_hosts *hosts, const struct dns_answer *answer)
{
        struct belief *belief = hosts->step == STEP_PORTS ? &hosts->beliefs[hosts->port] : &hosts->service;
        bool cut = hosts->cut_now || is_too_large(hosts, belief, answer);
        bool answered = answer->kind != FINDING_FAILURE || cut, doubtful = !believe(belief, answer);

        hosts->cut_now = false;
        hosts->cut = hosts->cut || cut;
        hosts->failed = hosts->failed || doubtful;
        if (hosts->step == STEP_PORTS) {
                port_done(hosts, answered, answered && !doubtful && !cut);
        } else {
                /* It names all hosts, whatever ports they have; where it names none, what ports have said holds. */
                hosts->hosts_complete = answered && !doubtful && !cut && (hosts->hosts_complete || !hosts->empty);
                service_done(hosts, answered && !doubtful);
        }
}

/* ---- the lookups' side ---- */

/* A port whose name is too long for a record has none. */
static int port_question(struct dns_hosts *hosts, const struct dns_name *service, struct dns_name *ret)
{
        while (hosts->port < hosts->n_ports) {
                if (dns_srv_name(ret, &hosts->ports[hosts->port], service) == 0)
                        return 0;
                hosts->port++;
        }
        hosts->step = STEP_SERVICE;
        *ret = *service;
        return 0;
}

static int question(struct dns_lookup *lookup, struct dns_name *ret_name, uint16_t *ret_type)
{
        struct question *q = question_of(lookup);
        struct dns_hosts *hosts = q->hosts;
        const uint8_t *bytes;
        struct dns_name service;
        uint8_t family;
        int r = dns_lookups_service_name(hosts->lookups, hosts->key, &service);

        if (r == 0 && hosts->step == STEP_IDLE)
                r = round_begin(hosts);
        if (r < 0)
                return r;
        switch ((enum step)hosts->step) {
        case STEP_PORTS:
                *ret_type = DNS_TYPE_SRV;
                return port_question(hosts, &service, ret_name);
        case STEP_HOSTS:
                *ret_type = q->family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA;
                return dns_host_name(ret_name, dns_host_map_name(hosts->map, q->about), &service);
        case STEP_ROWS:
                *ret_type = DNS_TYPE_PTR;
                dns_host_map_row(hosts->map, q->about, &family, &bytes);
                dns_ptr_name(ret_name, family, bytes);
                return 0;
        default:
                *ret_type = DNS_TYPE_SRV;
                *ret_name = service;
                return 0;
        }
}

static int read_srv(struct dns_hosts *hosts, const struct dns_answer *answer)
{
        if (answer->kind != FINDING_FAILURE)
                hosts->cut_now = false;
        else if (answer->reason == KHS_REASON_TRUNCATED)
                hosts->cut_now = true;
        if (hosts->step == STEP_SERVICE)
                hosts->empty = answer->kind != FINDING_FAILURE && hosts->srv->n_targets == 0;
        return dns_host_map_take_srv(hosts->map, hosts->srv,
                                     hosts->step == STEP_PORTS ? hosts->port : (uint32_t)hosts->n_ports);
}

static int read_ptr(struct question *q, const struct dns_answer *answer)
{
        struct dns_hosts *hosts = q->hosts;
        bool whole = answer->kind != FINDING_FAILURE;

        if (!whole && hosts->srv->n_targets == 0)
                return 0;
        return dns_host_map_take_ptr(hosts->map, q->about, hosts->srv, whole);
}

static int read_host(struct question *q, const struct dns_answer *answer)
{
        const uint8_t *bytes = q->hosts->lookups->addrs;
        size_t size = q->family == AF_INET ? 4 : 16;
        int r = 0;

        for (uint32_t i = 0; r == 0 && answer->kind == FINDING_ANSWER && i < answer->n_addrs; i++)
                r = dns_host_map_take_addr(q->hosts->map, q->about, q->family, bytes + i * size);
        return r;
}

/* What a reply says is true, whatever becomes of the round. */
static void read_reply(struct dns_lookup *lookup, const struct dns_question *question, const uint8_t *packet,
                       size_t n_packet, struct dns_answer *ret)
{
        struct question *q = question_of(lookup);
        struct dns_hosts *hosts = q->hosts;
        const struct dns_rules *rules = &lookup->lookups->rules;
        struct dns_name service;
        int r = dns_lookups_service_name(hosts->lookups, hosts->key, &service);

        *ret = (struct dns_answer){ .kind = FINDING_FAILURE, .reason = KHS_REASON_MALFORMED };
        if (r < 0)
                return;
        switch ((enum step)hosts->step) {
        case STEP_HOSTS:
                dns_answer_read(rules, question, packet, n_packet, ret, lookup->lookups->addrs);
                r = read_host(q, ret);
                break;
        case STEP_ROWS:
                dns_ptr_read(question, &service, packet, n_packet, ret, hosts->srv);
                r = read_ptr(q, ret);
                break;
        default:
                dns_srv_read(rules, question, &service, packet, n_packet, ret, hosts->srv);
                r = read_srv(hosts, ret);
        }
        if (r < 0) {
                hosts->failed = true;
                hosts->hosts_complete = false;
        }
}

static void done(struct dns_lookup *lookup, const struct dns_answer *answer)
{
        struct question *q = question_of(lookup);
        struct dns_hosts *hosts = q->hosts;

        switch ((enum step)hosts->step) {
        case STEP_IDLE: /* not even begun, or no server */
                hosts_schedule(hosts, true, 0);
                break;
        case STEP_HOSTS:
        case STEP_ROWS:
                single_done(q, answer);
                break;
        default:
                srv_done(hosts, answer);
        }
}

static const struct dns_lookup_class host_class = {
        .question = question, .read = read_reply, .done = done, .hosts = true
};

/* ---- the owner's side ---- */

int dns_hosts_new(struct dns_hosts **ret, struct dns_lookups *lookups, struct dns_srv *srv, const char *key,
                  source_report_fn report, void *userdata)
{
        struct dns_hosts *hosts = calloc(1, sizeof(*hosts));

        if (!hosts)
                return -ENOMEM;
        hosts->lookups = lookups;
        hosts->srv = srv;
        hosts->key = key;
        hosts->report = report;
        hosts->userdata = userdata;
        hosts->addresses[0].missed = hosts->addresses[1].missed = true;
        for (size_t i = 0; i < WINDOW; i++) {
                int r = dns_lookup_open(&hosts->questions[i].lookup, lookups, &host_class);

                if (r < 0) {
                        dns_hosts_free(hosts);
                        return r;
                }
                hosts->questions[i].hosts = hosts;
        }
        *ret = hosts;
        return 0;
}

struct dns_hosts *dns_hosts_free(struct dns_hosts *hosts)
{
        if (!hosts)
                return NULL;
        for (size_t i = 0; i < WINDOW; i++)
                dns_lookup_close(&hosts->questions[i].lookup);
        if (hosts->reporting)
                hosts->dead = true; /* hosts_report() does the rest */
        else
                hosts_destroy(hosts);
        return NULL;
}

/* There is something new to learn: soon, or after the round that is going on. */
static void hosts_hurry(struct dns_hosts *hosts)
{
        uint64_t due = usec_now() + JOIN_USEC, old;

        hosts->n_open_rounds = 0;
        if (hosts->step != STEP_IDLE)
                hosts->again = true;
        else if (!dns_lookup_is_put(&hosts->questions[0].lookup, &old) || old > due)
                dns_lookup_put(&hosts->questions[0].lookup, DNS_HOSTS, due);
}

static void round_abort(struct dns_hosts *hosts)
{
        for (size_t i = 0; i < WINDOW; i++) {
                dns_lookup_cancel(&hosts->questions[i].lookup);
                hosts->questions[i].asking = false;
        }
        hosts->n_asking = 0;
        hosts->map = dns_host_map_free(hosts->map);
        hosts->step = STEP_IDLE;
}

static bool has_port(const struct khs_port *ports, size_t n_ports, const struct khs_port *port)
{
        for (size_t i = 0; i < n_ports; i++)
                if (ports[i].udp == port->udp && strcmp(ports[i].name, port->name) == 0)
                        return true;
        return false;
}

int dns_hosts_set_ports(struct dns_hosts *hosts, const struct khs_port *ports, size_t n_ports)
{
        struct khs_port *named = calloc(n_ports ? n_ports : 1, sizeof(*named));
        struct belief *beliefs = calloc(n_ports ? n_ports : 1, sizeof(*beliefs));
        size_t n_named = 0;
        bool same;

        if (!named || !beliefs) {
                free(named);
                free(beliefs);
                return -ENOMEM;
        }
        for (size_t i = 0; i < n_ports; i++)
                if (ports[i].kind == KHS_PORT_NAME && !has_port(named, n_named, &ports[i]))
                        named[n_named++] = ports[i];
        same = n_named == hosts->n_ports;
        for (size_t i = 0; same && i < n_named; i++)
                same = has_port(hosts->ports, hosts->n_ports, &named[i]);
        if (same) {
                free(named);
                free(beliefs);
                return 0;
        }
        round_abort(hosts);
        free(hosts->ports);
        free(hosts->beliefs);
        hosts->ports = named;
        hosts->beliefs = beliefs;
        hosts->n_ports = n_named;
        if (hosts->addresses[0].n + hosts->addresses[1].n > 0)
                hosts_hurry(hosts);
        return 0;
}

void dns_hosts_addresses(struct dns_hosts *hosts, const struct finding *result)
{
        struct addresses *addresses = &hosts->addresses[result->family == AF_INET6];
        size_t size = (size_t)result->n_addrs * (result->family == AF_INET6 ? 16 : 4);
        bool same = result->n_addrs == addresses->n && result->n_addrs > 0 &&
                    memcmp(addresses->bytes, result->addrs, size) == 0;
        uint8_t *bytes;

        if (result->kind != FINDING_ANSWER) {
                addresses->missed = true;
                return;
        }
        if (same && !addresses->missed)
                return;
        if (!same) {
                bytes = malloc(size);
                if (!bytes) {
                        addresses->missed = true; /* and tried again with the next answer */
                        return;
                }
                memcpy(bytes, result->addrs, size);
                free(addresses->bytes);
                addresses->bytes = bytes;
                addresses->n = result->n_addrs;
        }
        addresses->missed = false;
        hosts_hurry(hosts);
}

void dns_hosts_forget(struct dns_hosts *hosts, uint8_t family)
{
        struct addresses *addresses = &hosts->addresses[family == AF_INET6];

        free(addresses->bytes);
        *addresses = (struct addresses){ .missed = true };
}
