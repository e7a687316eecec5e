/*
 * The life of a table file:
 *
 *     table.v1.new   created with O_EXCL, allocated to the last page (touching a hole would charge readers
 *                    for it, or kill them on a full tmpfs), filled, header complete, heart beating
 *     table.v1       renamed over the previous file: from here on new readers find it, complete
 *     superseded     marked after the next file was renamed over it: its readers look for that one
 *
 * When the writer is killed before the rename, the next daemon removes the leftover. When it is killed
 * between rename and mark, readers of the old file miss its heartbeat and look for a newer one after 10 s.
 * The descriptor is closed as soon as the file is mapped, so that nothing in this program can truncate it.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h> /* renameat */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "table/atomic.h"
#include "table/boot-id.h"
#include "table/clock.h"
#include "table/crc32c.h"
#include "write/file.h"

/* The second is for a file that is made while the first has not got its name yet. */
static const char *const unfinished_names[] = { KHS_TABLE_NAME ".new", KHS_TABLE_NAME ".newer" };

static struct khs_table_header *file_header(struct khs_file *file)
{
        return (struct khs_table_header *)file->map;
}

static uint32_t file_pages(uint64_t n_bytes)
{
        return (uint32_t)((n_bytes + KHS_TABLE_PAGE - 1) / KHS_TABLE_PAGE);
}

static uint32_t file_index_pages(uint32_t log2)
{
        return log2 ? file_pages(sizeof(struct khs_entry) << log2) : 0;
}

uint64_t khs_file_size(const struct khs_geometry *g)
{
        uint64_t n_pages = 1ULL + file_index_pages(g->idx_log2) + file_index_pages(g->ridx_log2) +
                           file_pages((uint64_t)g->arena_units * KHS_UNIT);

        return n_pages * KHS_TABLE_PAGE;
}

static uint32_t file_checksum(const struct khs_table_static *fixed)
{
        uint32_t words[KHS_STATIC_SIZE / 4], crc = KHS_CRC32C_INIT;

        memcpy(words, fixed, sizeof(words));
        words[offsetof(struct khs_table_static, checksum) / 4] = 0;
        for (size_t i = 0; i < KHS_STATIC_SIZE / 4; i++)
                crc = khs_crc32c_word(crc, words[i]);
        return khs_crc32c_end(crc);
}

static int file_fill_header(struct khs_file *file, const struct khs_table_static *template)
{
        struct khs_table_static fixed = *template;
        struct {
                uint8_t hash_key[sizeof(fixed.hash_key)];
                uint32_t changes; /* no other file ever counts from here: not even one of the same generation */
        } random;

        fixed.file_pages = (uint32_t)(file->size / KHS_TABLE_PAGE);
        fixed.idx_off_pg = 1;
        fixed.idx_log2 = file->geometry.idx_log2;
        fixed.ridx_off_pg = file->n_rbuckets ? file->ridx_word / (KHS_TABLE_PAGE / 4) : 0;
        fixed.ridx_log2 = file->geometry.ridx_log2;
        fixed.arena_off_pg = file->arena_word / (KHS_TABLE_PAGE / 4);
        fixed.arena_units = file->geometry.arena_units;
        if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
                return -EAGAIN;
        memcpy(fixed.hash_key, random.hash_key, sizeof(fixed.hash_key));
        (void)khs_boot_id(fixed.boot_id);
        fixed.checksum = file_checksum(&fixed);

        memcpy(file->hash_key, fixed.hash_key, sizeof(fixed.hash_key));
        memcpy(file->map, &fixed, sizeof(fixed));
        khs_store_relaxed(&file_header(file)->changes, random.changes);
        khs_store_relaxed(&file_header(file)->writer_pid, (uint32_t)getpid());
        khs_store_release(&file_header(file)->state, KHS_STATE_LIVE);
        return 0;
}

int khs_file_map(struct khs_file *file, int fd, const struct stat *stat)
{
        void *map = mmap(NULL, (size_t)stat->st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (map == MAP_FAILED)
                return -errno;
        /* A swapped-out page would make readers wait for a disk. RLIMIT_MEMLOCK may forbid this. */
        (void)mlock2(map, (size_t)stat->st_size, MLOCK_ONFAULT);
        file->map = map;
        file->size = (uint64_t)stat->st_size;
        file->device = stat->st_dev;
        file->inode = stat->st_ino;
        return 0;
}

bool khs_file_has_name(const struct khs_file *file, int dir_fd, const char *name)
{
        struct stat stat;

        return fstatat(dir_fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && stat.st_dev == file->device &&
               stat.st_ino == file->inode;
}

static void file_lay_out(struct khs_file *file, const struct khs_geometry *g)
{
        file->geometry = *g;
        file->size = khs_file_size(g);
        file->n_buckets = (1U << g->idx_log2) / KHS_BUCKET_ENTRIES;
        file->n_rbuckets = g->ridx_log2 ? (1U << g->ridx_log2) / KHS_BUCKET_ENTRIES : 0;
        file->idx_word = KHS_TABLE_PAGE / 4;
        file->ridx_word = file->idx_word + file_index_pages(g->idx_log2) * (KHS_TABLE_PAGE / 4);
        file->arena_word = file->ridx_word + file_index_pages(g->ridx_log2) * (KHS_TABLE_PAGE / 4);
}

/* Allocates and maps the new file behind fd. */
static int file_allocate(struct khs_file *file, int fd)
{
        struct stat stat;
        int r;

        if (fchmod(fd, 0644) < 0) /* whatever the umask is */
                return -errno;
        do
                r = posix_fallocate(fd, 0, (off_t)file->size);
        while (r == EINTR);
        if (r != 0)
                return -r;
        return fstat(fd, &stat) < 0 ? -errno : khs_file_map(file, fd, &stat);
}

static int file_create(struct khs_file *file, int dir_fd, const char *name)
{
        int fd, r;

        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        r = file_allocate(file, fd);
        (void)close(fd);
        if (r < 0)
                (void)unlinkat(dir_fd, name, 0);
        else
                file->unfinished_name = name;
        return r;
}

int khs_file_new(struct khs_file **ret, int dir_fd, const struct khs_table_static *fixed,
                 const struct khs_geometry *geometry, const struct khs_file *beside)
{
        const char *name = unfinished_names[beside && beside->unfinished_name == unfinished_names[0]];
        struct khs_file *file;
        int r;

        file = calloc(1, sizeof(*file));
        if (!file)
                return -ENOMEM;
        file_lay_out(file, geometry);
        r = khs_pool_init(&file->pool, geometry->arena_units);
        if (r == 0)
                r = file_create(file, dir_fd, name);
        if (r == 0)
                r = file_fill_header(file, fixed);
        if (r < 0) {
                khs_file_free(file, dir_fd);
                return r;
        }
        *ret = file;
        return 0;
}

struct khs_file *khs_file_free(struct khs_file *file, int dir_fd)
{
        if (!file)
                return NULL;
        if (file->unfinished_name && khs_file_has_name(file, dir_fd, file->unfinished_name))
                (void)unlinkat(dir_fd, file->unfinished_name, 0);
        if (file->map)
                (void)munmap(file->map, file->size);
        khs_pool_deinit(&file->pool);
        free(file);
        return NULL;
}

/* The header page of the file that has the name, if it looks like a table; else NULL. */
static struct khs_table_header *file_map_old(int dir_fd)
{
        struct khs_table_header *old = MAP_FAILED;
        struct stat stat;
        int fd;

        fd = openat(dir_fd, KHS_TABLE_NAME, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return NULL;
        if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size >= (off_t)KHS_HEADER_SIZE)
                old = mmap(NULL, KHS_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        (void)close(fd);
        if (old == MAP_FAILED)
                return NULL;
        if (khs_load_relaxed(&old->fixed.magic) == KHS_MAGIC)
                return old;
        (void)munmap(old, KHS_HEADER_SIZE);
        return NULL;
}

static void file_bump_changes(struct khs_table_header *h)
{
        khs_store_release(&h->changes, khs_load_relaxed(&h->changes) + 1);
}

static void file_wake_sleepers(struct khs_table_header *h)
{
        (void)syscall(SYS_futex, &h->changes, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Readers go and look for the file that has the name; sleeping ones are woken. */
static void file_mark_superseded(struct khs_table_header *h)
{
        khs_store_release(&h->state, KHS_STATE_SUPERSEDED);
        file_bump_changes(h);
        file_wake_sleepers(h);
}

void khs_file_discard_unfinished(int dir_fd)
{
        for (size_t i = 0; i < sizeof(unfinished_names) / sizeof(unfinished_names[0]); i++)
                (void)unlinkat(dir_fd, unfinished_names[i], 0);
}

void khs_file_commit(struct khs_file *file)
{
        file_bump_changes(file_header(file));
}

void khs_file_wake(struct khs_file *file)
{
        file_wake_sleepers(file_header(file));
}

void khs_file_supersede(struct khs_file *file)
{
        file_mark_superseded(file_header(file));
}

int khs_file_publish(struct khs_file *file, int dir_fd)
{
        struct khs_table_header *old = file_map_old(dir_fd);
        int r = 0;

        khs_file_beat(file);
        if (renameat(dir_fd, file->unfinished_name, dir_fd, KHS_TABLE_NAME) < 0)
                r = -errno;
        else
                file->unfinished_name = NULL;
        if (old) {
                if (r == 0)
                        file_mark_superseded(old);
                (void)munmap(old, KHS_HEADER_SIZE);
        }
        return r;
}

void khs_file_beat(struct khs_file *file)
{
        struct khs_table_header *h = file_header(file);

        khs_store_relaxed(&h->beat_boot_ds, khs_clock_ds(CLOCK_BOOTTIME));
        khs_store_relaxed(&h->beat_real_ds, khs_clock_ds(CLOCK_REALTIME));
        khs_store_release(&h->beat_count, khs_load_relaxed(&h->beat_count) + 1);
}
