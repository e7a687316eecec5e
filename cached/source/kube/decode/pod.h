#pragma once

/*
 * What a pod says of the service that a [pods] section makes of it: its addresses, its readiness, the
 * ports of its containers; or, for go-micro, the nodes that it has registered in its own annotation.
 */

#include "source/kube/decode/slice.h"

/**
 * kube_pod_decode() - read a pod as if it were a slice of one endpoint a family
 * @service:  of the section
 * @go_micro: NAME of the annotation micro.mu/service-NAME, whose addresses and ports win; NULL: none
 *
 * Ready is the pod's condition of that name; a pod that terminates is not ready, as in an EndpointSlice. One
 * that has ended, or that has no address yet, has no endpoint. With @go_micro only a pod whose annotation
 * can be read has.
 *
 * Return: as kube_slice_decode().
 */
int kube_pod_decode(struct kube_slice **ret, const json_t *object, const char *namespace, const char *service,
                    const char *go_micro, unsigned int *ret_faults);

/* Characters that can't stand in a label or annotation are '_' in go-micro's. @ret: strlen(name) + 1 bytes. */
void kube_go_micro_name(const char *name, char *ret);
