/*
 * What a process knows of its own addresses: from the real kernel in a network namespace of the
 * test's own, and from one that is played here (--wrap=syscall), which can lie, refuse and count.
 */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "answer/interfaces.h"
#include "read/process.h"
#include "wipe-fixture.h"

#define NETLINK_FD 777 /* of the kernel that is played */

/* ---- the system calls of the code under test ---- */

static struct {
        bool plays;
        unsigned int n_sockets, n_closed;
        int socket_error, send_error;
        uint32_t sender;           /* port number of whoever sends the answer */
        const char *datagrams[80]; /* what recvfrom() returns, one after the other; then -EAGAIN */
        size_t n_bytes[80];
        unsigned int n_datagrams, next;
} kernel;

long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);

static long refuse(int error)
{
        errno = error;
        return -1;
}

static long play_recvfrom(void *buffer, size_t n_buffer, struct sockaddr_nl *from)
{
        size_t n;

        if (kernel.next == kernel.n_datagrams)
                return refuse(EAGAIN);
        n = kernel.n_bytes[kernel.next];
        memcpy(buffer, kernel.datagrams[kernel.next], n < n_buffer ? n : n_buffer);
        *from = (struct sockaddr_nl){ .nl_family = AF_NETLINK, .nl_pid = kernel.sender };
        kernel.next++;
        return (long)n;
}

long __wrap_syscall(long number, ...)
{
        long a[6];
        va_list args;

        va_start(args, number);
        for (int i = 0; i < 6; i++)
                a[i] = va_arg(args, long);
        va_end(args);

        if (number == SYS_socket)
                __atomic_fetch_add(&kernel.n_sockets, 1, __ATOMIC_RELAXED);
        if (!kernel.plays)
                return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        switch (number) {
        case SYS_socket:
                cr_expect_eq((int)a[1], SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK);
                return kernel.socket_error ? refuse(kernel.socket_error) : NETLINK_FD;
        case SYS_sendto:
                kernel.next = 0;
                return kernel.send_error ? refuse(kernel.send_error) : a[2];
        case SYS_recvfrom:
                return play_recvfrom((void *)a[1], (size_t)a[2], (struct sockaddr_nl *)a[4]);
        case SYS_close:
                cr_expect_eq(a[0], NETLINK_FD);
                kernel.n_closed++;
                return 0;
        default:
                return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        }
}

/* As if 10 s had passed since the kernel was asked. */
static void age(void)
{
        __atomic_store_n(&khs_process.interfaces_tried, 0, __ATOMIC_RELAXED);
}

static const char *host(const struct khs_interfaces *look)
{
        static char text[INET6_ADDRSTRLEN];
        uint8_t bytes[16];

        if (!khs_interfaces_host(look, bytes))
                return "none";
        cr_assert_not_null(inet_ntop(AF_INET6, bytes, text, sizeof(text)));
        return strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text;
}

static uint32_t score(const struct khs_interfaces *look, const char *address)
{
        int family = strchr(address, ':') ? AF_INET6 : AF_INET;
        struct khs_score found;
        uint32_t words[4];

        cr_assert_eq(inet_pton(family, address, words), 1);
        khs_interfaces_score(look, family, words, &found);
        return found.least;
}

/* ---- the real kernel ---- */

/* As a lookup does. */
static bool learn(struct khs_interfaces *look)
{
        khs_interfaces_refresh();
        return khs_interfaces_look(look);
}

/* IPv6 addresses are added `nodad`: one of which duplicates are looked for is no source yet. */
static void ip(const char *arguments)
{
        char command[256];

        (void)snprintf(command, sizeof(command), "ip %s", arguments);
        cr_assert_eq(system(command), 0, "%s", command);
}

static void network_init(void)
{
        if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
                cr_skip_test("needs root and a network namespace");
        khs_process_prepare();
        ip("link set lo up");
        ip("link add eth0 type veth peer name eth1");
        ip("link set eth1 addrgenmode none");
        ip("link set eth0 addrgenmode none");
        ip("link set eth1 up");
        ip("link set eth0 up");
}

Test(interfaces, are_those_of_the_kernel)
{
        struct khs_interfaces look;

        network_init();
        errno = 4711;
        cr_assert(learn(&look));
        cr_expect_eq(errno, 4711);
        cr_expect_eq(look.n, 1, "127.0.0.1");
        cr_expect_not(look.has_ipv6, "::1 does not count");
        cr_expect_str_eq(host(&look), "none");

        ip("address add 10.77.0.5/24 dev eth0");
        age();
        cr_assert(learn(&look));
        cr_expect_eq(look.n, 2);
        cr_expect_str_eq(host(&look), "10.77.0.5");
        cr_expect_eq(score(&look, "10.77.0.4"), 0, "without IPv6 glibc forgets the subnets");

        ip("address add fd77::5/64 dev eth0 nodad");
        age();
        cr_assert(learn(&look));
        cr_expect_eq(look.n, 3);
        cr_expect(look.has_ipv6);
        cr_expect_eq(score(&look, "10.77.0.4"), 31);
        cr_expect_eq(score(&look, "10.78.0.4"), 0);
        cr_expect_eq(score(&look, "fd77::4"), 127);
        cr_expect(khs_interfaces_valid(&look));
}

Test(interfaces, host_is_the_lowest_global_address)
{
        struct khs_interfaces look;

        network_init();
        ip("address add 169.254.0.1/16 scope link dev eth0");
        ip("address add fd77::5/64 dev eth0 nodad");
        ip("address add fd76::5/64 dev eth0 nodad");
        cr_assert(learn(&look));
        cr_expect_str_eq(host(&look), "fd76::5");

        ip("address add 169.254.20.10/32 dev eth0"); /* NodeLocal DNSCache: on every node */
        age();
        cr_assert(learn(&look));
        cr_expect_str_eq(host(&look), "fd76::5");
        ip("address add 10.0.0.1/32 dev eth0"); /* IPVS: on every node; or a cloud's only one */
        age();
        cr_assert(learn(&look));
        cr_expect_str_eq(host(&look), "10.0.0.1");

        ip("address add 192.0.2.1/24 dev eth0");
        ip("address add 10.77.0.5/24 dev eth1");
        age();
        cr_assert(learn(&look));
        cr_expect_str_eq(host(&look), "10.77.0.5");
}

Test(interfaces, leave_out_what_is_no_source)
{
        struct khs_interfaces look;

        network_init();
        ip("address add 10.77.0.5/24 dev eth0");
        ip("address add 10.77.0.2/24 dev eth0"); /* secondary */
        ip("address add fd77::5/64 dev eth0 nodad");
        ip("address add fd78::5/64 dev eth0 nodad preferred_lft 0");
        ip("address add fe80::5/64 dev eth0 nodad");
        cr_assert(learn(&look));
        cr_expect_eq(look.n, 4, "%u: lo, and but for the secondary and the local one, of eth0", look.n);
        cr_expect_eq(score(&look, "10.77.0.3"), 29, "from 10.77.0.5");
        cr_expect_eq(score(&look, "fd78::4"), 12, "from fd77::5");
        cr_expect_eq(score(&look, "fe80::4"), 6);

        /* the other end of a tunnel is not ours, and glibc does not find ours in a subnet */
        ip("address add 10.99.0.1 peer 10.99.0.2/24 dev eth1");
        age();
        cr_assert(learn(&look));
        cr_expect_eq(score(&look, "10.99.0.2"), 0);
        cr_expect_eq(score(&look, "10.99.0.1"), 32);
}

/* IPv6 addresses of any state make glibc keep the list. */
Test(interfaces, a_link_local_address_is_ipv6)
{
        struct khs_interfaces look;

        network_init();
        ip("address add 10.77.0.5/24 dev eth0");
        ip("address add fe80::5/64 dev eth0 nodad");
        cr_assert(learn(&look));
        cr_expect_eq(look.n, 2);
        cr_expect(look.has_ipv6);
        cr_expect_eq(score(&look, "10.77.0.4"), 31);
}

static void add_many(unsigned int from, unsigned int to)
{
        FILE *pipe = popen("ip -batch -", "w");

        cr_assert_not_null(pipe);
        for (unsigned int i = from; i < to; i++)
                cr_assert_gt(fprintf(pipe, "address add 10.%u.%u.1/32 dev eth0\n", i / 256, i % 256), 0);
        cr_assert_eq(pclose(pipe), 0);
}

Test(interfaces, no_more_than_512)
{
        struct khs_interfaces look;

        network_init();
        add_many(0, 511); /* and 127.0.0.1 */
        cr_assert(learn(&look));
        cr_expect_eq(look.n, 512);
        cr_expect_eq(score(&look, "10.1.254.1"), 32);
        cr_expect_eq(score(&look, "10.1.255.1"), 0);
        add_many(511, 512);
        age();
        cr_expect_not(learn(&look));
        ip("address delete 10.0.7.1/32 dev eth0");
        age();
        cr_expect(learn(&look));
}

Test(interfaces, are_asked_for_once_in_ten_seconds)
{
        struct khs_interfaces look;

        network_init();
        ip("address add 10.77.0.5/24 dev eth0");
        cr_assert(learn(&look));
        ip("address add 10.76.0.5/24 dev eth0");
        for (int i = 0; i < 1000; i++)
                cr_assert(learn(&look));
        cr_expect_eq(kernel.n_sockets, 1);
        cr_expect_str_eq(host(&look), "10.77.0.5");

        khs_process.interfaces_tried -= 9000; /* not quite, on a machine that loses less than a second here */
        cr_assert(learn(&look));
        cr_expect_eq(kernel.n_sockets, 1);
        khs_process.interfaces_tried -= 1000;
        cr_assert(learn(&look));
        cr_expect_eq(kernel.n_sockets, 2);
        cr_expect_str_eq(host(&look), "10.76.0.5");
}

static int child_status(pid_t pid)
{
        int status;

        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status), "%#x", (unsigned int)status);
        return WEXITSTATUS(status);
}

Test(interfaces, are_new_in_a_forked_child)
{
        struct khs_interfaces look;
        pid_t pid;

        wipe_or_skip();
        network_init();
        ip("address add 10.77.0.5/24 dev eth0");
        cr_assert(learn(&look));
        ip("address add 10.76.0.5/24 dev eth0");
        khs_process.interfaces_owner = 1; /* a thread that does not come along */
        pid = fork();
        if (pid == 0)
                _exit(!(learn(&look) && strcmp(host(&look), "10.76.0.5") == 0));
        cr_expect_eq(child_status(pid), 0);
        cr_assert(learn(&look));
        cr_expect_str_eq(host(&look), "10.77.0.5", "the parent's ten seconds are its own");
}

/* ---- a kernel that is played ---- */

/* An answer in the making. */
struct dump {
        char bytes[16384];
        size_t n;
};

static void put(struct dump *dump, const void *bytes, size_t n)
{
        cr_assert_leq(dump->n + n, sizeof(dump->bytes));
        memcpy(dump->bytes + dump->n, bytes, n);
        dump->n += n;
}

static void put_message(struct dump *dump, uint16_t type, const void *body, size_t n)
{
        const struct nlmsghdr head = { .nlmsg_len = (uint32_t)(sizeof(head) + n), .nlmsg_type = type, .nlmsg_seq = 1 };

        put(dump, &head, sizeof(head));
        put(dump, body, n);
        put(dump, "\0\0\0", NLMSG_ALIGN(n) - n);
}

static void put_address(struct dump *dump, const char *text, uint8_t prefix)
{
        struct {
                struct ifaddrmsg head;
                struct rtattr attribute;
                uint8_t bytes[16];
        } body = { .head = { .ifa_family = strchr(text, ':') ? AF_INET6 : AF_INET, .ifa_prefixlen = prefix },
                   .attribute = { .rta_type = IFA_ADDRESS } };
        size_t size = body.head.ifa_family == AF_INET ? 4 : 16;

        body.attribute.rta_len = (uint16_t)(sizeof(body.attribute) + size);
        cr_assert_eq(inet_pton(body.head.ifa_family, text, body.bytes), 1);
        put_message(dump, RTM_NEWADDR, &body, sizeof(body.head) + sizeof(body.attribute) + size);
}

static void put_done(struct dump *dump, int32_t error)
{
        put_message(dump, NLMSG_DONE, &error, sizeof(error));
}

static void answer(const struct dump *dump)
{
        kernel.datagrams[kernel.n_datagrams] = dump->bytes;
        kernel.n_bytes[kernel.n_datagrams++] = dump->n;
}

/* One address, and that is all. */
static void play(struct dump *dump)
{
        khs_process_prepare();
        kernel.plays = true;
        *dump = (struct dump){ .n = 0 };
        put_address(dump, "10.77.0.5", 24);
        put_done(dump, 0);
        answer(dump);
}

static bool known_anew(void)
{
        struct khs_interfaces look;
        bool known;

        age();
        known = learn(&look);
        cr_expect(!known || strcmp(host(&look), "10.77.0.5") == 0);
        cr_expect_eq(kernel.n_sockets - kernel.n_closed, kernel.socket_error ? kernel.n_sockets : 0, "all are closed");
        return known;
}

Test(interfaces, unknown_where_the_kernel_refuses)
{
        struct dump dump, denied = { .n = 0 }, failed = { .n = 0 };
        const struct nlmsgerr error = { .error = -EPERM };
        struct khs_interfaces look;

        play(&dump);
        cr_expect(known_anew());
        kernel.send_error = EPERM;
        cr_expect_not(known_anew());
        kernel.send_error = 0;
        kernel.n_datagrams = 0; /* EAGAIN */
        cr_expect_not(known_anew());
        put_message(&denied, NLMSG_ERROR, &error, sizeof(error));
        answer(&denied);
        cr_expect_not(known_anew());
        kernel.n_datagrams = 0;
        put_address(&failed, "10.77.0.5", 24);
        put_done(&failed, -ENOMEM);
        answer(&failed);
        cr_expect_not(known_anew());

        kernel.n_sockets = kernel.n_closed = 0;
        for (int e = 1; e < 140; e++) {
                age();
                kernel.socket_error = e;
                errno = 4711;
                cr_expect_not(learn(&look));
                cr_expect_eq(errno, 4711);
        }
        kernel.socket_error = 0;
        cr_expect_not(learn(&look), "remembered");
        cr_expect_eq(kernel.n_sockets, 139);
        cr_expect_eq(kernel.n_closed, 0);
}

Test(interfaces, unknown_when_it_is_cut_off)
{
        struct dump dump, half = { .n = 0 };

        play(&dump);
        kernel.n_bytes[0] = 8193; /* what MSG_TRUNC says of a datagram that is longer than the buffer */
        cr_expect_not(known_anew());
        kernel.n_bytes[0] = 8192; /* garbage behind the end */
        cr_expect(known_anew());

        /* no end: what follows never comes, or never ends */
        put_address(&half, "10.77.0.5", 24);
        kernel.n_datagrams = 0;
        answer(&half);
        cr_expect_not(known_anew());
        for (int i = 0; i < 79; i++)
                answer(&half);
        cr_expect_not(known_anew());
        cr_expect_leq(kernel.next, 64);

        /* nor does what somebody else sends */
        kernel.n_datagrams = 0;
        answer(&dump);
        kernel.sender = 1;
        cr_expect_not(known_anew());
        kernel.sender = 0;
        cr_expect(known_anew());
}

/* Each prefix of an answer, and each byte of it changed to what does the most harm. */
Test(interfaces, survive_every_damaged_answer)
{
        static const char poison[] = { 0, 1, 3, 4, 5, 15, 16, 17, 127, -128, -1 };
        struct dump good = { .n = 0 }, bad;
        struct khs_interfaces look;

        khs_process_prepare();
        kernel.plays = true;
        put_address(&good, "10.77.0.5", 24);
        put_address(&good, "fd77::5", 64);
        put_message(&good, RTM_NEWADDR, "\2", 1);
        put_message(&good, RTM_NEWLINK, "whatever it may be", 18);
        put_done(&good, 0);
        for (size_t n = 0; n <= good.n; n++) {
                bad = good;
                bad.n = n;
                kernel.n_datagrams = 0;
                answer(&bad);
                age();
                cr_expect_eq(learn(&look), n >= good.n - sizeof(int32_t) - sizeof(struct nlmsghdr) + 20);
        }
        for (size_t at = 0; at < good.n; at++) {
                for (size_t i = 0; i < sizeof(poison); i++) {
                        bad = good;
                        bad.bytes[at] = poison[i];
                        kernel.n_datagrams = 0;
                        answer(&bad);
                        age();
                        if (learn(&look)) {
                                cr_expect_leq(look.n, 2);
                                cr_expect_leq(score(&look, "10.77.0.4"), 32);
                                cr_expect_leq(score(&look, "fd77::4"), 128);
                        }
                }
        }
}

/* ---- others at the same time ---- */

/* The kernel keeps pages on fork here, as before Linux 4.14: the page's content is the parent's. */
Test(interfaces, are_believed_no_longer_than_the_parent_would)
{
        struct dump dump, later = { .n = 0 };
        struct khs_interfaces look;
        pid_t pid;

        play(&dump);
        cr_assert_eq(madvise(&khs_process, sizeof(khs_process), MADV_KEEPONFORK), 0);
        cr_assert(known_anew());
        put_address(&later, "10.76.0.5", 24);
        put_done(&later, 0);
        kernel.n_datagrams = 0;
        answer(&later);
        pid = fork();
        if (pid == 0) {
                bool before = learn(&look) && strcmp(host(&look), "10.77.0.5") == 0;

                khs_process.interfaces_tried -= 10000;
                _exit(!(before && learn(&look) && strcmp(host(&look), "10.76.0.5") == 0));
        }
        cr_expect_eq(child_status(pid), 0);
}

/* Somebody asks: the others go on with what was known. Nobody comes back from it: nothing is known any more. */
Test(interfaces, never_wait_for_another_thread)
{
        struct khs_interfaces look;
        struct dump dump;

        play(&dump);
        cr_assert(known_anew());
        khs_process.interfaces_owner = khs_process_wiped_on_fork() ? 1 : (uint32_t)getpid();
        cr_expect(learn(&look));
        khs_process.interfaces_tried -= 10000;
        cr_expect_not(learn(&look));
        cr_expect_not(learn(&look));
        khs_process_unlock(&khs_process.interfaces_owner);
        cr_expect(known_anew());
}

enum { N_READERS = 4, N_CHANGES = 20000 };

static _Atomic bool stop;
static _Atomic unsigned int n_good;

/* In each answer all addresses are 10.K.0.1 ... 10.K.0.(K + 1), so that a mixture of two shows. */
static void *read_all_the_time(void *userdata)
{
        size_t n_bad = 0;

        (void)userdata;
        while (!stop) {
                struct khs_interfaces look;
                struct khs_score found;
                uint8_t bytes[16];
                bool ok = true;

                if (!learn(&look))
                        continue;
                ok = khs_interfaces_host(&look, bytes) && look.n == bytes[13] + 1U;
                for (unsigned int i = 0; i < look.n; i++) {
                        uint32_t own = htonl(0x0a000000U | (uint32_t)bytes[13] << 16 | (i + 1));

                        khs_interfaces_score(&look, AF_INET, &own, &found);
                        ok = ok && found.least == 32;
                }
                if (!khs_interfaces_valid(&look))
                        continue;
                n_good++;
                n_bad += !ok;
        }
        return (void *)n_bad; /* NOLINT(performance-no-int-to-ptr) */
}

Test(interfaces, are_whole_while_they_change)
{
        static struct dump dumps[16];
        pthread_t threads[N_READERS];
        struct khs_interfaces look;
        char text[32];

        khs_process_prepare();
        kernel.plays = true;
        for (int k = 0; k < 16; k++) {
                for (int i = 0; i <= k; i++) {
                        (void)snprintf(text, sizeof(text), "10.%d.0.%d", k, i + 1);
                        put_address(&dumps[k], text, 32);
                }
                put_done(&dumps[k], 0);
        }
        /* This thread alone asks: the time never passes for the others. */
        kernel.n_datagrams = 1;
        kernel.datagrams[0] = dumps[0].bytes;
        kernel.n_bytes[0] = dumps[0].n;
        cr_assert(learn(&look));
        for (int i = 0; i < N_READERS; i++)
                cr_assert_eq(pthread_create(&threads[i], NULL, read_all_the_time, NULL), 0);
        /* On a busy machine until the readers have had their turn, too. */
        for (int i = 0; i < N_CHANGES || n_good < N_CHANGES; i++) {
                kernel.datagrams[0] = dumps[i % 16].bytes;
                kernel.n_bytes[0] = dumps[i % 16].n;
                __atomic_fetch_sub(&khs_process.interfaces_tried, 10000, __ATOMIC_RELAXED);
                (void)learn(&look);
        }
        stop = true;
        for (int i = 0; i < N_READERS; i++) {
                void *n_bad;

                cr_assert_eq(pthread_join(threads[i], &n_bad), 0);
                cr_expect_eq((uintptr_t)n_bad, 0, "%zu mixtures", (size_t)(uintptr_t)n_bad);
        }
}
