/*
 * Threads that do all that the library and the module can do, at the same time: `threads MODULE`. For helgrind and
 * drd, which do not know its orderings.
 */

#include <dlfcn.h>
#include <errno.h>
#include <k8shsvc.h>
#include <nss.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "records.h"

#define N_THREADS  4
#define N_SERVICES 20U

typedef enum nss_status resolve(const char *, struct gaih_addrtuple **, char *, size_t, int *, int *, int32_t *);

static resolve *module_resolve;

static void look_up(k8shsvc *h, uint32_t i)
{
        struct k8shsvc_addr addrs[512];
        struct gaih_addrtuple *tuples = NULL;
        struct record r = record_of(i);
        uint32_t v4 = v4_of(i, 0);
        char buffer[1024];
        int error, h_error;
        size_t n;

        (void)k8shsvc_lookup(h, r.key, AF_UNSPEC, addrs, 512, &n);
        (void)k8shsvc_reverse(h, AF_INET, &v4, buffer, sizeof(buffer));
        (void)module_resolve(r.key, &tuples, buffer, sizeof(buffer), &error, &h_error, NULL);
}

static void *use(void *h)
{
        uint64_t token = 0;

        for (uint32_t i = 0; i < N_SERVICES; i++)
                look_up(h, i);
        if (k8shsvc_wait(h, NULL, &token, 0) != 0 || k8shsvc_wait(h, NULL, &token, 20) != -ETIMEDOUT)
                exit(1);
        return NULL;
}

int main(int argc, char **argv)
{
        void *module = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
        pthread_t threads[N_THREADS];
        k8shsvc *h;

        module_resolve = module ? (resolve *)dlsym(module, "_nss_k8shsvc_gethostbyname4_r") : NULL;
        if (!module_resolve || k8shsvc_open(&h) < 0)
                return 1;
        for (int i = 0; i < N_THREADS; i++) {
                if (pthread_create(&threads[i], NULL, use, h) != 0)
                        return 1;
        }
        for (int i = 0; i < N_THREADS; i++)
                (void)pthread_join(threads[i], NULL);
        k8shsvc_close(h);
        return 0;
}
