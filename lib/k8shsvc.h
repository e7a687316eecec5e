#ifndef K8SHSVC_H
#define K8SHSVC_H

/**
 * libk8shsvc: pod addresses of Kubernetes headless services, from shared memory.
 *
 * The daemon k8shsvcd keeps the services that are registered with it resolved, in one table that
 * every process of the machine may read. This library reads it: no query, no socket kept, no
 * allocation per lookup, and no system call but at most one look at the table's path a second
 * when the table was replaced or its daemon is silent, and one look at the interfaces' addresses in
 * ten seconds for services with `order = sticky`.
 *
 * All functions return 0 or a negative errno, as errno.h has them; errno itself is left alone.
 * They may be called from any thread and from forked children; a child's rotation is its own.
 *
 * What is served, for how long, and in which order: k8shsvcd(8), k8shsvc.conf(5).
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque: what one caller knows of itself, its namespace. */
typedef struct k8shsvc k8shsvc;

/** An endpoint's address: 20 bytes, the same for 32-bit and 64-bit programs. */
struct k8shsvc_addr {
        uint8_t family;   /**< AF_INET or AF_INET6 */
        uint8_t flags;    /**< 0; for later use */
        uint16_t port;    /**< host byte order; 0 when unknown */
        uint8_t addr[16]; /**< network byte order; 4 bytes of it with AF_INET, the rest 0 */
};

/**
 * k8shsvc_open() - get a handle
 * @ret: the new handle, owned by the caller, to be given back by k8shsvc_close()
 *
 * Reads the search list of /etc/resolv.conf once, for the namespace in which names of one label
 * ("user-svc") are looked up. Needs no table and no daemon: these may come later.
 *
 * Return: 0; -ENOMEM; -EINVAL @ret is NULL. On failure @ret is left as it was.
 */
int k8shsvc_open(k8shsvc **ret);

/**
 * k8shsvc_close() - give a handle back
 * @h: from k8shsvc_open(), or NULL; no other thread may use it any more
 *
 * The process keeps its map of the table for later handles.
 */
void k8shsvc_close(k8shsvc *h);

/**
 * k8shsvc_lookup() - addresses of one headless service, in serving order
 * @h:      handle; may be shared between threads
 * @name:   a name of the service as getaddrinfo() takes it ("user-svc.default"), or a target
 *          with a port ("user-svc.default:8080", "kubernetes://default/user-svc:8080"); borrowed
 * @family: AF_INET, AF_INET6 or AF_UNSPEC (both, IPv6 first)
 * @ret:    array of @n_max elements; may be NULL when @n_max is 0
 * @n_max:  capacity of @ret, in elements
 * @n_ret:  elements written; with -ENOBUFS the number needed
 *
 * Always every address that is known: a service's `answers` is for getaddrinfo() only. They begin
 * with the one whose turn it is (`order = sticky`: with this host's address). The port is the target's,
 * else the service's default, else 0. That of a port's name or of "base+" may differ by endpoint; it is 0
 * for those of which the source does not know the port or the ordinal. There, pods that share an address
 * (those in their node's network) are an element each, whose turn comes as often as any other's; where
 * the port is the same for all, a number or 0, every address is there once.
 *
 * Never blocks or allocates. A successful call advances the rotation of the service by one. On any
 * failure @n_ret is left as it was, but for -ENOBUFS, which sets it; elements of @ret may have been
 * written to when the service changed during the call.
 *
 * Return: 0; -ENOENT not registered, or not a name of a service; -ENODATA known to have no endpoint
 * of @family; -ESTALE never resolved, or older than its max-stale; -ENOTCONN no usable table, or
 * no living daemon; -ENOBUFS @n_max is too small; -EINVAL misuse.
 */
int k8shsvc_lookup(k8shsvc *h, const char *name, int family, struct k8shsvc_addr *ret, size_t n_max, size_t *n_ret);

/**
 * k8shsvc_reverse() - the name of the pod that has an address
 * @h:      handle; may be shared between threads
 * @family: AF_INET or AF_INET6
 * @addr:   4 or 16 bytes, network byte order; borrowed
 * @ret:    receives the name, NUL-terminated, of at most @n_max bytes with the NUL
 *
 * The name that the cluster's DNS gives in a PTR record: the pod's host name in the service's domain
 * ("web-0.web.default.svc.cluster.local"), where none is known the address with dashes
 * ("10-244-0-11.user-svc.default.svc.cluster.local").
 * Where several services have the address, one of them; of several pods of a service the one whose host
 * name is the first, bytewise. Only with `reverse = yes` in k8shsvc.conf(5).
 *
 * An IPv4 address as ::ffff:a.b.c.d is looked up as what it is.
 *
 * Return: 0; -ENOENT no registered service has it, or only as long ago as its max-stale; -EOPNOTSUPP the table has no
 * reverse index; -ENOTCONN no usable table, or no living daemon; -ENOBUFS @n_max is too small (600 bytes are always
 * enough); -EINVAL misuse. On failure @ret is left as it was.
 */
int k8shsvc_reverse(k8shsvc *h, int family, const void *addr, char *ret, size_t n_max);

/**
 * k8shsvc_wait() - sleep until a service changes
 * @h:          handle; may be shared between threads
 * @name:       as for k8shsvc_lookup(), or NULL: any service
 * @token:      in: what the last call left there, 0 at first; out: the state that was seen now
 * @timeout_ms: longest sleep; -1: none; 0: do not sleep
 *
 * Returns when the service's addresses, or what is known of them, are others than when @token was
 * set; when it was registered or taken out; with @token 0 at once. Tokens mean something to this
 * process only. Changes that follow each other are told as one: look at the service after each
 * return. Sleeping costs nothing but the thread: no descriptor, no query.
 *
 * A daemon that ends is no change: what it said last holds, and its successor's changes are told,
 * whether it takes over the table or makes a new one (then up to a second later).
 *
 * A signal handler that runs during the sleep ends it, whether or not it has SA_RESTART; one that runs just before
 * it does not, so a program that is to end uses a timeout. No cancellation point.
 *
 * Return: 0; -ETIMEDOUT nothing changed; -EINTR a signal handler ran; -ENOENT not a name of a service; -EINVAL misuse.
 * On failure @token is left as it was.
 */
int k8shsvc_wait(k8shsvc *h, const char *name, uint64_t *token, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
