#ifndef K8SHSVC_H
#define K8SHSVC_H

/**
 * libk8shsvc: pod addresses of Kubernetes headless services, from shared memory.
 *
 * The daemon k8shsvcd keeps registered services resolved in a table that every process of the machine may
 * read. This library reads that table. It sends no query, keeps no socket, and allocates nothing per lookup. A
 * lookup enters the kernel at most once a second, and only to look for a newer table when its own was replaced or
 * its daemon is silent; a lookup of a service with `order = sticky` also reads the addresses of the interfaces, at
 * most every ten seconds.
 *
 * All functions return 0 or a negative errno (errno.h) and leave errno alone. They may be called from any thread
 * and from forked children; a child has a rotation of its own.
 *
 * k8shsvcd(8) and k8shsvc.conf(5) say what is served, for how long, and in which order.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque: what a caller knows of itself, which is its namespace. */
typedef struct k8shsvc k8shsvc;

/** The address of an endpoint: 20 bytes, in 32-bit and 64-bit programs alike. */
struct k8shsvc_addr {
        uint8_t family;   /**< AF_INET or AF_INET6 */
        uint8_t flags;    /**< 0; reserved */
        uint16_t port;    /**< host byte order; 0: unknown */
        uint8_t addr[16]; /**< network byte order; with AF_INET the first 4 bytes, the others are 0 */
};

/**
 * k8shsvc_open() - get a handle
 * @ret: receives the handle; the caller owns it and closes it with k8shsvc_close()
 *
 * Reads the search list of /etc/resolv.conf once, for the namespace in which a name of one label
 * ("user-svc") is looked up. Needs neither a table nor a daemon: both may appear later.
 *
 * Return: 0; -ENOMEM; -EINVAL: @ret is NULL. On failure @ret is untouched.
 */
int k8shsvc_open(k8shsvc **ret);

/**
 * k8shsvc_close() - close a handle
 * @h: from k8shsvc_open(), or NULL; no other thread may still use it
 *
 * The process keeps its map of the table for later handles.
 */
void k8shsvc_close(k8shsvc *h);

/**
 * k8shsvc_lookup() - addresses of one headless service, in serving order
 * @h:      handle; threads may share it
 * @name:   a name of the service as getaddrinfo() takes it ("user-svc.default"), or a target with a port
 *          ("user-svc.default:8080", "kubernetes://default/user-svc:8080"); borrowed
 * @family: AF_INET, AF_INET6 or AF_UNSPEC (both, IPv6 first)
 * @ret:    array of @n_max elements; may be NULL if @n_max is 0
 * @n_max:  capacity of @ret, in elements
 * @n_ret:  receives the number of elements written; with -ENOBUFS the number needed
 *
 * Returns every known address: a service's `answers` limits getaddrinfo() only. With `order = zone` and `node` it
 * returns the near ones, if there are any. The list begins with the address whose turn it is, or with this host's
 * address if `order = sticky`.
 *
 * The port is the target's, else the service's default, else 0. A port name or "base+" may give each endpoint a port
 * of its own; it is 0 where the source does not know the endpoint's port or ordinal. In that case pods that share an
 * address (those in their node's network) are one element each, and each takes its turn as often as any other.
 * Where all endpoints have the same port, every address appears once.
 *
 * Never blocks or allocates. A successful call advances the service's rotation by one. On failure @n_ret is
 * untouched, except that -ENOBUFS sets it; elements of @ret may have been written if the service changed during the
 * call.
 *
 * Return: 0; -ENOENT: not registered, or not a name of a service; -ENODATA: the service is known to have no endpoint
 * of @family; -ESTALE: never resolved, or older than its max-stale; -ENOTCONN: no usable table, or no living daemon;
 * -ENOBUFS: @n_max is too small; -EINVAL: misuse.
 */
int k8shsvc_lookup(k8shsvc *h, const char *name, int family, struct k8shsvc_addr *ret, size_t n_max, size_t *n_ret);

/**
 * k8shsvc_reverse() - the name of the pod that has an address
 * @h:      handle; threads may share it
 * @family: AF_INET or AF_INET6
 * @addr:   4 or 16 bytes, network byte order; borrowed. ::ffff:a.b.c.d is looked up as the IPv4 address
 * @ret:    receives the name, NUL-terminated
 * @n_max:  capacity of @ret in bytes, including the NUL; 600 is always enough
 *
 * Returns the name that the cluster's DNS gives in a PTR record: the pod's host name in the domain of its service
 * ("web-0.web.default.svc.cluster.local"), or the address with dashes if the pod has no host name
 * ("10-244-0-11.user-svc.default.svc.cluster.local"). If several services have the address, it is the name in one of
 * them; if several pods of one service share it, that of the pod whose host name sorts first, bytewise.
 *
 * Requires `reverse = yes` in k8shsvc.conf(5).
 *
 * Return: 0; -ENOENT: no registered service has this address, or its data is older than max-stale; -EOPNOTSUPP: the
 * table has no reverse index; -ENOTCONN: no usable table, or no living daemon; -ENOBUFS: @n_max is too small;
 * -EINVAL: misuse. On failure @ret is untouched.
 */
int k8shsvc_reverse(k8shsvc *h, int family, const void *addr, char *ret, size_t n_max);

/**
 * k8shsvc_wait() - sleep until a service changes
 * @h:          handle; threads may share it
 * @name:       as for k8shsvc_lookup(); NULL: any service
 * @token:      in: what the previous call left there, 0 at first; out: the state seen now
 * @timeout_ms: upper bound in ms; -1 waits forever, 0 only polls
 *
 * Returns when the service's addresses, or what is known of them, differ from the state in @token, and when the
 * service is registered or removed; at once if @token is 0. A token is meaningful in this process only. Changes in
 * quick succession are reported as one: look the service up after each return. A sleeping thread uses no descriptor
 * and sends no query.
 *
 * The end of the daemon is not a change: what it published last remains in force. The changes of its successor are
 * reported, whether it adopts the table or creates a new one (then up to a second later).
 *
 * A signal handler that runs during the sleep ends it, whether or not it has SA_RESTART. One that runs just before the
 * sleep does not: a program that is to end uses a timeout. The call is no cancellation point.
 *
 * Return: 0; -ETIMEDOUT: nothing changed; -EINTR: a signal handler ran; -ENOENT: not a name of a service; -EINVAL:
 * misuse. On failure @token is untouched.
 */
int k8shsvc_wait(k8shsvc *h, const char *name, uint64_t *token, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
