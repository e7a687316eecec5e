#ifndef K8SHSVC_H
#define K8SHSVC_H

/**
 * libk8shsvc: the pods of Kubernetes headless services, from shared memory.
 *
 * The daemon k8shsvcd keeps registered services resolved in a table that every process of the machine may
 * read. This library reads that table. It sends no query, keeps no socket, and allocates nothing per lookup. A
 * lookup enters the kernel at most once a second, and only to look for a newer table when its own was replaced or
 * its daemon is silent; a lookup of a service with `order = sticky` also reads the addresses of the interfaces, at
 * most every ten seconds.
 *
 * Functions return 0 or a negative errno (errno.h), unless they say otherwise, and leave errno alone. They may be
 * called from any thread and from forked children; a child has a rotation of its own.
 *
 * k8shsvcd(8) and k8shsvc.conf(5) say what is served, for how long, and in which order.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque: what a caller knows of itself, which is its namespace and the endpoints that it could not reach. */
typedef struct k8shsvc k8shsvc;

/** The address of an endpoint: 20 bytes, in 32-bit and 64-bit programs alike. */
struct k8shsvc_addr {
        uint8_t family;   /**< AF_INET or AF_INET6 */
        uint8_t flags;    /**< 0; reserved */
        uint16_t port;    /**< host byte order; 0: unknown */
        uint8_t addr[16]; /**< network byte order; with AF_INET the first 4 bytes, the others are 0 */
};

/** A port of an endpoint. */
struct k8shsvc_port {
        uint16_t number;  /**< host byte order */
        uint8_t protocol; /**< IPPROTO_TCP, IPPROTO_UDP or IPPROTO_SCTP */
        uint8_t reserved; /**< 0 */
        uint32_t name;    /**< offset of its name, as in k8shsvc_endpoint; 0: unnamed */
};

/*
 * k8shsvc_endpoint.conditions. What DNS or a static list names counts as ready and serving; all are 0 where only
 * addresses are known.
 */
#define K8SHSVC_READY       1
#define K8SHSVC_SERVING     2
#define K8SHSVC_TERMINATING 4
#define K8SHSVC_NEAR        8 /* `order = zone` and `node` prefer it */

#define K8SHSVC_NO_ORDINAL UINT32_MAX

/**
 * All that is known of an endpoint: 44 bytes, in 32-bit and 64-bit programs alike. Offsets are in bytes from the
 * first endpoint of the array that k8shsvc_endpoints() filled; 0: unknown. Texts end with a NUL.
 */
struct k8shsvc_endpoint {
        struct k8shsvc_addr addr; /**< the port is the target's, else the service's default */
        uint32_t ordinal;         /**< of a StatefulSet's pod; K8SHSVC_NO_ORDINAL: none */
        uint16_t conditions;      /**< K8SHSVC_READY ... */
        uint16_t n_ports;
        uint32_t host;  /**< the pod's host name, one label */
        uint32_t node;  /**< the name of its node */
        uint32_t zone;  /**< the zone of its node */
        uint32_t ports; /**< struct k8shsvc_port, @n_ports of them */
};

/* k8shsvc_info.state */
enum {
        K8SHSVC_STATE_PENDING, /* registered, never resolved */
        K8SHSVC_STATE_FRESH,
        K8SHSVC_STATE_STALE,   /* the last good answer, which the source has not confirmed since */
        K8SHSVC_STATE_EMPTY,   /* the source says: no endpoints */
        K8SHSVC_STATE_EXPIRED, /* the last good answer is older than max-stale, and is not served */
};

/* k8shsvc_info.source */
enum { K8SHSVC_SOURCE_DNS = 1, K8SHSVC_SOURCE_KUBERNETES, K8SHSVC_SOURCE_STATIC };

/* k8shsvc_info.reason: why the state is not fresh, or, of a service that has fallen back to DNS, why it has */
enum {
        K8SHSVC_REASON_NONE,
        K8SHSVC_REASON_TIMEOUT, /* no server answered */
        K8SHSVC_REASON_REFUSED, /* connection or query refused */
        K8SHSVC_REASON_SERVFAIL,
        K8SHSVC_REASON_NXDOMAIN,
        K8SHSVC_REASON_NODATA,
        K8SHSVC_REASON_FOREIGN,   /* a negative answer of a server that does not know the cluster */
        K8SHSVC_REASON_MALFORMED, /* an unreadable answer, or one to another question */
        K8SHSVC_REASON_TRUNCATED, /* more addresses than the transport carries */
        K8SHSVC_REASON_FILTERED,  /* only addresses that can't be a pod's */
        K8SHSVC_REASON_NO_SERVER, /* no DNS server is known */
        K8SHSVC_REASON_RESTART,   /* taken over from the previous daemon */
        K8SHSVC_REASON_TLS,
        K8SHSVC_REASON_UNAUTHORIZED, /* 401 */
        K8SHSVC_REASON_FORBIDDEN,    /* 403 */
        K8SHSVC_REASON_API,          /* another status of the API, or a broken watch */
        K8SHSVC_REASON_NO_SLICE,     /* no EndpointSlice has the service's name */
        K8SHSVC_REASON_NONE_READY,   /* it has endpoints, but none that `include` admits */
};

/* k8shsvc_info.order */
enum {
        K8SHSVC_ORDER_ROTATE,
        K8SHSVC_ORDER_RANDOM,
        K8SHSVC_ORDER_STICKY,
        K8SHSVC_ORDER_ZONE,
        K8SHSVC_ORDER_NODE,
};

/* k8shsvc_info.answers: a number, or one of these */
#define K8SHSVC_ANSWERS_AUTO 0
#define K8SHSVC_ANSWERS_ALL  0xffff

/* k8shsvc_info.flags */
#define K8SHSVC_TRUNCATED      1 /* the source had more endpoints than the table has room for */
#define K8SHSVC_HOSTS_COMPLETE 2 /* the host name of every endpoint is known */
#define K8SHSVC_IPV4_UNKNOWN   4 /* whether it has IPv4 addresses was never learnt, or too long ago */
#define K8SHSVC_IPV6_UNKNOWN   8

/**
 * What is known of a service: 304 bytes, in 32-bit and 64-bit programs alike. A newer daemon may write a state, reason,
 * source or order that is not listed here.
 */
struct k8shsvc_info {
        char service[256];    /**< "user-svc.default", lower case */
        uint64_t age_ms;      /**< since the state began */
        uint32_t n_endpoints; /**< more than addresses where pods share one */
        uint32_t n_ipv4, n_ipv6;
        uint32_t version;    /**< +1 with each change of the service */
        uint32_t generation; /**< +1 with each new file of the table */
        uint32_t ttl_s;      /**< as DNS said last; means nothing from other sources */
        uint16_t answers;    /**< how many addresses getaddrinfo() returns: K8SHSVC_ANSWERS_* */
        uint16_t port;       /**< default port; 0: none, or it differs by endpoint */
        uint16_t port_base;  /**< the default port of an endpoint is this + its ordinal; 0: not so */
        uint8_t order;       /**< K8SHSVC_ORDER_* */
        uint8_t family;      /**< what the configuration asks for: 0 any, 1 IPv4, 2 IPv6 */
        uint8_t state;       /**< K8SHSVC_STATE_* */
        uint8_t reason;      /**< K8SHSVC_REASON_* */
        uint8_t source;      /**< K8SHSVC_SOURCE_* */
        uint8_t flags;       /**< K8SHSVC_TRUNCATED ... */
        uint8_t reserved[4]; /**< 0 */
};

/** Room for an address and port as text, "[fd00::1]:65535", with the NUL. */
#define K8SHSVC_HOSTPORT_MAX 56

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
 * -ENOBUFS: @n_max is too small; -EINVAL: misuse, or a malformed target.
 */
int k8shsvc_lookup(k8shsvc *h, const char *name, int family, struct k8shsvc_addr *ret, size_t n_max, size_t *n_ret);

/**
 * k8shsvc_pick() - one endpoint to connect to
 * @h:      handle; threads may share it
 * @name:   as for k8shsvc_lookup(); borrowed
 * @family: AF_INET, AF_INET6 or AF_UNSPEC (IPv6, if there is any)
 * @ret:    receives the address, ready for connect(2)
 * @n_ret:  receives its length
 *
 * Picks the first endpoint of the order in which k8shsvc_lookup() returns them, and advances the rotation as that does.
 * An endpoint that was reported by k8shsvc_report() within the last 10 seconds is passed over for the next one, unless
 * all were.
 *
 * The port is that of k8shsvc_lookup(). If it is 0, the caller sets it.
 *
 * Never blocks or allocates. On failure @ret and @n_ret are untouched.
 *
 * Return: 0; -ENOENT, -ENODATA, -ESTALE, -ENOTCONN, -EINVAL: as k8shsvc_lookup().
 */
int k8shsvc_pick(k8shsvc *h, const char *name, int family, struct sockaddr_storage *ret, socklen_t *n_ret);

/**
 * k8shsvc_report() - say whether an endpoint could be reached
 * @h:      handle; only its own picks follow the report
 * @addr:   as k8shsvc_pick() gave it; where that gave no port, the caller may have set one
 * @n_addr: its length
 * @error:  0: it works, an earlier report is forgotten; any other number: it failed
 *
 * A handle remembers 64 endpoints, each for 10 seconds after its last report; the oldest is dropped for one more. If
 * two threads report at the same instant, one of the reports may be lost.
 *
 * Never blocks or allocates.
 *
 * Return: 0; -EINVAL: misuse, or an address of another family.
 */
int k8shsvc_report(k8shsvc *h, const struct sockaddr *addr, socklen_t n_addr, int error);

/**
 * k8shsvc_endpoints() - all that is known of a service's endpoints
 * @h:       handle; threads may share it
 * @name:    as for k8shsvc_lookup(); borrowed
 * @family:  AF_INET, AF_INET6 or AF_UNSPEC
 * @size:    size of an element: sizeof(struct k8shsvc_endpoint)
 * @ret:     receives the elements, and behind them what their offsets lead to. May be NULL if @n_bytes is 0
 * @n_bytes: capacity of @ret, in bytes; with -ENOBUFS receives the number needed
 * @n_ret:   receives the number of elements
 *
 * Returns every endpoint, those that are not near too, whatever the service's `order` says. The order is that of the
 * addresses, IPv4 first, near ones first in each family; endpoints that share an address follow the others. No rotation
 * advances. A pod with addresses of both families is two endpoints of the same host name.
 *
 * A program that was built with an older header passes a smaller @size, and gets as much of each element; what a newer
 * one has besides is 0.
 *
 * Never blocks or allocates. On failure @n_ret is untouched, and so is @n_bytes except with -ENOBUFS. @ret is
 * untouched, too, unless the service changed during the call.
 *
 * Return: 0; -ENOBUFS: @n_bytes is too small; -EINVAL: misuse, or @size is not one that an element could have; -ENOENT,
 * -ENODATA, -ESTALE, -ENOTCONN: as k8shsvc_lookup().
 */
int k8shsvc_endpoints(k8shsvc *h, const char *name, int family, size_t size, struct k8shsvc_endpoint *ret,
                      size_t *n_bytes, size_t *n_ret);

/**
 * k8shsvc_get_endpoints() - "address:port" of each pod, with a port by its ordinal
 * @h:          handle; threads may share it
 * @ns:         namespace; NULL or "": the caller's own
 * @service:    name of the service; borrowed, as is @ns
 * @port_base:  not 0; web-2 has the port @port_base + 2
 * @ret:        array of @n_max texts; may be NULL if @n_max is 0
 * @n_max:      capacity of @ret, in elements
 * @n_ret:      receives the number of texts written; with -ENOBUFS the number needed
 * @n_left_out: receives the number of endpoints without an ordinal, or whose port would be above 65535; may be NULL
 *
 * Returns all endpoints in the order of k8shsvc_endpoints(). An IPv6 address stands in brackets: "[fd00::1]:3000".
 *
 * Never blocks or allocates. On failure all outputs are untouched, except that -ENOBUFS sets @n_ret; elements of @ret
 * may have been written if the service changed during the call.
 *
 * Return: 0; -ENOBUFS: @n_max is too small; -EINVAL: misuse; -ENOENT, -ENODATA, -ESTALE, -ENOTCONN: as
 * k8shsvc_lookup().
 */
int k8shsvc_get_endpoints(k8shsvc *h, const char *ns, const char *service, uint16_t port_base,
                          char (*ret)[K8SHSVC_HOSTPORT_MAX], size_t n_max, size_t *n_ret, size_t *n_left_out);

/**
 * k8shsvc_info() - what is known of one service
 * @h:    handle; threads may share it
 * @name: as for k8shsvc_lookup(), of a service in any state; borrowed. That of a pod stands for its service
 * @size: sizeof(struct k8shsvc_info): as for k8shsvc_endpoints()
 * @ret:  receives the information
 *
 * Never blocks or allocates. On failure @ret is untouched.
 *
 * Return: 0; -ENOENT: not registered, or not a name of a service; -ENODATA: a pod that its service lacks; -ENOTCONN: no
 * usable table, or no living daemon; -EINVAL: misuse.
 */
int k8shsvc_info(k8shsvc *h, const char *name, size_t size, struct k8shsvc_info *ret);

/**
 * k8shsvc_list() - all registered services
 * @h:    handle; threads may share it
 * @size: sizeof(struct k8shsvc_info): as for k8shsvc_endpoints()
 * @each: called for each service, in no order; @info is valid until it returns. May call any function of this library.
 *        Returns 0 to go on, any other number to stop
 * @user: passed on to @each
 *
 * Reads one file of the table, which stays mapped until the call returns: @each must not leave by longjmp() or an
 * exception, nor return in a child that it forked. Aliases are not listed.
 *
 * Never blocks or allocates.
 *
 * Return: 0; what @each returned, if that was not 0; -ENOTCONN: no usable table, or no living daemon; -EINVAL: misuse.
 */
int k8shsvc_list(k8shsvc *h, size_t size, int (*each)(const struct k8shsvc_info *info, void *user), void *user);

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

/**
 * k8shsvc_strerror() - what an error of this library means
 * @error: what a function returned; the sign does not matter
 *
 * Return: a static text, never NULL: "unknown error" for numbers that no function here returns.
 */
const char *k8shsvc_strerror(int error);

#ifdef __cplusplus
}
#endif

#endif
