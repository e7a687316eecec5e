/*
 * Following the configuration's files, see config/follow/watch.h.
 *
 * What is watched for a path is config/follow/paths.c's. All watches are set anew before each reading; the
 * kernel knows those that it has already.
 *
 * Raw inotify rather than sd_event_add_inotify(): that goes through /proc/self/fd, which a chroot
 * may not have, and takes an event source for each inode.
 *
 * Not seen by inotify: a mount over one of the paths, a file system that others write to. The first
 * is noticed at the heartbeat by device and inode; for the second there is SIGHUP.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "config/follow/paths.h"
#include "config/follow/stamp.h"
#include "config/follow/watch.h"

#define JOIN_USEC     (100 * USEC_PER_MSEC)
#define JOIN_MAX_USEC (500 * USEC_PER_MSEC) /* and then, however many events there are */
#define AGAIN_USEC    (20 * USEC_PER_MSEC)  /* to the next reading, when something has changed during one */
#define UNSURE_USEC   (5 * USEC_PER_SEC)
#define RETRY_USEC    (30 * USEC_PER_SEC)
#define READS_MAX     64U /* in one go: 16 KiB each */
#define UNSTABLE_MAX  5U
#define N_PATHS       CONFIG_STAMP_PATHS

struct config_watch {
        sd_event *event;
        sd_event_source *io, *timer;
        config_watch_fn fn;
        void *userdata;
        const char *paths[N_PATHS]; /* the main file, the directories; NULL: none */
        struct config_paths watched;
        struct config_identity identities[N_PATHS];
        uint64_t first_usec; /* of the events that are being joined; 0: there are none */
        uint64_t due_usec;   /* the next call of fn; 0: none */
        uint64_t not_before;
        uint64_t unsure_usec; /* when a file was created that nobody has closed yet; 0: none */

        bool polling; /* not everything can be watched */
        uint64_t retry_usec;
        uint64_t polled, polled_before; /* what was seen at the last call of fn, and at the last beat */
        unsigned int n_unstable;
};

/* ---- without inotify ---- */

/* A file that is being written is left alone for as long as it changes at every look, within reason. */
static bool poll_files(struct config_watch *w)
{
        uint64_t now = config_stamp(w->paths);
        bool stable = now == w->polled_before;

        w->polled_before = now;
        if (now == w->polled) {
                w->n_unstable = 0;
                return false;
        }
        return stable || ++w->n_unstable >= UNSTABLE_MAX;
}

static const char *hint(int error)
{
        switch (error) {
        case -EMFILE:
                return " (fs.inotify.max_user_instances)";
        case -ENOSPC:
                return " (fs.inotify.max_user_watches)";
        default:
                return "";
        }
}

static void set_polling(struct config_watch *w)
{
        int error = w->watched.error;

        if (error != 0 && !w->polling)
                log_message(LOG_WARNING,
                            "configuration: %s can't be watched: %s%s; changes are looked for every second instead, "
                            "and on SIGHUP",
                            w->watched.error_path, strerror(-error), hint(error));
        else if (error == 0 && w->polling)
                log_message(LOG_NOTICE, "configuration: all files can be watched now");
        w->polling = error != 0;
        w->retry_usec = usec_now() + RETRY_USEC;
}

/* ---- the life of the inotify descriptor ---- */

static void close_inotify(struct config_watch *w)
{
        w->io = sd_event_source_unref(w->io);
        if (w->watched.fd >= 0)
                (void)close(w->watched.fd);
        w->watched.fd = -1;
        config_paths_deinit(&w->watched);
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata);

static int open_inotify(struct config_watch *w)
{
        int r;

        if (w->watched.fd >= 0)
                return 0;
        w->watched.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (w->watched.fd < 0)
                return -errno;
        r = sd_event_add_io(w->event, &w->io, w->watched.fd, EPOLLIN, on_events, w);
        if (r < 0)
                close_inotify(w);
        return r;
}

static void arm(struct config_watch *w)
{
        struct config_paths old = w->watched;
        int r;

        w->watched = (struct config_paths){ .fd = old.fd };
        r = open_inotify(w);
        if (r < 0) {
                w->watched.error = r;
                (void)snprintf(w->watched.error_path, sizeof(w->watched.error_path), "%s", w->paths[1]);
        }
        for (size_t i = 0; i < N_PATHS && r == 0; i++) {
                if (w->paths[i])
                        config_paths_add(&w->watched, w->paths[i], i > 0);
        }
        for (size_t i = 0; i < old.n_items; i++) {
                if (!config_paths_have(&w->watched, old.items[i].wd))
                        (void)inotify_rm_watch(w->watched.fd, old.items[i].wd);
        }
        config_paths_deinit(&old);
        set_polling(w);
}

/* What is read from now on and then changes is told. */
static void begin(struct config_watch *w)
{
        arm(w);
        for (size_t i = 0; i < N_PATHS; i++)
                w->identities[i] = config_identify(w->paths[i]);
        if (w->polling)
                w->polled = w->polled_before = config_stamp(w->paths);
        w->n_unstable = 0;
}

/* ---- events ---- */

static void schedule(struct config_watch *w)
{
        uint64_t now = usec_now(), due = now + JOIN_USEC;

        if (w->first_usec == 0)
                w->first_usec = now;
        if (due > w->first_usec + JOIN_MAX_USEC)
                due = w->first_usec + JOIN_MAX_USEC;
        if (due < w->not_before)
                due = w->not_before;
        /* Setting the time of a timer that is due takes its turn away, each time that an event comes. */
        if (due == w->due_usec)
                return;
        w->due_usec = due;
        (void)sd_event_source_set_time(w->timer, due);
        (void)sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

/*
 * A file that open(2) has created is taken when it is closed. One that link(2) or symlink(2) has made
 * is there as a whole, and nobody will close it. Of a file with one name the times tell: writing
 * sets both, linking and unlinking only the second. They have the kernel's tick, so that a file
 * which is written and linked within 4 ms is told late.
 */
static bool is_whole(struct config_watch *w, const char *directory, const char *name)
{
        char path[PATH_MAX];
        struct stat st;

        if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, name) >= sizeof(path) || lstat(path, &st) < 0)
                return true;
        if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_ctim.tv_sec != st.st_mtim.tv_sec ||
            st.st_ctim.tv_nsec != st.st_mtim.tv_nsec)
                return true;
        if (w->unsure_usec == 0)
                w->unsure_usec = usec_now();
        return false;
}

static bool event_concerns(struct config_watch *w, const struct inotify_event *event)
{
        const char *name = event->len > 0 ? event->name : NULL;

        if (event->mask & IN_Q_OVERFLOW)
                return true;
        for (size_t i = 0; i < w->watched.n_items; i++) {
                const struct config_watched *item = &w->watched.items[i];

                if (item->wd != event->wd)
                        continue;
                if (event->mask & (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF))
                        return true;
                if (item->name && (!name || strcmp(item->name, name) != 0))
                        continue;
                if ((event->mask & IN_CREATE) && !(event->mask & IN_ISDIR) && name && !is_whole(w, item->path, name))
                        continue;
                return true;
        }
        return false;
}

/* Empties the queue, within reason. Return: whether anything in it concerns us. */
static bool take_events(struct config_watch *w)
{
        char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
        bool concerned = false;

        for (unsigned int i = 0; w->watched.fd >= 0 && i < READS_MAX; i++) {
                ssize_t n = read(w->watched.fd, buffer, sizeof(buffer));

                if (n <= 0)
                        break;
                for (const char *at = buffer; !concerned && at < buffer + n;) {
                        const struct inotify_event *event = (const void *)at;

                        concerned = event_concerns(w, event);
                        at += sizeof(*event) + event->len;
                }
        }
        return concerned;
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct config_watch *w = userdata;

        (void)source;
        (void)fd;
        (void)revents;
        if (take_events(w))
                schedule(w);
        return 0;
}

/* Half of the time at most is spent here, whatever happens to the files. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct config_watch *w = userdata;
        uint64_t start = usec_now(), end;

        (void)source;
        (void)usec;
        w->first_usec = w->due_usec = w->unsure_usec = 0;
        (void)take_events(w);
        begin(w);
        w->fn(w->userdata);
        end = usec_now();
        w->not_before = end + (end - start < JOIN_MAX_USEC ? end - start : JOIN_MAX_USEC);
        return 0;
}

/* ---- the interface ---- */

int config_watch_new(struct config_watch **ret, sd_event *event, const struct config_origin *origin, config_watch_fn fn,
                     void *userdata)
{
        struct config_watch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->event = sd_event_ref(event);
        w->fn = fn;
        w->userdata = userdata;
        w->paths[0] = origin->main_file;
        w->paths[1] = origin->conf_dir;
        w->paths[2] = origin->run_dir;
        w->watched.fd = -1;
        r = sd_event_add_time(event, &w->timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_timer, w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
        if (r < 0) {
                config_watch_free(w);
                return r;
        }
        begin(w);
        *ret = w;
        return 0;
}

struct config_watch *config_watch_free(struct config_watch *w)
{
        if (w) {
                close_inotify(w);
                sd_event_source_unref(w->timer);
                sd_event_unref(w->event);
                free(w);
        }
        return NULL;
}

void config_watch_beat(struct config_watch *w)
{
        uint64_t now = usec_now();
        bool changed = w->unsure_usec != 0 && now - w->unsure_usec >= UNSURE_USEC;

        for (size_t i = 0; i < N_PATHS && !changed; i++) {
                struct config_identity is = config_identify(w->paths[i]);

                changed = is.dev != w->identities[i].dev || is.ino != w->identities[i].ino;
        }
        if (w->polling && !changed)
                changed = poll_files(w);
        if (w->polling && !changed && now >= w->retry_usec) {
                arm(w);
                changed = !w->polling;
        }
        if (changed && w->first_usec == 0)
                schedule(w);
}

void config_watch_ask(struct config_watch *w)
{
        schedule(w);
}

bool config_watch_settled(struct config_watch *w)
{
        bool changed = take_events(w) || (w->polling && config_stamp(w->paths) != w->polled);

        if (!changed)
                return true;
        /* The change that was being taken has waited already. */
        if (w->first_usec == 0)
                w->first_usec = usec_now() - JOIN_MAX_USEC + AGAIN_USEC;
        schedule(w);
        return false;
}
