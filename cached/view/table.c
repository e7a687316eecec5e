/*
 * Opening the table for people: what the readers in programs refuse must be looked at most of all.
 *
 * A believed table is mapped as by every other reader. One that belongs to the wrong owner, or that others may
 * write, is read by pread(2): a map of it could end by SIGBUS under our feet.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "view/table.h"

#define HEADER_WORD(field) ((uint32_t)(offsetof(struct khs_table_header, field) / 4))

static int table_open_unbelieved(struct view_table *ret, const char *dir)
{
        char path[4096];
        struct stat st;
        int fd, r;

        if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, KHS_TABLE_NAME) >= sizeof(path))
                return -ENAMETOOLONG;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return -errno;
        r = fstat(fd, &st) < 0 ? -errno : 0;
        if (r == 0)
                r = S_ISREG(st.st_mode) && st.st_size >= 0
                            ? khs_view_init(&ret->file.view, NULL, fd, (uint64_t)st.st_size)
                            : -EBADMSG;
        if (r < 0)
                (void)close(fd);
        return r;
}

int view_table_open(struct view_table *ret, const char *dir)
{
        int r = khs_table_open(dir, KHS_OPEN_MAP, NULL, &ret->file);

        ret->believed = r == 0;
        if (r == -EPERM)
                r = table_open_unbelieved(ret, dir);
        if (r == 0)
                view_table_look(ret);
        return r;
}

void view_table_close(struct view_table *table)
{
        khs_table_close(&table->file);
}

void view_table_look(struct view_table *table)
{
        const struct khs_view *view = &table->file.view;

        table->superseded = khs_view_load_acquire(view, HEADER_WORD(state)) != KHS_STATE_LIVE;
        table->alive = khs_table_alive(view, &table->now_ds);
        if (khs_table_of_another_boot(view)) /* as programs judge it when they open it */
                table->alive = KHS_DEAD;
}

/* A text of the static part; hostile lengths end at its room. */
static void header_text(const struct khs_view *view, uint32_t offset, uint32_t n, size_t room, char *ret)
{
        uint32_t words[64];

        khs_view_copy(view, offset / 4, words, (uint32_t)((offset % 4 + room + 3) / 4));
        n = n < room ? n : (uint32_t)room;
        memcpy(ret, (const char *)words + offset % 4, n);
        ret[n] = '\0';
}

static uint8_t header_byte(const struct khs_view *view, size_t offset)
{
        return (uint8_t)(khs_view_load(view, (uint32_t)(offset / 4)) >> 8 * (offset % 4));
}

#define HEADER_BYTE(field) header_byte(view, offsetof(struct khs_table_static, field))

void view_table_header(const struct view_table *table, struct view_header *ret)
{
        const struct khs_view *view = &table->file.view;
        uint64_t free_bytes = (uint64_t)khs_view_load(view, HEADER_WORD(free_units)) * KHS_UNIT;
        uint64_t size = (uint64_t)view->n_words * 4;

        *ret = (struct view_header){
                .size_bytes = size,
                .used_bytes = free_bytes < size ? size - free_bytes : 0,
                .generation = khs_view_generation(view),
                .changes = khs_view_load(view, HEADER_WORD(changes)),
                .n_services = khs_view_load(view, HEADER_WORD(n_services)),
                .n_addresses = khs_view_load(view, HEADER_WORD(n_addresses)),
                .n_refused = khs_view_load(view, HEADER_WORD(n_refused)),
                .orphan_max_ds = khs_view_load(view, HEADER_WORD(fixed.orphan_max_ds)),
                .boot_ds = khs_view_load(view, HEADER_WORD(beat_boot_ds)),
                .real_ds = khs_view_load(view, HEADER_WORD(beat_real_ds)),
                .writer_pid = khs_view_load(view, HEADER_WORD(writer_pid)),
                .reverse = khs_view_load(view, HEADER_WORD(fixed.flags)) & KHS_FLAG_REVERSE,
        };
        ret->beat_age_ds = table->now_ds - ret->boot_ds;
        if ((int32_t)ret->beat_age_ds < 0)
                ret->beat_age_ds = 0;
        header_text(view, offsetof(struct khs_table_static, zone), khs_view_load(view, HEADER_WORD(fixed.zone_len)),
                    KHS_KEY_MAX, ret->zone);
        header_text(view, offsetof(struct khs_table_static, namespace), HEADER_BYTE(namespace_len),
                    sizeof(((struct khs_table_static *)0)->namespace), ret->namespace);
        header_text(view, offsetof(struct khs_table_static, node_zone), HEADER_BYTE(node_zone_len),
                    sizeof(((struct khs_table_static *)0)->node_zone), ret->node_zone);
        header_text(view, offsetof(struct khs_table_static, node_name), HEADER_BYTE(node_name_len),
                    sizeof(((struct khs_table_static *)0)->node_name), ret->node_name);
}

const char *view_table_error(int error)
{
        switch (-error) {
        case ENOENT:
                return "there is none";
        case EBADMSG:
                return "it is damaged";
        case EPROTONOSUPPORT:
                return "it has another format: daemon and tool are of different versions";
        case ELOOP:
                return "it is a symbolic link";
        case EREMOTE:
                return "it lies on a file system that shares no memory between programs";
        case EPERM:
                return "others may have written it";
        default:
                return strerror(-error);
        }
}
