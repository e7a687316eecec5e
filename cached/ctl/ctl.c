/*
 * The table, opened for a command.
 */

#include <errno.h>
#include <string.h>

#include "ctl/ctl.h"

int ctl_try_table(struct ctl *ctl)
{
        int r = view_table_open(&ctl->table, K8SHSVC_RUNDIR);

        if (r < 0)
                return r;
        ctl->has_table = true;
        if (!ctl->table.believed && !ctl->warned)
                ctl_warn(ctl, "%s: programs do not believe this table, since others may have written it",
                         K8SHSVC_RUNDIR);
        r = view_catalog_read(&ctl->table, &ctl->catalog);
        if (r < 0)
                ctl_close_table(ctl);
        else if (ctl->catalog.n_damaged > 0 && !ctl->warned)
                ctl_warn(ctl, "%s/%s: %u damaged records", K8SHSVC_RUNDIR, KHS_TABLE_NAME, ctl->catalog.n_damaged);
        ctl->warned = true;
        return r;
}

int ctl_open_table(struct ctl *ctl)
{
        int r = ctl_try_table(ctl);

        return r < 0 ? ctl_no(ctl, "%s/%s: %s", K8SHSVC_RUNDIR, KHS_TABLE_NAME, view_table_error(r)) : 0;
}

void ctl_close_table(struct ctl *ctl)
{
        if (!ctl->has_table)
                return;
        view_catalog_deinit(&ctl->catalog);
        ctl->catalog = (struct view_catalog){ 0 };
        view_table_close(&ctl->table);
        ctl->has_table = false;
}

int ctl_version(struct ctl *ctl)
{
        if (!ctl->flags[CTL_JSON]) {
                (void)fputs("k8shsvcctl " K8SHSVC_VERSION "\n", ctl->out.to);
                return CTL_YES;
        }
        json_put_open(&ctl->json, NULL, '{');
        json_put_text(&ctl->json, "version", K8SHSVC_VERSION);
        json_put_text(&ctl->json, "rundir", K8SHSVC_RUNDIR);
        json_put_text(&ctl->json, "confdir", K8SHSVC_CONFDIR);
        json_put_number(&ctl->json, "table_major", KHS_MAJOR);
        json_put_close(&ctl->json, '}');
        json_put_end(&ctl->json);
        return CTL_YES;
}
