/*
 * The writer, one machine instruction at a time. (After c-rbtree's test-parallel.)
 *
 * A child adopts the table and runs one operation under PTRACE_SINGLESTEP. After every instruction
 * readers in the parent look at every service, at every index entry: each service has its old or
 * its new value, whole, and a reader that saw the new one never sees the old one again. Whenever an
 * instruction has changed anything in the file (all of it is compared, so that no state is left
 * out), a reader by pread(2) looks, too, and a daemon adopts a copy of the file and, now and then,
 * writes to that.
 *
 * At one instruction in 50 the writer is really killed: a clone of it is made at that very
 * instruction (fork(2), put into its mouth), it gets SIGKILL, the parent adopts the real file in place,
 * checks it, and lets go; the clone is the writer from there. Adoption writes nothing but a
 * heartbeat, a pid, and what the clone will write itself into the reverse index, so that it can go on as
 * if nothing had been. Last, writers are killed at random
 * instructions for good, and new ones adopt and continue.
 *
 *     stepkill [--full] [--reverse]      --full: more of these deaths; --reverse: with a reverse index
 */

#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include "read/crc.h"
#include "table/siphash.h"
#include "torture.h"
#include "write/record/record.h"

#define N          8 /* services; ids[] are their numbers */
#define KILL_EACH  50
#define WRITE_EACH 16 /* adoptions of a copy that are also written to */

struct reader {
        struct khs_table_file file;
        bool open;
        uint32_t seen[N]; /* the newest version; 0: none */
};

struct world {
        char dir[64], copy_dir[64];
        int dir_fd, copy_fd;
        uint32_t now_ds;
        uint32_t ids[N];
        uint32_t old[N], new[N]; /* versions before and after the operation; 0: not there */
        bool named;              /* the table has had its name at some time */
        bool dying;              /* writers die for good */

        struct reader live; /* follows the superseded mark, as a process does */
        struct reader path; /* always of the file that has the name */
        uint8_t *adopted;   /* what was adopted last */
        size_t n_adopted;
        uint8_t *copy; /* the copy's file, mapped */

        /* results */
        unsigned long n_steps, n_states, n_adoptions, n_kills, n_left, n_bad;
        char what[200];
};

static struct world *w;

__attribute__((format(printf, 1, 2))) static void bad(const char *format, ...)
{
        va_list args;

        if (w->n_bad++ > 0)
                return;
        va_start(args, format);
        (void)vsnprintf(w->what, sizeof(w->what), format, args);
        va_end(args);
}

/* ---- readers ---- */

/* Its addresses lead to it: all of them where nothing is under way. */
static void check_reverse(const struct khs_view *view, uint32_t k, uint32_t version, bool settled, const char *who)
{
        uint32_t id = w->ids[k], n4 = torture_n4(id, version), n6 = torture_n6(id, version);

        for (uint32_t j = 0; j < n4 + n6; j += settled ? 1 : 7) {
                int r = j < n4 ? torture_reverse(view, id, version, AF_INET, j)
                               : torture_reverse(view, id, version, AF_INET6, j - n4);

                if (r < 0 && (r != -ENOENT || settled || version == w->old[k]))
                        bad("%s: address %u of service %u, version %u: %s", who, j, k, version, strerror(-r));
        }
}

static void check_service(const struct khs_view *view, struct reader *reader, uint32_t k, const char *who)
{
        uint32_t version = 0;
        int r = torture_read(view, w->ids[k], &version);

        if (r == -ENOENT)
                version = 0;
        else if (r < 0)
                bad("%s: service %u: %s", who, k, strerror(-r));
        if ((r == 0 || r == -ENOENT) && version != w->old[k] && version != w->new[k])
                bad("%s: service %u has version %u, not %u or %u", who, k, version, w->old[k], w->new[k]);
        if (with_reverse_index && r == 0)
                check_reverse(view, k, version, false, who);
        if (!reader || w->old[k] == w->new[k])
                return;
        if (reader->seen[k] == w->new[k] + 1 && version == w->old[k])
                bad("%s: service %u went back to version %u", who, k, version);
        reader->seen[k] = version + 1;
}

/* Nothing but our services, each once. */
static void check_foreign(const struct khs_view *view, const char *who)
{
        struct khs_found found;
        uint32_t cursor = 0, count[N] = { 0 };
        char key[256], ours[48];

        while (khs_view_next(view, &cursor, &found, key) == 0) {
                uint32_t k;

                for (k = 0; k < N; k++) {
                        (void)torture_key(w->ids[k], ours);
                        if (strcmp(key, ours) == 0)
                                break;
                }
                if (k == N)
                        bad("%s: a foreign key '%s'", who, key);
                else if (++count[k] > 1)
                        bad("%s: '%s' is there twice", who, key);
        }
}

static void check_view(const struct khs_view *view, struct reader *reader, const char *who)
{
        for (uint32_t k = 0; k < N; k++)
                check_service(view, reader, k, who);
        check_foreign(view, who);
}

static void reader_close(struct reader *reader)
{
        if (reader->open)
                khs_table_close(&reader->file);
        reader->open = false;
}

/* Moves on to the file that has the name. Return: whether there is one. */
static bool reader_follow(struct reader *reader)
{
        struct khs_table_file next;
        int r = khs_table_open(w->dir, KHS_OPEN_MAP, reader->open ? &reader->file : NULL, &next);

        if (r == -EALREADY)
                return true;
        if (r == 0) {
                reader_close(reader);
                reader->file = next;
                reader->open = true;
        } else if (r != -ENOENT || w->named)
                bad("the table can't be opened: %s", strerror(-r));
        return r == 0;
}

static uint64_t path_inode(void)
{
        struct stat stat;

        return fstatat(w->dir_fd, KHS_TABLE_NAME, &stat, 0) == 0 ? stat.st_ino : 0;
}

/* After every instruction. */
static void check_live(void)
{
        uint64_t inode = path_inode();

        if (inode == 0) {
                if (w->named)
                        bad("the table has lost its name");
                return;
        }
        w->named = true;
        if (!w->path.open || w->path.file.inode != inode)
                (void)reader_follow(&w->path);
        if (!w->live.open ||
            khs_view_load_acquire(&w->live.file.view, offsetof(struct khs_table_header, state) / 4) != KHS_STATE_LIVE)
                (void)reader_follow(&w->live);
        if (w->live.open)
                check_view(&w->live.file.view, &w->live, "reader");
        if (w->path.open && w->live.open && w->path.file.inode != w->live.file.inode)
                check_view(&w->path.file.view, &w->path, "new reader");
}

/*
 * For a reader that loaded a ref long ago and looks behind it only now: whatever block has an even seq is
 * a whole record, in use or not.
 */
static void check_blocks(const struct khs_view *view)
{
        struct khs_found found;

        for (uint32_t unit = 0; unit < view->arena_units; unit += found.record.units) {
                uint32_t *words = &found.record.seq;

                found.block = view->arena_word + unit * KHS_UNIT_WORDS;
                for (uint32_t i = 0; i < KHS_UNIT_WORDS; i++)
                        words[i] = khs_view_load(view, found.block + i);
                if (found.record.units == 0)
                        break;
                if (found.record.units > view->arena_units - unit) {
                        bad("the block at unit %u leaves the arena", unit);
                        break;
                }
                if (found.record.seq % 2 == 0 && khs_found_intact(view, &found) < 0)
                        bad("the block at unit %u is no whole record, with even seq %u", unit, found.record.seq);
        }
}

static void check_pread(void)
{
        struct khs_table_file file;
        int r = khs_table_open(w->dir, KHS_OPEN_PREAD, NULL, &file);

        if (r < 0) {
                bad("pread: %s", strerror(-r));
                return;
        }
        for (uint32_t k = 0; k < N; k++)
                check_service(&file.view, NULL, k, "pread");
        khs_table_close(&file);
}

/* ---- an adopting daemon, on a copy ---- */

static void copy_release(void)
{
        if (w->copy)
                (void)munmap(w->copy, w->n_adopted);
        w->copy = NULL;
        (void)unlinkat(w->copy_fd, KHS_TABLE_NAME, 0);
}

static void copy_file(const void *map, size_t size)
{
        if (w->n_adopted != size) {
                copy_release();
                w->adopted = realloc(w->adopted, size);
                w->n_adopted = size;
        }
        if (!w->copy) {
                int fd = openat(w->copy_fd, KHS_TABLE_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

                if (!w->adopted || fd < 0 || posix_fallocate(fd, 0, (off_t)size) != 0)
                        die("copy");
                w->copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                (void)close(fd);
                if (w->copy == MAP_FAILED)
                        die("copy can't be mapped");
        }
        memcpy(w->adopted, map, size);
        memcpy(w->copy, map, size);
}

/* What a daemon does with an adopted table: every service gets a new version, one goes, one comes back. */
static void write_to_copy(struct khs_writer *writer)
{
        struct khs_table_file file;
        uint32_t version = 0;

        for (uint32_t k = 0; k < N; k++) {
                if (torture_put(writer, w->ids[k], 1000 + k, w->now_ds + (k & 1 ? 1000 : 0)) < 0)
                        bad("an adopted table takes no put");
        }
        if (torture_delete(writer, w->ids[1], w->now_ds) < 0 || torture_put(writer, w->ids[1], 1001, w->now_ds) < 0)
                bad("an adopted table takes no delete and insert");
        if (khs_table_open(w->copy_dir, KHS_OPEN_MAP, NULL, &file) < 0) {
                bad("an adopted table that was written to can't be opened");
                return;
        }
        for (uint32_t k = 0; k < N; k++) {
                if (torture_read(&file.view, w->ids[k], &version) < 0 || version != 1000 + k)
                        bad("service %u of an adopted table has version %u after version %u was put", k, version,
                            1000 + k);
        }
        check_foreign(&file.view, "adopted and written to");
        khs_table_close(&file);
}

static void check_adopted(const struct khs_view *view)
{
        check_view(view, NULL, "adopted");
        for (uint32_t k = 0; with_reverse_index && k < N; k++) {
                uint32_t version;

                if (torture_read(view, w->ids[k], &version) == 0)
                        check_reverse(view, k, version, true, "adopted");
        }
}

static void check_adoption(const void *map, size_t size)
{
        struct khs_table_params params = torture_params();
        struct khs_writer *writer;
        struct khs_view view;
        int r;

        copy_file(map, size);
        w->n_adoptions++;
        r = khs_writer_adopt(&writer, w->copy_fd, &params, w->now_ds);
        if (r < 0) {
                bad("a copy is not adopted: %s", strerror(-r));
                return;
        }
        if (khs_view_init(&view, w->copy, -1, size) < 0)
                bad("an adopted copy is no table");
        else
                check_adopted(&view);
        if (w->n_adoptions % WRITE_EACH == 0) {
                write_to_copy(writer);
                copy_release(); /* it may have grown into another file */
        }
        khs_writer_free(writer);
}

/* Whenever something has changed. */
static void check_state(void)
{
        const struct khs_view *view = &w->path.file.view;
        size_t size = (size_t)view->n_words * 4;

        if (!w->path.open || (w->n_adopted == size && memcmp(w->adopted, view->map, size) == 0))
                return;
        w->n_states++;
        check_blocks(view);
        check_pread();
        check_adoption(view->map, size);
}

/* ---- a real death ---- */

/* The real file is adopted, in place. A file under construction is kept for the clone. */
static void check_real_adoption(void)
{
        struct khs_table_params params = torture_params();
        struct khs_writer *writer;
        int r;

        if (linkat(w->dir_fd, KHS_TABLE_NAME ".new", w->dir_fd, "saved", 0) < 0 && errno != ENOENT)
                die("link");
        r = khs_writer_adopt(&writer, w->dir_fd, &params, w->now_ds);
        if (r == 0)
                khs_writer_free(writer);
        else if (r != -ENOENT || w->named)
                bad("after a kill the table is not adopted: %s", strerror(-r));
        if (r == 0 && faccessat(w->dir_fd, KHS_TABLE_NAME ".new", F_OK, 0) == 0)
                w->n_left++;
        (void)renameat(w->dir_fd, "saved", w->dir_fd, KHS_TABLE_NAME ".new");
        (void)unlinkat(w->dir_fd, "saved", 0); /* two names of one file: rename leaves both */
        check_live();
}

#ifdef __x86_64__
/* Linux, x86-64: rax = number; the pid comes back in rax. */
extern const char stepkill_syscall[];
__asm__(".pushsection .text\n.globl stepkill_syscall\n.hidden stepkill_syscall\n"
        "stepkill_syscall: syscall\nint3\n.popsection");

/* Makes the stopped writer fork at this instruction. Return: the clone, stopped at the same one. */
static pid_t clone_writer(pid_t pid)
{
        struct user_regs_struct regs, call;
        unsigned long clone = 0;
        int status;

        if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
                die("registers");
        regs.orig_rax = (unsigned long long)-1; /* no system call to be restarted */
        call = regs;
        call.rax = SYS_fork;
        call.rip = (unsigned long long)(uintptr_t)stepkill_syscall;
        if (ptrace(PTRACE_SETREGS, pid, NULL, &call) < 0 || ptrace(PTRACE_CONT, pid, NULL, NULL) < 0 ||
            waitpid(pid, &status, 0) != pid || status >> 8 != (SIGTRAP | PTRACE_EVENT_FORK << 8) ||
            ptrace(PTRACE_GETEVENTMSG, pid, NULL, &clone) < 0 ||
            waitpid((pid_t)clone, &status, __WALL) != (pid_t)clone ||
            ptrace(PTRACE_SETREGS, (pid_t)clone, NULL, &regs) < 0)
                die("the writer can't be cloned");
        return (pid_t)clone;
}
#endif

static void kill_writer(pid_t pid)
{
        (void)kill(pid, SIGKILL);
        if (waitpid(pid, NULL, __WALL) != pid)
                die("wait");
        w->n_kills++;
}

static pid_t kill_and_go_on(pid_t pid)
{
#ifdef __x86_64__
        pid_t clone = clone_writer(pid);

        kill_writer(pid);
        check_real_adoption();
        return clone;
#else
        return pid;
#endif
}

/* ---- operations ---- */

struct operation {
        const char *name;
        void (*prepare)(struct khs_writer *writer); /* not stepped */
        void (*run)(struct khs_writer *writer);
        void (*expect)(void);
        bool create; /* there is no writer yet */
};

/* A writer's exit is no part of what is tested. */
static void must(int r, const char *what)
{
        if (r < 0) {
                errno = r == -1 ? errno : -r;
                die("%s failed", what);
        }
}

static uint32_t later(void)
{
        return w->now_ds + 1000; /* every free block has rested */
}

static void expect_6(void)
{
        w->new[6] = w->old[6] + 1;
}
static void insert_6(struct khs_writer *writer)
{
        must(torture_put(writer, w->ids[6], w->new[6], w->now_ds), "insert");
}

static void expect_2(void)
{
        w->new[2] = w->old[2] + 40;
} /* the same sizes */
static void update_2(struct khs_writer *writer)
{
        must(torture_put(writer, w->ids[2], w->new[2], w->now_ds), "update");
}

static void update_2_later(struct khs_writer *writer)
{
        must(torture_put(writer, w->ids[2], w->new[2], later()), "update");
}

static void expect_3(void)
{
        w->new[3] = w->old[3] + 7;
} /* another class */
static void update_3(struct khs_writer *writer)
{
        must(torture_put(writer, w->ids[3], w->new[3], w->now_ds), "update");
}

static void expect_nothing(void)
{
}
static void touch_4(struct khs_writer *writer)
{
        static struct torture_row row;

        torture_row(&row, w->ids[4], w->old[4]);
        row.row.stale_until_ds += 10;
        row.row.ttl_s = 77;
        must(khs_writer_put(writer, &row.row, w->now_ds), "touch");
}

static void expect_no_6(void)
{
        w->new[6] = 0;
}
static void delete_6(struct khs_writer *writer)
{
        must(torture_delete(writer, w->ids[6], w->now_ds), "delete");
}

/* A service whose first bucket is that of the deleted one takes its entry. */
static void expect_7(void)
{
        char key[48];
        uint64_t hash6, hash;

        hash6 = khs_siphash13(w->path.file.view.hash_key, key, torture_key(w->ids[6], key));
        do
                hash = khs_siphash13(w->path.file.view.hash_key, key, torture_key(++w->ids[7], key));
        while ((hash ^ hash6) & (w->path.file.view.n_buckets - 1));
        w->new[7] = 1;
}
static void insert_7(struct khs_writer *writer)
{
        must(torture_put(writer, w->ids[7], w->new[7], w->now_ds), "insert");
}

static uint32_t units_of(uint32_t k, uint32_t version)
{
        static struct torture_row row;

        torture_row(&row, w->ids[k], version);
        return khs_row_units(&row.row);
}

static uint32_t uncut_units(const struct khs_view *view)
{
        uint32_t n_cut = 0, units = 1;

        while (n_cut < view->arena_units && units > 0) {
                units = khs_view_load(view, view->arena_word + n_cut * KHS_UNIT_WORDS + 1);
                n_cut += units;
        }
        return view->arena_units - n_cut;
}

static void put_5(struct khs_writer *writer, uint32_t most_units)
{
        do
                w->old[5]++;
        while (units_of(5, w->old[5]) > most_units);
        must(torture_put(writer, w->ids[5], w->old[5], w->now_ds), "fill");
}

/* Fills the arena: everything that is free rests, and what is uncut is too small for the next put. */
static void fill(struct khs_writer *writer)
{
        uint32_t n_uncut;

        while ((n_uncut = uncut_units(&w->path.file.view)) >= units_of(0, w->new[0]))
                put_5(writer, n_uncut);
}

/* Fills it so that the next put takes a block of the last quarter. */
static void fill_three_quarters(struct khs_writer *writer)
{
        const struct khs_view *view = &w->path.file.view;
        uint32_t tight = view->arena_units - view->arena_units / 4 * 3, n_uncut;

        while ((n_uncut = uncut_units(view)) >= tight + units_of(0, w->new[0]))
                put_5(writer, n_uncut - tight);
}

static void expect_growth(void)
{
        w->new[0] = w->old[0] + 40;
}
static void grow(struct khs_writer *writer)
{
        uint64_t size = khs_writer_size(writer);

        must(torture_put(writer, w->ids[0], w->new[0], w->now_ds), "put that grows");
        if (khs_writer_size(writer) == size)
                die("the table has not grown");
}

/* After some deaths there may be blocks that have rested, and room enough. */
static void grow_ahead(struct khs_writer *writer)
{
        uint64_t size = khs_writer_size(writer);

        must(torture_put(writer, w->ids[0], w->new[0], w->now_ds), "put into the last quarter");
        if (khs_writer_size(writer) != size)
                die("a put found the table full");
        must(khs_writer_tend(writer, w->now_ds), "heartbeat");
        if (khs_writer_size(writer) == size && !w->dying)
                die("the table has not grown");
}

static void renew(struct khs_writer *writer)
{
        must(khs_writer_renew(writer, NULL, w->now_ds), "renew");
}

static void expect_creation(void)
{
        for (uint32_t k = 0; k < N; k++)
                w->new[k] = w->old[k] = k < 6 ? 41 + k : 0;
}

static void create(struct khs_writer *unused)
{
        struct khs_table_params params = torture_params();
        struct khs_writer *writer;

        (void)unused;
        must(khs_writer_new(&writer, w->dir_fd, &params, 1), "new");
        for (uint32_t k = 0; k < 6; k++)
                must(torture_put(writer, w->ids[k], 41 + k, w->now_ds), "first put");
        must(khs_writer_publish(writer), "publish");
}

static const struct operation operations[] = {
        { "creation of the first file", NULL, create, expect_creation, true },
        { "insert", NULL, insert_6, expect_6, false },
        { "update", NULL, update_2, expect_2, false },
        { "update into a block that is used again", NULL, update_2_later, expect_2, false },
        { "update of another size", NULL, update_3, expect_3, false },
        { "times stored in place", NULL, touch_4, expect_nothing, false },
        { "delete", NULL, delete_6, expect_no_6, false },
        { "insert into the entry of a deleted service", NULL, insert_7, expect_7, false },
        { "growth ahead of need", fill_three_quarters, grow_ahead, expect_growth, false },
        { "growth of a full table", fill, grow, expect_growth, false },
        { "renewal", NULL, renew, expect_nothing, false },
};

#define N_OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static void child(const struct operation *operation)
{
        struct khs_table_params params = torture_params();
        struct khs_writer *writer = NULL;

        if (!operation->create)
                must(khs_writer_adopt(&writer, w->dir_fd, &params, w->now_ds), "adoption of the real file");
        if (operation->prepare)
                operation->prepare(writer);
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                die("ptrace");
        (void)raise(SIGSTOP);
        operation->run(writer);
        _exit(0);
}

static pid_t start(const struct operation *operation)
{
        int status;
        pid_t pid = torture_fork();

        if (pid == 0)
                child(operation);
        if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
                die("the writer of '%s' did not start", operation->name);
        if (ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK) < 0)
                die("ptrace");
        return pid;
}

/* Versions as they are now. A killed operation has happened, or not. */
static void settle(void)
{
        check_live();
        for (uint32_t k = 0; k < N; k++) {
                uint32_t version;
                int r = w->path.open ? torture_read(&w->path.file.view, w->ids[k], &version) : -ENOENT;

                w->old[k] = w->new[k] = r == 0 ? version : 0;
        }
        memset(w->live.seen, 0, sizeof(w->live.seen));
        memset(w->path.seen, 0, sizeof(w->path.seen));
}

/* Return: whether there is another instruction. */
static bool step(pid_t pid)
{
        int status;

        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0 || waitpid(pid, &status, __WALL) != pid)
                die("step");
        if (WIFSTOPPED(status) && status >> 8 == SIGTRAP)
                return true;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                bad("the writer died: status %x", (unsigned int)status);
        return false;
}

/* Return: instructions. */
static unsigned long step_through(const struct operation *operation, unsigned long die_at)
{
        unsigned long n_steps = 0;
        pid_t pid;

        memset(w->live.seen, 0, sizeof(w->live.seen));
        memset(w->path.seen, 0, sizeof(w->path.seen));
        pid = start(operation);
        if (operation->prepare) {
                memcpy(w->new, w->old, sizeof(w->new));
                operation->expect();
        }
        while (step(pid)) {
                n_steps++;
                check_live();
                check_state();
                if (n_steps == die_at) {
                        kill_writer(pid);
                        break;
                }
                if (!die_at && n_steps % KILL_EACH == 0)
                        pid = kill_and_go_on(pid);
        }
        w->n_steps += n_steps;
        return n_steps;
}

/* Did it do what it is meant to test? */
static bool in_used_block(void)
{
        struct khs_found found;
        char key[48];

        return khs_view_find(&w->path.file.view, key, torture_key(w->ids[2], key), &found) == 0 && found.record.seq > 2;
}

static void report(const char *name, double start, const struct world *before)
{
        tap_ok(w->n_bad == before->n_bad, "%s: %lu instructions, %lu states, %lu adoptions, %lu kills, %.1f s%s%s",
               name, w->n_steps - before->n_steps, w->n_states - before->n_states, w->n_adoptions - before->n_adoptions,
               w->n_kills - before->n_kills, torture_seconds() - start, w->n_bad > before->n_bad ? ": " : "",
               w->n_bad > before->n_bad ? w->what : "");
        w->n_bad = 0;
}

static unsigned long pass(const struct operation *operation)
{
        struct world before = *w;
        double start_time = torture_seconds();
        unsigned long n_steps;

        before.n_bad = w->n_bad = 0;
        operation->expect();
        n_steps = step_through(operation, 0);
        check_live();
        for (uint32_t k = 0; k < N; k++) {
                if (w->old[k] != w->new[k])
                        w->old[k] = w->new[k]; /* from now on only the new one is right */
        }
        check_live();
        if (operation->run == update_2_later && !in_used_block())
                bad("no block was used again");
        report(operation->name, start_time, &before);
        settle();
        return n_steps;
}

/* For good: whatever was left is adopted by the next, which goes on. */
static void die_for_good(const unsigned long *n_steps, unsigned int n_deaths)
{
        struct world before = *w;
        double start_time = torture_seconds();

        w->dying = true;
        for (unsigned int i = 0; i < n_deaths; i++) {
                size_t o = 1 + (size_t)random() % (N_OPERATIONS - 1);
                const struct operation *operation = &operations[o];

                if ((operation->run == delete_6 && w->old[6] == 0) || operation->run == insert_7)
                        continue;
                operation->expect();
                (void)step_through(operation, 1 + (unsigned long)random() % n_steps[o]);
                settle();
                check_real_adoption();
        }
        report("deaths for good", start_time, &before);
}

static void stay_on_one_cpu(void)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(sched_getcpu(), &set);
        (void)sched_setaffinity(0, sizeof(set), &set); /* three times as many steps */
}

int main(int argc, char **argv)
{
        bool full = false;
        unsigned long n_steps[N_OPERATIONS];

        for (int i = 1; i < argc; i++) {
                full = full || strcmp(argv[i], "--full") == 0;
                with_reverse_index = with_reverse_index || strcmp(argv[i], "--reverse") == 0;
        }
        stay_on_one_cpu();
        w = torture_shared(sizeof(*w));
        torture_mkdir(w->dir);
        torture_mkdir(w->copy_dir);
        w->dir_fd = torture_open_dir(w->dir);
        w->copy_fd = torture_open_dir(w->copy_dir);
        w->now_ds = torture_now();
        for (uint32_t k = 0; k < N; k++)
                w->ids[k] = k;
        srandom(1);

        for (size_t i = 0; i < N_OPERATIONS; i++)
                n_steps[i] = pass(&operations[i]);
        die_for_good(n_steps, full ? 2000 : 60);

        tap_ok(w->n_left == 0, "%lu times an unfinished file was left after adoption", w->n_left);

        reader_close(&w->live);
        reader_close(&w->path);
        copy_release();
        torture_rmdir(w->dir);
        torture_rmdir(w->copy_dir);
        printf("# %lu instructions, %lu states, %lu adoptions, %lu kills\n", w->n_steps, w->n_states, w->n_adoptions,
               w->n_kills);
        return tap_done();
}
