#pragma once

/* The module's entry points, called as glibc calls them, by one function, with everything that comes back. */

#include <netdb.h>
#include <nss.h>
#include <stddef.h>

#include "stage.h"

enum entry { BY_NAME4, BY_NAME3, BY_NAME2, BY_NAME, BY_ADDR2, BY_ADDR };

static const char *const entry_names[] = {
        [BY_NAME4] = "gethostbyname4_r", [BY_NAME3] = "gethostbyname3_r", [BY_NAME2] = "gethostbyname2_r",
        [BY_NAME] = "gethostbyname_r",   [BY_ADDR2] = "gethostbyaddr2_r", [BY_ADDR] = "gethostbyaddr_r",
};

/* glibc keeps them as pointers without a type, too. */
static union module_function {
        void *symbol;
        enum nss_status (*by_name4)(const char *, struct gaih_addrtuple **, char *, size_t, int *, int *, int32_t *);
        enum nss_status (*by_name3)(const char *, int, struct hostent *, char *, size_t, int *, int *, int32_t *,
                                    char **);
        enum nss_status (*by_name2)(const char *, int, struct hostent *, char *, size_t, int *, int *);
        enum nss_status (*by_name)(const char *, struct hostent *, char *, size_t, int *, int *);
        enum nss_status (*by_addr2)(const void *, socklen_t, int, struct hostent *, char *, size_t, int *, int *,
                                    int32_t *);
        enum nss_status (*by_addr)(const void *, socklen_t, int, struct hostent *, char *, size_t, int *, int *);
} module[BY_ADDR + 1];

#define UNTOUCHED    4711
#define THREAD_ERRNO 4712
#define PAINT        0xa5

struct call {
        enum entry entry;
        int family;
        const char *name;
        const void *address;
        socklen_t n_address;
        bool preset; /* *pat points to a tuple of the caller's */
        bool bare;   /* no place for ttl and canonical name */
        char *buffer;
        size_t n_buffer;

        enum nss_status status;
        int error, h_error;
        int32_t ttl;
        char *canonical;
        struct hostent host;
        struct gaih_addrtuple own, *pat;
        int thread_errno, thread_h_errno;
};

static inline void call_clear(struct call *c)
{
        c->error = c->h_error = c->ttl = UNTOUCHED;
        c->canonical = NULL;
        memset(&c->host, PAINT, sizeof(c->host));
        memset(&c->own, PAINT, sizeof(c->own));
        c->pat = c->preset ? &c->own : NULL;
}

/* The call itself and nothing else: its stack is measured. */
static inline enum nss_status call_enter(struct call *c)
{
        const union module_function *f = &module[c->entry];
        int32_t *ttl = c->bare ? NULL : &c->ttl;

        switch (c->entry) {
        case BY_NAME4:
                return f->by_name4(c->name, &c->pat, c->buffer, c->n_buffer, &c->error, &c->h_error, ttl);
        case BY_NAME3:
                return f->by_name3(c->name, c->family, &c->host, c->buffer, c->n_buffer, &c->error, &c->h_error, ttl,
                                   c->bare ? NULL : &c->canonical);
        case BY_NAME2:
                return f->by_name2(c->name, c->family, &c->host, c->buffer, c->n_buffer, &c->error, &c->h_error);
        case BY_NAME:
                return f->by_name(c->name, &c->host, c->buffer, c->n_buffer, &c->error, &c->h_error);
        case BY_ADDR2:
                return f->by_addr2(c->address, c->n_address, c->family, &c->host, c->buffer, c->n_buffer, &c->error,
                                   &c->h_error, ttl);
        case BY_ADDR:
                return f->by_addr(c->address, c->n_address, c->family, &c->host, c->buffer, c->n_buffer, &c->error,
                                  &c->h_error);
        }
        die("no such entry");
}

static inline void call_run(struct call *c)
{
        call_clear(c);
        errno = THREAD_ERRNO;
        h_errno = UNTOUCHED;
        c->status = call_enter(c);
        c->thread_errno = errno;
        c->thread_h_errno = h_errno;
}

/* Reverse lookups come in a pair or not at all. */
static inline bool module_has_reverse(void)
{
        return module[BY_ADDR].symbol;
}

static inline void module_load(const char *path)
{
        void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        char name[64];

        if (!handle)
                die("%s", dlerror());
        for (enum entry entry = BY_NAME4; entry <= BY_ADDR; entry++) {
                (void)snprintf(name, sizeof(name), "_nss_k8shsvc_%s", entry_names[entry]);
                module[entry].symbol = dlsym(handle, name);
                if (!module[entry].symbol && entry < BY_ADDR2)
                        die("no %s", name);
        }
        if (!module[BY_ADDR].symbol != !module[BY_ADDR2].symbol)
                die("gethostbyaddr_r and gethostbyaddr2_r: one without the other");
        if (dlsym(handle, "_nss_k8shsvc_getcanonname_r"))
                die("getcanonname_r (CVE-2023-4806 needed one)");
}
