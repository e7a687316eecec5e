#pragma once

/*
 * EndpointSlices of discovery.k8s.io/v1.
 */

#include "source/kube/decode/slice.h"

/**
 * kube_slice_decode() - read an EndpointSlice
 * @namespace:  the one that was asked for
 * @ret_faults: enum kube_fault, bits; also on failure
 *
 * One bad endpoint costs that endpoint, one bad port that port. Addresses of type FQDN have no meaning:
 * such a slice has no endpoint.
 *
 * Return: 0; -EBADMSG: refused; -ENOMEM.
 */
int kube_slice_decode(struct kube_slice **ret, const json_t *object, const char *namespace, unsigned int *ret_faults);
