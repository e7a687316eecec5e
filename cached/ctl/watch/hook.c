/*
 * The hook as a state machine over time, which is passed in. Its input is a memory file, not a pipe: a command that
 * does not read can't stop us, nor end us by SIGPIPE.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "config/keys/value.h"
#include "ctl/watch/hook.h"

#define RETRY_MIN_USEC USEC_PER_SEC
#define RETRY_MAX_USEC (30 * USEC_PER_SEC)
#define POLL_USEC      (50 * USEC_PER_MSEC) /* while the command runs */

int hook_parse_wait(struct hook *hook, const char *text)
{
        const char *colon = strchr(text, ':');
        char min[32];
        config_usec min_usec, max_usec = 0;
        size_t n_min = colon ? (size_t)(colon - text) : strlen(text);

        if (n_min >= sizeof(min))
                return -EINVAL;
        memcpy(min, text, n_min);
        min[n_min] = '\0';
        if (config_duration_parse(min, &min_usec) < 0 || (colon && config_duration_parse(colon + 1, &max_usec) < 0))
                return -EINVAL;
        if (colon && max_usec < min_usec)
                return -EINVAL;
        hook->wait_min_usec = min_usec;
        hook->wait_max_usec = colon ? max_usec : 4 * min_usec; /* a service that never rests is reported, too */
        return 0;
}

void hook_change(struct hook *hook, uint64_t now_usec)
{
        if (hook->first_usec == 0)
                hook->first_usec = now_usec;
        hook->last_usec = now_usec;
}

uint64_t hook_due(const struct hook *hook, uint64_t now_usec)
{
        uint64_t due, latest;

        if (hook->pid > 0)
                return now_usec + POLL_USEC;
        if (hook->first_usec == 0)
                return hook->retry_usec > 0 ? hook->retry_usec : UINT64_MAX;
        due = hook->last_usec + hook->wait_min_usec;
        latest = hook->first_usec + hook->wait_max_usec;
        return due < latest ? due : latest;
}

bool hook_wants_run(const struct hook *hook, uint64_t now_usec)
{
        return hook->pid == 0 && hook_due(hook, now_usec) <= now_usec;
}

static void hook_fail(struct hook *hook, uint64_t now_usec)
{
        uint64_t pause = RETRY_MAX_USEC;

        if (hook->n_failures < 5)
                pause = RETRY_MIN_USEC << hook->n_failures;
        hook->n_failures++;
        hook->retry_usec = now_usec + pause;
}

static int hook_input_new(const char *input, size_t n_input)
{
        int fd = memfd_create("k8shsvcctl", MFD_CLOEXEC);

        while (fd >= 0 && n_input > 0) {
                ssize_t n = write(fd, input, n_input);

                if (n < 0 && errno != EINTR) {
                        (void)close(fd);
                        return -1;
                }
                input += n > 0 ? n : 0;
                n_input -= n > 0 ? (size_t)n : 0;
        }
        if (fd >= 0)
                (void)lseek(fd, 0, SEEK_SET);
        return fd;
}

int hook_run(struct hook *hook, const char *input, size_t n_input, uint64_t now_usec)
{
        int fd = hook_input_new(input, n_input), r = 0;
        pid_t pid = fd < 0 ? -1 : fork();

        if (pid < 0)
                r = -errno;
        if (pid == 0) {
                if (fd == STDIN_FILENO) /* ours is closed */
                        (void)fcntl(fd, F_SETFD, 0);
                else
                        (void)dup2(fd, STDIN_FILENO);
                (void)execl("/bin/sh", "sh", "-c", hook->command, (char *)NULL);
                _exit(127);
        }
        if (fd >= 0)
                (void)close(fd);
        hook->first_usec = hook->last_usec = hook->retry_usec = 0;
        if (r < 0)
                hook_fail(hook, now_usec);
        else
                hook->pid = pid;
        return r;
}

bool hook_reap(struct hook *hook, int *ret_status, uint64_t now_usec)
{
        if (hook->pid == 0 || waitpid(hook->pid, ret_status, WNOHANG) != hook->pid)
                return false;
        hook->pid = 0;
        if (WIFEXITED(*ret_status) && WEXITSTATUS(*ret_status) == 0)
                hook->n_failures = 0;
        else
                hook_fail(hook, now_usec);
        return true;
}
