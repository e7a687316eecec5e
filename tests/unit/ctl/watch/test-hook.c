/* When the command of `watch --exec` runs: joined, one at a time, and again after a failure. */

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/watch/hook.h"

#define MSEC 1000ULL
#define SEC  1000000ULL

Test(ctl_hook, wait)
{
        static const struct {
                const char *text;
                int r;
                uint64_t min, max;
        } cases[] = {
                { "500ms", 0, 500 * MSEC, 2 * SEC },
                { "2s:10s", 0, 2 * SEC, 10 * SEC },
                { "1s:1s", 0, SEC, SEC },
                { "2s:1s", -EINVAL, 0, 0 },
                { "", -EINVAL, 0, 0 },
                { ":", -EINVAL, 0, 0 },
                { "1s:", -EINVAL, 0, 0 },
                { ":1s", -EINVAL, 0, 0 },
                { "1", -EINVAL, 0, 0 },
                { "1s:2s:3s", -EINVAL, 0, 0 },
                { "soon", -EINVAL, 0, 0 },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct hook hook = { 0 };

                cr_expect_eq(hook_parse_wait(&hook, cases[i].text), cases[i].r, "%s", cases[i].text);
                cr_expect_eq(hook.wait_min_usec, cases[i].min, "%s", cases[i].text);
                cr_expect_eq(hook.wait_max_usec, cases[i].max, "%s", cases[i].text);
        }
}

Test(ctl_hook, changes_are_joined_until_they_rest_but_no_longer_than_max)
{
        struct hook hook = { .wait_min_usec = 2 * SEC, .wait_max_usec = 5 * SEC };

        cr_expect_eq(hook_due(&hook, SEC), UINT64_MAX);
        hook_change(&hook, 10 * SEC);
        cr_expect_eq(hook_due(&hook, 10 * SEC), 12 * SEC);
        hook_change(&hook, 11 * SEC);
        cr_expect_eq(hook_due(&hook, 11 * SEC), 13 * SEC);
        cr_expect_not(hook_wants_run(&hook, 13 * SEC - 1));
        cr_expect(hook_wants_run(&hook, 13 * SEC));
        hook_change(&hook, 14 * SEC);
        cr_expect_eq(hook_due(&hook, 14 * SEC), 15 * SEC);
}

static int run_to_end(struct hook *hook, uint64_t now)
{
        int status = -1;

        cr_assert_eq(hook_run(hook, "[]", 2, now), 0);
        cr_expect_not(hook_wants_run(hook, now), "one at a time");
        for (int i = 0; i < 5000 && !hook_reap(hook, &status, now); i++)
                (void)usleep(1000);
        cr_assert_eq(hook->pid, 0);
        return status;
}

Test(ctl_hook, a_change_during_a_run_is_another_run)
{
        struct hook hook = { .command = "sleep 0.05" };
        int status = -1;

        hook_change(&hook, SEC);
        cr_assert_eq(hook_run(&hook, "", 0, SEC), 0);
        hook_change(&hook, SEC + 1);
        cr_expect_not(hook_wants_run(&hook, 2 * SEC));
        while (!hook_reap(&hook, &status, 2 * SEC))
                (void)usleep(1000);
        cr_expect_eq(status, 0);
        cr_expect(hook_wants_run(&hook, 2 * SEC));
        cr_expect_eq(run_to_end(&hook, 2 * SEC), 0);
        cr_expect_not(hook_wants_run(&hook, 100 * SEC));
}

Test(ctl_hook, a_failure_is_tried_again_after_longer_and_longer)
{
        static const uint64_t pauses[] = { 1, 2, 4, 8, 16, 30, 30 };
        struct hook hook = { .command = "exit 3" };

        hook_change(&hook, SEC);
        for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
                cr_expect_eq(WEXITSTATUS(run_to_end(&hook, 100 * SEC)), 3);
                cr_expect_eq(hook_due(&hook, 100 * SEC), (100 + pauses[i]) * SEC);
        }
        hook.command = "true";
        cr_expect_eq(run_to_end(&hook, 200 * SEC), 0);
        cr_expect_eq(hook_due(&hook, 200 * SEC), UINT64_MAX);
        hook.command = "kill -9 $$";
        cr_expect_eq(WTERMSIG(run_to_end(&hook, 300 * SEC)), 9);
        cr_expect_eq(hook_due(&hook, 300 * SEC), 301 * SEC);
}

Test(ctl_hook, a_command_that_does_not_read_its_input_harms_nobody)
{
        static char input[1 << 20];
        struct hook hook = { .command = "exit 0" };
        int status;

        cr_assert_eq(hook_run(&hook, input, sizeof(input), SEC), 0);
        while (!hook_reap(&hook, &status, SEC))
                (void)usleep(1000);
        cr_expect_eq(status, 0);
        hook.command = "test \"$(wc -c)\" = 1048576";
        cr_assert_eq(hook_run(&hook, input, sizeof(input), SEC), 0);
        while (!hook_reap(&hook, &status, SEC))
                (void)usleep(1000);
        cr_expect_eq(status, 0);
}

/* As under a supervisor that closes the standard input: the file must not lie where the command looks for it. */
Test(ctl_hook, the_command_has_its_input_where_ours_is_closed)
{
        struct hook hook = { .command = "test \"$(cat)\" = '[]'" };
        int kept = dup(STDIN_FILENO);

        (void)close(STDIN_FILENO);
        cr_expect_eq(run_to_end(&hook, SEC), 0);
        (void)dup2(kept, STDIN_FILENO);
        (void)close(kept);
}
