/*
 * kill -9 of the writer at random moments, while readers look up all the time.
 *
 * A writer inserts, updates and deletes as fast as it can, grows, and sometimes renews its file, until
 * it is killed 0 to 3 ms after its start. The next one takes over, as the daemon does: adopt what is
 * there, else make a new table. Time runs fast for its blocks: they are used again after two hundred
 * puts, under the eyes of the readers.
 *
 * Two readers use the C API (which looks for a newer file once a second), one opens the table itself
 * and follows it at once. Each knows from the writer, through shared memory, which versions it may
 * see:
 *
 *     done[i] before the lookup  <=  version of service i  <=  begun[i] after it
 *
 * the left side only for the one that has just looked at the path. For all: whole, never missing, never
 * backwards, never a failed lookup.
 *
 *     killtest [N-KILLS [USEC]]      USEC: the longest life of a writer; for slow tools
 */

#include "torture.h"

#define N_KEPT      40 /* services that are never deleted */
#define N_COMING    8  /* services that come and go */
#define N_ALL       (N_KEPT + N_COMING)
#define N_API       2
#define N_READERS   (N_API + 1)
#define PUTS_PER_DS 10 /* blocks rest for 20 ds: two hundred puts */

struct shared {
        uint32_t begun[N_ALL], done[N_ALL]; /* versions */
        uint32_t stop;
        struct {
                uint64_t n_lookups, n_opened, n_behind;
                uint64_t n_torn, n_backwards, n_lost, n_failed, n_future, n_old;
                int last_error;
        } readers[N_READERS];
        uint64_t n_puts, n_growths, n_ahead, n_renewals, n_adopted, n_nearly_empty, n_left_over, n_writer_errors;
        uint64_t n_inside;     /* kills between begin and end of a put */
        uint64_t n_unfinished; /* with another file in the making */
        int adopt_error, put_error;
};

static struct shared *s;
static int dir_fd;

static uint32_t get(const uint32_t *word)
{
        return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void set(uint32_t *word, uint32_t value)
{
        __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

/* ---- the writer ---- */

static void put(struct khs_writer *w, uint32_t i, uint32_t now_ds)
{
        uint32_t version = get(&s->begun[i]) + 1;
        uint64_t size = khs_writer_size(w);
        int r;

        set(&s->begun[i], version);
        r = torture_put(w, i, version, now_ds);
        if (r < 0) {
                s->n_writer_errors++;
                s->put_error = r;
                return;
        }
        set(&s->done[i], version);
        s->n_puts++;
        s->n_growths += khs_writer_size(w) > size;
}

/* What comes with a heartbeat: growth ahead of need. */
static void tend(struct khs_writer *w, uint32_t now_ds)
{
        uint64_t size = khs_writer_size(w);

        if (khs_writer_tend(w, now_ds) < 0)
                s->n_writer_errors++;
        s->n_ahead += khs_writer_size(w) > size;
}

/* A new table of all that must be there, one version on: nobody sees it before it has the name. */
static struct khs_writer *begin_anew(uint32_t now_ds)
{
        struct khs_table_params params = torture_params();
        struct khs_writer *w;
        int r = khs_writer_new(&w, dir_fd, &params, 1);

        for (uint32_t i = 0; r == 0 && i < N_KEPT; i++) {
                set(&s->begun[i], get(&s->begun[i]) + 1);
                r = torture_put(w, i, get(&s->begun[i]), now_ds);
        }
        if (r < 0 || khs_writer_publish(w) < 0)
                _exit(EXIT_FAILURE);
        for (uint32_t i = 0; i < N_KEPT; i++)
                set(&s->done[i], get(&s->begun[i]));
        return w;
}

static struct khs_writer *take_over(uint32_t now_ds)
{
        struct khs_table_params params = torture_params();
        struct khs_writer *w;
        int r = khs_writer_adopt(&w, dir_fd, &params, now_ds);

        if (r == 0) {
                s->n_adopted++;
                s->n_left_over += faccessat(dir_fd, KHS_TABLE_NAME ".new", F_OK, 0) == 0;
                return w;
        }
        if (r == -EFBIG)
                s->n_nearly_empty++; /* room for blocks at rest, of which there are none now */
        else if (r != -ENOENT || get(&s->done[0]) > 0)
                s->adopt_error = r;
        return begin_anew(now_ds);
}

static void writer(uint32_t n)
{
        uint32_t now_ds = torture_now();
        struct khs_writer *w;
        bool created;

        if (khs_lock_take(dir_fd, &created) < 0)
                s->n_writer_errors++;
        w = take_over(now_ds);
        srandom(n);
        for (uint32_t k = 0;; k++) {
                uint32_t i = (uint32_t)random() % N_ALL, now = now_ds + k / PUTS_PER_DS;

                if (i >= N_KEPT && random() % 2)
                        (void)torture_delete(w, i, now);
                else
                        put(w, i, now);
                if (n % 2 && random() % 300 == 0) /* the others find the table full */
                        tend(w, now);
                if (random() % 600 == 0) {
                        if (khs_writer_renew(w, NULL, now) < 0)
                                s->n_writer_errors++;
                        s->n_renewals++;
                }
                if (k % 64 == 0) {
                        khs_writer_commit(w);
                        khs_writer_beat(w);
                }
        }
}

/* ---- readers ---- */

/* `from` is what must be seen at least, if that is known. */
static void judge(unsigned int me, uint32_t i, int r, uint32_t version, uint32_t from, uint32_t *last)
{
        s->readers[me].n_lookups++;
        if (r == -EIO) {
                s->readers[me].n_torn++;
        } else if (r == -ENOENT) {
                s->readers[me].n_lost += i < N_KEPT;
        } else if (r < 0) {
                s->readers[me].n_failed++;
                s->readers[me].last_error = r;
        } else {
                s->readers[me].n_backwards += version < *last;
                s->readers[me].n_future += version > get(&s->begun[i]);
                s->readers[me].n_old += i < N_KEPT && version < from;
                *last = version;
        }
}

static void api_reader(unsigned int me)
{
        static struct k8shsvc_addr addrs[TORTURE_MAX_ALL];
        uint32_t last[N_ALL] = { 0 };
        k8shsvc *h;

        if (k8shsvc_open(&h) < 0)
                die("handle");
        for (uint32_t k = me; !get(&s->stop); k++) {
                uint32_t i = k * 7919 % N_ALL, version = 0, from = get(&s->done[i]);
                char key[48];
                size_t n;
                int r;

                (void)torture_key(i, key);
                r = k8shsvc_lookup(h, key, AF_UNSPEC, addrs, TORTURE_MAX_ALL, &n);
                if (r == 0)
                        r = torture_addrs(i, addrs, n, &version);
                s->readers[me].n_behind += r == 0 && version < from; /* an older file, for up to a second */
                judge(me, i, r, version, 0, &last[i]);
        }
        k8shsvc_close(h);
}

/* The file that has the name now. */
static void follow(unsigned int me, struct khs_table_file *file)
{
        struct khs_table_file next;
        int r = khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_MAP, file, &next);

        if (r == 0) {
                khs_table_close(file);
                *file = next;
                s->readers[me].n_opened++;
        } else if (r != -EALREADY) {
                s->readers[me].n_failed++;
                s->readers[me].last_error = r;
        }
}

/* Long enough for the writer to use blocks again that are being read. */
static void dawdle(void)
{
        static uint32_t n;

        if (++n % 8 != 0)
                return;
        for (double end = torture_seconds() + (double)(random() % 60) / 1e6; torture_seconds() < end;)
                continue;
}

static void direct_reader(unsigned int me)
{
        struct khs_table_file file;
        uint32_t last[N_ALL] = { 0 };

        if (khs_table_open(K8SHSVC_RUNDIR, KHS_OPEN_MAP, NULL, &file) < 0)
                die("no table");
        torture_dawdle = dawdle;
        for (uint32_t k = 0; !get(&s->stop); k++) {
                uint32_t i = k * 7919 % N_ALL, version = 0, from = 0;
                bool look = k % 8 == 0;
                int r;

                if (look) {
                        from = get(&s->done[i]);
                        follow(me, &file);
                } else if (khs_view_load_acquire(&file.view, offsetof(struct khs_table_header, state) / 4) !=
                           KHS_STATE_LIVE) {
                        follow(me, &file);
                }
                r = torture_read(&file.view, i, &version);
                judge(me, i, r, version, from, &last[i]);
        }
        khs_table_close(&file);
}

/* ---- */

static pid_t start_writer(uint32_t n)
{
        pid_t pid = torture_fork();

        if (pid == 0) {
                writer(n);
                _exit(EXIT_FAILURE);
        }
        return pid;
}

static void end_writer(pid_t pid)
{
        int status;

        (void)kill(pid, SIGKILL);
        if (waitpid(pid, &status, 0) != pid)
                die("wait");
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
                s->n_writer_errors++;
        s->n_unfinished += faccessat(dir_fd, KHS_TABLE_NAME ".new", F_OK, 0) == 0;
        for (uint32_t i = 0; i < N_ALL; i++) {
                if (s->begun[i] == s->done[i])
                        continue;
                s->n_inside++;
                break;
        }
        /* What was begun may be there or not; a later version is sure to come. */
}

static void kill_writers(uint32_t n_kills, uint32_t max_usec)
{
        for (uint32_t n = 0; n < n_kills; n++) {
                pid_t pid = start_writer(n + 2);

                (void)usleep((useconds_t)(random() % max_usec));
                end_writer(pid);
        }
}

static void report(uint32_t n_kills)
{
        static const char *const names[N_READERS] = { "C API reader 1", "C API reader 2", "direct reader" };

        for (unsigned int i = 0; i < N_READERS; i++) {
                tap_ok(s->readers[i].n_lookups > n_kills, "%s: %llu lookups, %llu files opened, %llu behind", names[i],
                       (unsigned long long)s->readers[i].n_lookups, (unsigned long long)s->readers[i].n_opened,
                       (unsigned long long)s->readers[i].n_behind);
                tap_ok(s->readers[i].n_torn == 0, "%s: %llu torn", names[i], (unsigned long long)s->readers[i].n_torn);
                tap_ok(s->readers[i].n_backwards == 0, "%s: %llu went back", names[i],
                       (unsigned long long)s->readers[i].n_backwards);
                tap_ok(s->readers[i].n_lost == 0, "%s: %llu services lost", names[i],
                       (unsigned long long)s->readers[i].n_lost);
                tap_ok(s->readers[i].n_failed == 0, "%s: %llu failed lookups (%d)", names[i],
                       (unsigned long long)s->readers[i].n_failed, s->readers[i].last_error);
                tap_ok(s->readers[i].n_future == 0 && s->readers[i].n_old == 0,
                       "%s: %llu not yet written, %llu older than what was there", names[i],
                       (unsigned long long)s->readers[i].n_future, (unsigned long long)s->readers[i].n_old);
        }
        tap_ok(s->n_puts > n_kills && s->n_inside > 0 && s->n_unfinished > 0 && s->n_adopted > 0,
               "%u kills, %llu within a put, %llu with another file in the making; %llu puts, %llu growths and %llu "
               "ahead of need, %llu renewals",
               n_kills, (unsigned long long)s->n_inside, (unsigned long long)s->n_unfinished,
               (unsigned long long)s->n_puts, (unsigned long long)s->n_growths, (unsigned long long)s->n_ahead,
               (unsigned long long)s->n_renewals);
        tap_ok(s->adopt_error == 0, "every table was adopted: %llu, but for %llu that were nearly empty (%d)",
               (unsigned long long)s->n_adopted, (unsigned long long)s->n_nearly_empty, s->adopt_error);
        tap_ok(s->n_left_over == 0, "%llu unfinished files left after the next start",
               (unsigned long long)s->n_left_over);
        tap_ok(s->n_writer_errors == 0, "%llu errors of writers (%d)", (unsigned long long)s->n_writer_errors,
               s->put_error);
}

int main(int argc, char **argv)
{
        uint32_t n_kills = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 500;
        pid_t pids[N_READERS], first;
        double start = torture_seconds();

        s = torture_shared(sizeof(*s));
        dir_fd = torture_rundir("mode=755");
        if (dir_fd < 0)
                tap_skip_all("needs root and a mount namespace");

        first = start_writer(1);
        while (get(&s->done[N_KEPT - 1]) == 0 || faccessat(dir_fd, KHS_TABLE_NAME, F_OK, 0) < 0)
                (void)usleep(1000);
        for (unsigned int i = 0; i < N_READERS; i++) {
                pids[i] = torture_fork();
                if (pids[i] == 0) {
                        if (i < N_API)
                                api_reader(i);
                        else
                                direct_reader(i);
                        _exit(0);
                }
        }
        end_writer(first);
        kill_writers(n_kills, argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 3000);

        set(&s->stop, 1);
        for (unsigned int i = 0; i < N_READERS; i++) {
                int status;

                (void)waitpid(pids[i], &status, 0);
                tap_ok(status == 0, "reader %u lives to the end", i);
        }
        report(n_kills);
        printf("# %.1f s\n", torture_seconds() - start);
        return tap_done();
}
