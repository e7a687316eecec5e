#pragma once

/*
 * From an address to the name of its pod, for the C API and the NSS module.
 *
 * Needs a table with a reverse index. Data that is too old to serve addresses gives no names either.
 */

#include <stddef.h>

#define KHS_REVERSE_NAME_MAX 600U /* with the NUL; any name is shorter */

/**
 * khs_reverse_name() - the name of the pod that has an address
 * @family:  AF_INET or AF_INET6
 * @address: 4 or 16 bytes, network byte order; an IPv4 address as ::ffff:a.b.c.d is that address
 * @ret:     receives the name, NUL-terminated; may be NULL if @n_max is 0
 * @n_max:   capacity of @ret in bytes, including the NUL
 *
 * The name is what the cluster's DNS gives in a PTR record: in the service's domain, the pod's host name, or the
 * address with dashes if it has none. If several services have the address, it is the name in one of them.
 *
 * Return: 0; -ENOENT: no registered service has this address, or its data is too old; -EOPNOTSUPP: the table has no
 * reverse index; -ENOTCONN: no usable table; -ENOBUFS: @n_max is too small; -EBUSY: the service changes all the time.
 * The name is composed in @ret, which is untouched if it is too small or there is no name, but not if the service
 * changes meanwhile.
 */
int khs_reverse_name(int family, const void *address, char *ret, size_t n_max);
