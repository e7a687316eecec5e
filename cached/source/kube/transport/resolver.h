#pragma once

/*
 * The API server's own name, looked up in /etc/hosts, then by DNS. Never by getaddrinfo(): that would block, and
 * come back to this daemon through its own module.
 */

#include <systemd/sd-event.h>

struct kube_resolver;

/* @addresses: "10.0.0.1,[fd00::1]", valid during the call; NULL: none was found. @text: why, for people. */
typedef void (*kube_resolver_fn)(void *userdata, const char *addresses, const char *text);

/* Return: 0 or -ENOMEM. */
int kube_resolver_new(struct kube_resolver **ret, sd_event *event, const char *name, kube_resolver_fn fn,
                      void *userdata);
struct kube_resolver *kube_resolver_free(struct kube_resolver *r);

/* Does nothing while it is asking already. fn() is called later, or from within. Return: 0 or a negative errno. */
int kube_resolver_ask(struct kube_resolver *r);
