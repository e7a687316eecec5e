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

void khs_wait(const struct khs_view *view, uint32_t seen, uint64_t timeout_usec)
{
        int saved_errno = errno;
        struct kernel_timespec timeout;

        timeout_usec = wait_limit(timeout_usec, KHS_WAIT_MAX_USEC);
        if (!view->map || khs_view_load_acquire(view, STATE_WORD) != KHS_STATE_LIVE)
                timeout_usec = wait_limit(timeout_usec, POLL_USEC);
        timeout = (struct kernel_timespec){ (long)(timeout_usec / 1000000), (long)(timeout_usec % 1000000 * 1000) };

        /* Raw: no cancellation point. Not FUTEX_PRIVATE: the daemon wakes us from another process. */
        if (view->map)
                (void)syscall(SYS_futex, view->map + CHANGES_WORD, FUTEX_WAIT, seen, &timeout, NULL, 0);
        else
                (void)usleep((useconds_t)timeout_usec);
        errno = saved_errno;
}
