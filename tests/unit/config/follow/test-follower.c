/*
 * What the follower notices of the configuration's files, when, and what it leaves alone.
 */

#include <fcntl.h>

#include "base/util.h"
#include "config-fixture.h"
#include "config/follow/follower.h"
#include "config/follow/live.h"

TestSuite(config_follower, .init = setup, .fini = teardown, .timeout = 120);

static sd_event *event;
static struct config_follower *follower;
static unsigned int n_calls;
static const char *touched_during; /* a path that changes while the files are read */
static bool not_read;              /* the files can't be read this time */

static void path_of(const char *path, char ret[static 256])
{
        snprintf(ret, 256, "%s/%s", f.dir, path);
}

static void on_change(void *userdata)
{
        (void)userdata;
        n_calls++;
        if (not_read)
                config_follower_again(follower);
        not_read = false;
        if (touched_during) {
                put(touched_during, "# again\n");
                touched_during = NULL;
                cr_expect(!config_follower_settled(follower), "it has changed");
                return;
        }
        cr_expect(config_follower_settled(follower));
}

/* Runs the loop until fn is called, or for so long. */
static bool called_within(uint64_t usec)
{
        uint64_t end = usec_now() + usec, now;
        unsigned int before = n_calls;

        while (n_calls == before && (now = usec_now()) < end)
                cr_assert_geq(sd_event_run(event, end - now), 0);
        return n_calls > before;
}

/* Long enough for a machine that is busy; and longer than it takes without an event. */
#define TOLD  called_within(30 * SEC)
#define QUIET (!called_within(7 * SEC / 10))

/* All that is under way has been told. */
static void settle(void)
{
        while (!QUIET)
                ;
}

static void start(void)
{
        cr_assert_geq(sd_event_new(&event), 0);
        cr_assert_eq(config_follower_new(&follower, event, &f.origin, on_change, NULL), 0);
}

static void stop(void)
{
        follower = config_follower_free(follower);
        event = sd_event_unref(event);
}

static void make_dir(const char *path)
{
        char full[256];

        path_of(path, full);
        cr_assert_eq(mkdir(full, 0755), 0);
}

static void move(const char *from, const char *to)
{
        char a[256], b[256];

        path_of(from, a);
        path_of(to, b);
        cr_assert_eq(rename(a, b), 0);
}

/* @target is taken as it is, or from the fixture's directory if it begins with "@". */
static void make_link(const char *target, const char *path)
{
        char a[256], b[256];

        if (target[0] == '@')
                path_of(target + 1, a);
        else
                snprintf(a, sizeof(a), "%s", target);
        path_of(path, b);
        cr_assert_eq(symlink(a, b), 0, "%s: %s", b, strerror(errno));
}

static void drop_dir(const char *path)
{
        char full[256];

        path_of(path, full);
        cr_assert_eq(rmdir(full), 0);
}

Test(config_follower, tells_of_the_main_file)
{
        start();
        cr_expect(QUIET);
        put("main", "a");
        cr_expect(TOLD, "created and closed");
        put("main", "b");
        cr_expect(TOLD, "written in place");
        put("new", "c");
        move("new", "main");
        cr_expect(TOLD, "replaced");
        put("main", "d");
        cr_expect(TOLD, "written in place after it was replaced");
        move("main", "old");
        cr_expect(TOLD, "moved away");
        move("old", "main");
        cr_expect(TOLD, "moved back");
        drop("main");
        cr_expect(TOLD, "deleted");
        put("other", "x");
        cr_expect(QUIET, "a file beside it");
        stop();
}

Test(config_follower, tells_of_files_of_directories)
{
        char path[256];
        int fd;

        start();
        put("etc/a.conf", "a");
        cr_expect(TOLD);
        put("run/b.conf", "b");
        cr_expect(TOLD);
        drop("run/b.conf");
        cr_expect(TOLD);
        move("etc/a.conf", "etc/b.conf");
        cr_expect(TOLD);
        path_of("etc/b.conf", path);
        cr_assert_eq(chmod(path, 0600), 0);
        cr_expect(TOLD, "it may be readable now");
        settle();
        fd = open(path, O_RDONLY);
        cr_assert(fd >= 0 && read(fd, path, sizeof(path)) == 1 && close(fd) == 0);
        cr_expect(QUIET, "reading is no change");
        stop();
}

Test(config_follower, waits_for_whoever_is_still_writing)
{
        char path[256], other[256];
        int fd;

        start();
        path_of("etc/a.conf", path);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
        cr_assert(fd >= 0 && write(fd, "a", 1) == 1);
        cr_expect(QUIET, "created and not closed");
        cr_assert_eq(write(fd, "b", 1), 1);
        cr_expect(QUIET);
        cr_assert_eq(close(fd), 0);
        cr_expect(TOLD, "closed");
        settle();
        put("new", "b");
        path_of("new", path);
        path_of("etc/b.conf", other);
        cr_assert_eq(link(path, other), 0);
        cr_expect(TOLD, "linked as soon as it was written: nobody will close it");
        settle();
        path_of("etc/c.conf", other);
        cr_assert_eq(rename(path, other), 0);
        cr_expect(TOLD, "moved");
        settle();
        make_link("a.conf", "etc/d.conf");
        cr_expect(TOLD, "a link");
        stop();
}

/* Whoever holds a file open for good does not put off what others change. */
Test(config_follower, waits_for_a_writer_only_so_long)
{
        char path[256];
        int fd;

        put("etc/a.conf", "abc");
        start();
        path_of("etc/a.conf", path);
        fd = open(path, O_WRONLY | O_TRUNC);
        cr_assert_geq(fd, 0);
        cr_expect(QUIET, "it is empty, but not for long");
        put("etc/b.conf", "b");
        cr_expect(TOLD);
        close(fd);
        stop();
}

/* No event comes: the file is written through a name that is in none of the directories. */
Test(config_follower, notices_without_an_event)
{
        char path[256], other[256];

        make_dir("else");
        put("else/file", "a");
        path_of("else/file", path);
        path_of("etc/a.conf", other);
        cr_assert_eq(link(path, other), 0);
        start();
        cr_expect(QUIET);
        put("else/file", "b");
        cr_expect(TOLD, "the same size, another time");
        stop();
}

Test(config_follower, waits_for_directories)
{
        drop_dir("run");
        drop_dir("etc");
        start();
        make_dir("etc");
        cr_expect(TOLD);
        put("etc/a.conf", "a");
        cr_expect(TOLD);
        move("etc", "away");
        cr_expect(TOLD);
        put("away/a.conf", "b");
        cr_expect(QUIET, "it is not ours any more");
        make_dir("etc");
        put("etc/a.conf", "c");
        cr_expect(TOLD);
        settle();
        put("etc/a.conf", "d");
        cr_expect(TOLD);
        drop("etc/a.conf");
        drop_dir("etc");
        cr_expect(TOLD);
        settle();
        move("away", "etc");
        cr_expect(TOLD);
        settle();
        put("etc/a.conf", "e");
        cr_expect(TOLD);
        stop();
}

Test(config_follower, waits_for_a_whole_tree)
{
        char main_file[256], conf_dir[256];

        path_of("one/two/main", main_file);
        path_of("one/two/conf.d", conf_dir);
        f.origin.main_file = main_file;
        f.origin.conf_dir = conf_dir;
        start();
        make_dir("one");
        make_dir("one/two");
        cr_expect(QUIET, "nothing can be read there yet");
        put("one/two/main", "a");
        cr_expect(TOLD);
        make_dir("one/two/conf.d");
        cr_expect(TOLD);
        put("one/two/conf.d/a.conf", "a");
        cr_expect(TOLD);
        move("one", "away");
        cr_expect(TOLD);
        settle();
        make_dir("one");
        move("away/two", "one/two");
        cr_expect(TOLD);
        settle();
        put("one/two/conf.d/a.conf", "b");
        cr_expect(TOLD);
        stop();
}

/* As the kubelet keeps a volume: files are links through ..data, which is exchanged. */
Test(config_follower, tells_of_a_volume_that_is_exchanged)
{
        make_dir("volume");
        make_dir("volume/..1");
        put("volume/..1/main", "a");
        make_link("..1", "volume/..data");
        make_link("..data/main", "volume/main");
        make_link("@volume/main", "main");
        start();
        cr_expect(QUIET);
        make_dir("volume/..2");
        put("volume/..2/main", "b");
        cr_expect(QUIET, "nothing leads there yet");
        make_link("..2", "volume/..data_tmp");
        move("volume/..data_tmp", "volume/..data");
        cr_expect(TOLD);
        settle();
        put("volume/..2/main", "c");
        cr_expect(TOLD, "what is led to now is followed");
        drop("volume/..1/main");
        cr_expect(QUIET, "what was led to before is not");
        stop();
}

Test(config_follower, tells_where_links_of_a_directory_lead)
{
        make_dir("else");
        make_dir("else/where");
        put("else/where/file", "a");
        make_link("where/file", "else/first");
        make_link("../else/first", "etc/a.conf");
        start();
        cr_expect(QUIET);
        put("else/where/file", "b");
        cr_expect(TOLD);
        put("else/where/other", "b");
        cr_expect(QUIET, "a file that nobody asks for");
        put("else/second", "c");
        move("else/second", "else/first");
        cr_expect(TOLD, "the link in between");
        settle();
        put("else/where/file", "d");
        cr_expect(QUIET, "nothing leads there any more");
        stop();
}

Test(config_follower, tells_of_a_directory_that_is_a_link)
{
        drop_dir("etc");
        make_dir("one");
        make_dir("two");
        make_link("one", "etc");
        start();
        put("one/a.conf", "a");
        cr_expect(TOLD);
        put("two/a.conf", "a");
        cr_expect(QUIET);
        make_link("two", "new");
        move("new", "etc");
        cr_expect(TOLD);
        settle();
        put("two/a.conf", "b");
        cr_expect(TOLD);
        put("one/a.conf", "b");
        cr_expect(QUIET);
        stop();
}

/* Links that lead nowhere, to themselves, and round and round; they are mended. */
Test(config_follower, links_that_lead_nowhere)
{
        drop_dir("etc");
        make_link("etc", "etc");
        make_link("b", "a");
        make_link("a", "b");
        make_link("a/../missing/../..", "main");
        start();
        cr_expect(QUIET);
        drop("etc");
        cr_expect(TOLD);
        make_dir("etc");
        cr_expect(TOLD);
        drop("main");
        cr_expect(TOLD);
        put("main", "a");
        cr_expect(TOLD);
        stop();
}

Test(config_follower, joins_what_comes_together)
{
        uint64_t begin = usec_now(), most;

        start();
        for (int i = 0; i < 200; i++) {
                char name[32];

                snprintf(name, sizeof(name), "etc/%d.conf", i);
                put(name, "a");
                cr_assert_geq(sd_event_run(event, 2000), 0);
        }
        settle();
        most = (usec_now() - begin) / (SEC / 10) + 1;
        cr_expect(n_calls >= 1 && n_calls <= most, "%u calls, at most %u", n_calls, (unsigned int)most);
        config_follower_ask(follower);
        cr_expect(TOLD);
        cr_expect(QUIET);
        stop();
}

/* Whoever writes without end does not put it off. */
Test(config_follower, tells_of_what_has_no_end)
{
        uint64_t end = usec_now() + 30 * SEC;

        start();
        while (n_calls < 2 && usec_now() < end) {
                put("etc/a.conf", "a");
                cr_assert_geq(sd_event_run(event, 10000), 0);
        }
        cr_expect_eq(n_calls, 2);
        stop();
}

/* The queue is full of what concerns nobody: the event that matters is the one that is lost. */
Test(config_follower, reads_again_after_an_overflow)
{
        FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
        int n = 0;

        cr_assert(file && fscanf(file, "%d", &n) == 1);
        fclose(file);
        start();
        for (int i = 0; i < n / 2 + 10; i++) {
                make_dir("other");
                drop_dir("other");
        }
        put("etc/a.conf", "a");
        cr_expect(TOLD);
        settle();
        put("etc/a.conf", "b");
        cr_expect(TOLD);
        stop();
}

Test(config_follower, a_change_while_the_files_are_read_is_told_again)
{
        start();
        touched_during = "etc/b.conf";
        put("etc/a.conf", "a");
        cr_expect(TOLD);
        cr_expect(TOLD);
        cr_expect(QUIET);
        stop();
}

/* Lines of all descriptors' "inotify wd:..."; the test's own threads come and go with others. */
static unsigned int count_watches(void)
{
        unsigned int n = 0;

        for (int fd = 0; fd < 64; fd++) {
                char path[64], line[256];
                FILE *file;

                snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
                file = fopen(path, "r");
                while (file && fgets(line, sizeof(line), file))
                        n += strncmp(line, "inotify", 7) == 0;
                if (file)
                        fclose(file);
        }
        return n;
}

Test(config_follower, what_could_not_be_read_is_told_again)
{
        start();
        settle();
        not_read = true;
        put("main", "# once\n");
        cr_expect(TOLD);
        cr_expect(TOLD, "again");
        settle();
        cr_expect(QUIET);
        stop();
}

Test(config_follower, watches_do_not_pile_up)
{
        start();
        cr_expect_eq(count_watches(), 3);
        for (int i = 0; i < 20; i++) {
                make_dir("etc/dir");
                drop_dir("etc/dir");
                make_link("dir", "etc/x.conf");
                config_follower_ask(follower);
                cr_expect(TOLD);
                drop("etc/x.conf");
        }
        settle();
        cr_expect_eq(count_watches(), 3);
        make_dir("more");
        put("more/file", "a");
        make_link("../more/file", "etc/x.conf");
        cr_expect(TOLD);
        settle();
        cr_expect_eq(count_watches(), 3, "what a link leads to has none");
        drop("etc/x.conf");
        cr_expect(TOLD);
        settle();
        cr_expect_eq(count_watches(), 3);
        for (int i = 0; i < 5; i++) {
                char away[32];

                snprintf(away, sizeof(away), "away-%d", i);
                move("etc", away);
                make_dir("etc");
                config_follower_ask(follower);
                cr_expect(TOLD);
        }
        cr_expect_eq(count_watches(), 3);
        stop();
}

/* ---- the whole ---- */

static struct config_live *live;
static int results[8];
static size_t n_results;
static bool interfere;

static void on_live(void *userdata)
{
        (void)userdata;
        if (interfere) {
                put("conf.d/b.conf", "[service b]\n");
                interfere = false;
        }
        cr_assert_lt(n_results, N(results));
        results[n_results++] = config_live_load(live, false);
}

static void run_until(size_t n)
{
        uint64_t end = usec_now() + 30 * SEC;

        while (n_results < n && usec_now() < end)
                cr_assert_geq(sd_event_run(event, 100000), 0);
        cr_assert_eq(n_results, n);
}

Test(config_follower, a_configuration_that_changes_while_it_is_read_is_not_taken_half)
{
        const struct config_live_options options = { .main_file = f.main_file, .resolv_conf = f.resolv_conf };

        make_dir("conf.d");
        put("main", "[service a]\n");
        cr_assert_geq(sd_event_new(&event), 0);
        cr_assert_eq(config_live_new(&live, event, &options, on_live, NULL), 0);
        cr_expect_eq(config_live_get(live)->n_services, 1);

        interfere = true;
        put("main", "[service a]\n[service c]\n");
        run_until(1);
        cr_expect_eq(results[0], -EAGAIN);
        cr_expect_eq(config_live_get(live)->n_services, 1);
        run_until(2);
        cr_expect_eq(results[1], 1, "taken, although nothing has changed since it was read");
        cr_expect_eq(config_live_get(live)->n_services, 3);

        put("main", "[service a]\n[service c]\n# the same\n");
        run_until(3);
        cr_expect_eq(results[2], 0);
        put("main", "[service a]\nanswers = x\n");
        run_until(4);
        cr_expect_eq(results[3], 0, "what is in use is the last good version");
        cr_expect_eq(config_live_n_errors(live), 1);
        cr_expect_eq(config_live_n_findings(live), 2);
        cr_expect_eq(config_live_get(live)->n_services, 3);
        live = config_live_free(live);
        event = sd_event_unref(event);
}
