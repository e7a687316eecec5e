/*
 * The own interface addresses, in two slots that are written in turn.
 *
 *     writer (under the lock)                      reader
 *     fence                release  ----.          known               acquire
 *     slot of known + 1    relaxed      |          slot of known       relaxed
 *     known + 1            release  --. | '------> fence               acquire
 *                                     '----------> (the acquire of known)
 *                                                  known again         relaxed, must be the same
 *
 * A slot is rewritten only after its successor is known: a reader that has read a word of the rewritten slot sees,
 * behind its fence, that `known` has advanced. For that, 10 s and another dump must pass while it reads.
 *
 * The thread that sets the time of the last attempt makes the dump, so that threads seldom meet at the lock. They
 * do if its owner never returns (a longjmp out of a signal handler, or 10 s without a time slice): then nothing is
 * known until it does.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "answer/interfaces.h"
#include "answer/score.h"
#include "read/process.h"
#include "table/atomic.h"
#include "table/bytes.h"

#define KEEP_MS       10000U
#define MAX_DATAGRAMS 64U /* of one dump; the kernel fills them with some 4 KB each */
#define HOST_WORDS    4U

/* What one answer of the kernel's leaves. All words are accessed atomically. */
struct slot {
        uint32_t known; /* whether the rest means anything */
        uint32_t n;
        uint32_t has_ipv6;
        uint32_t has_host;
        uint32_t host[HOST_WORDS];
        struct own_address {
                uint32_t words[4];
                uint32_t about; /* family, prefix << 8, flags << 16 */
        } addresses[KHS_OWN_MAX];
};

static struct slot slots[2];

/* Milliseconds modulo 2^32, never 0. */
static uint32_t interfaces_clock_ms(void)
{
        struct timespec now = { 0 };
        uint32_t ms;

        (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        ms = (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
        return ms ? ms : 1;
}

/* ---- reading the kernel's answer; under the lock, as all that is static here ---- */

static uint32_t buffer[2048];

/* What has been learnt of an answer so far. */
struct answer {
        struct slot *slot;
        uint32_t n;
        uint32_t interface; /* of the last one that was kept, and its family */
        uint8_t family;
        bool has_ipv6, has_host;
        struct khs_own host; /* the best so far */
};

/* An RTM_NEWADDR message, its addresses wherever they lie. */
struct entry {
        struct ifaddrmsg head;
        const char *address, *local; /* NULL: none */
};

/* Whether the kernel takes the address as source, and may do so for destinations that are not on its link. */
static bool interfaces_is_source(const struct ifaddrmsg *head)
{
        if (head->ifa_family == AF_INET)
                return !(head->ifa_flags & IFA_F_SECONDARY);
        return (head->ifa_flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) != IFA_F_TENTATIVE &&
               head->ifa_scope < RT_SCOPE_LINK;
}

/* To the kernel, one of which duplicates are still looked for is as good as a deprecated one. */
static uint8_t interfaces_flags(const struct answer *answer, const struct ifaddrmsg *head)
{
        uint8_t flags = 0;

        if (head->ifa_family == answer->family && head->ifa_index == answer->interface)
                flags |= KHS_OWN_SAME_INTERFACE;
        if (head->ifa_family == AF_INET6 && head->ifa_flags & IFA_F_TEMPORARY)
                flags |= KHS_OWN_TEMPORARY;
        if (head->ifa_family == AF_INET6 && head->ifa_flags & (IFA_F_DEPRECATED | IFA_F_OPTIMISTIC))
                flags |= KHS_OWN_DEPRECATED;
        return flags;
}

/*
 * In the order in which an address may stand for the host. One without a subnet is often virtual and on each node
 * (IPVS, keepalived), unless a cloud gives its machines nothing else; a link-local one of global scope is that of a
 * cache on each node.
 */
static unsigned int interfaces_rank(const struct khs_own *own)
{
        if (own->family == AF_INET && ntohl(own->address[0]) >> 16 == 0xa9fe)
                return 4;
        if (own->family == AF_INET)
                return own->prefix == 32 ? 1 : 0;
        return own->prefix == 128 ? 3 : 2;
}

static bool interfaces_goes_before(const struct khs_own *a, const struct khs_own *b)
{
        unsigned int rank_a = interfaces_rank(a), rank_b = interfaces_rank(b);

        if (rank_a != rank_b)
                return rank_a < rank_b;
        return memcmp(a->address, b->address, sizeof(a->address)) < 0;
}

static bool interfaces_keep(struct answer *answer, const struct khs_own *own, const struct ifaddrmsg *head)
{
        uint32_t i = answer->n;

        if (i == KHS_OWN_MAX)
                return false;
        for (uint32_t word = 0; word < 4; word++)
                khs_store_relaxed(&answer->slot->addresses[i].words[word], own->address[word]);
        khs_store_relaxed(&answer->slot->addresses[i].about,
                          own->family | (uint32_t)own->prefix << 8 | (uint32_t)own->flags << 16);
        answer->n++;
        answer->interface = head->ifa_index;
        answer->family = head->ifa_family;

        if (head->ifa_scope < RT_SCOPE_LINK && !(own->flags & (KHS_OWN_TEMPORARY | KHS_OWN_DEPRECATED)) &&
            (!answer->has_host || interfaces_goes_before(own, &answer->host))) {
                answer->host = *own;
                answer->has_host = true;
        }
        return true;
}

/* Return: false when there are too many. */
static bool interfaces_take_entry(struct answer *answer, const struct entry *entry)
{
        static const uint8_t loopback[16] = { [15] = 1 };
        bool is_ipv6 = entry->head.ifa_family == AF_INET6;
        size_t size = is_ipv6 ? 16 : 4;
        static struct khs_own own; /* not on the stack, which may be small */

        own = (struct khs_own){ .family = entry->head.ifa_family, .prefix = entry->head.ifa_prefixlen };
        if (is_ipv6 && memcmp(entry->address, loopback, sizeof(loopback)) != 0)
                answer->has_ipv6 = true;
        if (!interfaces_is_source(&entry->head))
                return true;
        /* With a peer, IFA_ADDRESS is the peer's, and glibc does not find ours in any subnet. */
        if (entry->local && memcmp(entry->local, entry->address, size) != 0)
                own.prefix = (uint8_t)(8 * size);
        memcpy(own.address, entry->local ? entry->local : entry->address, size);
        own.flags = interfaces_flags(answer, &entry->head);
        return interfaces_keep(answer, &own, &entry->head);
}

/* The addresses in the n bytes behind the head of an RTM_NEWADDR message. */
static void interfaces_find_addresses(struct entry *entry, const char *at, size_t n)
{
        size_t size = entry->head.ifa_family == AF_INET ? 4 : 16, step;
        struct rtattr attribute;

        for (; n >= sizeof(attribute); at += step, n -= step) {
                memcpy(&attribute, at, sizeof(attribute));
                if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > n)
                        return;
                if (attribute.rta_len >= sizeof(attribute) + size) {
                        if (attribute.rta_type == IFA_ADDRESS)
                                entry->address = at + sizeof(attribute);
                        else if (attribute.rta_type == IFA_LOCAL)
                                entry->local = at + sizeof(attribute);
                }
                step = RTA_ALIGN((size_t)attribute.rta_len);
                step = step < n ? step : n;
        }
}

static bool interfaces_take_message(struct answer *answer, const char *at, size_t n)
{
        static struct entry entry;

        entry = (struct entry){ .address = NULL };
        if (n < sizeof(entry.head))
                return true;
        memcpy(&entry.head, at, sizeof(entry.head));
        if (entry.head.ifa_family != AF_INET && entry.head.ifa_family != AF_INET6)
                return true;
        interfaces_find_addresses(&entry, at + NLMSG_ALIGN(sizeof(entry.head)), n - NLMSG_ALIGN(sizeof(entry.head)));
        if (!entry.address)
                entry.address = entry.local;
        return !entry.address || interfaces_take_entry(answer, &entry);
}

/* NLMSG_DONE, behind which the kernel says how the dump went. */
static int interfaces_end_of_dump(const char *body, size_t n)
{
        int32_t error = 0;

        if (n >= sizeof(error))
                memcpy(&error, body, sizeof(error));
        return error < 0 ? -EPROTO : 1;
}

/* Return: 1 that was the last datagram; 0 more to come; -EPROTO refused, or more than we want. */
static int interfaces_take_datagram(struct answer *answer, size_t n)
{
        const char *at = (const char *)buffer;
        static struct nlmsghdr head;
        size_t step;

        for (; n >= sizeof(head); at += step, n -= step) {
                memcpy(&head, at, sizeof(head));
                if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > n || head.nlmsg_type == NLMSG_ERROR)
                        return -EPROTO;
                if (head.nlmsg_type == NLMSG_DONE)
                        return interfaces_end_of_dump(at + sizeof(head), head.nlmsg_len - sizeof(head));
                if (head.nlmsg_type == RTM_NEWADDR &&
                    !interfaces_take_message(answer, at + sizeof(head), head.nlmsg_len - sizeof(head)))
                        return -EPROTO;
                step = NLMSG_ALIGN((size_t)head.nlmsg_len);
                step = step < n ? step : n;
        }
        return 0;
}

/*
 * Raw system calls: the functions of the C library are cancellation points. The dump is made while
 * it is asked for, and while its datagrams are taken: there is nothing to wait for.
 */
static bool interfaces_receive(struct answer *answer, int fd)
{
        static struct sockaddr_nl from;

        for (uint32_t i = 0; i < MAX_DATAGRAMS; i++) {
                socklen_t n_from = sizeof(from);
                long n;
                int r;

                n = syscall(SYS_recvfrom, fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC, &from, &n_from);
                if (n < 0 || (size_t)n > sizeof(buffer)) /* with MSG_TRUNC the real length */
                        return false;
                if (from.nl_pid != 0) /* not the kernel */
                        continue;
                r = interfaces_take_datagram(answer, (size_t)n);
                if (r != 0)
                        return r > 0;
        }
        return false;
}

static bool interfaces_ask_kernel(struct answer *answer)
{
        static const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
        static const struct {
                struct nlmsghdr head;
                struct ifaddrmsg body;
        } request = {
                .head = { .nlmsg_len = sizeof(request),
                          .nlmsg_type = RTM_GETADDR,
                          .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                          .nlmsg_seq = 1 },
                .body = { .ifa_family = AF_UNSPEC },
        };
        bool ok = false;
        long fd;

        fd = syscall(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
        if (fd < 0)
                return false;
        if (syscall(SYS_sendto, (int)fd, &request, sizeof(request), MSG_DONTWAIT, &kernel, sizeof(kernel)) ==
            (long)sizeof(request))
                ok = interfaces_receive(answer, (int)fd);
        (void)syscall(SYS_close, (int)fd);
        return ok;
}

/* ---- keeping it ---- */

static void interfaces_store_host(struct slot *slot, const struct khs_own *host)
{
        const uint32_t mapped[HOST_WORDS] = { 0, 0, htonl(0xffff), host->address[0] };
        const uint32_t *words = host->family == AF_INET ? mapped : host->address;

        for (uint32_t i = 0; i < HOST_WORDS; i++)
                khs_store_relaxed(&slot->host[i], words[i]);
}

static void interfaces_learn(void)
{
        uint32_t next = __atomic_load_n(&khs_process.interfaces_known, __ATOMIC_RELAXED) + 1;
        static struct answer answer; /* not on the stack, which may be small */
        bool known;

        answer = (struct answer){ .slot = &slots[next & 1] };
        khs_fence_release();
        known = interfaces_ask_kernel(&answer);
        khs_store_relaxed(&answer.slot->known, known);
        khs_store_relaxed(&answer.slot->n, answer.n);
        khs_store_relaxed(&answer.slot->has_ipv6, answer.has_ipv6);
        khs_store_relaxed(&answer.slot->has_host, answer.has_host);
        interfaces_store_host(answer.slot, &answer.host);
        khs_store_release(&khs_process.interfaces_known, next);
}

/* Under the lock; what it needs of the stack is not on top of what taking the lock does. */
static void interfaces_learn_and_unlock(void)
{
        interfaces_learn();
        khs_process_unlock(&khs_process.interfaces_owner);
}

static void interfaces_refresh(uint32_t tried, uint32_t now)
{
        int saved_errno = errno;

        if (!__atomic_compare_exchange_n(&khs_process.interfaces_tried, &tried, now, false, __ATOMIC_RELAXED,
                                         __ATOMIC_RELAXED))
                return; /* another thread is at it: the old answer is as good as any */
        if (khs_process_trylock(&khs_process.interfaces_owner))
                interfaces_learn_and_unlock();
        else
                khs_store_relaxed(&khs_process.interfaces_known, 0);
        errno = saved_errno;
}

void khs_interfaces_refresh(void)
{
        uint32_t tried = khs_load_relaxed(&khs_process.interfaces_tried), now = interfaces_clock_ms();

        if (!tried || now - tried >= KEEP_MS)
                interfaces_refresh(tried, now);
}

bool khs_interfaces_look(struct khs_interfaces *ret)
{
        const struct slot *slot;

        ret->known = khs_load_acquire(&khs_process.interfaces_known);
        slot = &slots[ret->known & 1];
        if (ret->known == 0 || !khs_load_relaxed(&slot->known)) {
                ret->known = 0;
                return false;
        }
        ret->n = khs_load_relaxed(&slot->n);
        ret->has_ipv6 = khs_load_relaxed(&slot->has_ipv6);
        if (ret->n > KHS_OWN_MAX)
                ret->known = 0;
        return ret->known != 0;
}

bool khs_interfaces_valid(const struct khs_interfaces *look)
{
        khs_fence_acquire();
        return look->known != 0 && khs_load_relaxed(&khs_process.interfaces_known) == look->known;
}

void khs_interfaces_score(const struct khs_interfaces *look, int family, const uint32_t *address, struct khs_score *ret)
{
        const struct own_address *at = slots[look->known & 1].addresses, *end = at + look->n;

        khs_score_begin(ret, family, address, look->has_ipv6);
        for (; at < end; at++) {
                uint32_t about = khs_load_relaxed(&at->about);
                struct khs_own own;

                own.family = (uint8_t)about;
                own.prefix = (uint8_t)(about >> 8);
                own.flags = (uint8_t)(about >> 16);
                if (own.family != family)
                        continue;
                for (uint32_t word = 0; word < (family == AF_INET ? 1U : 4U); word++)
                        own.address[word] = khs_load_relaxed(&at->words[word]);
                khs_score_own(ret, &own);
        }
        khs_score_end(ret);
}

bool khs_interfaces_host(const struct khs_interfaces *look, void *ret)
{
        const struct slot *slot = &slots[look->known & 1];
        uint32_t words[HOST_WORDS];

        for (uint32_t i = 0; i < HOST_WORDS; i++)
                words[i] = khs_load_relaxed(&slot->host[i]);
        memcpy(ret, words, sizeof(words));
        return khs_load_relaxed(&slot->has_host);
}
