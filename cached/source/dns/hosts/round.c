/*
 *     IDLE --> PORTS    SRV "_PORT._PROTO.S.N.svc.D", for each port with a name
 *          --> SERVICE  SRV "S.N.svc.D": CoreDNS has every pod there, also those without the ports asked
 *                       for, which may share the address of one that has them
 *          --> HOSTS    A or AAAA "HOST.S.N.svc.D", for hosts that came without an address: also where
 *                       every address has a host, since pods in their node's network share one
 *          --> ROWS     PTR of each address that is left, where SRV had nothing, had too much to say it all,
 *                       or is refused by SERVFAIL for good
 *          --> over     what the map holds is reported
 *
 * SRV is asked one question after the other, by slot 0; of the single questions (HOSTS, ROWS) as many are in
 * flight as there are slots.
 *
 * - A failure ends what it stops and takes nothing back: what was learned is reported. So does a negative
 *   where there were records before, until it is believed, see belief.h. One of PTR never takes anything back.
 * - Single questions cost one packet each. So answers to those of an earlier round are kept, and only what is
 *   new is asked for.
 */

#include <netinet/in.h>
#include <stdlib.h>

#include "base/address.h"
#include "source/dns/hosts/round.h"

#define VAIN_MAX 4U /* single questions without an answer that end a round */

int dns_round_begin(struct dns_round *round, const struct dns_round_start *start)
{
        struct dns_host_map *map;
        int r = dns_host_map_new(&map, start->addrs, start->n_ports);

        if (r < 0)
                return r;
        *round = (struct dns_round){
                .start = *start,
                .map = map,
                .step = start->n_ports > 0 ? DNS_STEP_PORTS : DNS_STEP_SERVICE,
                .hosts_complete = true,
                .ports_complete = true,
        };
        return 0;
}

void dns_round_end(struct dns_round *round)
{
        dns_host_map_free(round->map);
        *round = (struct dns_round){ .step = DNS_STEP_IDLE };
}

/* ---- what to ask ---- */

/* A port whose name is too long for a record has none. */
static void round_skip_ports(struct dns_round *round)
{
        struct dns_name name;

        while (round->port < round->start.n_ports &&
               dns_name_of_port(&name, &round->start.ports[round->port], &round->start.service) < 0)
                round->port++;
        if (round->port == round->start.n_ports)
                round->step = DNS_STEP_SERVICE;
}

static bool round_next_single(struct dns_round *round, uint32_t slot)
{
        if (round->n_vain >= VAIN_MAX)
                return false;
        if (round->step == DNS_STEP_HOSTS)
                return dns_host_map_next_host(round->map, &round->cursor, &round->slots[slot].about,
                                              &round->slots[slot].family);
        return dns_host_map_next_row(round->map, &round->cursor, &round->slots[slot].about);
}

static bool round_take_slot(struct dns_round *round, uint32_t *ret_slot)
{
        bool single = round->step >= DNS_STEP_HOSTS;

        for (uint32_t slot = 0; slot < (single ? DNS_ROUND_WINDOW : 1U); slot++) {
                if (round->slots[slot].asking || (single && !round_next_single(round, slot)))
                        continue;
                round->slots[slot].asking = true;
                round->n_asking++;
                round->n_single += single;
                *ret_slot = slot;
                return true;
        }
        return false;
}

bool dns_round_next(struct dns_round *round, uint32_t *ret_slot)
{
        if (round->over)
                return false;
        if (round->step == DNS_STEP_PORTS)
                round_skip_ports(round);
        if (round_take_slot(round, ret_slot))
                return true;
        if (round->n_asking > 0)
                return false;
        if (round->step == DNS_STEP_HOSTS && (round->empty || round->cut)) {
                round->step = DNS_STEP_ROWS;
                round->cursor = 0;
                return dns_round_next(round, ret_slot);
        }
        round->over = true;
        return false;
}

int dns_round_question(const struct dns_round *round, uint32_t slot, struct dns_name *ret_name, uint16_t *ret_type)
{
        const struct dns_name *service = &round->start.service;
        uint32_t about = round->slots[slot].about;
        const uint8_t *bytes;
        uint8_t family;

        switch ((enum dns_step)round->step) {
        case DNS_STEP_PORTS:
                *ret_type = DNS_TYPE_SRV;
                return dns_name_of_port(ret_name, &round->start.ports[round->port], service);
        case DNS_STEP_HOSTS:
                *ret_type = round->slots[slot].family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA;
                return dns_name_of_host(ret_name, dns_host_map_name(round->map, about), service);
        case DNS_STEP_ROWS:
                *ret_type = DNS_TYPE_PTR;
                dns_host_map_row(round->map, about, &family, &bytes);
                dns_name_of_address(ret_name, family, bytes);
                return 0;
        default:
                *ret_type = DNS_TYPE_SRV;
                *ret_name = *service;
                return 0;
        }
}

/* ---- what was answered ---- */

static int round_take_srv(struct dns_round *round, const struct dns_answer *answer, const struct dns_srv *srv)
{
        uint32_t port = round->step == DNS_STEP_PORTS ? round->port : round->start.n_ports;

        if (answer->kind != FINDING_FAILURE)
                round->cut_now = false;
        else if (answer->reason == KHS_REASON_TRUNCATED)
                round->cut_now = true;
        if (round->step == DNS_STEP_SERVICE)
                round->empty = answer->kind != FINDING_FAILURE && srv->n_targets == 0;
        return dns_host_map_take_srv(round->map, srv, port);
}

static int round_take_ptr(struct dns_round *round, uint32_t row, const struct dns_answer *answer,
                          const struct dns_srv *srv)
{
        bool whole = answer->kind != FINDING_FAILURE;

        return whole || srv->n_targets > 0 ? dns_host_map_take_ptr(round->map, row, srv, whole) : 0;
}

static int round_take_host(struct dns_round *round, uint32_t slot, const struct dns_answer *answer,
                           const uint8_t *addrs)
{
        uint8_t family = round->slots[slot].family;
        uint32_t n = answer->kind == FINDING_ANSWER ? answer->n_addrs : 0;
        int r = 0;

        for (uint32_t i = 0; r == 0 && i < n; i++)
                r = dns_host_map_take_addr(round->map, round->slots[slot].about, family,
                                           addrs + i * address_size(family));
        return r;
}

struct dns_answer dns_round_read(struct dns_round *round, uint32_t slot, const struct dns_name *domain,
                                 const struct dns_question *question, const uint8_t *packet, size_t n_packet,
                                 const struct dns_round_scratch *scratch)
{
        const struct dns_name *service = &round->start.service;
        struct dns_answer answer;
        int r;

        switch ((enum dns_step)round->step) {
        case DNS_STEP_HOSTS:
                answer = dns_answer_read(domain, question, packet, n_packet, scratch->addrs);
                r = round_take_host(round, slot, &answer, scratch->addrs);
                break;
        case DNS_STEP_ROWS:
                answer = dns_ptr_read(question, service, packet, n_packet, scratch->srv);
                r = round_take_ptr(round, round->slots[slot].about, &answer, scratch->srv);
                break;
        default:
                answer = dns_srv_read(domain, question, service, packet, n_packet, scratch->srv);
                r = round_take_srv(round, &answer, scratch->srv);
        }
        if (r < 0) {
                round->failed = true;
                round->hosts_complete = false;
        }
        return answer;
}

/* ---- the next step ---- */

/* After a failure the next port's turn comes with the next round. */
static void round_port_done(struct dns_round *round, bool answered, bool complete)
{
        round->failed = round->failed || !answered;
        round->hosts_complete = round->ports_complete = round->ports_complete && complete;
        round->port = answered ? round->port + 1 : round->start.n_ports;
        if (round->port == round->start.n_ports)
                round->step = DNS_STEP_SERVICE;
}

/* Addresses without a host, or hosts without an address. */
static bool round_leaves_questions(const struct dns_round *round)
{
        uint32_t cursor = 0, host;
        uint8_t family;

        return dns_host_map_n_open(round->map, 0) > 0 || dns_host_map_next_host(round->map, &cursor, &host, &family);
}

static void round_service_done(struct dns_round *round, bool complete)
{
        round->failed = round->failed || !complete;
        if (!complete || !round_leaves_questions(round)) {
                round->over = true;
                return;
        }
        if (round->start.kept) {
                round->used_kept = true;
                if (dns_host_map_take_map(round->map, round->start.kept, round->empty || round->cut) < 0) {
                        round->failed = true;
                        round->hosts_complete = false;
                }
        }
        round->step = DNS_STEP_HOSTS;
}

static void round_srv_done(struct dns_round *round, const struct dns_answer *answer, bool answerable, bool by_udp)
{
        struct dns_belief *belief = &round->start.beliefs[round->port]; /* the service's is behind the ports' */
        bool cut = round->cut_now || (answerable && dns_belief_is_too_large(belief, answer));
        bool answered = answer->kind != FINDING_FAILURE || cut, doubtful = !dns_belief_take(belief, answer);

        round->failed = round->failed || (round->cut_now && by_udp);
        round->cut_now = false;
        round->cut = round->cut || cut;
        round->failed = round->failed || doubtful;
        if (round->step == DNS_STEP_PORTS) {
                round_port_done(round, answered, answered && !doubtful && !cut);
        } else {
                /* It names all hosts, whatever ports they have; where it names none, what ports have said holds. */
                round->hosts_complete = answered && !doubtful && !cut && (round->hosts_complete || !round->empty);
                round_service_done(round, answered && !doubtful);
        }
}

void dns_round_done(struct dns_round *round, uint32_t slot, const struct dns_answer *answer, bool answerable,
                    bool by_udp)
{
        round->slots[slot].asking = false;
        round->n_asking--;
        if (round->step < DNS_STEP_HOSTS) {
                round_srv_done(round, answer, answerable, by_udp);
        } else if (answer->kind == FINDING_FAILURE) {
                round->n_vain++;
                if (round->step == DNS_STEP_HOSTS) {
                        round->failed = true;
                        round->hosts_complete = false;
                }
        }
}
