/*
 * Talking to the service manager.
 *
 * sd_notify(3) waits when the socket's queue is full, and sd_event_set_watchdog() calls it: while PID 1 hangs, a
 * daemon that says WATCHDOG=1 hangs with it after some minutes, its heartbeat stops, and programs lose a table
 * that is good. The protocol is documented and a datagram each, so it is spoken here, without waiting. States
 * that do not get through are kept and sent later in their order; of the status only the last is kept; a sign of
 * life is not worth keeping.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/timer.h"
#include "base/util.h"

#define STATES_MAX 8U

struct notify {
        int fd; /* -1: nobody listens */
        struct sockaddr_un address;
        socklen_t n_address;
        struct timer watchdog;
        char states[STATES_MAX][64]; /* not sent yet, oldest first */
        size_t n_states;
        char status[256];
        bool status_due;
};

/* Return: whether it need not be tried again. */
static bool notify_send(struct notify *n, const char *text)
{
        return sendto(n->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&n->address,
                      n->n_address) >= 0 ||
               (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM && errno != ECONNREFUSED && errno != ENOENT);
}

static void notify_flush(struct notify *n)
{
        char status[sizeof(n->status) + 8];
        size_t n_sent = 0;

        if (n->fd < 0)
                return;
        while (n_sent < n->n_states && notify_send(n, n->states[n_sent]))
                n_sent++;
        memmove(n->states, n->states + n_sent, (n->n_states - n_sent) * sizeof(n->states[0]));
        n->n_states -= n_sent;
        if (n->n_states > 0 || !n->status_due)
                return;
        (void)snprintf(status, sizeof(status), "STATUS=%s", n->status);
        n->status_due = !notify_send(n, status);
}

/*
 * Where there are too many, the oldest two go: a RELOADING with its READY, or a READY with the RELOADING behind it.
 * So each that is left has its other half, and the last one is what the manager must know.
 */
static void notify_push(struct notify *n, const char *state)
{
        if (n->fd < 0)
                return;
        if (n->n_states == STATES_MAX)
                memmove(n->states, n->states + 2, (n->n_states -= 2) * sizeof(n->states[0]));
        (void)snprintf(n->states[n->n_states++], sizeof(n->states[0]), "%s", state);
        notify_flush(n);
}

void notify_ready(struct notify *n)
{
        notify_push(n, "READY=1");
}

void notify_reloading(struct notify *n)
{
        struct timespec now = { 0 };
        char state[64];

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        (void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
                       (unsigned long long)now.tv_sec * USEC_PER_SEC + (unsigned long long)now.tv_nsec / 1000);
        notify_push(n, state);
}

void notify_stopping(struct notify *n)
{
        notify_push(n, "STOPPING=1");
}

void notify_status(struct notify *n, const char *status)
{
        if (strcmp(n->status, status) == 0)
                return;
        (void)snprintf(n->status, sizeof(n->status), "%s", status);
        n->status_due = true;
        notify_flush(n);
}

void notify_beat(struct notify *n)
{
        notify_flush(n);
}

static void notify_on_watchdog(void *userdata)
{
        (void)notify_send(userdata, "WATCHDOG=1");
}

/* A path, or a name in the abstract name space after '@'; what else there is we can't reach. */
static void notify_open_socket(struct notify *n)
{
        const char *path = getenv("NOTIFY_SOCKET");
        size_t n_path = path ? strlen(path) : 0;

        if (n_path < 2 || n_path >= sizeof(n->address.sun_path) || (path[0] != '/' && path[0] != '@'))
                return;
        n->address.sun_family = AF_UNIX;
        memcpy(n->address.sun_path, path, n_path);
        n->n_address = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n_path + 1);
        if (path[0] == '@') {
                n->address.sun_path[0] = '\0';
                n->n_address--;
        }
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int notify_new(struct notify **ret, sd_event *event)
{
        struct notify *n = calloc(1, sizeof(*n));
        uint64_t usec = 0;
        int r = 0;

        if (!n)
                return -ENOMEM;
        n->fd = -1;
        notify_open_socket(n);
        if (n->fd >= 0 && sd_watchdog_enabled(false, &usec) > 0)
                r = timer_init(&n->watchdog, event, USEC_PER_MSEC, notify_on_watchdog, n);
        if (r < 0) {
                notify_free(n);
                return r;
        }
        if (n->watchdog.source)
                timer_set_period(&n->watchdog, usec / 3 + 1);
        *ret = n;
        return 0;
}

struct notify *notify_free(struct notify *n)
{
        if (n) {
                timer_deinit(&n->watchdog);
                if (n->fd >= 0)
                        (void)close(n->fd);
                free(n);
        }
        return NULL;
}
