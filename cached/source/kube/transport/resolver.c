/*
 * c-ares on sd-event, for one name and one question at a time.
 *
 * Each question has a channel of its own, so that /etc/hosts and resolv.conf are read anew and nothing is cached;
 * it is asked about once a minute, when a connection may have to be made. The channel is destroyed by the next
 * question or with the resolver, never from within its own callback.
 */

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/timer.h"
#include "base/util.h"
#include "source/kube/transport/resolver.h"

#define SOCKETS_MAX   8U
#define ADDRESSES_MAX 16U
#define TRY_MS        2000
#define TRIES         2
#define LOOK_USEC     (USEC_PER_SEC / 4) /* how often c-ares looks at its own time-outs */

struct resolver_socket {
        ares_socket_t fd;
        sd_event_source *source;
};

struct kube_resolver {
        sd_event *event;
        char *name;
        kube_resolver_fn fn;
        void *userdata;
        ares_channel ares; /* NULL before the first question */
        bool is_asking;
        struct resolver_socket sockets[SOCKETS_MAX];
        struct timer timer;
};

static void resolver_close(struct kube_resolver *r)
{
        r->is_asking = false;
        if (r->ares)
                ares_destroy(r->ares);
        r->ares = NULL;
        for (size_t i = 0; i < SOCKETS_MAX; i++)
                r->sockets[i].source = sd_event_source_unref(r->sockets[i].source);
}

static int resolver_on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct kube_resolver *r = userdata;

        (void)source;
        ares_process_fd(r->ares, revents & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD,
                        revents & EPOLLOUT ? fd : ARES_SOCKET_BAD);
        return 0;
}

static void resolver_on_timer(void *userdata)
{
        struct kube_resolver *r = userdata;

        if (!r->is_asking)
                return;
        ares_process_fd(r->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        timer_set(&r->timer, usec_now() + LOOK_USEC);
}

/* Called while the descriptor is still open, also when it is about to be closed. */
static void resolver_on_state(void *userdata, ares_socket_t fd, int readable, int writable)
{
        struct kube_resolver *r = userdata;
        uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
        struct resolver_socket *unused = NULL, *ours = NULL;

        for (size_t i = 0; i < SOCKETS_MAX; i++) {
                if (!r->sockets[i].source)
                        unused = &r->sockets[i];
                else if (r->sockets[i].fd == fd)
                        ours = &r->sockets[i];
        }
        if (ours && events) {
                (void)sd_event_source_set_io_events(ours->source, events);
        } else if (ours) {
                (void)sd_event_source_set_enabled(ours->source, SD_EVENT_OFF);
                ours->source = sd_event_source_unref(ours->source);
        } else if (events && unused) {
                unused->fd = fd;
                if (sd_event_add_io(r->event, &unused->source, fd, events, resolver_on_socket, r) < 0)
                        unused->source = NULL;
        }
}

static size_t resolver_print(const struct ares_addrinfo *info, char *ret, size_t n_ret)
{
        size_t at = 0, n = 0;

        ret[0] = '\0';
        for (const struct ares_addrinfo_node *node = info->nodes; node && n < ADDRESSES_MAX; node = node->ai_next) {
                char text[INET6_ADDRSTRLEN];
                const void *bytes =
                        node->ai_family == AF_INET
                                ? (const void *)&((const struct sockaddr_in *)(const void *)node->ai_addr)->sin_addr
                                : &((const struct sockaddr_in6 *)(const void *)node->ai_addr)->sin6_addr;
                bool v6 = node->ai_family == AF_INET6;

                if (!inet_ntop(node->ai_family, bytes, text, sizeof(text)) || at + sizeof(text) + 4 > n_ret)
                        continue;
                at += (size_t)sprintf(ret + at, "%s%s%s%s", n++ > 0 ? "," : "", v6 ? "[" : "", text, v6 ? "]" : "");
        }
        return n;
}

static void resolver_on_answer(void *userdata, int status, int timeouts, struct ares_addrinfo *info)
{
        struct kube_resolver *r = userdata;
        char addresses[ADDRESSES_MAX * (INET6_ADDRSTRLEN + 4)];
        size_t n = info ? resolver_print(info, addresses, sizeof(addresses)) : 0;

        (void)timeouts;
        if (info)
                ares_freeaddrinfo(info);
        if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED)
                return;
        r->is_asking = false;
        r->fn(r->userdata, n > 0 ? addresses : NULL, ares_strerror(status));
}

int kube_resolver_ask(struct kube_resolver *r)
{
        struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT };
        struct ares_options options = {
                .timeout = TRY_MS, .tries = TRIES, .sock_state_cb = resolver_on_state, .sock_state_cb_data = r
        };
        char lookups[] = "fb";

        if (r->is_asking)
                return 0;
        resolver_close(r);
        options.lookups = lookups;
        if (ares_init_options(&r->ares, &options,
                              ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS) !=
            ARES_SUCCESS) {
                r->ares = NULL;
                return -ENOMEM;
        }
        r->is_asking = true;
        timer_set(&r->timer, usec_now() + LOOK_USEC);
        ares_getaddrinfo(r->ares, r->name, NULL, &hints, resolver_on_answer, r);
        return 0;
}

int kube_resolver_new(struct kube_resolver **ret, sd_event *event, const char *name, kube_resolver_fn fn,
                      void *userdata)
{
        struct kube_resolver *r = calloc(1, sizeof(*r));
        int e;

        if (!r)
                return -ENOMEM;
        r->event = sd_event_ref(event);
        r->fn = fn;
        r->userdata = userdata;
        r->name = strdup(name);
        e = r->name ? timer_init(&r->timer, event, LOOK_USEC / 4, resolver_on_timer, r) : -ENOMEM;
        if (e < 0) {
                kube_resolver_free(r);
                return e;
        }
        *ret = r;
        return 0;
}

struct kube_resolver *kube_resolver_free(struct kube_resolver *r)
{
        if (r) {
                resolver_close(r);
                timer_deinit(&r->timer);
                sd_event_unref(r->event);
                free(r->name);
                free(r);
        }
        return NULL;
}
