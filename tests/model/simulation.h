#pragma once

/*
 * A shared memory as weak as C11 allows (RC11: no values out of thin air), for one writer and one
 * reader, and a search through everything that the reader may see in it.
 *
 * The writer runs first, to its end. Each of its stores is a message: location, value, time. The
 * reader then runs again and again. A load may return any message of its location that is not older
 * than what the reader already knows; each such load is a choice, and all choices are gone through
 * (depth first, by running the reader anew along the choices so far).
 *
 * Nothing is lost by letting the writer go first: readers store nothing, so the writer can't depend
 * on them, nor they on each other, and a reader that overtakes the writer is one whose loads return
 * old messages. One reader is therefore as good as many.
 *
 * What the reader knows: `base`, a time up to which it has seen everything; for each location the
 * last message that it has read (coherence); and what the messages that it has read say about older
 * ones. A release store says: all of my stores up to here. A relaxed one: those before my last release
 * fence. An acquire load takes that into base at once, an acquire fence what all loads before it have
 * collected. With a single writer, that is all there is to the release/acquire part of the model.
 * Release sequences are those of C++20, the weakest: of one store alone.
 *
 * Knowledge only takes choices away. So a load need not return a message that has an older one's value
 * and teaches no less, and a search that begins where one has begun that knew no more is cut off.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_WORDS 4096 /* header, index, reverse index, arena: a page each */

/* The writer's memory: the last value of each word. What it reads of its own without an atomic is here. */
extern uint32_t sim_memory[SIM_WORDS];

uint32_t sim_load(const uint32_t *word, bool acquire);
void sim_store(uint32_t *word, uint32_t value, bool release);
void sim_fence_acquire(void);
void sim_fence_release(void);

/* Orderings to leave out; the words' roles tell one release store from another. */
enum sim_mutant {
        SIM_FENCE_AFTER_ODD = 1 << 0,
        SIM_RELEASE_EVEN = 1 << 1,
        SIM_RELEASE_REF = 1 << 2,
        SIM_RELEASE_DELETE = 1 << 3,
        SIM_FENCE_BEFORE_TAG = 1 << 4,
        SIM_ACQUIRE_REF = 1 << 5,
        SIM_ACQUIRE_SEQ = 1 << 6,
        SIM_FENCE_ACQUIRE = 1 << 7,
        SIM_ACQUIRE_REF_AGAIN = 1 << 8,
};

/* ---- the writer ---- */

/* From here on stores are messages; what is in memory is known to everybody. */
void sim_begin(unsigned int mutant);

/* Number of messages so far. */
uint32_t sim_time(void);

/* A point in the writer's life that the reader may learn of; the first one before the first store. */
void sim_mark(void);

/* Calls back once, instead of the store with this number (it does not return); UINT32_MAX: never. */
void sim_crash_at(uint32_t time, void (*crash)(void));

/* ---- the reader ---- */

struct sim_result {
        uint64_t n_executions; /* run to the end */
        uint64_t n_cut;        /* cut off, as they would have repeated others */
        const char *violation; /* NULL: none */
};

/**
 * sim_explore() - run a reader through all that it may see
 * @reader:     calls sim_choose(), sim_sync(), sim_state() and sim_fail() at will
 * @max:        most executions
 * @start_word: the word whose load starts a search of the reader's: states are compared there
 */
void sim_explore(void (*reader)(void *userdata), void *userdata, uint64_t max, uint32_t start_word,
                 struct sim_result *ret);

/* One of 0..n-1, each in turn. */
uint32_t sim_choose(uint32_t n);

/* The reader learns of everything up to a mark (from 0), as by a system call; the last mark of which it knows all. */
void sim_sync(uint32_t mark);
uint32_t sim_known(void);

/* The reader's own state, as far as it decides what comes next. Called at the start of each of its steps. */
void sim_state(const void *state, size_t n_state);

/* Ends the search. */
void sim_fail(const char *violation) __attribute__((noreturn));
