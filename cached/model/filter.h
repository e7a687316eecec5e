#pragma once

/*
 * Which addresses can be a pod's: what dns and kubernetes report is served only if it passes here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/* Shared by all services that it holds for. */
struct filter {
        const struct network *allow_cidr; /* only addresses in one of these; all when there is none */
        size_t n_allow_cidr;
        uint64_t n_dropped; /* addresses that were reported and refused, so far */
};

/**
 * filter_admits() - may this address be handed to programs as an endpoint?
 *
 * @filter: counts it if it may not; NULL: everything may
 * @family: AF_INET or AF_INET6
 * @bytes:  4 or 16 bytes, network byte order
 *
 * Refuses what allow_cidr leaves out, and what can never be a pod seen from elsewhere: 0/8, 127/8, 169.254/16, 224/3
 * (multicast, reserved and broadcast); ::, ::1, fe80::/10, ff00::/8, v4-mapped.
 */
bool filter_admits(struct filter *filter, uint8_t family, const uint8_t *bytes);
