/* The service manager at the other end of NOTIFY_SOCKET: what it hears, in which order, and that nobody waits for it.
 */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/util.h"

static int manager = -1;
static sd_event *event;
static struct notify *notify;

/* A name in the abstract name space: nothing to clean up. */
static void listen_as(const char *name)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        size_t n = strlen(name);

        memcpy(address.sun_path, name, n);
        address.sun_path[0] = '\0';
        manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        cr_assert_eq(
                bind(manager, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)), 0);
}

static void setup(void)
{
        char name[64];

        (void)snprintf(name, sizeof(name), "@k8shsvc-test-notify-%d", (int)getpid());
        listen_as(name);
        cr_assert_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
        cr_assert_geq(sd_event_new(&event), 0);
        cr_assert_eq(notify_new(&notify, event), 0);
}

static void teardown(void)
{
        notify_free(notify);
        sd_event_unref(event);
        (void)close(manager);
}

TestSuite(notify, .init = setup, .fini = teardown, .timeout = 20);

/* The next datagram; "" when there is none. */
static const char *heard(void)
{
        static char text[512];
        ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

        text[n > 0 ? n : 0] = '\0';
        return text;
}

/* Nobody reads: the socket's queue fills up. */
static void fill_queue(void)
{
        for (int i = 0; i < 1000; i++) {
                char text[32];

                (void)snprintf(text, sizeof(text), "filler %d", i);
                notify_status(notify, text);
        }
}

static void drain(void)
{
        while (strncmp(heard(), "STATUS=filler", strlen("STATUS=filler")) == 0)
                ;
}

Test(notify, states_are_heard_at_once)
{
        notify_ready(notify);
        cr_expect_str_eq(heard(), "READY=1");
        notify_reloading(notify);
        cr_expect_eq(strncmp(heard(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
        notify_stopping(notify);
        cr_expect_str_eq(heard(), "STOPPING=1");
        cr_expect_str_eq(heard(), "");
}

Test(notify, status_is_sent_when_it_changes)
{
        notify_status(notify, "filling the table");
        cr_expect_str_eq(heard(), "STATUS=filling the table");
        notify_status(notify, "filling the table");
        cr_expect_str_eq(heard(), "");
        notify_status(notify, "2 services");
        cr_expect_str_eq(heard(), "STATUS=2 services");
}

Test(notify, what_a_full_queue_refused_is_sent_later_in_its_order)
{
        fill_queue();
        notify_ready(notify);
        notify_status(notify, "one");
        notify_reloading(notify);
        notify_status(notify, "two");
        notify_ready(notify);
        drain();
        notify_beat(notify);
        cr_expect_str_eq(heard(), "READY=1");
        cr_expect_eq(strncmp(heard(), "RELOADING=1", 11), 0);
        cr_expect_str_eq(heard(), "READY=1");
        cr_expect_str_eq(heard(), "STATUS=two", "of the status only the last");
        notify_beat(notify);
        cr_expect_str_eq(heard(), "", "and once");
}

Test(notify, oldest_states_are_given_up_for_the_last)
{
        fill_queue();
        for (int i = 0; i < 20; i++)
                notify_reloading(notify);
        notify_ready(notify);
        notify_stopping(notify);
        drain();
        notify_beat(notify);
        for (int i = 0; i < 6; i++)
                cr_expect_eq(strncmp(heard(), "RELOADING=1", 11), 0, "%d", i);
        cr_expect_str_eq(heard(), "READY=1");
        cr_expect_str_eq(heard(), "STOPPING=1");
        cr_expect_str_eq(heard(), "STATUS=filler 999");
        cr_expect_str_eq(heard(), "");
}

/* Two that were sent, then more than are kept: each RELOADING that arrives is followed by its READY. */
Test(notify, states_that_are_given_up_leave_pairs)
{
        notify_reloading(notify);
        fill_queue();
        notify_ready(notify);
        for (int i = 0; i < 10; i++) {
                notify_reloading(notify);
                notify_ready(notify);
        }
        cr_expect_eq(strncmp(heard(), "RELOADING=1", 11), 0);
        drain();
        notify_beat(notify);
        cr_expect_str_eq(heard(), "READY=1");
        for (int i = 0; i < 3; i++) {
                cr_expect_eq(strncmp(heard(), "RELOADING=1", 11), 0, "%d", i);
                cr_expect_str_eq(heard(), "READY=1", "%d", i);
        }
        cr_expect_str_eq(heard(), "STATUS=filler 999");
}

Test(notify, watchdog_is_fed_by_the_loop)
{
        char pid[32];

        notify_free(notify);
        (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
        cr_assert_eq(setenv("WATCHDOG_USEC", "150000", 1), 0);
        cr_assert_eq(setenv("WATCHDOG_PID", pid, 1), 0);
        cr_assert_eq(notify_new(&notify, event), 0);
        for (uint64_t end = usec_now() + 400 * USEC_PER_MSEC; usec_now() < end;)
                cr_assert_geq(sd_event_run(event, 10000), 0);
        for (int i = 0; i < 4; i++)
                cr_expect_str_eq(heard(), "WATCHDOG=1", "%d", i);
}

Test(notify, nobody_wants_to_hear)
{
        notify_free(notify);
        cr_assert_eq(setenv("NOTIFY_SOCKET", "relative", 1), 0);
        cr_assert_eq(notify_new(&notify, event), 0);
        notify_ready(notify);
        notify_status(notify, "said into the wind");
        notify_beat(notify);
        cr_expect_str_eq(heard(), "");
}
