#pragma once

/*
 * What the torture tests share: records whose whole content follows from their key and version, so
 * that any reader can tell a true answer from a torn, foreign or old one; directories; TAP.
 *
 * Address j of version v of service i, IPv4: v + i x 2^22/phi in the upper 22 bits, j below; sorted. The
 * version can be read off any address, without the record (the C API shows none).
 */

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "answer/order.h"
#include "k8shsvc.h"
#include "read/attrs.h"
#include "read/map.h"
#include "table/clock.h"
#include "write/lock.h"
#include "write/writer.h"

/* What a sanitizer's run-time library does itself, or keeps from happening, can't be tested with it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

#define TORTURE_MAX_V4     1024U
#define TORTURE_MAX_V6     4U
#define TORTURE_MAX_ALL    (TORTURE_MAX_V4 + TORTURE_MAX_V6)
#define TORTURE_MAX_SHARED 3U
#define GOLDEN             2592144U /* 2^22 / phi */

struct torture_row {
        struct khs_row row;
        char key[48];
        uint32_t v4[TORTURE_MAX_V4];
        uint32_t v6[TORTURE_MAX_V6][4];
        struct khs_row_endpoint endpoints[TORTURE_MAX_ALL + TORTURE_MAX_SHARED];
        uint16_t shared[TORTURE_MAX_SHARED];
        struct khs_row_port port;
        char hosts[TORTURE_MAX_ALL + TORTURE_MAX_SHARED][16];
        char nodes[2][16];
};

/* Whether a service's endpoints have attributes; the others have none. */
static inline bool torture_has_attrs(uint32_t i)
{
        return i % 4 == 2;
}

static inline uint32_t torture_n4(uint32_t i, uint32_t version)
{
        uint32_t n = 1 + (i * 7 + version * 3) % (torture_has_attrs(i) ? 5 : 40);

        return i % 16 == 15 ? n * 10 : n; /* a few large ones */
}

static inline uint32_t torture_n6(uint32_t i, uint32_t version)
{
        return (i + version) % (TORTURE_MAX_V6 + 1);
}

/* Further endpoints of a service with attributes: this many, of the last addresses. */
static inline uint32_t torture_n_shared(uint32_t i, uint32_t version)
{
        return (i / 4 + version) % (TORTURE_MAX_SHARED + 1);
}

/* Whose address one of them has. */
static inline uint32_t torture_shared_with(uint32_t n_addrs, uint32_t n_shared, uint32_t j)
{
        return n_addrs > n_shared ? n_addrs - n_shared + j : n_addrs - 1;
}

static inline uint32_t torture_v4(uint32_t i, uint32_t version, uint32_t j)
{
        return htonl((version + i * GOLDEN) << 10 | j);
}

static inline uint32_t torture_now(void)
{
        return khs_clock_ds(CLOCK_BOOTTIME);
}

static inline size_t torture_key(uint32_t i, char key[static 48])
{
        return (size_t)snprintf(key, 48, "svc-%u.torture", i);
}

/* "h0000041-0123" for host 123 of version 41, "n..." for a node: of one size, and made in few instructions. */
static inline void torture_label(char first, uint32_t version, uint32_t j, char ret[static 16])
{
        memcpy(ret, "x0000000-0000", 14);
        ret[0] = first;
        for (char *digit = ret + 7; version > 0 && digit > ret; version /= 10)
                *digit-- = (char)('0' + version % 10);
        for (char *digit = ret + 12; j > 0; j /= 10)
                *digit-- = (char)('0' + j % 10);
}

/* Hosts are named backwards, so that they have to be sorted. */
static inline void torture_host(uint32_t version, uint32_t j, char ret[static 16])
{
        torture_label('h', version, TORTURE_MAX_ALL + TORTURE_MAX_SHARED - j, ret);
}

/* The port is the default one of each endpoint, not the record's. */
static inline void torture_row_attrs(struct torture_row *ret, uint32_t i, uint32_t version)
{
        uint32_t n_addrs = ret->row.n4 + ret->row.n6, n_shared = torture_n_shared(i, version);

        ret->port = (struct khs_row_port){ "torture", ret->row.port, 6 };
        for (uint32_t j = 0; j < 2; j++)
                torture_label('n', version, j, ret->nodes[j]);
        for (uint32_t j = 0; j < n_shared; j++)
                ret->shared[j] = (uint16_t)torture_shared_with(n_addrs, n_shared, j);
        for (uint32_t j = 0; j < n_addrs + n_shared; j++) {
                torture_host(version, j, ret->hosts[j]);
                ret->endpoints[j] = (struct khs_row_endpoint){ .host = ret->hosts[j],
                                                               .node = ret->nodes[j % 2],
                                                               .ordinal = (int32_t)j,
                                                               .ports = &ret->port,
                                                               .n_ports = 1 };
        }
        ret->row.endpoints = ret->endpoints;
        ret->row.n_shared = n_shared;
        ret->row.shared = ret->shared;
        ret->row.port = 0;
}

static inline void torture_row(struct torture_row *ret, uint32_t i, uint32_t version)
{
        uint32_t n4 = torture_n4(i, version), n6 = torture_n6(i, version);
        size_t n_key = torture_key(i, ret->key);

        for (uint32_t j = 0; j < n4; j++)
                ret->v4[j] = torture_v4(i, version, j);
        for (uint32_t j = 0; j < n6; j++) {
                ret->v6[j][0] = 0xfd;
                ret->v6[j][1] = i;
                ret->v6[j][2] = version;
                ret->v6[j][3] = j;
        }
        ret->row = (struct khs_row){
                .key = ret->key,
                .n_key = n_key,
                .n4 = n4,
                .n6 = n6,
                .v4 = ret->v4,
                .v6 = ret->v6,
                .policy = khs_policy(KHS_ANSWERS_ALL, KHS_ORDER_ROTATE, KHS_FAMILY_ANY),
                .stale_until_ds = torture_now() + 360000,
                .version = version,
                .port = (uint16_t)(version & 0xffff),
        };
        if (torture_has_attrs(i))
                torture_row_attrs(ret, i, version);
}

/* Whether a copied record is exactly one version of service i. */
static inline bool torture_true(uint32_t i, const struct khs_record *record, const uint32_t *v4, const void *v6)
{
        static __thread struct torture_row expected;
        const struct khs_row *row = &expected.row;

        torture_row(&expected, i, record->version);
        return record->n4 == row->n4 && record->n6 == row->n6 && record->policy == row->policy &&
               record->port == row->port && record->key == (uint32_t)row->n_key &&
               memcmp(v4, row->v4, (size_t)row->n4 * 4) == 0 && memcmp(v6, row->v6, (size_t)row->n6 * 16) == 0;
}

/* Whether the attributes are those of the version: the first rows and the last, both ways. */
static inline bool torture_attrs_true(const struct khs_view *view, const struct khs_found *found, uint32_t i)
{
        uint32_t version = found->record.version;
        uint32_t n_addrs = found->record.n4 + found->record.n6, n_shared = torture_n_shared(i, version);
        struct khs_attrs_at attrs;
        int r = khs_attrs_open(view, found, &attrs);

        if (!torture_has_attrs(i))
                return r == -ENOENT;
        if (r < 0 || attrs.n_rows != n_addrs + n_shared)
                return false;
        for (uint32_t j = 0; j < n_shared; j++) {
                if (khs_attrs_address(view, &attrs, n_addrs + j) != torture_shared_with(n_addrs, n_shared, j))
                        return false;
        }
        for (uint32_t j = 0; j < attrs.n_rows; j += j < 2 || j == attrs.n_rows - 1 ? 1 : attrs.n_rows - 1 - j) {
                char text[256], host[16], node[16];
                struct khs_attr_row row;
                uint32_t first = 0;

                torture_host(version, j, host);
                torture_label('n', version, j % 2, node);
                khs_attrs_row(view, &attrs, j, &row);
                (void)khs_attrs_string(view, &attrs, row.host, text);
                if (strcmp(text, host) != 0)
                        return false;
                (void)khs_attrs_node(view, &attrs, row.node, text);
                if (strcmp(text, node) != 0 || khs_attr_ordinal(&row) != (int32_t)j ||
                    khs_attrs_port(view, &attrs, &row, "torture", 7, 6) != (version & 0xffff))
                        return false;
                if (khs_attrs_find_host(view, &attrs, host, strlen(host), &first) != 1 ||
                    khs_attrs_by_host(view, &attrs, first) != j)
                        return false;
        }
        return true;
}

/* Called between find and copy: a reader may be slow. */
static void (*torture_dawdle)(void);

/*
 * Reads service i through a view.
 *
 * Return: 0, its version; -ENOENT; -EIO it is torn or foreign; what khs_view_find() says.
 */
static inline int torture_read(const struct khs_view *view, uint32_t i, uint32_t *ret_version)
{
        static __thread uint32_t v4[KHS_MAX_ADDRS], v6[KHS_MAX_ADDRS][4];
        char key[48];
        size_t n_key = torture_key(i, key);

        for (int try = 0; try < 8; try++) {
                struct khs_found found;
                int r = khs_view_find(view, key, n_key, &found);
                bool attrs_true;

                if (r < 0)
                        return r;
                if (torture_dawdle)
                        torture_dawdle();
                attrs_true = torture_attrs_true(view, &found, i);
                khs_found_copy(view, &found, AF_INET, 0, found.record.n4, v4, 4);
                khs_found_copy(view, &found, AF_INET6, 0, found.record.n6, v6, 16);
                if (!khs_found_valid(view, &found))
                        continue;
                if (found.record.n4 > TORTURE_MAX_V4 || found.record.n6 > TORTURE_MAX_V6 || !attrs_true ||
                    !torture_true(i, &found.record, v4, v6))
                        return -EIO;
                *ret_version = found.record.version;
                return 0;
        }
        return -EBUSY;
}

/* Whether these are all endpoints of one family, cyclically from one place: addresses, then @n_shared shared rows. */
static inline bool torture_cycle(uint32_t i, uint32_t version, bool six, uint32_t n_shared, uint32_t first,
                                 const struct k8shsvc_addr *addrs)
{
        uint32_t n4 = torture_n4(i, version), n6 = torture_n6(i, version), n_own = six ? n6 : n4, n = n_own + n_shared;
        uint32_t n_all_shared = torture_n_shared(i, version), from = six ? n_all_shared - n_shared : 0,
                 low = six ? n4 : 0;

        for (uint32_t j = 0; j < n; j++) {
                uint32_t place = (first + j) % n;
                uint32_t number =
                        place < n_own ? place : torture_shared_with(n4 + n6, n_all_shared, from + place - n_own) - low;
                uint32_t v6[4] = { 0xfd, i, version, number }, v4[4] = { torture_v4(i, version, number) };

                if (addrs[j].family != (six ? AF_INET6 : AF_INET) || addrs[j].port != (version & 0xffff) ||
                    memcmp(addrs[j].addr, six ? v6 : v4, 16) != 0)
                        return false;
        }
        return true;
}

/* The same for what k8shsvc_lookup(AF_UNSPEC) gave: IPv6 first, each family from any start, cyclic. */
static inline int torture_addrs(uint32_t i, const struct k8shsvc_addr *addrs, size_t n, uint32_t *ret_version)
{
        uint32_t version, n4, n6, word, n_shared, n_shared4 = 0;

        if (n < 1 || addrs[n - 1].family != AF_INET)
                return -EIO;
        memcpy(&word, addrs[n - 1].addr, 4);
        version = ((ntohl(word) >> 10) - i * GOLDEN) & ((1U << 22) - 1);
        n4 = torture_n4(i, version);
        n6 = torture_n6(i, version);
        n_shared = torture_has_attrs(i) ? torture_n_shared(i, version) : 0;
        for (uint32_t j = 0; j < n_shared; j++)
                n_shared4 += torture_shared_with(n4 + n6, n_shared, j) < n4;
        if (n != (size_t)n4 + n6 + n_shared)
                return -EIO;
        for (int six = 0; six < 2; six++) {
                uint32_t t = six ? n_shared - n_shared4 : n_shared4, count = (six ? n6 : n4) + t, first = 0;

                while (first < count && !torture_cycle(i, version, six, t, first, six ? addrs : addrs + n - count))
                        first++;
                if (count > 0 && first == count)
                        return -EIO;
        }
        *ret_version = version;
        return 0;
}

/*
 * Asks for the service that has an address of one version of service i.
 *
 * Return: 0; -ENOENT; -EIO another service, or another version of it; what khs_view_reverse() says.
 */
static inline int torture_reverse(const struct khs_view *view, uint32_t i, uint32_t version, int family, uint32_t j)
{
        uint32_t address[4] = { 0xfd, i, version, j };
        struct khs_found found;
        char key[256], wanted[48];
        int r;

        if (family == AF_INET)
                address[0] = torture_v4(i, version, j);
        r = khs_view_reverse(view, family, address, &found, key);
        if (r < 0)
                return r;
        (void)torture_key(i, wanted);
        return strcmp(key, wanted) == 0 && found.record.version == version ? 0 : -EIO;
}

static bool with_reverse_index;

static inline struct khs_table_params torture_params(void)
{
        return (struct khs_table_params){
                .zone = "cluster.local",
                .namespace = "",
                .orphan_max_ds = 300,
                .max_bytes = 256U << 20,
                .n_services = 10,
                .reverse = with_reverse_index,
        };
}

static inline int torture_put(struct khs_writer *w, uint32_t i, uint32_t version, uint32_t now_ds)
{
        static struct torture_row row;

        torture_row(&row, i, version);
        return khs_writer_put(w, &row.row, now_ds);
}

static inline int torture_delete(struct khs_writer *w, uint32_t i, uint32_t now_ds)
{
        char key[48];
        size_t n_key = torture_key(i, key);

        return khs_writer_delete(w, key, n_key, now_ds);
}

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

/* A test can't go on: that is a failed test, too. */
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

/* ---- places ---- */

static inline int torture_open_dir(const char *dir)
{
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                die("%s can't be opened", dir);
        return fd;
}

static inline void torture_mkdir(char dir[static 64])
{
        strcpy(dir, "/dev/shm/khs-torture-XXXXXX");
        if (!mkdtemp(dir))
                die("no directory in /dev/shm");
}

static inline void torture_rmdir(const char *dir)
{
        DIR *d = opendir(dir);

        if (!d)
                return;
        for (struct dirent *e = readdir(d); e; e = readdir(d))
                (void)unlinkat(dirfd(d), e->d_name, 0);
        (void)closedir(d);
        (void)rmdir(dir);
}

/* The table's real directory, on a tmpfs in a mount namespace of this process's own; -1: not allowed. */
static inline int torture_rundir(const char *options)
{
        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
                return -1;
        if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, options) < 0)
                return -1;
        if (mkdir(K8SHSVC_RUNDIR, 0755) < 0 && errno != EEXIST)
                return -1;
        return torture_open_dir(K8SHSVC_RUNDIR);
}

static inline void *torture_shared(size_t size)
{
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
                die("no shared memory");
        return memory;
}

/* A child that dies with us. */
static inline pid_t torture_fork(void)
{
        pid_t parent, pid;

        (void)fflush(stdout);
        parent = getpid();
        pid = fork();
        if (pid < 0)
                die("fork");
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent)
                        _exit(EXIT_FAILURE);
        }
        return pid;
}

static inline double torture_seconds(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
