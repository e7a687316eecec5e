#pragma once

/*
 * One request as libcurl has it: what is set for it, what it brings, and how it ends.
 */

#include <curl/curl.h>
#include <sys/queue.h>

#include "source/kube/transport/credentials.h"
#include "source/kube/watch/transport.h"

enum kube_call_state { CALL_WAITING, CALL_RUNNING, CALL_CANCELLED };

struct kube_call {
        TAILQ_ENTRY(kube_call) link; /* of the list of its state */
        enum kube_call_state state;  /* nothing is reported but of a running one */
        struct kube_reply reply;
        CURL *easy;
        struct curl_slist *headers, *resolve, *connect_to;
        size_t *n_read; /* the transport's, where it runs */
        unsigned int status;
        int error; /* why we have ended it ourselves */
        char text[CURL_ERROR_SIZE];
};

/* Return: 0 or -ENOMEM. */
int kube_call_new(struct kube_call **ret, const struct kube_request *request, const struct kube_reply *reply,
                  const struct kube_credentials *credentials);
/* libcurl's multi handle must not have it any more. */
void kube_call_free(struct kube_call *call);

/* Just before it runs. Return: 0; -EACCES: there is no token; -ENOMEM. */
int kube_call_set_token(struct kube_call *call, struct kube_credentials *credentials);
/* @addresses: "10.0.0.1,[fd00::1]", of the server's name. Return: 0 or -ENOMEM. */
int kube_call_set_addresses(struct kube_call *call, const struct kube_credentials *credentials, const char *addresses);

/* Frees it, and reports how it ended. @code: libcurl's word, where it ran. */
void kube_call_end(struct kube_call *call, CURLcode code);
