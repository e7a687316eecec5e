/* A simulated shared memory, see simulation.h. */

#include <assert.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "simulation.h"
#include "table/format.h"
#include "table/siphash.h"

#define MAX_MESSAGES 4096
#define MAX_CHOICES  4096
#define MAX_MARKS    64
#define MEMO_HEADS   1024
#define MEMO_STATES  (1U << 16)
#define MEMO_WORDS   (1U << 23)
#define BLOCK_WORDS  (2 * KHS_UNIT_WORDS) /* every block of these tests is of two units */

uint32_t sim_memory[SIM_WORDS] __attribute__((aligned(4096)));

struct message {
        uint32_t value;
        uint32_t carries; /* whoever acquires it knows all messages up to here */
        uint32_t next;    /* of the same word; 0: none */
};

/* Message 0 is no message: for each word, its value at the beginning. */
static struct message messages[MAX_MESSAGES];
static uint32_t n_messages;
static uint32_t initial[SIM_WORDS], first[SIM_WORDS], last[SIM_WORDS];
static uint32_t touched[SIM_WORDS], n_touched; /* words with messages */
static uint32_t marks[MAX_MARKS], n_marks;
static uint32_t last_fence, last_stored;
static bool recording;
static unsigned int mutant;
static uint32_t crash_time = UINT32_MAX;
static void (*crash_call)(void);

/* The reader. */
static bool reading;
static uint32_t base, pending, seen[SIM_WORDS], last_loaded, last_ref;
static jmp_buf out;
static const char *failure;

/* The search. */
static struct {
        uint32_t chosen, n;
} choices[MAX_CHOICES];
static uint32_t depth, n_prefix, n_choices;
static uint32_t watched;
static uint64_t own_state;
static uint32_t n_tries;

/* States at which searches and steps have begun: lists by hash. State 0 is none. */
static struct {
        uint64_t point;
        uint32_t view, next;
} memo[MEMO_STATES];
static uint32_t memo_heads[MEMO_HEADS], memo_views[MEMO_WORDS], n_memo, n_memo_words;

/* ---- words ---- */

enum role { ROLE_TAG, ROLE_REF, ROLE_SEQ, ROLE_OTHER };

static enum role role_of(uint32_t word)
{
        if (word >= 3 * KHS_TABLE_PAGE / 4)
                return word % BLOCK_WORDS == 0 ? ROLE_SEQ : ROLE_OTHER;
        if (word >= KHS_TABLE_PAGE / 4)
                return word & 1 ? ROLE_REF : ROLE_TAG;
        return ROLE_OTHER;
}

static uint32_t word_of(const uint32_t *pointer)
{
        assert(pointer >= sim_memory && pointer < sim_memory + SIM_WORDS);
        return (uint32_t)(pointer - sim_memory);
}

/* ---- the writer ---- */

void sim_begin(unsigned int without)
{
        memcpy(initial, sim_memory, sizeof(initial));
        memset(first, 0, sizeof(first));
        memset(last, 0, sizeof(last));
        n_marks = n_messages = n_touched = last_fence = last_stored = 0;
        mutant = without;
        recording = true;
}

uint32_t sim_time(void)
{
        return n_messages;
}

void sim_mark(void)
{
        assert(n_marks < MAX_MARKS);
        marks[n_marks++] = n_messages;
}

static uint32_t sim_marks(uint32_t time)
{
        uint32_t n = 0;

        while (n < n_marks && marks[n] <= time)
                n++;
        return n;
}

void sim_crash_at(uint32_t time, void (*crash)(void))
{
        crash_time = time;
        crash_call = crash;
}

static bool is_left_out(bool release, enum role role, uint32_t value)
{
        if (!release)
                return false;
        if (role == ROLE_SEQ)
                return mutant & SIM_RELEASE_EVEN;
        if (role == ROLE_REF)
                return mutant & (value ? SIM_RELEASE_REF : SIM_RELEASE_DELETE);
        return false;
}

void sim_store(uint32_t *pointer, uint32_t value, bool release)
{
        uint32_t word = word_of(pointer), time = n_messages + 1;

        assert(!reading);
        if (recording && time == crash_time) {
                crash_time = UINT32_MAX;
                crash_call();
        }
        *pointer = value;
        if (!recording)
                return;

        assert(time < MAX_MESSAGES);
        if (is_left_out(release, role_of(word), value))
                release = false;
        messages[time] = (struct message){ .value = value, .carries = release ? time : last_fence };
        if (last[word])
                messages[last[word]].next = time;
        else {
                first[word] = time;
                touched[n_touched++] = word;
        }
        last[word] = time;
        last_stored = word;
        n_messages = time;
}

void sim_fence_release(void)
{
        enum role role = role_of(last_stored);

        assert(!reading);
        if ((role == ROLE_SEQ && mutant & SIM_FENCE_AFTER_ODD) || (role == ROLE_REF && mutant & SIM_FENCE_BEFORE_TAG))
                return;
        last_fence = n_messages;
}

/* ---- the search ---- */

uint32_t sim_choose(uint32_t n)
{
        if (n == 1)
                return 0;
        assert(depth < MAX_CHOICES);
        if (depth == n_choices) {
                choices[depth].chosen = 0;
                choices[depth].n = n;
                n_choices++;
        }
        assert(choices[depth].n == n);
        return choices[depth++].chosen;
}

/* The next run goes along the same choices to the last that has another side. */
static bool next_prefix(void)
{
        while (n_choices > 0 && choices[n_choices - 1].chosen + 1 == choices[n_choices - 1].n)
                n_choices--;
        if (n_choices == 0)
                return false;
        choices[n_choices - 1].chosen++;
        n_prefix = n_choices;
        return true;
}

void sim_fail(const char *violation)
{
        failure = violation;
        longjmp(out, 1);
}

/* The oldest message of a word that the reader may still read; 0: the beginning. */
static uint32_t floor_of(uint32_t word)
{
        uint32_t at = seen[word], next = at ? messages[at].next : first[word];

        while (next && next <= base) {
                at = next;
                next = messages[at].next;
        }
        return at;
}

/* How much the reader knows: what it may still do becomes less with every word of this. */
static uint32_t view_of(uint32_t *ret)
{
        for (uint32_t i = 0; i < n_touched; i++)
                ret[i] = floor_of(touched[i]);
        ret[n_touched] = base;
        ret[n_touched + 1] = pending > base ? pending : base;
        ret[n_touched + 2] = n_tries;
        return n_touched + 3;
}

static bool is_within(const uint32_t *a, const uint32_t *b, uint32_t n)
{
        for (uint32_t i = n; i-- > 0;) {
                if (a[i] > b[i])
                        return false;
        }
        return true;
}

/*
 * Ends this run, if one was at this point before that knew no more and had no fewer tries left: it
 * has gone, or is going, wherever this one could. Marks are compared for equality, since what the
 * reader is held to depends on them. Who knows everything has one way to go only, and goes it to its
 * end: giving up, perhaps, after tries that are all alike.
 */
static void cut_off_repetition(bool in_step)
{
        static const uint8_t key[16];
        uint64_t point[3] = { own_state, (uint64_t)sim_marks(base) << 32 | sim_marks(pending), in_step };
        uint32_t view[SIM_WORDS + 3], n, *head;

        n_tries++;
        if (depth < n_prefix || base == n_messages)
                return;
        point[0] = khs_siphash13(key, point, sizeof(point));
        n = view_of(view);
        head = &memo_heads[point[0] % MEMO_HEADS];
        for (uint32_t at = *head; at; at = memo[at].next) {
                if (memo[at].point == point[0] && is_within(memo_views + memo[at].view, view, n))
                        longjmp(out, 2);
        }
        if (n_memo + 1 == MEMO_STATES || n_memo_words + n > MEMO_WORDS)
                return;
        memo[++n_memo].point = point[0];
        memo[n_memo].view = n_memo_words;
        memo[n_memo].next = *head;
        *head = n_memo;
        memcpy(memo_views + n_memo_words, view, n * sizeof(*view));
        n_memo_words += n;
}

void sim_state(const void *state, size_t n_state)
{
        static const uint8_t key[16];

        own_state = khs_siphash13(key, state, n_state);
        n_tries = 0;
        cut_off_repetition(false);
}

void sim_explore(void (*reader)(void *userdata), void *userdata, uint64_t max, uint32_t start_word,
                 struct sim_result *ret)
{
        memset(memo_heads, 0, sizeof(memo_heads));
        n_memo = n_memo_words = n_prefix = n_choices = 0;
        watched = start_word;
        failure = NULL;
        reading = true;
        do {
                base = pending = depth = 0;
                last_loaded = last_ref = UINT32_MAX;
                memset(seen, 0, sizeof(seen));
                switch (setjmp(out)) {
                case 0:
                        reader(userdata);
                        ret->n_executions++;
                        break;
                case 1:
                        ret->n_executions++;
                        ret->violation = failure;
                        break;
                default:
                        ret->n_cut++;
                }
        } while (!failure && ret->n_executions + ret->n_cut < max && next_prefix());
        if (!failure && ret->n_executions + ret->n_cut >= max)
                ret->violation = "not finished: more executions than allowed";
        reading = false;
}

/* ---- the reader ---- */

static void learn(uint32_t time)
{
        if (time > base)
                base = time;
}

void sim_sync(uint32_t mark)
{
        learn(marks[mark]);
}

uint32_t sim_known(void)
{
        return sim_marks(base) - 1;
}

void sim_fence_acquire(void)
{
        if (reading && !(mutant & SIM_FENCE_ACQUIRE))
                learn(pending);
}

/*
 * The messages that a load may return, but for those that repeat an older one's value and carry no
 * less: who reads the older one can still do all that the other could.
 */
static uint32_t candidates(uint32_t word, uint32_t *ret, uint32_t max)
{
        uint32_t n = 0;

        for (uint32_t at = floor_of(word);; at = at ? messages[at].next : first[word]) {
                uint32_t value = at ? messages[at].value : initial[word], carries = at ? messages[at].carries : 0;
                bool again = false;

                for (uint32_t i = 0; i < n && !again; i++) {
                        uint32_t old = ret[i];

                        again = (old ? messages[old].value : initial[word]) == value &&
                                (old ? messages[old].carries : 0) <= carries;
                }
                if (!again) {
                        assert(n < max);
                        ret[n++] = at;
                }
                if (at == last[word])
                        return n;
        }
}

static bool is_acquire(bool acquire, uint32_t word)
{
        if (!acquire)
                return false;
        if (role_of(word) == ROLE_SEQ)
                return !(mutant & SIM_ACQUIRE_SEQ);
        /* The first look at a ref comes right after the one at its tag, or after one at another. */
        if (role_of(word) == ROLE_REF)
                return !(mutant &
                         (last_loaded != word - 1 && last_ref == word ? SIM_ACQUIRE_REF_AGAIN : SIM_ACQUIRE_REF));
        return true;
}

uint32_t sim_load(const uint32_t *pointer, bool acquire)
{
        uint32_t word = word_of(pointer), among[64], at, carries;

        if (!reading)
                return *pointer;
        if (word == watched)
                cut_off_repetition(true);
        at = among[sim_choose(candidates(word, among, 64))];
        carries = at ? messages[at].carries : 0;
        seen[word] = at;
        if (carries > pending)
                pending = carries;
        if (is_acquire(acquire, word))
                learn(carries);
        last_loaded = word;
        if (role_of(word) == ROLE_REF && word < 2 * KHS_TABLE_PAGE / 4)
                last_ref = word;
        return at ? messages[at].value : initial[word];
}
