/*
 * Takes over a table that a previous writer left, so that a restart costs its readers nothing.
 *
 * At whatever instruction that writer ended, each block of the file is free or half written (no entry
 * refers to it), or published (an entry refers to it, and seq is even). So:
 *
 *     1. header: of this boot and format, and what we would write ourselves
 *     2. blocks: from the start of the arena, each says its size; at the first 0 cutting ended
 *     3. entries: each ref is the start of a block, and no two are the same; the record is found by its
 *        own key, and its CRC is right. Its addresses enter the reverse index if they are not there.
 *        (An entry there whose record has lost the address is harmless: readers compare.)
 *     4. blocks without an entry are free, and rest for the grace time, since a reader may hold one
 *
 * The product's own reader does the checking, so nothing is taken over that it would refuse. Anything
 * unexpected is -EBADMSG, and the daemon makes a new file of what is still intact.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "read/crc.h"
#include "read/view.h"
#include "table/atomic.h"
#include "table/boot-id.h"
#include "write/file.h"
#include "write/reverse-index.h"

static int adopt_map(struct khs_file *file, int dir_fd, uint64_t max_bytes)
{
        struct stat stat;
        int fd, r = 0;

        fd = openat(dir_fd, KHS_TABLE_NAME, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &stat) < 0)
                r = -errno;
        else if (!S_ISREG(stat.st_mode) || stat.st_uid != geteuid() || (stat.st_mode & 0777) != 0644)
                r = -ESTALE; /* readers would refuse it */
        else if (stat.st_size < (off_t)KHS_HEADER_SIZE || (uint64_t)stat.st_size > max_bytes)
                r = -ESTALE;
        else if ((uint64_t)stat.st_blocks * 512 < (uint64_t)stat.st_size)
                r = -ESTALE; /* a hole could kill a reader */
        if (r == 0)
                r = khs_file_map(file, fd, &stat);
        (void)close(fd);
        return r;
}

/* Whether the header is what we would write ourselves. */
static bool adopt_header_ok(const struct khs_table_header *header, const struct khs_table_static *wanted)
{
        struct khs_table_static fixed = header->fixed, ours = *wanted;

        if (khs_load_acquire(&header->state) != KHS_STATE_LIVE || !khs_boot_id(ours.boot_id))
                return false;
        ours.file_pages = fixed.file_pages;
        ours.idx_off_pg = fixed.idx_off_pg;
        ours.idx_log2 = fixed.idx_log2;
        ours.ridx_off_pg = fixed.ridx_off_pg;
        ours.ridx_log2 = fixed.ridx_log2;
        ours.arena_off_pg = fixed.arena_off_pg;
        ours.arena_units = fixed.arena_units;
        ours.generation = fixed.generation;
        ours.checksum = fixed.checksum;
        memcpy(ours.hash_key, fixed.hash_key, sizeof(ours.hash_key));
        return memcmp(&fixed, &ours, sizeof(ours)) == 0;
}

/* Step 2: the pool learns where the blocks are. */
static int adopt_walk_blocks(struct khs_file *file)
{
        uint32_t unit = 0;

        while (unit < file->geometry.arena_units) {
                const uint32_t *block = file->map + file->arena_word + (size_t)unit * KHS_UNIT_WORDS;
                uint32_t units = block[offsetof(struct khs_record, units) / 4], at;
                unsigned int class = khs_pool_class(units);

                if (units == 0)
                        break;
                if (khs_pool_units(class) != units || khs_pool_cut(&file->pool, class, &at) < 0)
                        return -EBADMSG;
                unit += units;
        }
        return 0;
}

/* Step 3, one entry. */
static int adopt_check_entry(struct khs_file *file, const struct khs_view *view, uint32_t i, bool *referred)
{
        struct khs_found found, again;
        char key[256], target[256];
        uint32_t unit;
        int r;

        r = khs_view_entry(view, i, &found, key);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return -EBADMSG;
        unit = (found.block - view->arena_word) / KHS_UNIT_WORDS;
        if (khs_pool_used_units(&file->pool, unit) != found.record.units || referred[unit])
                return -EBADMSG;
        referred[unit] = true;

        if (khs_view_find(view, key, found.n_key, &again) < 0 || again.block != found.block)
                return -EBADMSG;
        if (khs_view_load(view, view->idx_word + i * 2) != found.record.tag || khs_found_intact(view, &found) < 0)
                return -EBADMSG;
        if (found.record.key & KHS_REC_ALIAS && khs_found_alias(view, &found, target) < 0)
                return -EBADMSG;

        /* The previous writer may have been killed after it published the record. */
        khs_reverse_update(file, i, NULL,
                           &(struct khs_written){ found.record, file->map + found.block + KHS_UNIT_WORDS });
        file->n_keys++;
        if (!(found.record.key & KHS_REC_ALIAS)) {
                file->n_services++;
                file->n_addresses += found.record.n4 + found.record.n6;
        }
        return 0;
}

/* Step 4. */
static void adopt_free_blocks(struct khs_file *file, const bool *referred, uint32_t now_ds)
{
        for (uint32_t unit = 0, units; unit < file->pool.n_cut; unit += units) {
                units = khs_pool_used_units(&file->pool, unit);
                if (!referred[unit])
                        khs_pool_give(&file->pool, unit, now_ds);
        }
}

static int adopt_contents(struct khs_file *file, const struct khs_view *view, bool *referred, uint32_t now_ds)
{
        int r = adopt_walk_blocks(file);

        for (uint32_t i = 0; i < file->n_rbuckets * KHS_BUCKET_ENTRIES; i++)
                file->n_reverse += file->map[file->ridx_word + (size_t)i * 2 + 1] != 0;
        for (uint32_t i = 0; r == 0 && i < view->n_buckets * KHS_BUCKET_ENTRIES; i++)
                r = adopt_check_entry(file, view, i, referred);
        if (r == 0)
                adopt_free_blocks(file, referred, now_ds);
        return r;
}

static void adopt_geometry(struct khs_file *file, const struct khs_view *view)
{
        const struct khs_table_static *fixed = &((const struct khs_table_header *)file->map)->fixed;

        memcpy(file->hash_key, view->hash_key, sizeof(file->hash_key));
        file->geometry = (struct khs_geometry){ fixed->idx_log2, fixed->ridx_log2, fixed->arena_units };
        file->idx_word = view->idx_word;
        file->n_buckets = view->n_buckets;
        file->ridx_word = view->ridx_word;
        file->n_rbuckets = view->n_rbuckets;
        file->arena_word = view->arena_word;
}

int khs_file_adopt(struct khs_file **ret, int dir_fd, const struct khs_table_static *fixed, uint64_t max_bytes,
                   uint32_t now_ds)
{
        struct khs_file *file = calloc(1, sizeof(*file));
        bool *referred = NULL; /* by first unit of a block: an entry refers to it */
        struct khs_view view;
        int r;

        if (!file)
                return -ENOMEM;
        r = adopt_map(file, dir_fd, max_bytes);
        if (r == 0)
                r = khs_view_init(&view, file->map, -1, file->size);
        if (r == 0 && !adopt_header_ok((const struct khs_table_header *)file->map, fixed))
                r = -ESTALE;
        if (r == 0) {
                adopt_geometry(file, &view);
                r = khs_pool_init(&file->pool, file->geometry.arena_units);
        }
        if (r == 0) {
                referred = calloc(file->geometry.arena_units, sizeof(*referred));
                r = referred ? adopt_contents(file, &view, referred, now_ds) : -ENOMEM;
        }
        free(referred);
        if (r < 0) {
                khs_file_free(file, dir_fd);
                return r == -EPROTONOSUPPORT ? -ESTALE : r;
        }
        khs_store_relaxed(&((struct khs_table_header *)file->map)->writer_pid, (uint32_t)getpid());
        *ret = file;
        return 0;
}
