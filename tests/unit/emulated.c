/*
 * Criterion's tests under an emulator of user programs.
 *
 * Criterion starts each test as a program of its own and traces it up to main(): qemu-user can do neither. The calls
 * that its headers compile into a test are few. They are here, before those of its library: each test is a child of
 * fork(), in a program that has done nothing yet. Its time is limited by meson only.
 */

#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Made by the linker. A program without suites has no such section. */
extern struct criterion_test *__start_cr_tst[], *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak)), *__stop_cr_sts[] __attribute__((weak));

enum { PASSED, FAILED, SKIPPED = 77 };

static const struct criterion_test *test;
static const struct criterion_test_extra_data *suite;
static jmp_buf end_of_test;
static int outcome = PASSED;

static void emulated_call(void (*fn)(void))
{
        if (fn && setjmp(end_of_test) == 0)
                fn();
}

void criterion_internal_test_setup(void)
{
        emulated_call(suite ? suite->init : NULL);
        emulated_call(test->data->init);
}

void criterion_internal_test_main(void (*fn)(void))
{
        if (outcome == PASSED)
                emulated_call(fn);
}

void criterion_internal_test_teardown(void)
{
        emulated_call(test->data->fini);
        emulated_call(suite ? suite->fini : NULL);
}

void cri_asserts_passed_incr(void)
{
}

void criterion_send_assert(struct criterion_assert_stats *stats)
{
        if (!stats->passed)
                printf("# %s:%u: %s\n", stats->file, stats->line, stats->message);
}

void criterion_continue_test(void)
{
        outcome = FAILED;
}

void criterion_abort_test(void)
{
        outcome = FAILED;
        longjmp(end_of_test, 1);
}

void criterion_skip_test(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        printf("# ");
        vprintf(format, arguments);
        printf("\n");
        va_end(arguments);
        outcome = SKIPPED;
        longjmp(end_of_test, 1);
}

void cr_log(enum criterion_severity severity, const char *format, ...)
{
        va_list arguments;

        (void)severity;
        va_start(arguments, format);
        printf("# ");
        vprintf(format, arguments);
        printf("\n");
        va_end(arguments);
}

static const struct criterion_test_extra_data *emulated_suite(const char *name)
{
        for (struct criterion_suite **each = __start_cr_sts; each < __stop_cr_sts; each++)
                if (strcmp((*each)->name, name) == 0)
                        return (*each)->data;
        return NULL;
}

/* Returns what wait() says of it. */
static int emulated_run(void)
{
        int status = -1;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid == 0) {
                test->test();
                fflush(stdout);
                _exit(outcome);
        }
        if (pid > 0)
                waitpid(pid, &status, 0);
        return status;
}

int main(void)
{
        int n = 0, n_failed = 0;

        printf("1..%td\n", __stop_cr_tst - __start_cr_tst);
        for (struct criterion_test **each = __start_cr_tst; each < __stop_cr_tst; each++) {
                int status;
                bool skipped;

                test = *each;
                suite = emulated_suite(test->category);
                status = emulated_run();
                skipped = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED;
                if (status != 0 && !skipped) {
                        printf("# status 0x%x\nnot ", (unsigned)status);
                        n_failed++;
                }
                printf("ok %d - %s::%s%s\n", ++n, test->category, test->name, skipped ? " # SKIP" : "");
        }
        return n_failed > 0;
}
