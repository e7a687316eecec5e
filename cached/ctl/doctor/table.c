/*
 * The table's file: whether it is there, is the one that the daemon writes, and nobody else can have written it.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ctl/doctor/check.h"
#include "ctl/doctor/eyes.h"

#define TABLE_CHECK "table"
#define PATH        K8SHSVC_RUNDIR "/" KHS_TABLE_NAME

/* The file that has the name now is another than the one that is mounted. */
static void table_check_mount(struct doctor *d)
{
        struct eyes own;
        const struct eyes *e = d->eyes;

        if (!e) {
                eyes_look(&own);
                e = &own;
        }
        if (e->is_table_a_mount)
                doctor_say(d, TABLE_CHECK, VERDICT_BAD,
                           PATH " alone is mounted (subPath): the daemon's next file will never be seen",
                           "mount the directory " K8SHSVC_RUNDIR " instead of the file");
}

static void table_check_directory(struct doctor *d)
{
        struct stat st;
        struct statvfs fs;

        if (stat(K8SHSVC_RUNDIR, &st) < 0)
                return;
        if (statvfs(K8SHSVC_RUNDIR, &fs) == 0 && fs.f_flag & ST_RDONLY)
                doctor_say(d, "directory", VERDICT_OK, K8SHSVC_RUNDIR " is mounted read-only here", NULL);
        else if (st.st_mode & (S_IWGRP | S_IWOTH))
                doctor_sayf(d, "directory", VERDICT_BAD,
                            "chmod 0755 " K8SHSVC_RUNDIR ", or mount it read-only where programs are",
                            "%s has mode %04o: others may put a table of their own there", K8SHSVC_RUNDIR,
                            st.st_mode & 07777U);
        else
                doctor_sayf(d, "directory", VERDICT_OK, NULL, "%s belongs to user %u, and nobody else may write there",
                            K8SHSVC_RUNDIR, st.st_uid);
}

/* On a disk, it outlives what it says. A container may have a boot id of its own: that alone means nothing. */
static void table_check_boot(struct doctor *d)
{
        if (khs_table_of_another_boot(&d->ctl->table.file.view))
                doctor_say(d, TABLE_CHECK, VERDICT_BAD, PATH " is of another boot, or another machine",
                           "let k8shsvcd run here, and keep " K8SHSVC_RUNDIR " on a tmpfs");
}

static const char *table_mend(int error)
{
        switch (-error) {
        case ENOENT:
                return "start k8shsvcd; in a container, mount the directory " K8SHSVC_RUNDIR " of the node";
        case EPROTONOSUPPORT:
                return "install daemon, module and tool of one version";
        case EACCES:
                return "let everyone read it: the directory needs 0755, the file 0644";
        default:
                return "remove it: k8shsvcd publishes it again within a second";
        }
}

void doctor_check_table(struct doctor *d)
{
        struct ctl *ctl = d->ctl;
        struct view_header header;
        int r = ctl_try_table(ctl);

        table_check_directory(d);
        if (r < 0) {
                doctor_sayf(d, TABLE_CHECK, VERDICT_BAD, table_mend(r), "%s: %s", PATH, view_table_error(r));
                table_check_mount(d);
                return;
        }
        view_table_header(&ctl->table, &header);
        if (!ctl->table.believed)
                doctor_say(d, TABLE_CHECK, VERDICT_BAD,
                           PATH " may have been written by others: programs do not believe it",
                           "chown root " PATH "; chmod 0644 " PATH);
        else if (ctl->catalog.n_damaged > 0)
                doctor_sayf(d, TABLE_CHECK, VERDICT_BAD, "remove it: k8shsvcd publishes it again within a second",
                            "%s has %u damaged records", PATH, ctl->catalog.n_damaged);
        else
                doctor_sayf(d, TABLE_CHECK, VERDICT_OK, NULL, "%s, %zu services, generation %u", PATH,
                            ctl->catalog.n_services, header.generation);
        if (header.n_refused > 0)
                doctor_sayf(
                        d, TABLE_CHECK, VERDICT_BAD,
                        "raise max-table-size and the unit's MemoryMax=, or enlarge the file system of " K8SHSVC_RUNDIR,
                        "%u registrations have no room in it", header.n_refused);
        table_check_mount(d);
        table_check_boot(d);
}
