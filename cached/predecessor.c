/* The daemon before, see predecessor.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "boot-id.h"
#include "log.h"
#include "predecessor.h"
#include "table-crc.h"
#include "table-map.h"

struct predecessor {
        struct khs_table_file file;
        uint32_t version;
        uint32_t v4[KHS_MAX_ADDRS];
        uint8_t v6[KHS_MAX_ADDRS][16];
};

static bool of_this_boot(const struct khs_view *view)
{
        uint8_t boot_id[16];

        return khs_boot_id(boot_id) && memcmp(boot_id, view->boot_id, sizeof(boot_id)) == 0;
}

static uint32_t highest_version(const struct khs_view *view)
{
        struct khs_found found;
        uint32_t cursor = 0, version = 0;
        char key[256];

        while (khs_view_next(view, &cursor, &found, key) == 0) {
                if (found.record.version > version)
                        version = found.record.version;
        }
        return version;
}

int predecessor_open(struct predecessor **ret, const char *dir, const char *zone)
{
        struct predecessor *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        *ret = NULL;
        r = khs_table_open(dir, KHS_OPEN_MAP, NULL, &p->file);
        if (r < 0) {
                if (r != -ENOENT)
                        log_message(LOG_WARNING, "%s/" KHS_TABLE_NAME " can't be read back (%s); beginning anew", dir,
                                    strerror(-r));
                free(p);
                return 0;
        }
        if (!of_this_boot(&p->file.view) || strcmp(p->file.view.zone, zone) != 0) {
                log_message(LOG_INFO, "%s/" KHS_TABLE_NAME " is of another boot or cluster domain; beginning anew", dir);
                predecessor_close(p);
                return 0;
        }
        p->version = highest_version(&p->file.view);
        *ret = p;
        return 0;
}

struct predecessor *predecessor_close(struct predecessor *p)
{
        if (p) {
                khs_table_close(&p->file);
                free(p);
        }
        return NULL;
}

uint32_t predecessor_generation(const struct predecessor *p)
{
        return p ? p->file.view.generation : 0;
}

uint32_t predecessor_version(const struct predecessor *p)
{
        return p ? p->version : 0;
}

/* A consistent copy of the key's record, or an error. Its daemon is dead: it does not change. */
static int load_row(struct predecessor *p, const char *key, struct khs_row *ret)
{
        const struct khs_view *view = &p->file.view;
        struct khs_found found;
        int r;

        r = khs_view_find(view, key, strlen(key), &found);
        if (r < 0)
                return r;
        if (found.record.key & KHS_REC_ALIAS)
                return -ENOENT;
        khs_found_copy(view, &found, AF_INET, 0, found.record.n4, p->v4, 4);
        khs_found_copy(view, &found, AF_INET6, 0, found.record.n6, p->v6, 16);
        r = khs_found_intact(view, &found);
        if (r < 0)
                return r;
        *ret = (struct khs_row){
                .key = key,
                .n_key = strlen(key),
                .flags = found.record.key & ~KHS_KEY_LEN_MASK,
                .n4 = found.record.n4,
                .n6 = found.record.n6,
                .v4 = p->v4,
                .v6 = p->v6,
                .stale_until_ds = found.record.stale_until_ds,
                .version = found.record.version,
                .status = found.record.status,
                .ttl_s = found.record.ttl_s,
        };
        return 0;
}

int predecessor_seed(struct predecessor *p, struct service *service, uint64_t now)
{
        struct khs_row row;
        int r;

        if (!p)
                return 0;
        r = load_row(p, service->key, &row);
        if (r == -ENOENT)
                return 0;
        if (r < 0) {
                log_message(LOG_WARNING, "%s: damaged in the table of the daemon before; resolved anew", service->key);
                return 0;
        }
        r = service_seed(service, &row, now);
        return r < 0 ? r : 1;
}
