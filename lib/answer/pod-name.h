#pragma once

/*
 * From an address to the name of its pod: what the C API and the NSS module share.
 *
 * Only where the table has a reverse index. What is too old to be served as an address does not
 * give a name either.
 */

#include <stddef.h>

#define KHS_REVERSE_NAME_MAX 600U /* with the NUL; any name is shorter */

/**
 * khs_reverse_name() - the name of the pod that has an address
 * @family:  AF_INET or AF_INET6
 * @address: 4 or 16 bytes, network byte order; an IPv4 address as ::ffff:a.b.c.d is that address
 * @ret:     receives the name, NUL-terminated, of at most @n_max bytes with the NUL; may be NULL
 *           when @n_max is 0
 *
 * It is what the cluster's DNS gives in a PTR record: the pod's host name, or the address with dashes
 * where it has none of its own, in the service's domain. Where several services have the address, one
 * of them.
 *
 * Return: 0; -ENOENT no registered service has it; -EOPNOTSUPP the table has no reverse index;
 * -ENOTCONN no usable table; -ENOBUFS @n_max is too small; -EBUSY it changes all the time. @ret is where the
 * name is composed: it is left as it was when it is too small and when there is no name, but not when the
 * service changes meanwhile.
 */
int khs_reverse_name(int family, const void *address, char *ret, size_t n_max);
