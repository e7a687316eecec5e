/*
 * The daemon: whether it beats, whether it is the only one, and whether its clock is ours.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"
#include "ctl/doctor/check.h"
#include "ctl/doctor/eyes.h"
#include "table/clock.h"

#define DAEMON_CHECK "daemon"
#define DAEMON_MEND  "systemctl restart k8shsvcd (or restart its container), and see its log"

/* ---- how many ---- */

/* Whether a process has the table's directory open. */
static bool daemon_has_directory(const char *pid, const struct stat *dir)
{
        char path[300];
        struct dirent *entry;
        bool found = false;
        DIR *fds;

        (void)snprintf(path, sizeof(path), "/proc/%s/fd", pid);
        fds = opendir(path);
        while (fds && !found && (entry = readdir(fds))) {
                struct stat st;

                found = entry->d_name[0] != '.' && fstatat(dirfd(fds), entry->d_name, &st, 0) == 0 &&
                        st.st_dev == dir->st_dev && st.st_ino == dir->st_ino;
        }
        if (fds)
                (void)closedir(fds);
        return found;
}

static bool daemon_is_process(const char *pid)
{
        _cleanup_(cleanup_free) char *comm = NULL;
        char path[300];
        size_t n;

        (void)snprintf(path, sizeof(path), "/proc/%s/comm", pid);
        return file_read(path, 64, &comm, &n) == 0 && strcmp(comm, "k8shsvcd\n") == 0;
}

/* The pids as text. Return: how many. */
static size_t daemon_find_all(char *ret, size_t size)
{
        size_t n_found = 0, n = 0;
        struct dirent *entry;
        struct stat dir;
        DIR *proc = opendir("/proc");

        ret[0] = '\0';
        while (proc && stat(K8SHSVC_RUNDIR, &dir) == 0 && (entry = readdir(proc))) {
                if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || !daemon_is_process(entry->d_name) ||
                    !daemon_has_directory(entry->d_name, &dir))
                        continue;
                if (n < size)
                        n += (size_t)snprintf(ret + n, size - n, "%s%s", n_found > 0 ? ", " : "", entry->d_name);
                n_found++;
        }
        if (proc)
                (void)closedir(proc);
        return n_found;
}

/* ---- the checks ---- */

void doctor_check_daemon(struct doctor *d)
{
        static const enum verdict verdicts[] = { VERDICT_OK, VERDICT_BAD, VERDICT_BAD };
        struct ctl *ctl = d->ctl;
        struct view_header header;
        char pids[128];

        if (!d->eyes && daemon_find_all(pids, sizeof(pids)) > 1)
                doctor_sayf(d, DAEMON_CHECK, VERDICT_BAD, "stop all but one, or give each a directory of its own",
                            "several daemons share %s: pids %s", K8SHSVC_RUNDIR, pids);
        if (!ctl->has_table)
                return;
        view_table_look(&ctl->table);
        view_table_header(&ctl->table, &header);
        if (ctl->table.alive == KHS_ALIVE)
                doctor_sayf(d, DAEMON_CHECK, VERDICT_OK, NULL, "alive, heartbeat %s ago",
                            output_age(header.beat_age_ds).text);
        else
                doctor_sayf(d, DAEMON_CHECK, verdicts[ctl->table.alive], DAEMON_MEND,
                            ctl->table.alive == KHS_DEAD
                                    ? "dead: no heartbeat for %s; programs no longer use the table"
                                    : "silent: no heartbeat for %s; programs use the table for a while",
                            output_age(header.beat_age_ds).text);
        if (ctl->table.superseded)
                doctor_say(d, DAEMON_CHECK, VERDICT_BAD,
                           "stale: the daemon has replaced this table by one that is not seen here",
                           "mount the directory " K8SHSVC_RUNDIR " instead of the file");
}

static bool daemon_is_in_range(int32_t age_ds)
{
        return age_ds >= -KHS_BEAT_DS && age_ds <= KHS_SILENT_DS;
}

/*
 * A living daemon's heartbeat is young by both clocks. Readers believe either, so one that is off costs nothing until
 * the other goes off, too.
 */
void doctor_check_clock(struct doctor *d)
{
        struct ctl *ctl = d->ctl;
        struct view_header header;
        int32_t boot, real;

        if (!ctl->has_table || ctl->table.alive != KHS_ALIVE)
                return;
        view_table_header(&ctl->table, &header);
        boot = (int32_t)(khs_clock_ds(CLOCK_BOOTTIME) - header.boot_ds);
        real = (int32_t)(khs_clock_ds(CLOCK_REALTIME) - header.real_ds);
        if (d->eyes && d->eyes->has_own_time)
                doctor_say(d, "clock", VERDICT_BAD,
                           "the process is in another time namespace: its boot clock is not the daemon's",
                           "run both in one time namespace; until then lookups depend on the wall clock alone");
        else if (!daemon_is_in_range(boot))
                doctor_sayf(d, "clock", VERDICT_BAD,
                            "run both in one time namespace; until then lookups depend on the wall clock alone",
                            "the boot clock is %ld s off the daemon's: another time namespace", (long)boot / 10);
        else if (!daemon_is_in_range(real))
                doctor_sayf(d, "clock", VERDICT_BAD, "let the wall clock rest",
                            "the wall clock is %ld s off the daemon's", (long)real / 10);
        else
                doctor_say(d, "clock", VERDICT_OK, "both clocks are the daemon's", NULL);
}
