/*
 * Faults of the table that a machine may meet, one test for each; README.md lists what covers which.
 *
 * Each test runs in a child with a mount namespace and a table of its own, and looks up through the C
 * API. "Fallback" is -ENOTCONN, at once: then dns answers. Long silences are made by setting the
 * heartbeat back, not by waiting.
 */

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>

#include "table/crc32c.h"
#include "table/siphash.h"
#include "torture.h"

#define NOBODY 65534
#define OTHER  1234
#define TABLE  K8SHSVC_RUNDIR "/" KHS_TABLE_NAME
#define N      10 /* services in a fresh table */

extern char **environ;

static struct result {
        bool failed, skipped;
        char why[240];
} * result;

static int dir_fd;
static struct khs_writer *writer;
static k8shsvc *handle;

/* ---- */

__attribute__((format(printf, 1, 2), noreturn)) static void skip(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        (void)vsnprintf(result->why, sizeof(result->why), format, args);
        va_end(args);
        result->skipped = true;
        _exit(0);
}

__attribute__((format(printf, 2, 3))) static bool expect(bool ok, const char *format, ...)
{
        va_list args;

        if (ok || result->failed)
                return ok;
        va_start(args, format);
        (void)vsnprintf(result->why, sizeof(result->why), format, args);
        va_end(args);
        result->failed = true;
        return false;
}

static void must(int r, const char *what)
{
        if (r >= 0)
                return;
        expect(false, "%s: %s", what, strerror(r == -1 ? errno : -r));
        _exit(0);
}

static void make_writer(void)
{
        struct khs_table_params params = torture_params();

        must(khs_writer_new(&writer, dir_fd, &params, 1), "new table");
        for (uint32_t i = 0; i < N; i++)
                must(torture_put(writer, i, 1, torture_now()), "put");
        must(khs_writer_publish(writer), "publish");
}

static void not_with_sanitizer(void)
{
        if (SANITIZED)
                skip("not with a sanitizer");
}

static void begin_with(const char *options)
{
        dir_fd = torture_rundir(options);
        if (dir_fd < 0)
                skip("needs root and a mount namespace");
        must(k8shsvc_open(&handle), "handle");
}

static void begin(void)
{
        begin_with("mode=755");
        make_writer();
}

static int lookup(uint32_t i, uint32_t *ret_version)
{
        static __thread struct k8shsvc_addr addrs[TORTURE_MAX_ALL];
        char key[48];
        size_t n;
        int r;

        (void)torture_key(i, key);
        errno = 4711;
        r = k8shsvc_lookup(handle, key, AF_UNSPEC, addrs, TORTURE_MAX_ALL, &n);
        expect(errno == 4711, "errno is %d after a lookup", errno);
        return r < 0 ? r : torture_addrs(i, addrs, n, ret_version);
}

static void expect_lookup(int wanted, const char *when)
{
        uint32_t version;
        int r = lookup(1, &version);

        expect(r == wanted, "%s: lookup gives %d (%s), not %d", when, r, strerror(-r), wanted);
}

/* Within `usec`, with nothing but right answers (or, if `gaps`, fallbacks) on the way. */
static double expect_version(uint32_t wanted, useconds_t usec, bool gaps, const char *when)
{
        double start = torture_seconds();
        uint32_t version = 0;
        int r = 0;

        while (torture_seconds() - start < usec / 1e6) {
                r = lookup(1, &version);
                if (r < 0 && !gaps)
                        break;
                if (r == 0 && version == wanted)
                        return torture_seconds() - start;
                (void)usleep(1000);
        }
        expect(false, "%s: version %u, not %u, within %.1f s (%d)", when, version, wanted, usec / 1e6, r);
        return 0;
}

/* Read-only maps of the table: a reader's. */
static unsigned int n_maps(void)
{
        char line[512];
        unsigned int n = 0;
        FILE *file = fopen("/proc/self/maps", "re");

        while (file && fgets(line, sizeof(line), file))
                n += strstr(line, " r--s ") && strstr(line, "/" KHS_TABLE_NAME);
        if (file)
                (void)fclose(file);
        return n;
}

static struct khs_table_header *map_header(void)
{
        struct khs_table_header *header;
        int fd = open(TABLE, O_RDWR | O_CLOEXEC);

        header = mmap(NULL, sizeof(*header), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (header == MAP_FAILED)
                die("header");
        (void)close(fd);
        return header;
}

static void set_back(struct khs_table_header *header, uint32_t ds)
{
        header->beat_boot_ds = khs_clock_ds(CLOCK_BOOTTIME) - ds;
        header->beat_real_ds = khs_clock_ds(CLOCK_REALTIME) - ds;
}

/* A child that reports like the test itself. */
static void in_child(void (*function)(void))
{
        int status;
        pid_t pid = torture_fork();

        if (pid == 0) {
                function();
                _exit(0);
        }
        if (waitpid(pid, &status, 0) != pid)
                die("wait");
        expect(status == 0, "the child ended with status %x", (unsigned int)status);
}

static void become(uid_t uid)
{
        if (setgid(uid) < 0 || setuid(uid) < 0)
                die("setuid");
}

/* ---- the daemon ends, hangs, or is there twice ---- */

static void killed_between_rename_and_mark(void)
{
        struct khs_table_params params = torture_params();
        struct khs_table_header *old;
        struct khs_writer *next;
        int other_fd;

        begin();
        expect_lookup(0, "first");
        old = map_header();
        must(mkdir("/run/other", 0755), "mkdir");
        other_fd = torture_open_dir("/run/other");
        must(khs_writer_new(&next, other_fd, &params, 2), "new");
        must(torture_put(next, 1, 2, torture_now()), "put");
        must(khs_writer_publish(next), "publish");
        must(renameat(other_fd, KHS_TABLE_NAME, dir_fd, KHS_TABLE_NAME), "rename");
        set_back(old, KHS_SILENT_DS - 10); /* 9 s have passed */
        expect_version(2, 3000000, false, "old file without a mark");
        expect(n_maps() == 1, "%u maps", n_maps());
}

static void unfinished_file_is_removed_at_start(void)
{
        struct khs_table_params params = torture_params();
        int fd;

        begin();
        writer = khs_writer_free(writer);
        fd = openat(dir_fd, KHS_TABLE_NAME ".new", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        must(posix_fallocate(fd, 0, 1 << 20) ? -ENOSPC : 0, "fallocate");
        (void)close(fd);
        must(khs_writer_adopt(&writer, dir_fd, &params, torture_now()), "adopt");
        expect_lookup(0, "after the start");
        expect(faccessat(dir_fd, KHS_TABLE_NAME ".new", F_OK, 0) < 0, "it is still there after adoption");
}

static void unfinished_file_is_replaced_by_growth(void)
{
        int fd;

        begin();
        fd = openat(dir_fd, KHS_TABLE_NAME ".new", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        (void)close(fd);
        must(khs_writer_renew(writer, NULL, torture_now()), "renew");
        expect(faccessat(dir_fd, KHS_TABLE_NAME ".new", F_OK, 0) < 0, "it is still there");
        expect_lookup(0, "after renewal");
}

static void daemon_stopped(void)
{
        struct khs_table_header *header;
        pid_t pid;
        int status;

        begin();
        pid = torture_fork();
        if (pid == 0) {
                for (;;) {
                        khs_writer_beat(writer);
                        (void)usleep(100000);
                }
        }
        header = map_header();
        expect_lookup(0, "running");
        (void)kill(pid, SIGSTOP);
        (void)waitpid(pid, &status, WUNTRACED);
        set_back(header, 50);
        expect_lookup(0, "5 s");
        set_back(header, 290);
        expect_lookup(0, "29 s");
        set_back(header, 600);
        expect_lookup(-ENOTCONN, "60 s");
        (void)kill(pid, SIGCONT);
        expect_version(1, 1000000, true, "continued");
        (void)kill(pid, SIGKILL);
}

static void second_daemon(void)
{
        bool created;
        int fd, status;
        pid_t pid;

        begin();
        pid = torture_fork();
        if (pid == 0) {
                must(khs_lock_take(dir_fd, &created), "lock");
                (void)raise(SIGSTOP);
        }
        (void)waitpid(pid, &status, WUNTRACED);
        fd = khs_lock_take(dir_fd, &created);
        expect(fd == -EAGAIN, "the second one gets %d", fd);
        expect_lookup(0, "meanwhile");
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        fd = khs_lock_take(dir_fd, &created);
        expect(fd >= 0, "after the first one's death: %d", fd);
}

static void locks_of_a_reader(void)
{
        bool created;
        static const char *const paths[] = { TABLE, K8SHSVC_RUNDIR };
        struct khs_table_params params = torture_params();
        int status, fd;
        pid_t pid;

        begin();
        fd = khs_lock_take(dir_fd, &created); /* the lock file is there */
        (void)close(fd);
        pid = torture_fork();
        if (pid == 0) {
                struct flock lock = { .l_type = F_RDLCK };

                become(NOBODY);
                expect(open(K8SHSVC_RUNDIR "/lock", O_RDONLY) < 0, "a reader can open the lock file");
                for (size_t i = 0; i < 2; i++) {
                        fd = open(paths[i], O_RDONLY | O_CLOEXEC);
                        expect(flock(fd, LOCK_EX) == 0, "flock");
                        (void)fcntl(open(paths[i], O_RDONLY), F_OFD_SETLK, &lock);
                        (void)fcntl(open(paths[i], O_RDONLY), F_SETLK, &lock);
                }
                (void)raise(SIGSTOP);
        }
        (void)waitpid(pid, &status, WUNTRACED);
        fd = khs_lock_take(dir_fd, &created);
        must(fd, "lock beside a reader's");
        (void)close(fd);
        must(torture_put(writer, 1, 2, torture_now()), "put");
        must(khs_writer_renew(writer, NULL, torture_now()), "renew");
        writer = khs_writer_free(writer);
        must(khs_lock_take(dir_fd, &created), "lock");
        must(khs_writer_adopt(&writer, dir_fd, &params, torture_now()), "adopt");
        expect_version(2, 2500000, false, "after all that");
        (void)kill(pid, SIGKILL);
}

/* ---- files that are no table ---- */

static void write_file(const void *bytes, size_t size)
{
        int fd;

        (void)unlinkat(dir_fd, KHS_TABLE_NAME, 0);
        fd = openat(dir_fd, KHS_TABLE_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
                die("write");
        (void)close(fd);
}

/* Each in a process of its own: a second lookup would wait for its second. */
static void expect_fallback(const char *what)
{
        static const char *name;
        int status;
        pid_t pid;

        name = what;
        pid = torture_fork();
        if (pid == 0) {
                double start = torture_seconds();

                expect_lookup(-ENOTCONN, name);
                expect(torture_seconds() - start < 0.5, "%s: slow", name);
                expect(n_maps() == 0, "%s: mapped", name);
                _exit(0);
        }
        (void)waitpid(pid, &status, 0);
        expect(status == 0, "%s: status %x", what, (unsigned int)status);
}

static void wrong_sizes_and_bytes(void)
{
        static uint8_t table[1 << 20], bytes[1 << 20];
        static const size_t sizes[] = { 0, 1, 100, 1023, 1024, 4095, 4096, 4097, 8192, 12345 };
        ssize_t size;
        int fd;

        begin();
        fd = open(TABLE, O_RDONLY | O_CLOEXEC);
        size = read(fd, table, sizeof(table));
        (void)close(fd);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                write_file(table, sizes[i]);
                expect_fallback("truncated");
        }
        write_file(table, (size_t)size - 1);
        expect_fallback("a byte short");
        write_file(bytes, (size_t)size);
        expect_fallback("all zero");
        memset(bytes, 0xff, sizeof(bytes));
        write_file(bytes, (size_t)size);
        expect_fallback("all ones");
        for (int round = 0; round < 20; round++) {
                for (size_t i = 0; i < sizeof(bytes); i++)
                        bytes[i] = (uint8_t)random();
                write_file(bytes, (size_t)size);
                expect_fallback("random");
        }
        write_file(table, (size_t)size);
        expect_lookup(0, "as it was");
}

static void truncated_under_a_pread_reader(void)
{
        struct khs_table_file file;
        uint32_t version;
        int r;

        begin();
        must(khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_PREAD, NULL, &file), "open");
        r = torture_read(&file.view, 1, &version);
        expect(r == 0, "whole: %d", r);
        for (off_t size = (off_t)file.view.n_words * 4 - 4096; size >= 0; size -= 4096) {
                must(truncate(TABLE, size), "truncate");
                for (uint32_t i = 0; i < N; i++) {
                        r = torture_read(&file.view, i, &version);
                        expect(r == 0 || r == -EBADMSG || r == -ENOENT || r == -EBUSY, "at %ld bytes: %d", (long)size,
                               r);
                }
        }
        expect(r < 0, "an answer from an empty file");
        khs_table_close(&file);
}

static void arena_overwritten_under_lookups(void)
{
        struct khs_table_file file;
        double start = torture_seconds(), most = 0;
        pid_t pid;

        begin();
        must(khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_MAP, NULL, &file), "open");
        pid = torture_fork();
        if (pid == 0) {
                int fd = open(TABLE, O_RDWR | O_CLOEXEC);
                uint32_t *map = mmap(NULL, (size_t)file.view.n_words * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                uint32_t n = 16 * 64; /* where the records are */

                for (;;) {
                        uint32_t at = (uint32_t)random();

                        if (at % 64 == 0)
                                map[file.view.idx_word + at / 64 % (file.view.n_buckets * 16)] = (uint32_t)random();
                        else
                                map[file.view.arena_word + at / 64 % n] = (uint32_t)random() >> random() % 32;
                }
        }
        while (torture_seconds() - start < 1) {
                for (uint32_t i = 0; i < N; i++) {
                        double before = torture_seconds();
                        struct khs_found found;
                        char key[256];
                        int r;

                        r = khs_view_find(&file.view, key, torture_key(i, key), &found);
                        expect(r == 0 || r == -ENOENT || r == -EBADMSG || r == -EBUSY, "%d", r);
                        if (r == 0) {
                                static uint8_t out[KHS_MAX_ADDRS][16];

                                khs_found_copy(&file.view, &found, AF_INET, 0, found.record.n4, out, 16);
                                khs_found_copy(&file.view, &found, AF_INET6, 0, found.record.n6, out, 16);
                                (void)khs_found_alias(&file.view, &found, key);
                        }
                        before = torture_seconds() - before;
                        most = before > most ? before : most;
                }
        }
        expect(most < 0.5, "a lookup of %.3f s", most);
        (void)kill(pid, SIGKILL);
        khs_table_close(&file);
}

static void wrong_kinds_of_files(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = TABLE };
        int fd;

        begin();
        must(rename(TABLE, "/run/table"), "rename");
        expect_fallback("no file");
        must(symlink("/run/table", TABLE), "symlink");
        expect_fallback("link to a table");
        must(unlink(TABLE), "unlink");
        must(mkfifo(TABLE, 0644), "fifo");
        expect_fallback("fifo");
        must(unlink(TABLE), "unlink");
        must(mkdir(TABLE, 0755), "mkdir");
        expect_fallback("directory");
        must(rmdir(TABLE), "rmdir");
        if (mknod(TABLE, S_IFCHR | 0644, makedev(1, 5)) == 0) {
                expect_fallback("device");
                must(unlink(TABLE), "unlink");
        }
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must(bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind");
        expect_fallback("socket");
        must(unlink(TABLE), "unlink");
        must(symlink("/proc/self/mem", TABLE), "symlink");
        expect_fallback("symbolic link");
        must(unlink(TABLE), "unlink");
        must(unlinkat(dir_fd, "lock", 0) < 0 && errno != ENOENT ? -1 : 0, "unlink");
        must(rmdir(K8SHSVC_RUNDIR), "rmdir");
        expect_fallback("no directory");
        must(symlink("/proc/self", K8SHSVC_RUNDIR), "symlink");
        expect_fallback("a link for a directory");
}

/* ---- no room ---- */

static void tmpfs_full_at_creation(void)
{
        struct khs_table_params params = torture_params();
        int r;

        begin_with("mode=755,size=64k");
        r = khs_writer_new(&writer, dir_fd, &params, 1);
        expect(r == -ENOSPC, "%d", r);
        expect(faccessat(dir_fd, KHS_TABLE_NAME ".new", F_OK, 0) < 0, "half a file is left");
        expect_fallback("nothing there");
        must(mount("none", "/run", NULL, MS_REMOUNT, "size=1m"), "remount");
        make_writer();
        expect_lookup(0, "with room");
}

static void tmpfs_full_at_growth(void)
{
        uint32_t i, version;
        int r = 0;

        begin_with("mode=755,size=400k");
        make_writer();
        expect_lookup(0, "first");
        for (i = N; r == 0 && i < 5000; i++)
                r = torture_put(writer, i, 1, torture_now());
        i--;
        expect(r == -ENOSPC && i > N + 50, "service %u: %d", i, r);
        expect(torture_put(writer, i, 1, torture_now()) == -ENOSPC, "again: not refused");
        expect(faccessat(dir_fd, KHS_TABLE_NAME ".new", F_OK, 0) < 0, "half a file is left");
        expect(khs_writer_check(writer) == 0, "the file has lost its name");
        for (int fd = open(K8SHSVC_RUNDIR "/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600); write(fd, "full", 4) > 0;)
                continue;
        (void)sleep(1); /* until the reader may look for the newest file */
        for (uint32_t k = 0; k < i; k++) {
                r = lookup(k, &version);
                expect(r == 0, "service %u of %u when full: %d", k, i, r);
        }
        expect(torture_delete(writer, 3, torture_now()) == 0, "no delete when full");
        must(unlink(K8SHSVC_RUNDIR "/filler"), "unlink");
        must(mount("none", "/run", NULL, MS_REMOUNT, "size=4m"), "remount");
        must(torture_put(writer, i, 1, torture_now()), "with room");
}

/* A reader must not be hit by a hole: the file's every page is there before it is mapped by anybody. */
static void full_tmpfs_never_hits_a_reader(void)
{
        struct khs_table_file file;
        uint32_t sum = 0;

        begin_with("mode=755,size=400k");
        make_writer();
        for (int fd = open(K8SHSVC_RUNDIR "/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600); write(fd, "full", 4) > 0;)
                continue;
        must(khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_MAP, NULL, &file), "open");
        for (uint32_t word = 0; word < file.view.n_words; word += 256)
                sum += khs_view_load(&file.view, word);
        expect(sum != 0, "nothing in it");
        for (uint32_t version = 2; version < 40; version++)
                must(torture_put(writer, 1, version, torture_now() + version * 100), "put");
        expect_version(39, 2000000, false, "updates on a full tmpfs");
        khs_table_close(&file);
}

/* The allocator may have a little left; growth asks for more. */
static uint64_t vm_size(void)
{
        unsigned long pages = 0;
        FILE *file = fopen("/proc/self/statm", "re");

        if (!file || fscanf(file, "%lu", &pages) != 1)
                die("statm");
        (void)fclose(file);
        return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void limit_memory(uint64_t more)
{
        struct rlimit limit = { vm_size() + more, RLIM_INFINITY };

        must(setrlimit(RLIMIT_AS, &limit), "rlimit");
}

static void no_memory_for_the_writer(void)
{
        struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
        uint32_t i, version;
        int r = 0;

        begin();
        expect_lookup(0, "first");
        limit_memory(600 << 10);
        for (i = N; r == 0 && i < 20000; i++)
                r = torture_put(writer, i, 1, torture_now());
        i--;
        expect(r == -ENOMEM, "service %u: %d", i, r);
        expect(faccessat(dir_fd, KHS_TABLE_NAME ".new", F_OK, 0) < 0, "half a file is left");
        must(setrlimit(RLIMIT_AS, &none), "rlimit");
        (void)sleep(1);
        for (uint32_t k = 0; k < i; k++) {
                r = lookup(k, &version);
                expect(r == 0, "service %u: %d", k, r);
        }
        must(torture_put(writer, i, 1, torture_now()), "with memory");
}

/* A table of more than 4 MiB for tests of small processes. */
static void make_large(void)
{
        for (uint32_t i = 0; khs_writer_size(writer) < 5U << 20; i++)
                must(torture_put(writer, i, 1, torture_now()), "put");
}

static void in_small_memcg(void)
{
        struct khs_table_file file;
        uint32_t sum = 0, version;
        int r;

        for (uint32_t i = 0; i < N; i++) {
                r = lookup(i, &version);
                expect(r == 0, "lookup %d", r);
        }
        must(khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_MAP, NULL, &file), "open");
        for (uint32_t word = 0; word < file.view.n_words; word += 16)
                sum += khs_view_load(&file.view, word);
        expect(sum != 0, "an empty table");
}

static bool write_text(const char *dir, const char *name, const char *text)
{
        char path[256];
        int fd;
        bool ok;

        (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
        if (fd >= 0)
                (void)close(fd);
        return ok;
}

static void reader_in_small_memcg(void)
{
        bool v1 = access("/sys/fs/cgroup/memory", F_OK) == 0;
        static char group[128];
        int status;
        pid_t pid;
        bool ok;

        begin();
        make_large();
        (void)snprintf(group, sizeof(group), "/sys/fs/cgroup%s/khs-torture-%d", v1 ? "/memory" : "", (int)getpid());
        if (mkdir(group, 0755) < 0)
                skip("no memory cgroup can be made here: %s", strerror(errno));
        ok = write_text(group, v1 ? "memory.limit_in_bytes" : "memory.max", "4194304");
        pid = torture_fork();
        if (pid == 0) {
                if (!ok || !write_text(group, "cgroup.procs", "0"))
                        _exit(77);
                in_small_memcg();
                _exit(0);
        }
        (void)waitpid(pid, &status, 0);
        (void)rmdir(group);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                skip("no process can be put into a memory cgroup here");
        expect(status == 0, "the reader was killed: status %x", (unsigned int)status);
}

/* ---- a process that can't map, or must not ---- */

static void rlimit_as(void)
{
        begin();
        make_large();
        limit_memory(1 << 20);
        for (int k = 0; k < 1000; k++)
                expect_lookup(0, "without room for a map");
        expect(n_maps() == 0, "it is mapped");
}

static void with_mlockall(void)
{
        struct rlimit limit = { 64 << 10, 64 << 10 };

        must(setrlimit(RLIMIT_MEMLOCK, &limit), "rlimit");
        become(NOBODY);
        if (mlockall(MCL_FUTURE) < 0)
                skip("no mlockall");
        for (int k = 0; k < 100; k++)
                expect_lookup(0, "mlockall");
        expect(n_maps() == 0, "it is mapped");
}

static void rlimit_memlock(void)
{
        not_with_sanitizer();
        begin();
        make_large();
        in_child(with_mlockall);
}

static void no_descriptors(void)
{
        struct rlimit limit = { 3, 0 }, before;

        begin();
        must(getrlimit(RLIMIT_NOFILE, &before), "rlimit");
        limit.rlim_max = before.rlim_max;
        must(setrlimit(RLIMIT_NOFILE, &limit), "rlimit");
        expect_lookup(-ENOTCONN, "EMFILE at the first lookup");
        must(setrlimit(RLIMIT_NOFILE, &before), "rlimit");
        expect_version(1, 1500000, true, "descriptors again");
        must(setrlimit(RLIMIT_NOFILE, &limit), "rlimit");
        for (int k = 0; k < 1000; k++)
                expect_lookup(0, "EMFILE with a map");
        must(setrlimit(RLIMIT_NOFILE, &before), "rlimit");
        must(torture_put(writer, 1, 2, torture_now()), "put");
        must(khs_writer_renew(writer, NULL, torture_now()), "renew");
        must(torture_put(writer, 1, 3, torture_now()), "put");
        must(setrlimit(RLIMIT_NOFILE, &limit), "rlimit");
        for (int k = 0; k < 1000; k++)
                expect_lookup(0, "EMFILE when the file was replaced");
        must(setrlimit(RLIMIT_NOFILE, &before), "rlimit");
        expect_version(3, 2500000, false, "descriptors again");
}

static unsigned int n_descriptors(void)
{
        DIR *directory = opendir("/proc/self/fd");
        unsigned int n = 0;

        while (directory && readdir(directory))
                n++;
        if (directory)
                (void)closedir(directory);
        return n;
}

static void all_descriptors_closed(void)
{
        unsigned int n;

        begin();
        n = n_descriptors();
        expect_lookup(0, "first");
        expect(n_descriptors() == n, "a descriptor is kept");
        must(khs_writer_renew(writer, NULL, torture_now()), "renew");
        must(torture_put(writer, 1, 2, torture_now()), "put");
        (void)syscall(SYS_close_range, 0, ~0U, 0);
        for (int k = 0; k < 100; k++)
                expect_lookup(0, "all closed");
        for (int fd = open("/dev/null", O_RDWR); fd >= 0 && fd < 200; fd = dup(0))
                continue;
        expect_version(2, 2500000, false, "dup2 over every descriptor");
        for (int fd = 0; fd < 200; fd++)
                expect(lseek(fd, 0, SEEK_CUR) == 0, "descriptor %d was taken", fd);
}

/* Runs as another user's program: this one, see main(). */
static int secure_child(void)
{
        uint32_t version;
        int r;

        if (k8shsvc_open(&handle) < 0)
                return 2;
        if (!getauxval(AT_SECURE))
                return 3;
        result = torture_shared(sizeof(*result));
        for (int k = 0; k < 50; k++) {
                r = lookup(1, &version);
                if (r < 0)
                        return 4;
        }
        return n_maps() > 0 ? 5 : 0;
}

static void copy_program(const char *to)
{
        static char bytes[1 << 16];
        int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), out;
        ssize_t n;

        out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
        while ((n = read(in, bytes, sizeof(bytes))) > 0) {
                if (write(out, bytes, (size_t)n) != n)
                        die("copy");
        }
        (void)close(in);
        (void)close(out);
}

static void secure_process(void)
{
        int status;
        pid_t pid;

        not_with_sanitizer();
        begin();
        copy_program("/run/lookup");
        must(chown("/run/lookup", OTHER, OTHER), "chown");
        must(chmod("/run/lookup", 04755), "chmod");
        pid = torture_fork();
        if (pid == 0) {
                become(NOBODY);
                (void)execl("/run/lookup", "lookup", "--secure", (char *)NULL);
                _exit(6);
        }
        (void)waitpid(pid, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
                skip("setuid programs have no effect here");
        expect(status == 0, "status %x: %s", (unsigned int)status,
               status == 5 << 8   ? "the table is mapped"
               : status == 4 << 8 ? "no answer"
                                  : "");
}

/* ---- signals, threads, processes ---- */

static unsigned long n_signals;

static void on_signal(int signal)
{
        (void)signal;
        __atomic_fetch_add(&n_signals, 1, __ATOMIC_RELAXED);
}

static void start_timer(useconds_t usec, void (*handler)(int))
{
        struct sigaction action = { .sa_handler = handler }; /* no SA_RESTART */
        struct itimerval timer = { { 0, (suseconds_t)usec }, { 0, (suseconds_t)usec } };

        must(sigaction(SIGALRM, &action, NULL), "sigaction");
        must(setitimer(ITIMER_REAL, &timer, NULL), "setitimer");
}

static void storm_of_signals_on(const char *when)
{
        double start;

        start_timer(100, on_signal);
        for (start = torture_seconds(); torture_seconds() - start < 1;)
                expect_lookup(0, when);
        start_timer(0, on_signal);
        expect(n_signals > 500, "only %lu signals", n_signals);
}

static void storm_of_signals(void)
{
        begin();
        storm_of_signals_on("with a map");
}

static void storm_of_signals_by_pread(void)
{
        begin();
        make_large();
        limit_memory(1 << 20);
        storm_of_signals_on("by pread");
        expect(n_maps() == 0, "it is mapped");
}

static void look_up_in_handler(int signal)
{
        struct k8shsvc_addr addrs[TORTURE_MAX_ALL];
        uint32_t version;
        size_t n;
        int r, saved_errno = errno;

        (void)signal;
        r = k8shsvc_lookup(handle, "svc-2.torture", AF_UNSPEC, addrs, TORTURE_MAX_ALL, &n);
        expect(r == 0 && torture_addrs(2, addrs, n, &version) == 0, "a lookup in a signal handler: %d", r);
        expect(errno == saved_errno, "it changes errno");
        n_signals++;
}

static void lookups_in_signal_handlers(void)
{
        begin();
        start_timer(100, look_up_in_handler);
        for (uint32_t k = 0; k < 20; k++) {
                double start = torture_seconds();

                must(khs_writer_renew(writer, NULL, torture_now()), "renew");
                while (torture_seconds() - start < 0.1)
                        expect_lookup(0, "while signal handlers look up");
        }
        start_timer(0, on_signal);
        expect(n_signals > 1000, "only %lu signals", n_signals);
        expect(n_maps() <= 2, "%u maps", n_maps());
}

static uint32_t looked_up, cancelled_at;

/* A cancellation that is pending must not take effect inside of a lookup. */
static void *lookup_and_be_cancelled(void *unused)
{
        (void)unused;
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        (void)pthread_cancel(pthread_self());
        (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        expect_lookup(0, "with a cancellation pending");
        looked_up++;
        pthread_testcancel();
        cancelled_at++;
        return NULL;
}

static void *lookup_until_cancelled(void *forever)
{
        while (forever) {
                expect_lookup(0, "until cancelled");
                pthread_testcancel();
        }
        return NULL;
}

static void cancelled_threads(void)
{
        pthread_t thread;

        not_with_sanitizer();
        begin();
        for (uint32_t k = 0; k < 500; k++) {
                if (k % 50 == 0)
                        must(khs_writer_renew(writer, NULL, torture_now()), "renew");
                must(-pthread_create(&thread, NULL, k % 2 ? lookup_and_be_cancelled : lookup_until_cancelled,
                                     &looked_up),
                     "thread");
                if (k % 2 == 0) {
                        (void)usleep((useconds_t)(random() % 300));
                        (void)pthread_cancel(thread);
                }
                (void)pthread_join(thread, NULL);
        }
        expect(looked_up == 250 && cancelled_at == 0, "%u lookups came to their end", looked_up);
        must(torture_put(writer, 1, 2, torture_now()), "put");
        must(khs_writer_renew(writer, NULL, torture_now()), "renew");
        expect_version(2, 2500000, false, "afterwards");
        expect(n_maps() == 1, "%u maps are left", n_maps());
}

static sigjmp_buf escape;
static volatile sig_atomic_t in_lookup;
static unsigned int n_escapes;

static void jump(int signal)
{
        (void)signal;
        if (in_lookup)
                siglongjmp(escape, 1);
}

static void longjmp_out_of_lookups(void)
{
        double start;

        begin();
        expect_lookup(0, "first");
        start_timer(53, jump);
        for (start = torture_seconds(); torture_seconds() - start < 1;) {
                uint32_t version;

                if (sigsetjmp(escape, 1) == 0) {
                        in_lookup = 1;
                        (void)lookup(1, &version);
                } else {
                        n_escapes++;
                }
                in_lookup = 0;
        }
        start_timer(0, jump);
        expect(n_escapes > 100, "only %u escapes", n_escapes);
        expect_lookup(0, "afterwards");
        must(torture_put(writer, 1, 2, torture_now()), "put");
        must(khs_writer_renew(writer, NULL, torture_now()), "renew");
        expect_version(2, 2500000, false, "a newer file afterwards");
        expect(n_maps() <= 2, "%u maps are left", n_maps());
}

static void *lookups_of_a_thread(void *stop)
{
        while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED))
                expect_lookup(0, "during spawns");
        return NULL;
}

static void spawns(void)
{
        static char *const arguments[] = { (char *)"true", NULL };
        static bool stop;
        pthread_t thread;

        begin();
        must(-pthread_create(&thread, NULL, lookups_of_a_thread, &stop), "thread");
        for (int k = 0; k < 300; k++) {
                int status = 0;
                pid_t pid;

                if (k % 2 == 0) {
                        must(-posix_spawnp(&pid, "true", NULL, NULL, arguments, environ), "posix_spawn");
                } else {
                        pid = vfork(); /* NOLINT */
                        if (pid == 0) {
                                (void)execvp("true", arguments);
                                _exit(127);
                        }
                }
                (void)waitpid(pid, &status, 0);
                expect(status == 0, "status %x", (unsigned int)status);
                if (k % 50 == 0)
                        must(khs_writer_renew(writer, NULL, torture_now()), "renew");
                expect_lookup(0, "between spawns");
        }
        __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
        (void)pthread_join(thread, NULL);
}

/* ---- name spaces and mounts ---- */

static void in_chroot(void)
{
        must(chroot("/run/empty"), "chroot");
        expect_lookup(-ENOTCONN, "first lookup in a chroot");
}

static void chrooted(void)
{
        struct khs_table_header *header;

        begin();
        must(mkdir("/run/empty", 0755), "mkdir");
        in_child(in_chroot);
        expect_lookup(0, "first");
        header = map_header();
        must(chroot("/run/empty"), "chroot");
        for (int k = 0; k < 100; k++)
                expect_lookup(0, "in the chroot");
        must(torture_put(writer, 1, 2, torture_now()), "put");
        expect_version(2, 500000, false, "the map lives on");
        set_back(header, 200);
        expect_lookup(0, "silent");
        set_back(header, 400);
        expect_lookup(-ENOTCONN, "dead");
}

static void another_mount_namespace(void)
{
        struct khs_table_header *header;
        char path[64];
        int status, fd;
        pid_t pid;

        begin();
        pid = torture_fork();
        if (pid == 0) {
                must(unshare(CLONE_NEWNS), "unshare");
                must(mount("tmpfs", "/run", "tmpfs", 0, "mode=755"), "mount");
                (void)raise(SIGSTOP);
        }
        (void)waitpid(pid, &status, WUNTRACED);
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
        expect_lookup(0, "first");
        header = map_header();
        fd = open(path, O_RDONLY | O_CLOEXEC);
        must(setns(fd, CLONE_NEWNS), "setns");
        expect(access(TABLE, F_OK) < 0, "the table is to be seen");
        expect_lookup(0, "elsewhere");
        set_back(header, 200);
        expect_lookup(0, "silent");
        set_back(header, 400);
        expect_lookup(-ENOTCONN, "dead");
        (void)kill(pid, SIGKILL);
}

static void in_time_namespace(void)
{
        uint32_t version;
        int r;

        r = lookup(1, &version);
        expect(r == 0, "lookup: %d", r);
        r = lookup(2, &version);
        expect(r == -ESTALE, "a record 5 s too old: %d", r);
        r = lookup(3, &version);
        expect(r == 0, "a record with 5 s left: %d", r);
}

static void time_namespaces(void)
{
        static const char *const offsets[] = { "1000000", "-1000" };
        static struct torture_row row;
        char text[128];

        begin();
        for (uint32_t i = 2; i <= 3; i++) {
                torture_row(&row, i, 2);
                row.row.stale_until_ds = torture_now() + (i == 2 ? -50U : 50U);
                must(khs_writer_put(writer, &row.row, torture_now()), "put");
        }
        for (size_t i = 0; i < 2; i++) {
                if (unshare(CLONE_NEWTIME) < 0)
                        skip("no time namespaces: %s", strerror(errno));
                (void)snprintf(text, sizeof(text), "boottime %s 0\nmonotonic %s 0\n", offsets[i], offsets[i]);
                if (!write_text("/proc/self", "timens_offsets", text))
                        skip("the clock can't be shifted by %s s: %s", offsets[i], strerror(errno));
                in_child(in_time_namespace);
        }
}

/* ---- an earlier boot ---- */

#define DAYS_100 86400000U

/* As if the machine had started anew since the table was written. */
static void write_other_boot_id(struct khs_table_header *header)
{
        uint32_t words[KHS_STATIC_SIZE / 4], crc = KHS_CRC32C_INIT;

        header->fixed.boot_id[3] ^= 1;
        header->fixed.checksum = 0;
        memcpy(words, &header->fixed, sizeof(words));
        for (size_t i = 0; i < KHS_STATIC_SIZE / 4; i++)
                crc = khs_crc32c_word(crc, words[i]);
        header->fixed.checksum = khs_crc32c_end(crc);
}

static void expect_none(void)
{
        expect_lookup(-ENOTCONN, "of an earlier boot");
}

static void expect_answer(void)
{
        expect_lookup(0, "of this boot");
}

static void expect_none_by_pread(void)
{
        limit_memory(0);
        expect_none();
}

/* Whatever would fit must not be believed later, when it does. */
static void expect_none_ever(void)
{
        struct khs_table_header *header = map_header();

        expect_none();
        header->beat_boot_ds = khs_clock_ds(CLOCK_BOOTTIME);
        (void)usleep(1200000);
        expect_none();
}

static void earlier_boot(void)
{
        struct khs_table_header *header;
        uint32_t now;

        begin();
        now = torture_now();
        header = map_header();
        header->beat_real_ds -= DAYS_100; /* an administrator's */
        in_child(expect_answer);
        write_other_boot_id(header);
        in_child(expect_none);
        if (!SANITIZED)
                in_child(expect_none_by_pread);
        header->beat_boot_ds = now + DAYS_100; /* its uptime was longer than ours */
        in_child(expect_none_ever);
        header->beat_boot_ds = now - DAYS_100;
        header->beat_real_ds = khs_clock_ds(CLOCK_REALTIME); /* no clock chip: time stood still meanwhile */
        in_child(expect_none);
        must(mount("tmpfs", "/proc", "tmpfs", 0, NULL), "mount");
        in_child(expect_none);
        write_other_boot_id(header);
        in_child(expect_none);
        must(umount("/proc"), "umount");
        in_child(expect_answer);
}

static void file_is_mounted(void)
{
        struct khs_table_header *header;
        uint32_t version;
        int fd, r;

        begin();
        must(mkdir("/run/container", 0755), "mkdir");
        fd = open("/run/container/" KHS_TABLE_NAME, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        (void)close(fd);
        must(mount(TABLE, "/run/container/" KHS_TABLE_NAME, NULL, MS_BIND, NULL), "bind file");
        /* what the container sees, at the table's path; the daemon keeps working in the directory below */
        must(mount("/run/container", K8SHSVC_RUNDIR, NULL, MS_BIND | MS_REC, NULL), "bind");
        expect_lookup(0, "first");
        header = map_header();
        must(khs_writer_renew(writer, NULL, torture_now()), "renew");
        must(torture_put(writer, 1, 2, torture_now()), "put");
        expect(header->state == KHS_STATE_SUPERSEDED, "the file of the mount is not superseded");
        (void)usleep(1100000);
        r = lookup(1, &version);
        expect(r == 0 && version == 1, "the old file still answers: %d, version %u", r, version);
        set_back(header, 400);
        expect_lookup(-ENOTCONN, "its heart has stopped");
}

static void in_user_namespace(void)
{
        struct stat stat;

        if (unshare(CLONE_NEWUSER) < 0)
                skip("no user namespaces: %s", strerror(errno));
        expect(fstatat(AT_FDCWD, TABLE, &stat, 0) == 0 && stat.st_uid != 0, "the owner shows as root");
        expect_lookup(0, "owner shows as nobody");
}

static void user_namespace(void)
{
        begin();
        in_child(in_user_namespace);
}

static void as_nobody(void)
{
        become(NOBODY);
        expect_lookup(-ENOTCONN, "access denied");
}

static void odd_mounts_and_denial(void)
{
        begin();
        must(fchmod(dir_fd, 0700), "chmod");
        in_child(as_nobody);
        must(fchmod(dir_fd, 0755), "chmod");
        must(mount("/run", "/run", NULL, MS_BIND, NULL), "bind");
        must(mount("none", "/run", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOEXEC | MS_NOSUID | MS_NODEV, NULL),
             "remount");
        expect(open(K8SHSVC_RUNDIR "/x", O_WRONLY | O_CREAT, 0600) < 0, "it can be written to");
        expect_lookup(0, "ro,noexec,nosuid,nodev");
}

#ifdef __x86_64__
/* Allows what programs need that nss_files and ld.so work in, and the two that we add, of which one may be refused;
 * others are killed. */
static void filter_calls(int refused)
{
        static const int allowed[] = { SYS_openat,     SYS_close,         SYS_fstat,   SYS_newfstatat, SYS_mmap,
                                       SYS_munmap,     SYS_madvise,       SYS_pread64, SYS_read,       SYS_write,
                                       SYS_exit_group, SYS_clock_gettime, SYS_getpid,  SYS_statx,      SYS_fstatfs };
        struct sock_filter filter[40];
        unsigned short n = 0;

        filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refused, 0, 1);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
        for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
                filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)allowed[i], 0, 1);
                filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        }
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
        must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges");
        must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ n, filter }), "seccomp");
}

static void with_filter(void)
{
        filter_calls(-1);
        expect_lookup(0, "system calls allowed: those of nss_files, statx and fstatfs");
}

static void without_statx(void)
{
        filter_calls(SYS_statx);
        expect_lookup(0, "statx refused");
}

static void without_fstatfs(void)
{
        filter_calls(SYS_fstatfs);
        expect_lookup(0, "fstatfs refused");
}

static void seccomp_filters(void)
{
        not_with_sanitizer();
        begin();
        in_child(with_filter);
        in_child(without_statx);
        in_child(without_fstatfs);
}
#else
static void seccomp_filters(void)
{
        skip("system call numbers of x86-64");
}
#endif

/* ---- removed by hand ---- */

static void file_removed(void)
{
        double seconds;

        begin();
        expect_lookup(0, "first");
        must(unlink(TABLE), "unlink");
        expect_lookup(0, "removed: the map lives on");
        expect(khs_writer_check(writer) == -ESTALE, "the writer does not notice");
        must(khs_writer_renew(writer, NULL, torture_now()), "renew");
        must(torture_put(writer, 1, 2, torture_now()), "put");
        for (int k = 0; k < 25 && !result->failed; k++) {
                uint32_t version = 0;

                khs_writer_beat(writer);
                if (lookup(1, &version) == 0 && version == 2)
                        return;
                (void)usleep(100000);
        }
        seconds = expect_version(2, 12000000, false, "removed and written again");
        expect(false, "readers go on with the removed file for %.1f s: it is not marked superseded", 2.5 + seconds);
}

static void directory_removed(void)
{
        begin();
        expect_lookup(0, "first");
        (void)unlinkat(dir_fd, "lock", 0);
        must(unlink(TABLE), "unlink");
        must(rmdir(K8SHSVC_RUNDIR), "rmdir");
        expect(khs_writer_check(writer) == -ESTALE, "the writer does not notice");
        expect_lookup(0, "the map lives on");
        must(mkdir(K8SHSVC_RUNDIR, 0755), "mkdir");
        expect(khs_writer_renew(writer, NULL, torture_now()) < 0, "a table in a removed directory");
        expect_lookup(0, "the map lives on");
}

/* ---- limits of the format ---- */

/* A process that looks up all the time, until it is killed. */
static pid_t start_reader(void)
{
        uint32_t version;
        pid_t pid = torture_fork();

        if (pid > 0)
                return pid;
        for (uint32_t i = 0;; i++) {
                int r = lookup(i % N, &version);

                expect(r == 0, "service %u while the table grows: %d", i % N, r);
        }
}

static void growth_under_readers(void)
{
        pid_t readers[8];
        uint64_t size;

        begin();
        for (size_t k = 0; k < 8; k++)
                readers[k] = start_reader();
        (void)usleep(100000);
        for (unsigned int n = 0, i = N; n < 4;
             n++) { /* twice ahead of need, twice when full; a reader's look between */
                for (size = khs_writer_size(writer); khs_writer_size(writer) < size * 3 / 2; i++) {
                        must(torture_put(writer, i, 1, torture_now()), "put");
                        if (n % 2)
                                must(khs_writer_tend(writer, torture_now() + n * 6000), "heartbeat");
                        khs_writer_beat(writer);
                }
                (void)usleep(1200000);
        }
        for (size_t k = 0; k < 8; k++) {
                (void)kill(readers[k], SIGKILL);
                (void)waitpid(readers[k], NULL, 0);
        }
}

static void hash_flooding(void)
{
        static uint32_t names[2000];
        struct khs_table_file file;
        uint32_t n = 0, version;
        char key[48];
        uint64_t size;

        begin();
        must(khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_MAP, NULL, &file), "open");
        for (uint32_t i = N; n < sizeof(names) / sizeof(names[0]); i++) {
                uint64_t hash = khs_siphash13(file.view.hash_key, key, torture_key(i, key));

                if ((hash & 0xfff) == 7) /* one bucket of this file, and of files eight times as large */
                        names[n++] = i;
        }
        khs_table_close(&file);
        for (uint32_t k = 0; k < n; k++)
                must(torture_put(writer, names[k], 1, torture_now()), "put");
        size = khs_writer_size(writer);
        expect(size < 4U << 20, "%llu bytes", (unsigned long long)size);
        must(khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_MAP, NULL, &file), "open");
        for (uint32_t k = 0; k < n; k++) {
                int r = torture_read(&file.view, names[k], &version);

                expect(r == 0, "name %u: %d", k, r);
        }
        khs_table_close(&file);
}

static long resident_kb(void)
{
        struct rusage usage;

        must(getrusage(RUSAGE_SELF, &usage), "rusage");
        return usage.ru_maxrss;
}

/* 20,000 publishes a second, for a minute of the table's time. */
static void many_publishes(void)
{
        struct khs_table_file file;
        uint32_t now = torture_now(), last = 0, version = 0;
        uint64_t size = 0;
        long resident = 0;

        begin();
        for (uint32_t k = 0; k < 600; k++) {
                for (uint32_t i = 0; i < 2000; i++)
                        must(torture_put(writer, i % N, 2 + k * 200 + i / N, now + k), "put");
                if (k == 300) { /* by then it has room for what is used, and for the next growth ahead of need */
                        size = khs_writer_size(writer);
                        resident = resident_kb();
                }
                must(khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_MAP, NULL, &file), "open");
                must(torture_read(&file.view, k % N, &version), "read");
                expect(version > last, "version %u after %u", version, last);
                last = version;
                khs_table_close(&file);
        }
        expect(khs_writer_size(writer) == size, "the file grew from %llu to %llu bytes", (unsigned long long)size,
               (unsigned long long)khs_writer_size(writer));
        expect(resident_kb() < resident + 1024, "resident memory grew from %ld to %ld KiB", resident, resident_kb());
}

static void seq_wraps(void)
{
        struct khs_table_params params = torture_params();
        uint32_t now = torture_now(), *map, unit = 0, version = 0;
        struct khs_table_file file;
        bool wrapped = false;
        struct stat stat;
        int fd;

        begin();
        for (uint32_t k = 2; k < 20; k++)
                must(torture_put(writer, 1, 1 + k * 40, now), "put"); /* same size; all free blocks rest */
        writer = khs_writer_free(writer);
        fd = open(TABLE, O_RDWR | O_CLOEXEC);
        must(fstat(fd, &stat), "stat");
        map = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        must(khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_MAP, NULL, &file), "open");
        while (unit < file.view.arena_units && map[file.view.arena_word + unit * 16 + 1] > 0) {
                map[file.view.arena_word + unit * 16] = (uint32_t)-4;
                unit += map[file.view.arena_word + unit * 16 + 1];
        }
        must(khs_writer_adopt(&writer, dir_fd, &params, now), "adopt");
        for (uint32_t k = 1; k < 200; k++) {
                struct khs_found held;
                char key[48];
                int r;

                must(khs_view_find(&file.view, key, torture_key(1, key), &held), "find");
                must(torture_put(writer, 1, 1001 + k * 40, now + k * 100), "put");
                r = torture_read(&file.view, 1, &version);
                expect(r == 0 && version == 1001 + k * 40, "version %u: %d, %u", 1001 + k * 40, r, version);
                wrapped = wrapped || (held.record.seq >= 0xfffffffc && map[held.block] < 8);
                if (map[held.block] != held.record.seq)
                        expect(!khs_found_valid(&file.view, &held), "a block used again counts as valid");
                for (uint32_t i = 0; i < N; i++)
                        must(torture_read(&file.view, i, &version), "others");
                if (!wrapped) {
                        struct khs_found found;

                        must(khs_view_find(&file.view, key, torture_key(1, key), &found), "find");
                        wrapped = found.record.seq < 8;
                }
        }
        expect(wrapped, "no seq has wrapped");
        writer = khs_writer_free(writer);
        must(khs_writer_adopt(&writer, dir_fd, &params, now), "adopt again");
}

/* ---- */

static const struct fault {
        const char *number, *name;
        void (*run)(void);
} faults[] = {
        { "3", "killed between rename and mark: readers move on after the silence", killed_between_rename_and_mark },
        { "4", "unfinished file is removed at the start", unfinished_file_is_removed_at_start },
        { "4", "unfinished file does not keep the table from growing", unfinished_file_is_replaced_by_growth },
        { "5, 6", "daemon stopped, then continued", daemon_stopped },
        { "7", "second daemon", second_daemon },
        { "8", "locks of a reader", locks_of_a_reader },
        { "9, 11", "truncated, zero and random files", wrong_sizes_and_bytes },
        { "10", "truncated under a reader by pread", truncated_under_a_pread_reader },
        { "13", "index and arena overwritten under lookups", arena_overwritten_under_lookups },
        { "14", "files of the wrong kind", wrong_kinds_of_files },
        { "16", "tmpfs full at creation", tmpfs_full_at_creation },
        { "16", "tmpfs full at growth", tmpfs_full_at_growth },
        { "16", "full tmpfs never hits a reader", full_tmpfs_never_hits_a_reader },
        { "17", "no memory for the writer", no_memory_for_the_writer },
        { "18", "reader in a small memory cgroup", reader_in_small_memcg },
        { "19", "RLIMIT_AS: by pread", rlimit_as },
        { "19", "mlockall and RLIMIT_MEMLOCK: by pread", rlimit_memlock },
        { "19", "AT_SECURE: by pread", secure_process },
        { "20", "no descriptors", no_descriptors },
        { "21", "storm of signals", storm_of_signals },
        { "21", "storm of signals, by pread", storm_of_signals_by_pread },
        { "21", "lookups in signal handlers", lookups_in_signal_handlers },
        { "22", "cancelled threads", cancelled_threads },
        { "23", "longjmp out of lookups", longjmp_out_of_lookups },
        { "25", "vfork and posix_spawn", spawns },
        { "26", "all descriptors closed, or taken", all_descriptors_closed },
        { "27", "chroot", chrooted },
        { "27", "another mount namespace", another_mount_namespace },
        { "28", "time namespaces", time_namespaces },
        { "52", "a table of an earlier boot", earlier_boot },
        { "32", "file removed", file_removed },
        { "32", "directory removed", directory_removed },
        { "33", "the file is mounted, not the directory", file_is_mounted },
        { "34", "user namespace without a mapping", user_namespace },
        { "35", "odd mounts, access denied", odd_mounts_and_denial },
        { "35", "seccomp filters", seccomp_filters },
        { "37", "growth under eight readers", growth_under_readers },
        { "38", "hash flooding", hash_flooding },
        { "39", "1.2 million publishes", many_publishes },
        { "40", "seq wraps", seq_wraps },
};

static void run(const struct fault *fault)
{
        double start = torture_seconds();
        int status;
        pid_t pid;

        memset(result, 0, sizeof(*result));
        pid = torture_fork();
        if (pid == 0) {
                fault->run();
                _exit(0);
        }
        if (waitpid(pid, &status, 0) != pid)
                die("wait");
        if (status != 0)
                expect(false, "status %x", (unsigned int)status);
        if (result->skipped && !result->failed)
                tap_ok(true, "fault %s: %s # SKIP %s", fault->number, fault->name, result->why);
        else if (result->failed)
                tap_ok(false, "fault %s: %s (%s)", fault->number, fault->name, result->why);
        else
                tap_ok(true, "fault %s: %s (%.1f s)", fault->number, fault->name, torture_seconds() - start);
}

/* faults [WORD]: those with WORD in their name */
int main(int argc, char **argv)
{
        if (argc > 1 && strcmp(argv[1], "--secure") == 0)
                return secure_child();
        result = torture_shared(sizeof(*result));
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
                if (argc < 2 || strstr(faults[i].name, argv[1]))
                        run(&faults[i]);
        }
        return tap_done();
}
