#pragma once

/*
 * One round of questions for the host names and ports of a service's addresses: what to ask next, and what
 * the answers say. No tasks, no timers: its owner asks, and hands in what comes back.
 */

#include <stdbool.h>
#include <stdint.h>

#include "source/dns/hosts/belief.h"
#include "source/dns/hosts/host-map.h"

#define DNS_ROUND_WINDOW 4U /* questions of one round at a time */

enum dns_step { DNS_STEP_IDLE, DNS_STEP_PORTS, DNS_STEP_SERVICE, DNS_STEP_HOSTS, DNS_STEP_ROWS };

/* What a round begins with. Borrowed until it is over. */
struct dns_round_start {
        struct dns_name service;
        struct dns_host_addrs addrs[2]; /* IPv4, IPv6 */
        const struct khs_port *ports;   /* with a name */
        uint32_t n_ports;
        struct dns_belief *beliefs; /* of the ports, and then of the service */
        struct dns_host_map *kept;  /* what an earlier round has found out by single questions; NULL: nothing */
};

struct dns_round {
        struct dns_round_start start;
        struct dns_host_map *map; /* what it has learned; NULL while idle */
        uint8_t step;             /* enum dns_step; idle before it begins */
        bool over;                /* nothing is left to ask */
        bool failed;              /* something was not answered */
        bool empty;               /* SRV "S.N.svc.D" names no host */
        bool cut;                 /* an answer to SRV was truncated, or is too large to be given */
        bool cut_now;             /* that to the question at hand, and no whole one came since */
        bool hosts_complete;      /* no host is left out */
        bool ports_complete;
        bool used_kept;
        uint32_t port;   /* that is asked for */
        uint32_t cursor; /* over what single questions are about */
        uint32_t n_asking, n_single, n_vain;
        struct {
                bool asking;
                uint8_t family; /* DNS_STEP_HOSTS */
                uint32_t about; /* host or row */
        } slots[DNS_ROUND_WINDOW];
};

/* Room for the answer at hand. */
struct dns_round_scratch {
        struct dns_srv *srv;
        uint8_t *addrs; /* KHS_MAX_ADDRS x 16 bytes */
};

/* Return: 0; -ENOMEM, and the round is idle. */
int dns_round_begin(struct dns_round *round, const struct dns_round_start *start);

/* Back to idle. What it has learned is freed, unless it was taken out. */
void dns_round_end(struct dns_round *round);

/* Is there one more question to ask now? Its slot is then taken until dns_round_done(). */
bool dns_round_next(struct dns_round *round, uint32_t *ret_slot);

/* Return: 0; -EINVAL there is no such name. */
int dns_round_question(const struct dns_round *round, uint32_t slot, struct dns_name *ret_name, uint16_t *ret_type);

/* A reply to the question of a slot. What it says is true, whatever becomes of the round. */
struct dns_answer dns_round_read(struct dns_round *round, uint32_t slot, const struct dns_name *domain,
                                 const struct dns_question *question, const uint8_t *packet, size_t n_packet,
                                 const struct dns_round_scratch *scratch);

/*
 * No more replies to it come: the round goes on. @answerable: the service's addresses are answered meanwhile. @by_udp:
 * where the answer is cut, that is for want of TCP, which may work again soon.
 */
void dns_round_done(struct dns_round *round, uint32_t slot, const struct dns_answer *answer, bool answerable,
                    bool by_udp);
