/*
 * The maps of a process, and which of them is current.
 *
 *     enter                                 renew (one thread at a time; nobody waits for the lock)
 *       c = current          seq_cst          fill a free descriptor
 *       pins of c += 1       seq_cst          current = it            seq_cst
 *       current == c ?       seq_cst          each other map: pins == 0 ?  seq_cst   unmap it
 *
 * Either the reader sees the new current map and lets go, or the other thread sees the pin. Under any weaker order
 * than sequential consistency they could miss each other: each stores, then loads what the other stores. Reusing a
 * descriptor while a slow reader holds an old index is harmless: the reader looks again, and finds it current
 * or not.
 */

#include <errno.h>
#include <sys/auxv.h>

#include "read/map.h"
#include "read/process.h"
#include "table/atomic.h"
#include "table/boot-id.h"
#include "table/clock.h"

#define N_TRIES   3   /* attempts to pin the current map while other threads replace it */
#define TRY_DS    10  /* look for a newer file once a second */
#define N_ALIVE   3   /* maps at a time: the current one and two that slow lookups still hold */
#define APART_DS  20  /* by so much may the clocks be apart: they are read, and written, one after the other */
#define LEAKED_DS 100 /* a longjmp() left the pin behind that a retired map has had for so long */

#define HEADER_WORD(field) ((uint32_t)(offsetof(struct khs_table_header, field) / 4))

struct map {
        struct khs_table_file file;
        uint32_t mapped;     /* under the remap lock, as is the next */
        uint32_t retired_ds; /* CLOCK_BOOTTIME when another one became current */
};

static KHS_WARM struct map maps[KHS_N_MAPS];
static KHS_WARM uint32_t current;     /* 1 + index; 0: none */
static KHS_WARM uint32_t last_try_ds; /* CLOCK_MONOTONIC_COARSE | 1; 0: never */
static KHS_WARM uint32_t newest_read; /* generation of the newest file that a lookup read by itself */
static KHS_WARM uint32_t cannot_map;  /* at the last attempt mmap() failed, or lookups in flight held too many maps */

/* ---- is the daemon alive ---- */

/* Whether an age is in [-1 s, limit]; a beat from the future is no sign of life. */
static bool map_age_ok(int32_t age_ds, uint32_t limit_ds)
{
        return age_ds >= -KHS_BEAT_DS && (age_ds < 0 || (uint32_t)age_ds <= limit_ds);
}

/*
 * Whether the last beat is at most 10 s old by the coarse clock, which costs a fifth of the others and is exact to
 * 4 ms. For nearly every lookup that is all.
 */
static inline bool map_beats(uint32_t beat_boot, uint32_t beat_real, uint32_t *ret_now_ds)
{
        int32_t age = (int32_t)(khs_clock_ds(CLOCK_REALTIME_COARSE) - beat_real);

        *ret_now_ds = beat_boot + (uint32_t)age;
        return map_age_ok(age, KHS_SILENT_DS);
}

enum khs_alive khs_table_alive(const struct khs_view *view, uint32_t *ret_now_ds)
{
        uint32_t beat_boot, beat_real;
        uint32_t orphan_max;
        int32_t age_real, age_boot;

        (void)khs_view_load_acquire(view, HEADER_WORD(beat_count));
        beat_boot = khs_view_load(view, HEADER_WORD(beat_boot_ds));
        beat_real = khs_view_load(view, HEADER_WORD(beat_real_ds));
        if (map_beats(beat_boot, beat_real, ret_now_ds))
                return KHS_ALIVE;

        age_real = (int32_t)(*ret_now_ds - beat_boot);
        age_boot = (int32_t)(khs_clock_ds(CLOCK_BOOTTIME) - beat_boot);
        orphan_max = khs_view_load(view, HEADER_WORD(fixed.orphan_max_ds));
        if (map_age_ok(age_boot, KHS_SILENT_DS) || !map_age_ok(age_real, orphan_max))
                *ret_now_ds = beat_boot + (uint32_t)age_boot;
        if (map_age_ok(age_boot, KHS_SILENT_DS))
                return KHS_ALIVE;
        return map_age_ok(age_real, orphan_max) || map_age_ok(age_boot, orphan_max) ? KHS_SILENT : KHS_DEAD;
}

bool khs_table_of_another_boot(const struct khs_view *view)
{
        uint32_t real = khs_clock_ds(CLOCK_REALTIME) - khs_view_load(view, HEADER_WORD(beat_real_ds));
        uint32_t boot = khs_clock_ds(CLOCK_BOOTTIME) - khs_view_load(view, HEADER_WORD(beat_boot_ds));
        uint32_t theirs[4];
        uint8_t ours[16];

        if (real - boot + APART_DS <= 2 * APART_DS)
                return false;
        khs_view_copy(view, HEADER_WORD(fixed.boot_id), theirs, 4);
        return !khs_boot_id(ours) || memcmp(ours, theirs, sizeof(ours)) != 0;
}

/* ---- the maps of this process ---- */

static bool map_is_unused(uint32_t i)
{
        if (__atomic_load_n(&current, __ATOMIC_SEQ_CST) == i + 1)
                return false;
        for (uint32_t line = 0; line < KHS_N_LINES; line++) {
                if (__atomic_load_n(&khs_process.pins[line].of_map[i], __ATOMIC_SEQ_CST) != 0)
                        return false;
        }
        return true;
}

/* Stacks lie megabytes apart, so the address of a local tells threads apart without thread-local storage. */
static inline uint32_t map_pin_line(const struct khs_pin *pin)
{
        return (uint32_t)((uintptr_t)pin >> 12) * 0x9E3779B9U >> 28;
}

/* Whether a lookup of this process has read a newer file by itself: with this one, time would run backwards. */
static inline bool map_is_outdated(uint32_t generation)
{
        return (int32_t)(generation - __atomic_load_n(&newest_read, __ATOMIC_RELAXED)) < 0;
}

static void map_unmap_retired(void)
{
        for (uint32_t i = 0; i < KHS_N_MAPS; i++) {
                if (!maps[i].mapped || !map_is_unused(i))
                        continue;
                /* First, so that nobody who is forked or left by longjmp() in between unmaps it again, when others have
                 * it. */
                __atomic_store_n(&maps[i].mapped, 0, __ATOMIC_RELAXED);
                __atomic_signal_fence(__ATOMIC_SEQ_CST);
                khs_table_close(&maps[i].file);
        }
}

/* Counts maps, except those that a longjmp() leaked. */
static uint32_t map_count_alive(void)
{
        uint32_t c = __atomic_load_n(&current, __ATOMIC_RELAXED), now_ds = khs_clock_ds(CLOCK_BOOTTIME), n = 0;

        for (uint32_t i = 0; i < KHS_N_MAPS; i++)
                n += maps[i].mapped && (c == i + 1 || now_ds - maps[i].retired_ds < LEAKED_DS);
        return n;
}

/* A descriptor without a map; NULL: lookups in flight hold as many maps as there may be. */
static struct map *map_find_free(void)
{
        if (map_count_alive() >= N_ALIVE)
                return NULL;
        for (uint32_t i = 0; i < KHS_N_MAPS; i++) {
                if (!maps[i].mapped && map_is_unused(i))
                        return &maps[i];
        }
        return NULL;
}

static void map_renew_locked(void)
{
        uint32_t c = __atomic_load_n(&current, __ATOMIC_SEQ_CST);
        uint32_t newest = __atomic_load_n(&newest_read, __ATOMIC_RELAXED);
        struct map *map;
        int r;

        map_unmap_retired();
        map = map_find_free();
        if (!map) {
                __atomic_store_n(&cannot_map, 1, __ATOMIC_RELAXED);
                return;
        }
        r = khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_MAP, c ? &maps[c - 1].file : NULL, &map->file);
        __atomic_store_n(&cannot_map, r == -ENOMEM, __ATOMIC_RELAXED);
        if (r < 0)
                return;
        if (khs_table_of_another_boot(&map->file.view)) {
                khs_table_close(&map->file);
                return;
        }
        map->mapped = 1;
        /* Whatever its number, what was read before this file was opened is older: a daemon may start anew. */
        if (map_is_outdated(khs_view_generation(&map->file.view)))
                (void)__atomic_compare_exchange_n(&newest_read, &newest, khs_view_generation(&map->file.view), false,
                                                  __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        if (c)
                maps[c - 1].retired_ds = khs_clock_ds(CLOCK_BOOTTIME);
        __atomic_store_n(&current, (uint32_t)(map - maps) + 1, __ATOMIC_SEQ_CST);
        map_unmap_retired();
}

/* Whether this process last looked for a newer file a second ago or more. */
static bool map_try_is_due(uint32_t *ret_now)
{
        uint32_t last = __atomic_load_n(&last_try_ds, __ATOMIC_ACQUIRE);

        *ret_now = khs_clock_ds(CLOCK_MONOTONIC_COARSE) | 1;
        return !last || *ret_now - last >= TRY_DS;
}

/*
 * last_try_ds advances only at the end of an attempt: a thread for which it is too early for another one also
 * finds what the last one mapped.
 */
static void map_renew(void)
{
        int saved_errno = errno;
        uint32_t now;

        if (map_try_is_due(&now) && khs_process_trylock(&khs_process.remap_owner)) {
                if (map_try_is_due(&now)) {
                        map_renew_locked();
                        __atomic_store_n(&last_try_ds, now, __ATOMIC_RELEASE);
                }
                khs_process_unlock(&khs_process.remap_owner);
        }
        errno = saved_errno;
}

static inline bool map_pin_current(struct khs_pin *pin)
{
        uint32_t *pins = khs_process.pins[map_pin_line(pin)].of_map;

        for (int i = 0; i < N_TRIES; i++) {
                uint32_t c = __atomic_load_n(&current, __ATOMIC_SEQ_CST);

                if (!c)
                        return false;
                __atomic_fetch_add(&pins[c - 1], 1, __ATOMIC_SEQ_CST);
                if (__atomic_load_n(&current, __ATOMIC_SEQ_CST) == c) {
                        pin->count = &pins[c - 1];
                        pin->view = &maps[c - 1].file.view;
                        return true;
                }
                __atomic_fetch_sub(&pins[c - 1], 1, __ATOMIC_SEQ_CST);
        }
        return false;
}

/* What the current map is good for. It stays pinned if it may be used. */
enum usable {
        MAP_GOOD,
        MAP_SUPERSEDED, /* there is a newer file; what this one says still holds */
        MAP_OUTDATED,
        MAP_DEAD,
        MAP_NONE, /* none, or other threads replaced it during each attempt to pin it */
};

static enum usable map_pin_usable(struct khs_pin *pin)
{
        enum usable ret = MAP_GOOD;

        if (!map_pin_current(pin))
                return MAP_NONE;
        if (khs_view_load_acquire(pin->view, HEADER_WORD(state)) != KHS_STATE_LIVE)
                ret = MAP_SUPERSEDED;
        if (khs_table_alive(pin->view, &pin->now_ds) == KHS_DEAD)
                ret = MAP_DEAD;
        if (map_is_outdated(khs_view_generation(pin->view)))
                ret = MAP_OUTDATED;
        if (ret > MAP_SUPERSEDED)
                khs_map_leave(pin);
        return ret;
}

/* By pread(2). Where the file that has the name is of no use, the map of the previous one may be. */
static int map_enter_own(struct khs_pin *pin)
{
        pin->saved_errno = errno;
        if (khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_PREAD, NULL, &pin->own) == 0) {
                bool other_boot = khs_table_of_another_boot(&pin->own.view);

                pin->count = NULL;
                pin->view = &pin->own.view;
                if (!other_boot && !map_is_outdated(khs_view_generation(pin->view)))
                        __atomic_store_n(&newest_read, khs_view_generation(pin->view), __ATOMIC_RELAXED);
                if (!other_boot && khs_table_alive(pin->view, &pin->now_ds) != KHS_DEAD)
                        return 0;
                khs_map_leave(pin);
        }
        return map_pin_usable(pin) <= MAP_SUPERSEDED ? 0 : -ENOTCONN;
}

/* How this process reads. Determined once. */
enum { READS_UNKNOWN, READS_MAP, READS_FILE };

static uint32_t map_how_to_read(void)
{
        static KHS_WARM uint32_t how;
        uint32_t h = __atomic_load_n(&how, __ATOMIC_RELAXED);

        if (h != READS_UNKNOWN)
                return h;
        khs_process_prepare();
        h = getauxval(AT_SECURE) ? READS_FILE : READS_MAP;
        __atomic_store_n(&how, h, __ATOMIC_RELEASE);
        return h;
}

/* No map, a silent daemon or a replaced file: look for a newer one, then use what there is. */
static int map_enter_slow(struct khs_pin *pin)
{
        bool cannot, busy;

        if (map_how_to_read() == READS_FILE)
                return map_enter_own(pin);
        map_renew();
        /*
         * Nothing can be mapped, or another thread holds the lock, perhaps for good because it left by longjmp().
         * There may be a living table all the same, so the file itself answers.
         */
        cannot = __atomic_load_n(&cannot_map, __ATOMIC_RELAXED);
        busy = __atomic_load_n(&khs_process.remap_owner, __ATOMIC_ACQUIRE);
        switch (map_pin_usable(pin)) {
        case MAP_GOOD:
                return 0;
        case MAP_SUPERSEDED:
                if (!cannot && !busy)
                        return 0;
                khs_map_leave(pin);
                return map_enter_own(pin);
        case MAP_DEAD:
                return cannot || busy ? map_enter_own(pin) : -ENOTCONN;
        case MAP_OUTDATED:
                return map_enter_own(pin);
        default:
                return cannot || busy || __atomic_load_n(&current, __ATOMIC_RELAXED) ? map_enter_own(pin) : -ENOTCONN;
        }
}

/* Whether a map's file still has the name and its daemon is alive. */
static inline bool map_is_good(const struct khs_view *view, uint32_t *ret_now_ds)
{
        const uint32_t *map = view->map;

        if (khs_load_acquire(map + HEADER_WORD(state)) != KHS_STATE_LIVE ||
            map_is_outdated(khs_load_relaxed(map + HEADER_WORD(fixed.generation))))
                return false;
        (void)khs_load_acquire(map + HEADER_WORD(beat_count));
        return map_beats(khs_load_relaxed(map + HEADER_WORD(beat_boot_ds)),
                         khs_load_relaxed(map + HEADER_WORD(beat_real_ds)), ret_now_ds);
}

int khs_map_enter(struct khs_pin *pin)
{
        if (!map_pin_current(pin))
                return map_enter_slow(pin);
        if (__builtin_expect(map_is_good(pin->view, &pin->now_ds), true))
                return 0;
        khs_map_leave(pin);
        return map_enter_slow(pin);
}

void khs_map_leave_own(struct khs_pin *pin)
{
        khs_table_close(&pin->own);
        errno = pin->saved_errno;
}
