#pragma once

/*
 * What getaddrinfo() makes of a service's addresses here: the score by which glibc sorts each (answer/score.h), and
 * so which answer a program gets when it is an endpoint's turn.
 */

#include "view/service.h"

/* A range where the source address that the kernel would choose is not known for certain. */
struct sorting_score {
        uint16_t least, most;
};

struct sorting {
        bool known;                   /* the own addresses are; else auto and N answer with one address */
        uint32_t n;                   /* of the service's addresses; shared ones once */
        struct sorting_score *scores; /* of each, of its family alone; higher ones sort first */
        uint16_t best4, best6;        /* highest score that an address of the family has for certain */
        int32_t winner4, winner6;     /* sticky: the address that this host sticks to; -1: none */
};

/* Return: 0 or -ENOMEM. */
int sorting_init(struct sorting *ret, const struct view_service *service);
void sorting_deinit(struct sorting *sorting);

/* Whether lookups serve an address: where some are near, only these. */
bool sorting_serves(const struct view_service *service, uint32_t i);

/**
 * sorting_answer() - the answer when it is the turn of one address
 * @first: number of an address that is served
 * @ret:   room for KHS_CANDIDATES numbers of addresses, the first one first; not filled with `answers = all`
 *
 * Return: how many addresses the answer has.
 */
uint32_t sorting_answer(const struct sorting *sorting, const struct view_service *service, uint32_t first,
                        uint32_t *ret);

/* Whether glibc may leave the address where it is when it is its turn: no other of its answer is nearer for certain. */
bool sorting_keeps_first(const struct sorting *sorting, const struct view_service *service, uint32_t first);
