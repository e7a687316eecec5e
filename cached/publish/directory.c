/*
 * A daemon that writes where nobody looks, or where another daemon writes, does harm without noticing:
 *
 *     path    --> the directory that programs open     != descriptor: removed, renamed, mounted over
 *     "lock"  --> the file that the next daemon locks  != descriptor: the next daemon is about to take over
 *
 * Either difference ends the daemon, and the service manager starts it anew, where it finds the right one.
 * A daemon that had to create the lock file cannot tell whether another one still runs that has locked a
 * file of the same name. So it waits until no heart beats in the table: the other one notices within a
 * second that it has lost the name, and ends.
 *
 * Nor is a table of use that readers refuse (read/trust.h). They are mute, so their own check is applied here.
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "publish/directory.h"
#include "read/open.h"
#include "table/format.h"
#include "write/lock.h"

#define SILENT_USEC (1500 * USEC_PER_MSEC) /* a living daemon beats every second */
#define PATIENCE    (5 * USEC_PER_SEC)     /* for another daemon to end */
#define LOOK_USEC   (50 * USEC_PER_MSEC)

struct directory {
        char *path;
        int fd, lock_fd;
        int trust; /* of readers, as it was last seen */
};

/* ---- another daemon ---- */

/* Return: whether there is a table. */
static bool directory_read_beat(const struct directory *d, uint32_t *ret)
{
        int fd = openat(d->fd, KHS_TABLE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return false;
        n = pread(fd, ret, sizeof(*ret), offsetof(struct khs_table_header, beat_count));
        (void)close(fd);
        return n == sizeof(*ret);
}

/* Return: 0; -EAGAIN: a heart goes on beating. */
static int directory_wait_for_silence(const struct directory *d)
{
        uint64_t start = usec_now(), changed = start, now = start;
        uint32_t beat, last;

        if (!directory_read_beat(d, &last))
                return 0;
        log_message(LOG_NOTICE, "%s has a table, but no lock: waiting until no other k8shsvcd writes it", d->path);
        for (; now - changed < SILENT_USEC; now = usec_now()) {
                if (now - start >= PATIENCE)
                        return -EAGAIN;
                (void)usleep(LOOK_USEC);
                if (!directory_read_beat(d, &beat))
                        return 0;
                if (beat != last)
                        changed = usec_now();
                last = beat;
        }
        return 0;
}

static int directory_lock(struct directory *d)
{
        bool created;
        int r = 0;

        d->lock_fd = khs_lock_take(d->fd, &created);
        if (d->lock_fd < 0)
                r = d->lock_fd;
        else if (created)
                r = directory_wait_for_silence(d);
        if (r == -EAGAIN)
                log_message(LOG_ERR, "%s belongs to another k8shsvcd that is running", d->path);
        else if (r < 0)
                log_message(LOG_ERR, "%s cannot be written: %s", d->path, strerror(-r));
        return r;
}

/* ---- ---- */

static int directory_open(struct directory *d)
{
        bool made = mkdir(d->path, 0755) == 0;

        if (!made && errno != EEXIST) {
                log_message(LOG_ERR, "%s cannot be made: %s", d->path, strerror(errno));
                return -errno;
        }
        d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (d->fd < 0) {
                log_message(LOG_ERR, "%s cannot be opened: %s", d->path, strerror(errno));
                return -errno;
        }
        if (made)
                (void)fchmod(d->fd, 0755); /* whatever the umask: every program must get in */
        return 0;
}

int directory_new(struct directory **ret, const char *path)
{
        struct directory *d = calloc(1, sizeof(*d));
        int r = -ENOMEM;

        if (!d)
                return r;
        d->fd = d->lock_fd = -1;
        d->path = strdup(path);
        if (d->path)
                r = directory_open(d);
        if (r == 0)
                r = directory_lock(d);
        if (r < 0) {
                directory_free(d);
                return r;
        }
        *ret = d;
        return 0;
}

struct directory *directory_free(struct directory *d)
{
        if (d) {
                if (d->lock_fd >= 0)
                        (void)close(d->lock_fd);
                if (d->fd >= 0)
                        (void)close(d->fd);
                free(d->path);
                free(d);
        }
        return NULL;
}

int directory_fd(const struct directory *d)
{
        return d->fd;
}

static bool directory_has_path(const struct directory *d)
{
        struct stat held, named;

        return fstat(d->fd, &held) == 0 && stat(d->path, &named) == 0 && held.st_dev == named.st_dev &&
               held.st_ino == named.st_ino;
}

/* The file was removed. Nobody else has locked one of its name yet, or we lose. */
static int directory_lock_again(struct directory *d)
{
        bool created;
        int fd = khs_lock_take(d->fd, &created);

        if (fd < 0)
                return fd;
        (void)close(d->lock_fd);
        d->lock_fd = fd;
        log_message(LOG_WARNING, "somebody removed %s/" KHS_LOCK_NAME "; it has been made again", d->path);
        return 0;
}

/* Who believes what we have written; logged when it changes. */
static int directory_check_readers(struct directory *d)
{
        int trust = khs_table_trust(d->fd);

        if (trust < 0) /* no table at this moment */
                return 0;
        if (trust != d->trust && trust == KHS_TRUST_READ_ONLY)
                log_message(LOG_WARNING,
                            "%s does not belong to this user alone: others can write to it or own it, so programs "
                            "believe the table only where it is mounted read-only",
                            d->path);
        if (trust == KHS_TRUST_NONE)
                log_message(LOG_ERR,
                            "%s is neither on a tmpfs nor on a local disk: no program believes a table whose memory "
                            "it does not share; exiting",
                            d->path);
        d->trust = trust;
        return trust == KHS_TRUST_NONE ? -EREMOTE : 0;
}

int directory_check(struct directory *d)
{
        int r;

        if (!directory_has_path(d)) {
                log_message(LOG_ERR,
                            "%s was removed, renamed or mounted over: no program finds the table in it any more; "
                            "exiting",
                            d->path);
                return -ENOTDIR;
        }
        r = khs_lock_check(d->fd, d->lock_fd);
        if (r == -ENOENT)
                r = directory_lock_again(d);
        if (r < 0)
                log_message(LOG_ERR,
                            "%s/" KHS_LOCK_NAME " was replaced: the table belongs to another k8shsvcd now; exiting",
                            d->path);
        return r < 0 ? r : directory_check_readers(d);
}
