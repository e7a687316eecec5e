/*
 * Looking with another process's eyes.
 *
 * A path below /proc/PID/root would do for plain files, but an absolute link in it leads back to our own files. So
 * we change our root, after having read what is in our /proc. Only files are read there, and nothing of it runs.
 */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "ctl/doctor/elf.h"
#include "ctl/doctor/eyes.h"
#include "table/format.h"

#define PROC_FILE_MAX (16U << 20)

static int eyes_read_file(pid_t pid, const char *name, char **ret)
{
        char path[64];
        size_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
        return file_read(path, PROC_FILE_MAX, ret, &n);
}

static void eyes_read_program(struct eyes *e)
{
        _cleanup_(cleanup_free) char *comm = NULL;
        char path[64];
        struct elf_kind kind;

        if (eyes_read_file(e->pid, "comm", &comm) == 0)
                (void)snprintf(e->program, sizeof(e->program), "%.*s", (int)strcspn(comm, "\n"), comm);
        (void)snprintf(path, sizeof(path), "/proc/%d/exe", e->pid);
        if (elf_read_kind(path, &kind) == 0) {
                e->elf_class = kind.class;
                e->elf_machine = kind.machine;
        }
}

/* The file that a line of /proc/PID/maps ends with, also where an upgrade has replaced it since. */
static const char *eyes_maps_path(char *line)
{
        char *path = strchr(line, '/'), *deleted = path ? strstr(path, " (deleted)") : NULL;

        if (deleted)
                *deleted = '\0';
        return path;
}

/* musl is "ld-musl-ARCH.so.1", or "libc.so" in a directory of its own. */
static bool eyes_is_musl(const char *path, const char *name)
{
        return strstr(path, "musl") && (strncmp(name, "ld-musl-", 8) == 0 || strncmp(name, "libc.", 5) == 0);
}

/* A program with neither glibc nor musl is static, or has a libc of which we know nothing. */
static void eyes_read_libc(struct eyes *e)
{
        _cleanup_(cleanup_free) char *maps = NULL;
        char *save = NULL;

        e->libc = EYES_STATIC;
        if (eyes_read_file(e->pid, "maps", &maps) < 0) {
                e->libc = EYES_OTHER;
                return;
        }
        for (char *line = strtok_r(maps, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                const char *path = eyes_maps_path(line), *name = path ? strrchr(path, '/') + 1 : "";
                bool musl = path && eyes_is_musl(path, name);

                if (strcmp(name, "libc.so.6") != 0 && strncmp(name, "libc-2.", 7) != 0 && !musl)
                        continue;
                e->libc = musl ? EYES_MUSL : EYES_GLIBC;
                (void)snprintf(e->libc_path, sizeof(e->libc_path), "%s", path);
                return;
        }
}

/* A line of mountinfo: ID PARENT MAJ:MIN ROOT MOUNTPOINT ... */
static void eyes_read_mounts(struct eyes *e)
{
        _cleanup_(cleanup_free) char *mounts = NULL;
        char *save = NULL;

        if (eyes_read_file(e->pid, "mountinfo", &mounts) < 0)
                return;
        for (char *line = strtok_r(mounts, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char point[512];

                if (sscanf(line, "%*s %*s %*s %*s %511s", point) == 1 &&
                    strcmp(point, K8SHSVC_RUNDIR "/" KHS_TABLE_NAME) == 0)
                        e->is_table_a_mount = true;
        }
}

static void eyes_read_time(struct eyes *e)
{
        char path[64];
        struct stat ours, theirs;

        (void)snprintf(path, sizeof(path), "/proc/%d/ns/time", e->pid);
        e->has_own_time = stat("/proc/self/ns/time", &ours) == 0 && stat(path, &theirs) == 0 &&
                          (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev);
}

static void eyes_read(struct eyes *e)
{
        eyes_read_program(e);
        eyes_read_libc(e);
        eyes_read_mounts(e);
        eyes_read_time(e);
}

void eyes_look(struct eyes *ret)
{
        *ret = (struct eyes){ .pid = getpid() };
        eyes_read(ret);
}

int eyes_open(struct eyes *ret, pid_t pid)
{
        struct eyes e = { .pid = pid };
        char root[64];

        (void)snprintf(root, sizeof(root), "/proc/%d/root", pid);
        if (access(root, F_OK) < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        eyes_read(&e);
        if (chroot(root) < 0 || chdir("/") < 0)
                return -errno;
        *ret = e;
        return 0;
}
