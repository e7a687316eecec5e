/*
 * The follower: stamps are the truth, inotify(7) only makes it quicker.
 *
 * Twice a second it looks at the stamp of all files, which sees whatever a reader would see: links,
 * mounts, other hosts' changes. A change is taken when two looks in a row, JOIN_USEC apart, agree on
 * it; so changes that follow each other are joined, and a file that is being copied is left alone.
 * Whoever changes files without end is waited for no longer than SETTLE_USEC.
 *
 *          event, or LOOK_USEC
 *     +----------------------+
 *     v                      |
 *   look --- as taken ----> idle
 *     |                      ^
 *     | differs              | fn
 *     v                      |
 *   changing --- the same JOIN_USEC later, or SETTLE_USEC over
 *
 * The three directories (of the main file, and the two of drop-ins) have a watch of inotify each,
 * renewed at each look, since a directory may come, go, and be replaced. An event brings the next
 * look forward; where there are no watches nothing is lost but half a second.
 *
 * The watches also know what no stamp tells: that a file has been written to and is still open. Such a
 * file is half of what it is going to be, and is waited for, up to WRITER_USEC. The last one is
 * remembered; of two that are written at once the other may be read early, and again when it is closed.
 *
 * Raw inotify rather than sd_event_add_inotify(): that goes through /proc/self/fd, which a chroot
 * may not have.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/timer.h"
#include "base/util.h"
#include "config/files.h"
#include "config/follow/follower.h"
#include "config/follow/stamp.h"

#define LOOK_USEC   (500 * USEC_PER_MSEC)
#define EVENT_USEC  (20 * USEC_PER_MSEC) /* whoever writes a file in place is mostly done by then */
#define JOIN_USEC   (100 * USEC_PER_MSEC)
#define SETTLE_USEC (500 * USEC_PER_MSEC)
#define WRITER_USEC (5 * USEC_PER_SEC)
#define READS_MAX   64U /* of events in one go: 16 KiB each */
#define N_PATHS     CONFIG_STAMP_PATHS

#define MASK (IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB | IN_ONLYDIR)

struct config_follower {
        sd_event_source *io;
        struct timer timer; /* the next look */
        config_follower_fn fn;
        void *userdata;
        const char *paths[N_PATHS]; /* the main file, then directories; NULL: none */

        int fd; /* of inotify; -1: none */
        char *main_directory;
        const char *main_name;
        int watches[N_PATHS]; /* -1: none */

        uint64_t taken; /* stamp of what was read last */
        uint64_t seen;  /* stamp of the last look */
        bool quiet;     /* the look before it had the same */
        bool asked;
        uint64_t changing_usec; /* since when seen differs from taken; 0: it does not */
        uint64_t due_usec;      /* the next look */
        uint64_t not_before_usec;

        char writer[NAME_MAX + 1]; /* the file that was written to and not closed; empty: none */
        int writer_watch;
        uint64_t writer_usec; /* since when */
};

/* ---- events ---- */

static void follower_note_event(struct config_follower *f, const struct inotify_event *event)
{
        bool is_writer = event->wd == f->writer_watch && strcmp(event->name, f->writer) == 0;
        bool is_wanted = event->wd == f->watches[0] && strcmp(event->name, f->main_name) == 0;

        for (size_t i = 1; i < N_PATHS; i++)
                is_wanted = is_wanted || (event->wd == f->watches[i] && config_files_want(event->name));
        if ((event->mask & IN_MODIFY) && is_wanted && !is_writer) {
                f->writer_usec = usec_now();
                f->writer_watch = event->wd;
                (void)snprintf(f->writer, sizeof(f->writer), "%s", event->name);
        } else if ((event->mask & (IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE)) && is_writer) {
                f->writer[0] = '\0';
        }
}

/* Empties the queue, within reason. */
static void follower_drain(struct config_follower *f)
{
        char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));

        for (unsigned int i = 0; i < READS_MAX && f->fd >= 0; i++) {
                ssize_t n = read(f->fd, buffer, sizeof(buffer));

                if (n <= 0)
                        break;
                for (const char *at = buffer; at < buffer + n;) {
                        const struct inotify_event *event = (const void *)at;

                        if (event->len > 0)
                                follower_note_event(f, event);
                        at += sizeof(*event) + event->len;
                }
        }
}

static void follower_renew_watches(struct config_follower *f)
{
        for (size_t i = 0; i < N_PATHS && f->fd >= 0; i++) {
                const char *directory = i == 0 ? f->main_directory : f->paths[i];
                int watch = directory ? inotify_add_watch(f->fd, directory, MASK) : -1;

                if (f->watches[i] >= 0 && f->watches[i] != watch)
                        (void)inotify_rm_watch(f->fd, f->watches[i]);
                f->watches[i] = watch;
        }
}

/* ---- looking ---- */

static void follower_set_due(struct config_follower *f, uint64_t due)
{
        f->due_usec = due;
        timer_set(&f->timer, due);
}

/* Brings the next look forward. One that is due already keeps its turn. */
static void follower_hurry(struct config_follower *f)
{
        uint64_t due = usec_now() + EVENT_USEC;

        if (due < f->not_before_usec)
                due = f->not_before_usec;
        if (due < f->due_usec)
                follower_set_due(f, due);
}

/* Return: whether the files have changed and are quiet. */
static bool follower_look(struct config_follower *f, uint64_t now)
{
        uint64_t before = f->seen;

        follower_renew_watches(f);
        f->seen = config_stamp(f->paths);
        follower_drain(f);
        f->quiet = f->seen == before;
        if (f->seen == f->taken) {
                f->changing_usec = 0;
                return false;
        }
        if (f->changing_usec == 0)
                f->changing_usec = now;
        if (f->writer[0] != '\0' && now - f->writer_usec < WRITER_USEC)
                return false;
        return f->quiet || now - f->changing_usec >= SETTLE_USEC;
}

static void follower_take(struct config_follower *f)
{
        /* What is not quiet may change once more within the tick of the clock that stamps it. */
        f->taken = f->quiet ? f->seen : ~f->seen;
        f->asked = false;
        f->changing_usec = 0;
        f->writer[0] = '\0';
        f->fn(f->userdata);
}

/* Half of the time at most is spent here, whatever happens to the files. */
static void follower_on_timer(void *userdata)
{
        struct config_follower *f = userdata;
        uint64_t start = usec_now(), end, pause;

        if (follower_look(f, start) || f->asked)
                follower_take(f);
        end = usec_now();
        pause = end - start < JOIN_USEC ? JOIN_USEC : end - start;
        f->not_before_usec = end + (pause < LOOK_USEC ? pause : LOOK_USEC);
        follower_set_due(f, f->changing_usec || f->asked ? f->not_before_usec : end + LOOK_USEC);
}

static int follower_on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        (void)source;
        (void)fd;
        (void)revents;
        follower_drain(userdata);
        follower_hurry(userdata);
        return 0;
}

/* ---- the interface ---- */

/* Without inotify, and without memory for a name, there are the looks. */
static int follower_open_inotify(struct config_follower *f, sd_event *event)
{
        const char *slash = f->paths[0] ? strrchr(f->paths[0], '/') : NULL;
        int r;

        f->main_name = slash ? slash + 1 : f->paths[0];
        if (slash)
                f->main_directory = strndup(f->paths[0], slash > f->paths[0] ? (size_t)(slash - f->paths[0]) : 1);
        else if (f->paths[0])
                f->main_directory = strdup(".");
        if (f->paths[0] && !f->main_directory)
                return -ENOMEM;

        f->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (f->fd < 0)
                return 0;
        r = sd_event_add_io(event, &f->io, f->fd, EPOLLIN, follower_on_events, f);
        return r < 0 ? r : 0;
}

int config_follower_new(struct config_follower **ret, sd_event *event, const struct config_origin *origin,
                        config_follower_fn fn, void *userdata)
{
        struct config_follower *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        f->fn = fn;
        f->userdata = userdata;
        f->paths[0] = origin->main_file;
        f->paths[1] = origin->conf_dir;
        f->paths[2] = origin->run_dir;
        f->fd = f->writer_watch = -1;
        for (size_t i = 0; i < N_PATHS; i++)
                f->watches[i] = -1;
        r = follower_open_inotify(f, event);
        if (r >= 0)
                r = timer_init(&f->timer, event, USEC_PER_MSEC, follower_on_timer, f);
        if (r < 0) {
                config_follower_free(f);
                return r;
        }
        follower_renew_watches(f);
        f->taken = f->seen = config_stamp(f->paths);
        follower_set_due(f, usec_now() + LOOK_USEC);
        *ret = f;
        return 0;
}

struct config_follower *config_follower_free(struct config_follower *f)
{
        if (!f)
                return NULL;
        sd_event_source_unref(f->io);
        timer_deinit(&f->timer);
        if (f->fd >= 0)
                (void)close(f->fd);
        free(f->main_directory);
        free(f);
        return NULL;
}

void config_follower_again(struct config_follower *f)
{
        f->taken = ~f->seen;
}

void config_follower_ask(struct config_follower *f)
{
        f->asked = true;
        follower_hurry(f);
}

bool config_follower_settled(struct config_follower *f)
{
        uint64_t now = config_stamp(f->paths);

        if (now == f->seen)
                return true;
        /* Equal to no stamp that comes: also where the change is undone, what was read is not in use. */
        f->seen = now;
        f->taken = ~now;
        f->changing_usec = usec_now();
        return false;
}
