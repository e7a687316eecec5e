/*
 * Sleeping until the table changes.
 *
 * The daemon increments the counter and wakes its sleepers after each batch of changes. A file that is superseded, or
 * that is read by pread(2), wakes nobody; there the sleep is short instead.
 */

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "read/wait.h"

#define CHANGES_WORD (offsetof(struct khs_table_header, changes) / 4)
#define STATE_WORD   (offsetof(struct khs_table_header, state) / 4)

/* Where no futex wakes us. */
#define POLL_USEC 200000ULL

/* The timespec of SYS_futex, which has kept its 32-bit form on 32-bit machines. */
struct kernel_timespec {
        long sec, nsec;
};

uint32_t khs_wait_counter(const struct khs_view *view)
{
        return khs_view_load_acquire(view, CHANGES_WORD);
}

static uint64_t wait_limit(uint64_t usec, uint64_t most)
{
        return usec < most ? usec : most;
}

/* Raw, since usleep() is a cancellation point; not FUTEX_PRIVATE, since the daemon wakes us from another process. */
static int wait_on(const uint32_t *word, uint32_t seen, uint64_t usec)
{
        struct kernel_timespec timeout = { (long)(usec / 1000000), (long)(usec % 1000000 * 1000) };
        int saved_errno = errno, r = 0;

        if (usec > 0 && syscall(SYS_futex, word, FUTEX_WAIT, seen, &timeout, NULL, 0) < 0 && errno == EINTR)
                r = -EINTR;
        errno = saved_errno;
        return r;
}

int khs_wait(const struct khs_view *view, uint32_t seen, uint64_t timeout_usec)
{
        const uint32_t *map = view ? view->map : NULL;
        bool woken = map && khs_view_load_acquire(view, STATE_WORD) == KHS_STATE_LIVE;

        timeout_usec = wait_limit(timeout_usec, woken ? KHS_WAIT_MAX_USEC : POLL_USEC);
        return wait_on(map ? map + CHANGES_WORD : &seen, seen, timeout_usec);
}
