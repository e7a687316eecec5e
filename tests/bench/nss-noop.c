/*
 * The floor that no NSS module gets under: answers every name with constant addresses and looks nowhere.
 * What a program's getaddrinfo() costs through it is glibc's own.
 *
 * As it is built it answers one address. How many there are decides what glibc does with them, and a module
 * may return more or fewer from call to call: so the answers are data, in a section of their own, which the
 * benchmark fills in a copy of the file with answers that another module has given. They are given in turn.
 */

#include <errno.h>
#include <netdb.h>
#include <nss.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define N_ANSWERS   32
#define N_ADDRESSES 64 /* of an answer, at most */

/* tests/integration/harness/noop.py writes this. */
struct answers {
        char magic[16];
        uint32_t n_answers;
        uint32_t n[N_ANSWERS];
        uint8_t addresses[N_ANSWERS][N_ADDRESSES][4];
};

/* Neither static nor const, so that the compiler does not take what it sees here for the last word. */
extern struct answers noop_answers __attribute__((visibility("hidden")));
struct answers noop_answers = {
        .magic = "k8shsvc-no-op",
        .n_answers = 1,
        .n = { 1 },
        .addresses = { { { 10, 244, 9, 1 } } },
};

static const char canonical_name[] = "noop.default.svc.cluster.local";

enum nss_status _nss_noop_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat, char *buffer, size_t n_buffer,
                                           int *errnop, int *h_errnop, int32_t *ttlp);
enum nss_status _nss_noop_gethostbyname3_r(const char *name, int family, struct hostent *ret, char *buffer,
                                           size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp, char **canonp);
enum nss_status _nss_noop_gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buffer,
                                           size_t n_buffer, int *errnop, int *h_errnop);
enum nss_status _nss_noop_gethostbyname_r(const char *name, struct hostent *ret, char *buffer, size_t n_buffer,
                                          int *errnop, int *h_errnop);

static uint32_t turn;

/* Which answer is next. It is taken only once it fits the caller's buffer. */
static uint32_t next_answer(void)
{
        uint32_t i = noop_answers.n_answers > 1 ? __atomic_load_n(&turn, __ATOMIC_RELAXED) : 0;

        return i < noop_answers.n_answers ? i : 0;
}

static void took_answer(uint32_t i)
{
        if (noop_answers.n_answers > 1)
                __atomic_store_n(&turn, i + 1, __ATOMIC_RELAXED);
}

static char *align(char *buffer, size_t n_buffer, size_t n_wanted)
{
        size_t pad = -(uintptr_t)buffer % alignof(max_align_t);

        return n_buffer >= pad + n_wanted ? buffer + pad : NULL;
}

static enum nss_status too_small(int *errnop, int *h_errnop)
{
        *errnop = ERANGE;
        *h_errnop = NETDB_INTERNAL;
        return NSS_STATUS_TRYAGAIN;
}

enum nss_status _nss_noop_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat, char *buffer, size_t n_buffer,
                                           int *errnop, int *h_errnop, int32_t *ttlp)
{
        uint32_t answer = next_answer(), n = noop_answers.n[answer];
        struct gaih_addrtuple *tuples;
        char *text;

        (void)name;
        text = align(buffer, n_buffer, sizeof(canonical_name) + n * sizeof(*tuples));
        if (!text)
                return too_small(errnop, h_errnop);
        tuples = (struct gaih_addrtuple *)(void *)text;
        text += n * sizeof(*tuples);
        memcpy(text, canonical_name, sizeof(canonical_name));
        for (uint32_t i = 0; i < n; i++) {
                tuples[i] = (struct gaih_addrtuple){
                        .next = i + 1 < n ? &tuples[i + 1] : NULL,
                        .name = text,
                        .family = AF_INET,
                };
                memcpy(tuples[i].addr, noop_answers.addresses[answer][i], 4);
        }
        if (*pat)
                **pat = tuples[0];
        else
                *pat = tuples;
        if (ttlp)
                *ttlp = 0;
        took_answer(answer);
        *h_errnop = NETDB_SUCCESS;
        return NSS_STATUS_SUCCESS;
}

/* Behind it in the buffer: the list of addresses and its NULL, the addresses, the name. */
struct head {
        char *aliases[1];
        char *list[];
};

enum nss_status _nss_noop_gethostbyname3_r(const char *name, int family, struct hostent *ret, char *buffer,
                                           size_t n_buffer, int *errnop, int *h_errnop, int32_t *ttlp, char **canonp)
{
        uint32_t answer = next_answer(), n = noop_answers.n[answer];
        struct head *head;
        char *bytes, *text;

        (void)name;
        head = (struct head *)(void *)align(buffer, n_buffer,
                                            sizeof(*head) + (n + 1) * sizeof(char *) + n * 4 + sizeof(canonical_name));
        if (!head)
                return too_small(errnop, h_errnop);
        if (family != AF_INET) {
                *errnop = ENOENT;
                *h_errnop = NO_DATA;
                return NSS_STATUS_NOTFOUND;
        }
        bytes = (char *)&head->list[n + 1];
        text = bytes + n * 4;
        memcpy(bytes, noop_answers.addresses[answer], n * 4);
        for (uint32_t i = 0; i < n; i++)
                head->list[i] = bytes + i * 4;
        head->list[n] = NULL;
        head->aliases[0] = NULL;
        memcpy(text, canonical_name, sizeof(canonical_name));
        *ret = (struct hostent){
                .h_name = text,
                .h_aliases = head->aliases,
                .h_addrtype = AF_INET,
                .h_length = 4,
                .h_addr_list = head->list,
        };
        if (ttlp)
                *ttlp = 0;
        if (canonp)
                *canonp = text;
        took_answer(answer);
        *h_errnop = NETDB_SUCCESS;
        return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_noop_gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buffer,
                                           size_t n_buffer, int *errnop, int *h_errnop)
{
        return _nss_noop_gethostbyname3_r(name, family, ret, buffer, n_buffer, errnop, h_errnop, NULL, NULL);
}

enum nss_status _nss_noop_gethostbyname_r(const char *name, struct hostent *ret, char *buffer, size_t n_buffer,
                                          int *errnop, int *h_errnop)
{
        return _nss_noop_gethostbyname3_r(name, AF_INET, ret, buffer, n_buffer, errnop, h_errnop, NULL, NULL);
}
