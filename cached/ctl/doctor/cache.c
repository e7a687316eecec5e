/*
 * Who answers before any module is asked: glibc first speaks to the socket of nscd, if somebody listens there.
 *
 * Others take the same place without a socket, in nsswitch.conf (ctl/doctor/nsswitch.c).
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "ctl/doctor/check.h"

#define CACHE_CHECK "cache"
#define SOCKET      "/var/run/nscd/socket"
#define NSCD_CONF   "/etc/nscd.conf"

/* Return: the peer's pid, 0 if that is not known; -ECONNREFUSED and others: nobody listens. */
static pid_t cache_connect(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };
        struct ucred peer = { 0 };
        socklen_t n = sizeof(peer);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        pid_t r;

        if (fd < 0)
                return -errno;
        r = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
        if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0)
                r = peer.pid;
        (void)close(fd);
        return r == -EAGAIN ? 0 : r; /* it is busy */
}

/* "nscd", "nsncd". */
static void cache_name(pid_t pid, char ret[static 32])
{
        _cleanup_(cleanup_free) char *comm = NULL;
        char path[64];
        size_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        if (pid > 0 && file_read(path, 64, &comm, &n) == 0)
                (void)snprintf(ret, 32, "%.*s", (int)strcspn(comm, "\n"), comm);
        else
                (void)snprintf(ret, 32, "nscd");
}

/* "enable-cache hosts no" */
static bool cache_is_off(void)
{
        _cleanup_(cleanup_free) char *text = NULL;
        char *save = NULL, key[32], database[32], value[32];
        bool off = false;
        size_t n;

        if (file_read(NSCD_CONF, 1 << 20, &text, &n) < 0)
                return false;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                if (sscanf(line, " %31s %31s %31s", key, database, value) == 3 && strcmp(key, "enable-cache") == 0 &&
                    strcmp(database, "hosts") == 0)
                        off = strcmp(value, "no") == 0;
        }
        return off;
}

void doctor_check_cache(struct doctor *d)
{
        pid_t pid = cache_connect();
        char name[32];

        if (pid < 0) {
                doctor_say(d, CACHE_CHECK, VERDICT_OK, "neither nscd nor nsncd is in front of the modules", NULL);
                return;
        }
        cache_name(pid, name);
        if (strcmp(name, "nscd") == 0 && cache_is_off())
                doctor_say(d, CACHE_CHECK, VERDICT_OK, "nscd runs, and leaves hosts alone", NULL);
        else
                doctor_sayf(d, CACHE_CHECK, VERDICT_BAD,
                            strcmp(name, "nscd") == 0 ? "set `enable-cache hosts no` in " NSCD_CONF
                                                        " and restart nscd, or stop it"
                                                      : "stop it, or keep " SOCKET " from the programs",
                            "%s listens on %s: glibc asks it before any module", name, SOCKET);
}
