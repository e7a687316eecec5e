#pragma once

/*
 * What the reader remembers in each process: one static page, which is empty again in every forked child.
 *
 * A child must not rotate in step with its parent (all preforked workers would start with the same
 * pod), nor believe the pins of threads that it lacks, nor a lock whose owner stayed behind. The kernel's
 * MADV_WIPEONFORK (Linux 4.14) does exactly that, without an atfork handler, a system call or a pid check
 * per lookup. Where it is refused, or granted as everything is (qemu-user), each turn looks at the pid.
 */

#include <stdbool.h>
#include <stdint.h>

/* Pages of the kernels that this is built for: RHEL's aarch64 kernels have had 64 KiB. */
#if defined(__aarch64__)
#define KHS_PAGE_ALIGN 65536
#else
#define KHS_PAGE_ALIGN 4096
#endif

#define KHS_N_MAPS  8U
#define KHS_N_TURNS 512U
#define KHS_N_LINES 16U /* of pins, so that threads seldom share one */

/*
 * For what the first lookup of a process needs besides the page: it lies beside what the loader has written, not in
 * pages of its own, each of which would cost a fault for reading and another one for writing.
 */
#define KHS_WARM __attribute__((section(".data.warm")))

/* The page. All words are accessed atomically. */
struct khs_process {
        uint32_t seed;             /* 0: to be made */
        uint32_t remap_owner;      /* lock: changing the maps */
        uint32_t interfaces_owner; /* lock: writing what answer/interfaces.h knows */
        uint32_t interfaces_tried; /* when the kernel was last asked; 0: never */
        uint32_t interfaces_known; /* number of the last answer; 0: none */
        uint32_t seed_pid;         /* whose seed it is, where the kernel keeps the page on fork */
        uint32_t pad[10];
        struct {
                uint32_t of_map[KHS_N_MAPS]; /* lookups that use map i right now */
                uint32_t pad[16 - KHS_N_MAPS];
        } pins[KHS_N_LINES]; /* a cache line each; a lookup stays with one */
        uint32_t turns[KHS_N_TURNS];
        uint32_t reserved[KHS_PAGE_ALIGN / 4 - 16 - 16 * KHS_N_LINES - KHS_N_TURNS];
} __attribute__((aligned(KHS_PAGE_ALIGN)));

extern struct khs_process khs_process;

/**
 * khs_process_prepare() - have the kernel wipe the page on fork
 *
 * Call it before anything in the page is used. After the first call it costs one load.
 */
void khs_process_prepare(void);

/* Whether the kernel wipes the page; valid after khs_process_prepare(). */
bool khs_process_wiped_on_fork(void);

/**
 * khs_process_trylock() - take a lock in the page if it is free
 * @owner: one of the page's owner words
 *
 * A child never inherits a lock: it is wiped, or, where the kernel keeps the page, has the pid of another process,
 * whose thread stayed behind. Nobody ever waits for one.
 */
bool khs_process_trylock(uint32_t *owner);
void khs_process_unlock(uint32_t *owner);

/**
 * khs_process_turn() - take a turn of one record's rotation
 * @tag: the record's tag; records with equal tag bits 1..9 share their counter
 *
 * Advances the record's counter by one; threads that do so at the same instant may share a turn.
 *
 * Return: the position, 0..2^32-1, a point of the low-discrepancy sequence of this process and record.
 */
uint32_t khs_process_turn(uint32_t tag);
