#pragma once

/*
 * What of a service's endpoints is wanted; and which of them are near: of the own node or zone, as the hints or the
 * endpoints say.
 */

#include <stddef.h>

#include "model/finding.h"
#include "source/kube/decode/slice.h"
#include "source/source.h" /* enum source_include */

/* What of the endpoints is wanted, and from where. */
struct kube_view {
        enum source_include include;
        enum khs_family family;
        enum khs_order order;
        const char *zone, *node; /* our own; NULL: unknown */
};

/* An endpoint of a slice, and the row that it has become a part of. */
struct kube_candidate {
        const struct kube_slice *slice;
        const struct kube_endpoint *endpoint;
        uint32_t row;
};

/* Sets `near` of @endpoints by the @n candidates that they were made of; IPv4 first. */
void kube_mark_near(struct finding_endpoint *endpoints, const struct kube_candidate *all, size_t n,
                    const struct kube_view *view);
