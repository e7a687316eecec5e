/*
 * Which map a lookup takes when there are several: at most three at a time, and never back to an older
 * file. One step after the other; the races are in threads.c.
 *
 * read/map.c is compiled into this program, whose tests set its clocks and look at what it keeps.
 */

#include <sys/resource.h>

#include "torture.h"

#include "../../lib/read/map.c"

#define SERVICE 3

static char *why;
static int dir_fd;
static struct khs_writer *writer;

__attribute__((format(printf, 2, 3))) static void expect(bool ok, const char *format, ...)
{
        va_list args;

        if (ok)
                return;
        va_start(args, format);
        (void)vsnprintf(why, 200, format, args);
        va_end(args);
        _exit(0);
}

/* A new file, which alone has the version. */
static void replace(uint32_t version)
{
        expect(khs_writer_renew(writer, NULL, torture_now()) == 0 &&
                       torture_put(writer, SERVICE, version, torture_now()) == 0,
               "version %u can't be written", version);
        last_try_ds = 0; /* the next lookup may look for it */
}

/* A writer of generation `generation` that begins anew, whatever is there. */
static void begin_anew(uint32_t generation, uint32_t version)
{
        struct khs_table_params params = torture_params();

        writer = khs_writer_free(writer);
        expect(khs_writer_new(&writer, dir_fd, &params, generation) == 0 &&
                       torture_put(writer, SERVICE, version, torture_now()) == 0 && khs_writer_publish(writer) == 0,
               "no table");
        last_try_ds = 0;
}

static uint32_t version_of(const struct khs_pin *pin)
{
        uint32_t version = 0;
        int r = torture_read(pin->view, SERVICE, &version);

        expect(r == 0, "a pinned table reads as %d", r);
        return version;
}

/* A lookup that begins. */
static void enter(struct khs_pin *pin, uint32_t wanted, bool mapped)
{
        int r = khs_map_enter(pin);

        expect(r == 0, "%d instead of version %u", r, wanted);
        expect(version_of(pin) == wanted, "version %u, not %u", version_of(pin), wanted);
        expect((pin->count != NULL) == mapped, "version %u is %s", wanted, mapped ? "not mapped" : "mapped");
}

static unsigned int n_mapped(void)
{
        unsigned int n = 0;

        for (uint32_t i = 0; i < KHS_N_MAPS; i++)
                n += maps[i].mapped != 0;
        return n;
}

/* Lookups in flight on version 1, 2 and 3. */
static void enter_three(struct khs_pin pins[static 3])
{
        for (uint32_t v = 1; v <= 3; v++) {
                if (v > 1)
                        replace(v);
                enter(&pins[v - 1], v, true);
        }
        expect(n_mapped() == 3, "%u maps", n_mapped());
}

static void fourth_file_is_read_by_itself(void)
{
        struct khs_pin pins[3], pin;

        enter_three(pins);
        for (uint32_t v = 4; v < 8; v++) {
                replace(v);
                enter(&pin, v, false);
                khs_map_leave(&pin);
        }
        expect(n_mapped() == 3, "%u maps", n_mapped());
        for (uint32_t i = 0; i < 3; i++)
                expect(version_of(&pins[i]) == i + 1, "what is pinned has changed");

        khs_map_leave(&pins[0]);
        last_try_ds = 0;
        enter(&pin, 7, true);
        expect(n_mapped() == 3, "%u maps when one was let go", n_mapped());
        khs_map_leave(&pins[1]);
        khs_map_leave(&pins[2]);
        khs_map_leave(&pin);
        map_unmap_retired();
        expect(n_mapped() == 1, "%u maps in the end", n_mapped());
}

static void goes_on_with_the_map_when_no_file_can_be_opened(void)
{
        struct rlimit none = { 3, 3 };
        struct khs_pin pins[3], pin;

        enter_three(pins);
        replace(4);
        (void)setrlimit(RLIMIT_NOFILE, &none);
        expect(khs_map_enter(&pin) == 0 && pin.count && version_of(&pin) == 3, "version 3 does not answer");
}

static void goes_on_with_the_map_when_the_newer_file_is_damaged(void)
{
        struct khs_pin pins[3], pin;
        int fd;

        enter_three(pins);
        replace(4);
        fd = openat(dir_fd, KHS_TABLE_NAME, O_WRONLY | O_CLOEXEC);
        expect(fd >= 0 && pwrite(fd, "", 1, 0) == 1, "it can't be damaged");
        (void)close(fd);
        expect(khs_map_enter(&pin) == 0 && pin.count && version_of(&pin) == 3, "version 3 does not answer");
}

static void no_way_back_behind_a_file_that_was_read(void)
{
        struct khs_pin pins[3], pin;

        enter_three(pins);
        replace(4);
        enter(&pin, 4, false);
        khs_map_leave(&pin);
        enter(&pin, 4, false); /* though version 3 is mapped */
        khs_map_leave(&pin);
}

/* A newer file, and a writer that was killed before it could mark the one before. */
static void no_way_back_to_a_file_that_is_not_marked(void)
{
        struct khs_table_params params = torture_params();
        struct khs_writer *next;
        struct khs_pin pin;
        int other_fd;

        enter(&pin, 1, true);
        khs_map_leave(&pin);
        expect(mkdir("/run/other", 0755) == 0, "mkdir");
        other_fd = torture_open_dir("/run/other");
        expect(khs_writer_new(&next, other_fd, &params, 2) == 0 && torture_put(next, SERVICE, 2, torture_now()) == 0 &&
                       khs_writer_publish(next) == 0 && renameat(other_fd, KHS_TABLE_NAME, dir_fd, KHS_TABLE_NAME) == 0,
               "no newer file");

        enter(&pin, 1, true); /* nothing says that there is one */
        khs_map_leave(&pin);
        expect(map_enter_own(&pin) == 0 && version_of(&pin) == 2, "the newer file can't be read");
        khs_map_leave(&pin);
        enter(&pin, 2, false);
        khs_map_leave(&pin);
        last_try_ds = 0;
        enter(&pin, 2, true);
        khs_map_leave(&pin);
}

/* Numbers of files begin again where somebody has removed the last one. */
static void daemon_that_begins_anew_is_believed(void)
{
        struct khs_pin pin;

        begin_anew(57, 2);
        expect(map_enter_own(&pin) == 0, "it can't be read");
        khs_map_leave(&pin);
        begin_anew(1, 3);
        enter(&pin, 3, true);
        khs_map_leave(&pin);
        last_try_ds = ~0U; /* not for the next second */
        enter(&pin, 3, true);
        khs_map_leave(&pin);
}

static void pins_that_longjmp_left_do_not_count(void)
{
        struct khs_pin pins[3], pin;

        enter_three(pins);
        replace(4);
        for (uint32_t i = 0; i < KHS_N_MAPS; i++)
                maps[i].retired_ds -= LEAKED_DS;
        enter(&pin, 4, true);
        expect(n_mapped() == 4, "%u maps", n_mapped());
}

/* ---- */

static const struct {
        const char *name;
        void (*run)(void);
} tests[] = {
        { "a fourth file is read by itself while three are held", fourth_file_is_read_by_itself },
        { "goes on with the map when no file can be opened", goes_on_with_the_map_when_no_file_can_be_opened },
        { "goes on with the map when the newer file is damaged", goes_on_with_the_map_when_the_newer_file_is_damaged },
        { "no way back behind a file that was read by itself", no_way_back_behind_a_file_that_was_read },
        { "no way back to a file that nobody has marked", no_way_back_to_a_file_that_is_not_marked },
        { "a daemon that begins anew is believed", daemon_that_begins_anew_is_believed },
        { "pins that longjmp left do not count", pins_that_longjmp_left_do_not_count },
};

int main(void)
{
        if (geteuid() != 0)
                tap_skip_all("needs root and a mount namespace");
        why = torture_shared(200);
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
                int status;
                pid_t pid;

                why[0] = '\0';
                pid = torture_fork();
                if (pid == 0) {
                        dir_fd = torture_rundir("mode=755");
                        if (dir_fd < 0)
                                die("no run directory");
                        begin_anew(1, 1);
                        tests[i].run();
                        _exit(0);
                }
                (void)waitpid(pid, &status, 0);
                tap_ok(status == 0 && !why[0], "%s%s%s", tests[i].name, why[0] ? ": " : "", why);
        }
        return tap_done();
}
