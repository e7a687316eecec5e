#pragma once

/*
 * Where the contract tests play: a private run directory with a table that table.c looks after, the module
 * loaded as glibc loads it, TAP. Libc only.
 */

#include <dlfcn.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- TAP ---- */

static unsigned int tap_n, tap_n_failed;

__attribute__((format(printf, 2, 3))) static inline bool tap_ok(bool ok, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        printf("%sok %u - ", ok ? "" : "not ", ++tap_n);
        vprintf(format, args);
        printf("\n");
        va_end(args);
        (void)fflush(stdout);
        tap_n_failed += !ok;
        return ok;
}

__attribute__((format(printf, 1, 2))) static inline void tap_comment(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        printf("# ");
        vprintf(format, args);
        printf("\n");
        va_end(args);
}

static inline int tap_done(void)
{
        printf("1..%u\n", tap_n);
        return tap_n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static inline void tap_skip_all(const char *why)
{
        printf("1..0 # SKIP %s\n", why);
        exit(EXIT_SUCCESS);
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void die(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        printf("Bail out! ");
        vprintf(format, args);
        printf(" (errno: %s)\n", strerror(errno));
        va_end(args);
        (void)fflush(stdout);
        _exit(EXIT_FAILURE);
}

/* ---- the place ---- */

/* A network namespace has a loopback interface that is down: it has no address then. */
static inline void stage_loopback(void)
{
        struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                die("lo");
        (void)close(fd);
}

/*
 * A mount and a network namespace of this process's own, and an empty run directory. One that is built in
 * elsewhere than below /run is taken as it is: tests/m32 makes it.
 */
static inline void stage_enter(void)
{
        if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
                tap_skip_all("needs root and namespaces");
        stage_loopback();
        if (strncmp(K8SHSVC_RUNDIR, "/run/", 5) != 0)
                return;
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0 || mkdir(K8SHSVC_RUNDIR, 0755) < 0)
                die("%s can't be made", K8SHSVC_RUNDIR);
}

/* ---- the table ---- */

static FILE *table_commands, *table_replies;
static pid_t table_pid;

static inline void table_wait(void)
{
        char line[16];

        if (!fgets(line, sizeof(line), table_replies) || strcmp(line, "ready\n") != 0)
                die("the table's program is gone");
}

static inline void table_start(const char *program)
{
        int commands[2], replies[2];

        if (pipe(commands) < 0 || pipe(replies) < 0 || (table_pid = fork()) < 0)
                die("fork");
        if (table_pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (dup2(commands[0], STDIN_FILENO) < 0 || dup2(replies[1], STDOUT_FILENO) < 0)
                        _exit(126);
                for (int i = 0; i < 2; i++) {
                        (void)close(commands[i]);
                        (void)close(replies[i]);
                }
                (void)execl(program, program, K8SHSVC_RUNDIR, (char *)NULL);
                _exit(127);
        }
        (void)close(commands[0]);
        (void)close(replies[1]);
        table_commands = fdopen(commands[1], "we");
        table_replies = fdopen(replies[0], "re");
        table_wait();
}

/* The file stays. */
static inline void table_stop(void)
{
        (void)fclose(table_commands);
        (void)fclose(table_replies);
        (void)waitpid(table_pid, NULL, 0);
}

static inline void table_tell(const char *command)
{
        if (fprintf(table_commands, "%s\n", command) < 0 || fflush(table_commands) != 0)
                die("the table's program does not listen");
        table_wait();
}
