/*
 * Lists every pod of a StatefulSet with the port that is its own: base + ordinal.
 *
 *     ordinals NAMESPACE SERVICE BASE
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <k8shsvc.h>

/* Takes as much memory as the service needs at this moment, which may change until the next call. */
static int list(k8shsvc *h, char **argv, uint16_t base)
{
        char(*texts)[K8SHSVC_HOSTPORT_MAX] = NULL;
        size_t n = 0, n_left_out = 0;
        int r;

        do {
                void *larger = n > 0 ? realloc(texts, n * sizeof(*texts)) : texts;

                if (n > 0 && !larger) {
                        free(texts);
                        return -ENOMEM;
                }
                texts = larger;
                r = k8shsvc_get_endpoints(h, argv[1], argv[2], base, texts, n, &n, &n_left_out);
        } while (r == -ENOBUFS);
        for (size_t i = 0; r == 0 && i < n; i++)
                puts(texts[i]);
        if (r == 0 && n_left_out > 0)
                (void)fprintf(stderr, "%zu without an ordinal\n", n_left_out);
        free(texts);
        return r;
}

int main(int argc, char **argv)
{
        long base = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
        k8shsvc *h;
        int r;

        if (base < 1 || base > UINT16_MAX) {
                (void)fprintf(stderr, "usage: ordinals NAMESPACE SERVICE BASE\n");
                return 2;
        }
        r = k8shsvc_open(&h);
        if (r == 0) {
                r = list(h, argv, (uint16_t)base);
                k8shsvc_close(h);
        }
        if (r < 0)
                (void)fprintf(stderr, "%s.%s: %s\n", argv[2], argv[1], k8shsvc_strerror(r));
        return r < 0;
}
