#pragma once

/*
 * Which addresses can be a pod's: what dns and kubernetes report is served only if it passes here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/**
 * address_is_pod() - may this address be handed to programs as an endpoint?
 *
 * @family:     AF_INET or AF_INET6
 * @bytes:      4 or 16 bytes, network byte order
 * @allow_cidr: only addresses in one of these; all when @n_allow_cidr is 0
 *
 * Refuses what can never be a pod seen from elsewhere: 0/8, 127/8, 169.254/16, 224/3 (multicast,
 * reserved and broadcast); ::, ::1, fe80::/10, ff00::/8, v4-mapped.
 */
bool address_is_pod(uint8_t family, const uint8_t *bytes, const struct network *allow_cidr, size_t n_allow_cidr);

/* allow-cidr, shared by all services that it holds for. */
struct filter {
        const struct network *allow_cidr;
        size_t n_allow_cidr;
        uint64_t n_dropped; /* addresses that were reported and refused, so far */
};

/* Whether address_is_pod() lets it pass; everything passes without a filter (NULL). */
bool filter_admits(const struct filter *filter, uint8_t family, const uint8_t *bytes);

/* Copies those of a sorted set that pass to @ret, which has room for all, and counts the others. Return: how many. */
uint32_t filter_addresses(struct filter *filter, uint8_t family, const void *addrs, uint32_t n, void *ret);
