#pragma once

/*
 * How a watch speaks to the API server: requests that are answered piece by piece. transport/http.c does it with
 * libcurl; the tests of the state machine do it with a script.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kube_call; /* a request that has not ended; the transport's */
struct kube_transport;

struct kube_request {
        const char *path;       /* with its query, percent-encoded; borrowed */
        const char *body;       /* JSON to POST; NULL: GET; borrowed */
        bool fresh;             /* not over a connection that is open already: it may be dead */
        uint64_t time_max_usec; /* for the whole answer; 0: none, the caller watches over it */
};

/* How a request ended. */
struct kube_end {
        int error;              /* 0: the whole answer has come; -EPROTO: no trust (TLS); another negative errno */
        unsigned int status;    /* of HTTP; 0: none has come */
        uint32_t retry_after_s; /* as the server asked for it; 0: it has not */
        const char *text;       /* of the error, for people; may be NULL */
};

/* Called in the event loop's thread, never from within start() or cancel(). */
struct kube_reply {
        void (*status)(void *userdata, unsigned int status);      /* the answer begins */
        int (*data)(void *userdata, const char *bytes, size_t n); /* negative: end the request with that error */
        void (*done)(void *userdata, const struct kube_end *end); /* the call is no more */
        void *userdata;
};

struct kube_transport_ops {
        /* Return: 0 or -ENOMEM. */
        int (*start)(struct kube_transport *t, const struct kube_request *request, const struct kube_reply *reply,
                     struct kube_call **ret);
        /* No callback comes any more. */
        void (*cancel)(struct kube_transport *t, struct kube_call *call);
        /* The server no longer takes the token: it is to be read again before the next request. */
        void (*unauthorized)(struct kube_transport *t);
};

struct kube_transport {
        const struct kube_transport_ops *ops;
};
