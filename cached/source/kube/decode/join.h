#pragma once

/*
 * All slices of a service joined into the endpoints that are to be served: the one place where it is decided
 * who counts and who is near.
 */

#include "model/finding.h"
#include "source/kube/decode/near.h" /* struct kube_view */

struct kube_joined {
        struct finding_endpoint *endpoints; /* as FINDING_WHOLE wants them; their strings lie in the slices */
        uint32_t n_endpoints;
        struct khs_row_port *ports; /* those that were merged out of several slices */
        bool truncated;
        bool headless; /* every slice is of a headless service */
};

/**
 * kube_join() - the endpoints of a service, out of all its slices
 *
 * An endpoint that stands in several slices (they are not moved from one to the other at once) is one, with
 * the ports of all and the better of its conditions. When none is ready, those that still serve while they
 * terminate stand in (KEP-1669). Of more than KHS_MAX_ADDRS addresses of a family the first ones in their
 * order are kept, so that the choice is stable.
 *
 * Return: 0; -ENOMEM: @ret is untouched.
 */
int kube_join(struct kube_joined *ret, const struct kube_slice *const *slices, size_t n_slices,
              const struct kube_view *view);
void kube_joined_deinit(struct kube_joined *joined);
