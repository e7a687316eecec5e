/*
 * The real reader (read/view.c) against everything that it may see while the real writer
 * (write/record/record.c, write/pool.c) works, and after it was killed and the next one has taken the file
 * over (write/adopt.c): all executions of a memory as weak as C11 allows, see simulation.h.
 *
 * A scenario is a list of operations. The writer does them once, with blocks used again at once: no
 * grace time. The reader begins anywhere among them and does a few steps. Whatever it reads:
 *
 *     - what it accepts is one published version of the key that it asked for, word for word
 *     - that is no older than what was complete when it began, or what it has seen before
 *     - a key that is there all the time is never "not found", and nothing is ever "damaged"
 *     - once nothing changes any more it is never "busy"
 *
 * Then each scenario again with one ordering left out (the words tell which store or load is meant),
 * or with a line of the product taken out when this was built (LOGIC_MUTANT): that must be caught, or
 * the table below must say why it need not be.
 *
 *     interleave [MOST EXECUTIONS]          the scenarios and the orderings
 *     interleave-MUTANT                     just this: is it caught?
 */

#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "read/crc.h"
#include "simulation.h"
#include "table/crc32c.h"
#include "table/siphash.h"
#include "write/record/record.h"

/* Its file operations are none of ours; the walk through blocks and entries is. */
#include "write/adopt.c"

#define N_KEYS     4
#define MAX_OPS    10
#define MAX_STEPS  4
#define N_VERSIONS 12

enum key { KEY_K, KEY_L, KEY_A /* an alias of K or L */, KEY_FIRST /* in the first entries, for ever */ };
enum op_kind { OP_END, OP_PUT, OP_TOUCH, OP_DELETE };
enum step_kind { STEP_END, STEP_LOOK /* find, copy nothing */, STEP_FIND, STEP_ALIAS, STEP_WALK, STEP_REVERSE };

struct op {
        enum op_kind kind;
        enum key key;
        uint32_t version;
};

struct step {
        enum step_kind kind;
        enum key key;
};

struct scenario {
        const char *name;
        bool same_tag;             /* K's and L's tags are equal */
        bool reverse;              /* the table has a reverse index */
        bool times;                /* words that may be stored in place differ, too */
        bool sizes;                /* versions are of one family each; sizes of two of them do not fit into a block */
        uint32_t n_units;          /* of the arena; blocks have two */
        struct op before[MAX_OPS]; /* known to everybody */
        struct op ops[MAX_OPS];
        struct step steps[MAX_STEPS];
        bool crashes; /* also with the writer killed at each of its stores */
};

/*
 * A block more than keys, and one for the key in the first entry: each second update of K uses the
 * block of two versions ago, or K and L use each other's.
 */
static const struct scenario scenarios[] = {
        { .name = "update",
          .n_units = 8,
          .before = { { OP_PUT, KEY_K, 1 } },
          .ops = { { OP_PUT, KEY_K, 2 }, { OP_PUT, KEY_K, 3 }, { OP_PUT, KEY_K, 4 }, { OP_PUT, KEY_K, 5 } },
          .steps = { { STEP_FIND, KEY_K }, { STEP_FIND, KEY_K } },
          .crashes = true },
        { .name = "first publish, and in place",
          .times = true,
          .n_units = 8,
          .ops = { { OP_PUT, KEY_K, 1 },
                   { OP_TOUCH, KEY_K, 1 },
                   { OP_PUT, KEY_K, 2 },
                   { OP_TOUCH, KEY_K, 2 },
                   { OP_PUT, KEY_K, 3 } },
          .steps = { { STEP_FIND, KEY_K }, { STEP_FIND, KEY_K } },
          .crashes = true },
        { .name = "two keys use each other's blocks",
          .n_units = 10,
          .before = { { OP_PUT, KEY_K, 1 }, { OP_PUT, KEY_L, 1 } },
          .ops = { { OP_PUT, KEY_K, 2 }, { OP_PUT, KEY_L, 2 }, { OP_PUT, KEY_K, 3 }, { OP_PUT, KEY_L, 3 } },
          .steps = { { STEP_FIND, KEY_K }, { STEP_FIND, KEY_L } },
          .crashes = true },
        { .name = "a block goes from K to L and back to K",
          .n_units = 8,
          .before = { { OP_PUT, KEY_K, 1 }, { OP_PUT, KEY_L, 1 } },
          .ops = { { OP_PUT, KEY_K, 2 }, { OP_PUT, KEY_L, 2 }, { OP_PUT, KEY_L, 3 }, { OP_PUT, KEY_K, 3 } },
          .steps = { { STEP_FIND, KEY_K } } },
        { .name = "entry and block go from K to L to K",
          .n_units = 6,
          .before = { { OP_PUT, KEY_K, 1 } },
          .ops = { { OP_DELETE, KEY_K, 0 }, { OP_PUT, KEY_L, 1 }, { OP_DELETE, KEY_L, 0 }, { OP_PUT, KEY_K, 2 } },
          .steps = { { STEP_FIND, KEY_K }, { STEP_FIND, KEY_L }, { STEP_FIND, KEY_K } },
          .crashes = true },
        { .name = "two keys of one tag",
          .same_tag = true,
          .n_units = 10,
          .before = { { OP_PUT, KEY_K, 1 }, { OP_PUT, KEY_L, 1 } },
          .ops = { { OP_PUT, KEY_L, 2 }, { OP_PUT, KEY_K, 2 }, { OP_PUT, KEY_L, 3 } },
          .steps = { { STEP_FIND, KEY_K }, { STEP_FIND, KEY_L } } },
        { .name = "K to L to K of one tag",
          .same_tag = true,
          .n_units = 6,
          .before = { { OP_PUT, KEY_K, 1 } },
          .ops = { { OP_DELETE, KEY_K, 0 }, { OP_PUT, KEY_L, 1 }, { OP_DELETE, KEY_L, 0 }, { OP_PUT, KEY_K, 2 } },
          .steps = { { STEP_FIND, KEY_K }, { STEP_FIND, KEY_L }, { STEP_FIND, KEY_K } } },
        { .name = "an alias changes its target",
          .n_units = 12,
          .before = { { OP_PUT, KEY_A, 1 }, { OP_PUT, KEY_K, 1 } },
          .ops = { { OP_PUT, KEY_A, 2 }, { OP_PUT, KEY_K, 2 }, { OP_PUT, KEY_A, 3 } },
          .steps = { { STEP_ALIAS, KEY_A }, { STEP_FIND, KEY_K } } },
        { .name = "a walk through all entries",
          .n_units = 10,
          .before = { { OP_PUT, KEY_K, 1 }, { OP_PUT, KEY_L, 1 } },
          .ops = { { OP_PUT, KEY_K, 2 }, { OP_DELETE, KEY_L, 0 }, { OP_PUT, KEY_K, 3 }, { OP_PUT, KEY_L, 2 } },
          .steps = { { STEP_WALK, 0 }, { STEP_WALK, 0 } },
          .crashes = true },
        { .name = "sizes that fit only together",
          .sizes = true,
          .n_units = 8,
          .before = { { OP_PUT, KEY_K, 1 } },
          .ops = { { OP_PUT, KEY_K, 2 }, { OP_PUT, KEY_K, 3 }, { OP_PUT, KEY_K, 4 } },
          .steps = { { STEP_LOOK, KEY_K }, { STEP_LOOK, KEY_K } },
          .crashes = true },
        { .name = "from addresses to services",
          .reverse = true,
          .n_units = 10,
          .before = { { OP_PUT, KEY_K, 1 }, { OP_PUT, KEY_L, 1 } },
          .ops = { { OP_PUT, KEY_K, 2 }, { OP_PUT, KEY_L, 2 }, { OP_PUT, KEY_K, 3 } },
          .steps = { { STEP_REVERSE, KEY_K }, { STEP_REVERSE, KEY_L } } },
};

/* ---- keys ---- */

static const uint8_t hash_key[16] = "interleavings!";
static char keys[N_KEYS][5] = { "k000", "l000", "a000", "f000" };

static uint32_t tag_of(const char *key)
{
        return (uint32_t)(khs_siphash13(hash_key, key, 4) >> 32) | 1;
}

/* Four letters from 20 bits. */
static void make_key(char *key, char first, uint32_t n)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";

        for (int i = 3; i > 0; i--, n >>= 5)
                key[i] = letters[n % 32];
        key[0] = (char)(first + n);
}

struct tagged {
        uint32_t tag, n;
};

static int tagged_compare(const void *a, const void *b)
{
        const struct tagged *x = a, *y = b;

        return x->tag < y->tag ? -1 : x->tag > y->tag;
}

/* Two keys of one tag: among 2^18 there are some 16 such pairs. */
static void find_equal_tags(char one[5], char two[5])
{
        enum { N = 1 << 18 };
        struct tagged *all = calloc(N, sizeof(*all));
        uint32_t i;

        assert(all);
        for (i = 0; i < N; i++) {
                make_key(one, 'a', i);
                all[i] = (struct tagged){ tag_of(one), i };
        }
        qsort(all, N, sizeof(*all), tagged_compare);
        for (i = 1; all[i].tag != all[i - 1].tag; i++)
                assert(i + 1 < N);
        make_key(one, 'a', all[i - 1].n);
        make_key(two, 'a', all[i].n);
        free(all);
}

/* ---- the writer ---- */

/* What the table says at each mark; 0: the key is not there. */
struct moment {
        uint32_t versions[N_KEYS];
};

static const struct scenario *scenario;
static struct khs_file file;
static struct khs_view view;
static struct moment moments[2 * MAX_OPS + 2];
static uint32_t n_moments;
static struct khs_record expected[N_KEYS][N_VERSIONS];
static uint32_t now_ds;
static struct khs_image image;
static jmp_buf killed;
static const char *broken;

static void kill_writer(void)
{
        longjmp(killed, 1);
}

/* The table as it is when nobody writes. */
static uint32_t version_now(enum key key)
{
        struct khs_found found;
        int r = khs_view_find(&view, keys[key], 4, &found);

        if (r < 0 && r != -ENOENT)
                broken = "a record that can't be read, though nobody writes";
        return r == 0 ? found.record.version : 0;
}

static void note_moment(void)
{
        struct moment *m = &moments[n_moments++];

        sim_mark();
        for (enum key key = 0; key < N_KEYS; key++)
                m->versions[key] = version_now(key);
}

/* The first address of a key stays what it is in a table with a reverse index. */
static uint32_t address_of(enum key key, uint32_t version, uint32_t i)
{
        return (uint32_t)key << 8 | i << 16 | (scenario->reverse && i == 0 ? 0 : version);
}

static void put(const struct op *op)
{
        uint32_t addresses[14] = { 0 }, times = scenario->times ? op->version * 16 + (op->kind == OP_TOUCH) : 0;
        enum key target = op->version & 1 ? KEY_K : KEY_L;
        struct khs_row row = {
                .key = keys[op->key],
                .n_key = 4,
                .n4 = op->key == KEY_K || !scenario->reverse ? 1 + (op->version & 1) : 1,
                .v4 = addresses,
                .v6 = addresses,
                .policy = 7,
                .version = op->version,
                .fresh_until_ds = times,
                .status = times,
        };

        if (scenario->sizes) {
                row.n4 = op->version & 2 ? 14 : 0;
                row.n6 = op->version & 2 ? 0 : 3;
        }
        addresses[0] = address_of(op->key, op->version, 0);
        addresses[1] = address_of(op->key, op->version, 1);
        if (op->key == KEY_A) {
                row.n4 = 0;
                row.target = keys[target];
                row.n_target = 4;
        }
        assert(khs_file_put(&file, &row, &image, now_ds) == 0);
        /* A put that is stored in place needs no CRC, and makes none. */
        ((struct khs_record *)image.words)->crc = khs_record_crc((const struct khs_record *)image.words);
        memcpy(&expected[op->key][op->version], image.words, sizeof(struct khs_record));
}

static void run_ops(const struct op *op)
{
        for (; op->kind != OP_END; op++) {
                now_ds += KHS_GRACE_DS;
                if (op->kind == OP_DELETE)
                        (void)khs_file_delete(&file, keys[op->key], 4, now_ds);
                else
                        put(op);
                note_moment();
        }
}

static void make_table(void)
{
        struct khs_table_static *fixed = (struct khs_table_static *)sim_memory;
        uint32_t crc = KHS_CRC32C_INIT;

        memset(sim_memory, 0, sizeof(sim_memory));
        *fixed = (struct khs_table_static){
                .magic = KHS_MAGIC,
                .endian = KHS_ENDIAN,
                .major = KHS_MAJOR,
                .header_size = KHS_HEADER_SIZE,
                .file_pages = SIM_WORDS * 4 / KHS_TABLE_PAGE,
                .idx_off_pg = 1,
                .idx_log2 = 3,
                .ridx_off_pg = 2,
                .ridx_log2 = scenario->reverse ? 3 : 0,
                .arena_off_pg = 3,
                .arena_units = scenario->n_units,
                .max_probe = KHS_PROBE_DEFAULT,
                .max_addr = KHS_MAX_ADDRS,
        };
        memcpy(fixed->hash_key, hash_key, sizeof(hash_key));
        for (uint32_t i = 0; i < KHS_STATIC_SIZE / 4; i++)
                crc = khs_crc32c_word(crc, sim_memory[i]);
        fixed->checksum = khs_crc32c_end(crc);
        assert(khs_view_init(&view, sim_memory, -1, sizeof(sim_memory)) == 0);
}

static void free_file(void)
{
        khs_pool_deinit(&file.pool);
        memset(&file, 0, sizeof(file));
}

static void open_file(void)
{
        free_file();
        file.map = sim_memory;
        file.size = sizeof(sim_memory);
        adopt_geometry(&file, &view);
        assert(khs_pool_init(&file.pool, view.arena_units) == 0);
}

/* The next daemon: as khs_file_adopt(), which would do this to a file. */
static void take_over(void)
{
        bool referred[64] = { false };

        now_ds += KHS_GRACE_DS;
        open_file();
        if (adopt_contents(&file, &view, referred, now_ds) < 0)
                broken = "the next daemon does not take the table over";
        note_moment();
}

/* Everything that happens in the table. */
static const char *run_writer(unsigned int mutant, uint32_t crash_time)
{
        static const struct op first[] = { { OP_PUT, KEY_FIRST, 1 }, { OP_END, 0, 0 } };
        broken = NULL;
        now_ds = 1000;
        n_moments = 0;
        make_table();
        open_file();
        run_ops(first);
        run_ops(scenario->before);

        n_moments = 0;
        sim_begin(mutant);
        note_moment();
        sim_crash_at(crash_time, kill_writer);
        if (setjmp(killed) == 0) {
                run_ops(scenario->ops);
                sim_crash_at(UINT32_MAX, NULL);
        } else {
                take_over();
                if (!broken)
                        run_ops(scenario->ops + (n_moments - 2)); /* the operation that was broken off, again */
        }
        return broken;
}

/* ---- the reader ---- */

/* What the reader must not fall behind. */
struct knowledge {
        uint32_t moment;       /* complete when this step began */
        uint32_t seen[N_KEYS]; /* versions that it has accepted */
};

static void check_absent(const struct knowledge *k, enum key key)
{
        for (uint32_t i = k->moment; i < n_moments; i++) {
                if (moments[i].versions[key] == 0)
                        return;
        }
        sim_fail("a key that is there is not found");
}

static void check_version(struct knowledge *k, enum key key, uint32_t version)
{
        uint32_t i = k->moment;

        if (version < k->seen[key])
                sim_fail("a version goes backwards");
        while (i < n_moments && moments[i].versions[key] != version)
                i++;
        if (i == n_moments)
                sim_fail(version && version < N_VERSIONS ? "a version that is no longer, or was never there"
                                                         : "a version that never was");
        k->seen[key] = version;
}

/* The copy of the record's header against what was put. */
static void check_record(const struct khs_record *record, enum key key)
{
        struct khs_record wanted = expected[key][record->version];

        if (scenario->times && key != KEY_FIRST &&
            (record->fresh_until_ds / 16 != record->version || record->status / 16 != record->version))
                sim_fail("a torn record: times of another version");
        wanted.seq = record->seq;
        wanted.fresh_until_ds = record->fresh_until_ds;
        wanted.status = record->status;
        if (memcmp(&wanted, record, sizeof(wanted)) != 0)
                sim_fail("a torn record: words of two versions");
}

static void check_addresses(const struct khs_record *record, enum key key, const uint32_t *addresses)
{
        for (uint32_t i = 0; i < record->n4; i++) {
                if (addresses[i] != address_of(key, record->version, i))
                        sim_fail("torn addresses: of another version or key");
        }
}

static void check_failure(const struct knowledge *k, enum key key, int r)
{
        if (r == -ENOENT)
                check_absent(k, key);
        else if (r != -EBUSY)
                sim_fail("a good table is called damaged");
        else if (k->moment == n_moments - 1)
                sim_fail("busy, though nothing changes any more");
}

static void find(struct knowledge *k, enum key key, bool copy)
{
        uint32_t addresses[KHS_MAX_ADDRS];
        struct khs_found found;
        int r = khs_view_find(&view, keys[key], 4, &found);

        if (r < 0) {
                check_failure(k, key, r);
                return;
        }
        /* The record is right as it is; the addresses only if it still is afterwards. */
        check_version(k, key, found.record.version);
        check_record(&found.record, key);
        if (!copy)
                return;
        khs_found_copy(&view, &found, AF_INET, found.record.n4 - 1, found.record.n4, addresses, 4);
        if (!khs_found_valid(&view, &found))
                return;
        if (found.record.n4 == 2) {
                uint32_t last = addresses[0];

                addresses[0] = addresses[1];
                addresses[1] = last;
        }
        check_addresses(&found.record, key, addresses);
}

static void find_alias(struct knowledge *k, enum key key)
{
        struct khs_found found;
        char target[256];
        int r = khs_view_find(&view, keys[key], 4, &found);

        if (r < 0) {
                check_failure(k, key, r);
                return;
        }
        check_version(k, key, found.record.version);
        r = khs_found_alias(&view, &found, target);
        if (r == -EBUSY)
                return;
        if (r != 4 || strcmp(target, keys[found.record.version & 1 ? KEY_K : KEY_L]) != 0)
                sim_fail("an alias of what never was its target");
}

static void walk(struct knowledge *k)
{
        uint32_t cursor = 0;
        struct khs_found found;
        char name[256];

        while (khs_view_next(&view, &cursor, &found, name) == 0) {
                struct {
                        struct knowledge k;
                        uint32_t cursor;
                } state;
                enum key key = 0;

                while (key < N_KEYS && strcmp(keys[key], name) != 0)
                        key++;
                if (key == N_KEYS)
                        sim_fail("a key that never was");
                if (found.record.version < k->seen[key])
                        sim_fail("a version goes backwards");
                if (found.record.version >= N_VERSIONS)
                        sim_fail("a version that never was");
                k->seen[key] = found.record.version;
                check_record(&found.record, key);
                if (khs_found_intact(&view, &found) == -EBADMSG)
                        sim_fail("a wrong CRC");

                memset(&state, 0, sizeof(state));
                state.k = *k;
                state.cursor = cursor;
                sim_state(&state, sizeof(state));
        }
}

static void find_reverse(struct knowledge *k, enum key key)
{
        uint32_t address = address_of(key, 0, 0);
        struct khs_found found;
        char name[256];
        int r = khs_view_reverse(&view, AF_INET, &address, &found, name);

        if (r < 0) {
                check_failure(k, key, r);
                return;
        }
        if (strcmp(name, keys[key]) != 0)
                sim_fail("an address of another service");
        check_version(k, key, found.record.version);
        check_record(&found.record, key);
}

static void reader(void *userdata)
{
        struct {
                struct knowledge k;
                uint32_t step;
        } s;

        (void)userdata;
        memset(&s, 0, sizeof(s));
        sim_sync(sim_choose(n_moments));
        for (; s.step < MAX_STEPS && scenario->steps[s.step].kind != STEP_END; s.step++) {
                enum key key = scenario->steps[s.step].key;

                s.k.moment = sim_known();
                sim_state(&s, sizeof(s));
                switch (scenario->steps[s.step].kind) {
                case STEP_LOOK:
                case STEP_FIND:
                        find(&s.k, key, scenario->steps[s.step].kind == STEP_FIND);
                        break;
                case STEP_ALIAS:
                        find_alias(&s.k, key);
                        break;
                case STEP_REVERSE:
                        find_reverse(&s.k, key);
                        break;
                default:
                        walk(&s.k);
                }
        }
}

/* ---- running ---- */

static uint64_t most = 20000000;

static void explore(unsigned int mutant, uint32_t crash_time, struct sim_result *ret)
{
        const char *violation = run_writer(mutant, crash_time);

        if (violation)
                ret->violation = violation;
        else
                sim_explore(reader, NULL, most, (scenario->reverse ? 2 : 1) * KHS_TABLE_PAGE / 4, ret);
}

/* Without a crash, then with one at each store, until something is wrong. Return: number of crashes. */
static uint32_t run_scenario(const struct scenario *s, unsigned int mutant, bool crashes, struct sim_result *ret)
{
        uint32_t n_stores, time;

        scenario = s;
        strcpy(keys[KEY_K], "k000");
        strcpy(keys[KEY_L], "l000");
        if (s->same_tag)
                find_equal_tags(keys[KEY_K], keys[KEY_L]);
        *ret = (struct sim_result){ 0 };
        explore(mutant, UINT32_MAX, ret);
        if (!s->crashes || !crashes)
                return 0;
        n_stores = sim_time();
        for (time = 1; time <= n_stores && !ret->violation; time++)
                explore(mutant, time, ret);
        return time - 1;
}

static const size_t n_scenarios = sizeof(scenarios) / sizeof(scenarios[0]);
static unsigned int n_checks, n_failed;

static void report(bool ok, const char *title)
{
        n_checks++;
        n_failed += !ok;
        printf("%sok %u - %s", ok ? "" : "not ", n_checks, title);
}

/* The first scenario that shows the mutant. */
static const struct scenario *catch (unsigned int mutant, bool crashes, struct sim_result *ret)
{
        for (size_t i = 0; i < n_scenarios; i++) {
                run_scenario(&scenarios[i], mutant, crashes, ret);
                if (ret->violation)
                        return &scenarios[i];
        }
        return NULL;
}

#ifndef LOGIC_MUTANT
static void check_scenarios(void)
{
        for (size_t i = 0; i < n_scenarios; i++) {
                struct sim_result result;
                uint32_t n_crashes = run_scenario(&scenarios[i], 0, true, &result);

                report(!result.violation, scenarios[i].name);
                printf(": %llu executions, %llu cut off, %u crash points%s%s\n",
                       (unsigned long long)result.n_executions, (unsigned long long)result.n_cut, n_crashes,
                       result.violation ? "; " : "", result.violation ? result.violation : "");
                (void)fflush(stdout);
        }
}

#define NOT_FINISHED "not finished"

struct ordering {
        unsigned int mutant;
        const char *name;
        const char *redundant; /* why nothing shows that it is missing; NULL: something must */
};

/*
 * Four are what the protocol stands on. The rest is good order that something else would replace: the
 * release fence of a block lies before its ref, too, so whoever acquires the ref finds at least the odd
 * seq; the acquire fence before the second look at seq makes up for a ref that was not acquired; and
 * with the key in the record, an entry's new tag before its new ref is nothing but a record of another
 * key. They are kept because each pair can be understood without that, and costs nothing.
 */
static const struct ordering orderings[] = {
        { SIM_FENCE_AFTER_ODD, "the release fence after the odd seq", NULL },
        { SIM_RELEASE_EVEN, "release on the even seq", NULL },
        { SIM_ACQUIRE_SEQ, "acquire on the seq", NULL },
        { SIM_FENCE_ACQUIRE, "the acquire fence before the second look at seq", NULL },
        { SIM_RELEASE_REF, "release on the ref", "the fence after the odd seq lies before it" },
        { SIM_ACQUIRE_REF, "acquire on the ref", "the acquire fence makes up for it" },
        { SIM_RELEASE_DELETE, "release on the ref of a deleted entry", "nothing is read because of it" },
        { SIM_FENCE_BEFORE_TAG, "the release fence before a new tag", "the record's own key is compared" },
        { SIM_ACQUIRE_REF_AGAIN, "acquire on the second look at ref", "the acquire fence was before it" },
        { SIM_RELEASE_REF | SIM_ACQUIRE_REF | SIM_RELEASE_DELETE | SIM_FENCE_BEFORE_TAG | SIM_ACQUIRE_REF_AGAIN,
          "all five of these", "as above" },
        { SIM_FENCE_AFTER_ODD | SIM_RELEASE_REF, "both releases of the ref", NULL },
        { SIM_FENCE_ACQUIRE | SIM_ACQUIRE_REF, "both acquires of the ref", NULL },
};

static void check_orderings(void)
{
        for (size_t i = 0; i < sizeof(orderings) / sizeof(orderings[0]); i++) {
                const struct ordering *o = &orderings[i];
                struct sim_result result;
                const struct scenario *s = catch (o->mutant, false, &result);

                report(!s == !!o->redundant &&
                               (!s || strncmp(result.violation, NOT_FINISHED, strlen(NOT_FINISHED)) != 0),
                       o->name);
                if (s)
                        printf(" left out: caught in \"%s\": %s\n", s->name, result.violation);
                else
                        printf(" left out: nothing wrong (%s)\n", o->redundant ? o->redundant : "not expected");
                (void)fflush(stdout);
        }
}

#endif

int main(int argc, char **argv)
{
        if (argc > 1)
                most = strtoull(argv[1], NULL, 10);
#ifdef LOGIC_MUTANT
        struct sim_result result;
        const struct scenario *s = catch (0, false, &result);

        if (!s)
                s = catch (0, true, &result);

        report(s, LOGIC_MUTANT);
        printf("%s%s%s%s\n", s ? ": caught in \"" : ": NOT caught", s ? s->name : "", s ? "\": " : "",
               s ? result.violation : "");
#else
        check_scenarios();
        check_orderings();
#endif
        printf("1..%u\n", n_checks);
        free_file();
        return n_failed > 0;
}
