#pragma once

/*
 * The handle of the C API, and what each call makes of a name.
 */

#include "answer/lookup.h"
#include "answer/target.h"
#include "api/reports.h"
#include "k8shsvc.h"

#define KHS_SEARCH_MAX 32 /* what Kubernetes writes at most */
#define KHS_LINE_MAX   4096

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
        char name[KHS_NAME_MAX + 2]; /* of a target: as the query has it */
};

/**
 * khs_request_init() - read what a call was given
 * @text:   name or target, borrowed
 * @family: AF_INET, AF_INET6 or AF_UNSPEC
 *
 * The query is for all addresses.
 *
 * Return: 0; -EINVAL: @family or a malformed target; -ENOENT: a target of which no name can be made.
 */
int khs_request_init(struct khs_request *ret, const k8shsvc *h, const char *text, int family);

/* The error that a program gets for one of the layers below: some mean the same to it. */
int khs_request_error(const struct khs_request *request, int r);
