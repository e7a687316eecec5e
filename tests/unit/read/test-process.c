/*
 * What children of fork() inherit, on kernels that wipe the page, refuse to, and say that they do (--wrap=madvise).
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "read/process.h"
#include "wipe-fixture.h"

#define N_CHILDREN 24
#define TAG        4711U

int __wrap_madvise(void *address, size_t size, int advice);
int __real_madvise(void *address, size_t size, int advice);

static enum { KNOWS, REFUSES, LIES } kernel;

int __wrap_madvise(void *address, size_t size, int advice)
{
        if (kernel == KNOWS)
                return __real_madvise(address, size, advice);
        errno = EINVAL;
        return kernel == LIES ? 0 : -1;
}

static uint32_t turn_of_child(void)
{
        uint32_t turn = 0;
        int ends[2];
        pid_t pid;

        cr_assert_eq(pipe(ends), 0);
        pid = fork();
        if (pid == 0) {
                turn = khs_process_turn(TAG);
                _exit(write(ends[1], &turn, sizeof(turn)) != sizeof(turn));
        }
        cr_assert_eq(read(ends[0], &turn, sizeof(turn)), sizeof(turn));
        cr_assert_eq(waitpid(pid, NULL, 0), pid);
        (void)close(ends[0]);
        (void)close(ends[1]);
        return turn;
}

static void expect_children_of_their_own(void)
{
        uint32_t turns[N_CHILDREN];

        for (int i = 0; i < N_CHILDREN; i++) {
                turns[i] = turn_of_child();
                for (int k = 0; k < i; k++)
                        cr_expect_neq(turns[i] >> 8, turns[k] >> 8, "children %d and %d begin with the same pod", i, k);
        }
}

/* Steps of the golden ratio, in each process. */
static void expect_sequence(void)
{
        uint32_t last = khs_process_turn(TAG);

        for (int i = 0; i < 100; i++) {
                uint32_t turn = khs_process_turn(TAG);

                cr_expect_eq(turn - last, 0x9E3779B9U);
                last = turn;
        }
}

static void check(bool wiped)
{
        errno = 4711;
        khs_process_prepare();
        cr_expect_eq(errno, 4711);
        cr_expect_eq(khs_process_wiped_on_fork(), wiped);
        expect_sequence();
        expect_children_of_their_own();
        expect_sequence();
}

Test(process, is_wiped_on_fork)
{
        wipe_or_skip();
        check(true);
}

Test(process, looks_at_its_pid_where_the_kernel_refuses)
{
        kernel = REFUSES;
        check(false);
}

/* qemu-user 7.2 says yes to every advice that it does not know. */
Test(process, looks_at_its_pid_where_the_kernel_says_yes_to_everything)
{
        kernel = LIES;
        check(false);
}
