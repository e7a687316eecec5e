/*
 * The address may be there only later (a node's, a pod's), or be another's for a while: listening is tried again
 * every few seconds, and what went wrong is logged once.
 *
 * A turn takes a few connections, so that those that have asked already are answered between two turns. When
 * accept(2) fails for want of descriptors the connection stays where it is: waiting for it in the loop would be
 * spinning, so it is looked at again a second later.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "status/listener.h"

#define PER_TURN      32
#define AGAIN_USEC    (5 * USEC_PER_SEC)
#define FULL_USEC     (1 * USEC_PER_SEC)
#define SLACK_USEC    (50 * USEC_PER_MSEC)
#define LAST_PRIORITY SD_EVENT_PRIORITY_IDLE /* after all that lookups depend on */

static socklen_t listener_sockaddr(const struct address *a, struct sockaddr_storage *ret)
{
        struct sockaddr_in *in = (struct sockaddr_in *)ret;
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

        *ret = (struct sockaddr_storage){ .ss_family = a->family };
        if (a->family == AF_INET) {
                in->sin_port = htons(a->port);
                memcpy(&in->sin_addr, a->bytes, 4);
                return sizeof(*in);
        }
        in6->sin6_port = htons(a->port);
        in6->sin6_scope_id = a->scope;
        memcpy(&in6->sin6_addr, a->bytes, 16);
        return sizeof(*in6);
}

static int listener_socket(const struct address *address)
{
        struct sockaddr_storage where;
        socklen_t n_where = listener_sockaddr(address, &where);
        int r, yes = 1, fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        if (bind(fd, (struct sockaddr *)&where, n_where) == 0 && listen(fd, SOMAXCONN) == 0)
                return fd;
        r = -errno;
        (void)close(fd);
        return r;
}

static void listener_close(struct listener *l)
{
        if (l->source)
                (void)sd_event_source_set_enabled(l->source, SD_EVENT_OFF);
        l->source = sd_event_source_unref(l->source);
        if (l->fd >= 0)
                (void)close(l->fd);
        l->fd = -1;
        timer_stop(&l->timer);
}

static bool is_over_for_one(int error)
{
        return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM;
}

static int listener_on_ready(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct listener *l = userdata;

        (void)events;
        for (int i = 0; i < PER_TURN; i++) {
                struct sockaddr_storage address;
                socklen_t n_address = sizeof(address);
                int connection = accept4(fd, (struct sockaddr *)&address, &n_address, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (connection >= 0) {
                        l->accepted(l->userdata, connection, (struct sockaddr *)&address, n_address);
                } else if (errno == EAGAIN) {
                        break;
                } else if (!is_over_for_one(errno)) {
                        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
                        timer_set(&l->timer, usec_now() + FULL_USEC);
                        break;
                }
        }
        l->done(l->userdata);
        return 0;
}

static int listener_open(struct listener *l)
{
        int r = listener_socket(&l->address);

        if (r < 0)
                return r;
        l->fd = r;
        r = sd_event_add_io(l->event, &l->source, l->fd, EPOLLIN, listener_on_ready, l);
        if (r >= 0)
                r = sd_event_source_set_priority(l->source, LAST_PRIORITY);
        if (r < 0)
                listener_close(l);
        return r;
}

static void listener_try(struct listener *l)
{
        int r = listener_open(l);

        if (r >= 0) {
                l->failed = false;
                log_message(LOG_INFO, "metrics-listen: listening on %s", l->where);
                return;
        }
        if (!l->failed)
                log_message(LOG_ERR, "metrics-listen: %s can't be listened on: %s; tried again every %llu s", l->where,
                            strerror(-r), (unsigned long long)(AGAIN_USEC / USEC_PER_SEC));
        l->failed = true;
        timer_set(&l->timer, usec_now() + AGAIN_USEC);
}

static void listener_on_timer(void *userdata)
{
        struct listener *l = userdata;

        if (l->source)
                (void)sd_event_source_set_enabled(l->source, SD_EVENT_ON);
        else if (l->where)
                listener_try(l);
}

int listener_init(struct listener *l)
{
        l->fd = -1;
        return timer_init(&l->timer, l->event, SLACK_USEC, listener_on_timer, l);
}

void listener_deinit(struct listener *l)
{
        if (!l->timer.source)
                return;
        listener_close(l);
        timer_deinit(&l->timer);
        free(l->where);
}

void listener_set(struct listener *l, const char *where)
{
        char *copy = where ? strdup(where) : NULL;

        if ((where && l->where && strcmp(where, l->where) == 0) || (!where && !l->where)) {
                free(copy);
                return;
        }
        listener_close(l);
        free(l->where);
        l->where = NULL;
        l->failed = false;
        if (!where)
                return;
        if (!copy || address_from_text(copy, &l->address) < 0) {
                log_message(LOG_ERR, "metrics-listen: %s can't be listened on", where);
                free(copy);
                return;
        }
        l->where = copy;
        listener_try(l);
}
