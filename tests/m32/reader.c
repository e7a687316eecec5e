/*
 * The 32-bit side:
 *
 *     reader DIRECTORY map|pread            every record, forwards and backwards, is what was written
 *     reader DIRECTORY alive|silent|dead    this is what the daemon looks like
 *     reader MODULE NAME                    the NSS module loads, and resolves the name
 *
 * Says what is wrong, and nothing else.
 */

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <nss.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "read/crc.h"
#include "read/map.h"
#include "records.h"

_Static_assert(sizeof(void *) == 4, "this is about 32-bit programs");

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        printf("line %d: not %s\n", __LINE__, #condition);                                             \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)

static void check_record(const struct khs_view *view, uint32_t i)
{
        struct record r = record_of(i);
        static uint8_t v6[5000][16];
        static uint32_t v4[5000];
        struct khs_found found;
        char target[256], key[256];

        CHECK(khs_view_find(view, r.key, strlen(r.key), &found) == 0);
        CHECK(found.record.version == r.version && found.record.n4 == r.n4 && found.record.n6 == r.n6);
        CHECK(khs_found_intact(view, &found) == 0);
        if (r.target[0]) {
                CHECK(khs_found_alias(view, &found, target) == (int)strlen(r.target) && strcmp(target, r.target) == 0);
                return;
        }
        if (r.n4 > 0)
                khs_found_copy(view, &found, AF_INET, 0, r.n4, v4, 4);
        if (r.n6 > 0)
                khs_found_copy(view, &found, AF_INET6, 0, r.n6, v6, 16);
        CHECK(khs_found_valid(view, &found));
        for (uint32_t n = 0; n < r.n4; n++)
                CHECK(v4[n] == v4_of(i, n));
        for (uint32_t n = 0; n < r.n6; n++) {
                uint8_t wanted[16];

                v6_of(i, n, wanted);
                CHECK(memcmp(v6[n], wanted, 16) == 0);
        }
        if (r.n4 > 0) {
                CHECK(khs_view_reverse(view, AF_INET, &v4[r.n4 - 1], &found, key) == 0);
                CHECK(strcmp(key, r.key) == 0);
        }
}

static void check_records(const char *dir, enum khs_open_mode mode)
{
        struct khs_table_file file;
        struct khs_found found;
        uint32_t cursor = 0, n = 0;
        char key[256];

        CHECK(khs_table_open(dir, mode, NULL, &file) == 0);
        for (uint32_t i = 0; i < N_RECORDS; i++)
                check_record(&file.view, i);
        CHECK(khs_view_find(&file.view, "nobody.default", 14, &found) == -ENOENT);
        while (khs_view_next(&file.view, &cursor, &found, key) == 0)
                n++;
        CHECK(n == N_RECORDS);
        khs_table_close(&file);
}

static void check_alive(const char *dir, enum khs_alive wanted)
{
        struct khs_table_file file;
        uint32_t now_ds;

        CHECK(khs_table_open(dir, KHS_OPEN_MAP, NULL, &file) == 0);
        CHECK(khs_table_alive(&file.view, &now_ds) == wanted);
        khs_table_close(&file);
}

typedef enum nss_status (*resolve_t)(const char *name, struct gaih_addrtuple **pat, char *buffer, size_t n_buffer,
                                     int *ret_errno, int *ret_h_errno, int32_t *ret_ttl);

static void check_module(const char *path, const char *name)
{
        void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        struct gaih_addrtuple *tuple = NULL;
        int error, h_error;
        static char buffer[65536];
        resolve_t resolve;
        uint32_t n = 0;

        if (!module)
                printf("%s\n", dlerror());
        CHECK(module);
        resolve = (resolve_t)dlsym(module, "_nss_k8shsvc_gethostbyname4_r");
        CHECK(resolve);
        CHECK(resolve(name, &tuple, buffer, sizeof(buffer), &error, &h_error, NULL) == NSS_STATUS_SUCCESS);
        for (; tuple; tuple = tuple->next)
                n++;
        CHECK(n == record_of(1).n4 + record_of(1).n6);
}

int main(int argc, char **argv)
{
        CHECK(argc == 3);
        if (strcmp(argv[2], "map") == 0 || strcmp(argv[2], "pread") == 0)
                check_records(argv[1], argv[2][0] == 'm' ? KHS_OPEN_MAP : KHS_OPEN_PREAD);
        else if (strcmp(argv[2], "alive") == 0)
                check_alive(argv[1], KHS_ALIVE);
        else if (strcmp(argv[2], "silent") == 0)
                check_alive(argv[1], KHS_SILENT);
        else if (strcmp(argv[2], "dead") == 0)
                check_alive(argv[1], KHS_DEAD);
        else
                check_module(argv[1], argv[2]);
        return 0;
}
