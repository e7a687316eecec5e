#pragma once

/*
 * The handle of the C API, and what each call makes of a name.
 */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "answer/lookup.h"
#include "answer/target.h"
#include "api/reports.h"
#include "k8shsvc.h"

#define KHS_SEARCH_MAX 32 /* what Kubernetes writes at most */
#define KHS_LINE_MAX   4096
#define KHS_SVC        ".svc" /* behind S.N: neither an alias nor a pod of the caller's namespace */

#define KHS_PUBLIC __attribute__((visibility("default")))

struct k8shsvc {
        const char *search[KHS_SEARCH_MAX + 1];
        char text[KHS_LINE_MAX]; /* what search points into */
        struct khs_reports reports;
};

/* A name or target as a program gave it. Points into itself: neither copied nor moved. */
struct khs_request {
        struct khs_query query;
        const struct khs_port *port; /* the target's */
        struct khs_target target;
        char name[KHS_NAME_MAX + 1 + sizeof(KHS_SVC)]; /* of a target: as the query has it */
};

/* The rest of khs_request_init(), of a text with a colon. */
int khs_request_parse(struct khs_request *ret, const char *text);

extern const struct khs_port khs_no_port;

/**
 * khs_request_init() - read what a call was given
 * @text:   name or target, borrowed
 * @family: AF_INET, AF_INET6 or AF_UNSPEC
 *
 * The query is for all addresses. Inlined, since most names are that and nothing more.
 *
 * Return: 0; -EINVAL: @family or a malformed target; -ENOENT: a target of which no name can be made.
 */
KHS_INLINE int khs_request_init(struct khs_request *ret, const k8shsvc *h, const char *text, int family)
{
        const char *colon = strchrnul(text, ':');

        if (family != AF_INET && family != AF_INET6 && family != AF_UNSPEC)
                return -EINVAL;
        ret->port = &khs_no_port;
        ret->query = (struct khs_query){
                .name = text,
                .n_name = (size_t)(colon - text),
                .search = h->search,
                .n_search = KHS_SEARCH_MAX,
                .family = family,
                .all = true,
        };
        return *colon == '\0' ? 0 : khs_request_parse(ret, text);
}

/* The error that a program gets for one of the layers below: some mean the same to it. */
int khs_request_error(const struct khs_request *request, int r);
