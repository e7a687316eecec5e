/*
 * In place of everything here where it was left out of the build: metrics-listen is reported, and nothing listens.
 */

#include <stddef.h>

#include "base/log.h"
#include "status/status.h"

int status_new(struct status **ret, sd_event *event, const char *directory)
{
        (void)event;
        (void)directory;
        *ret = NULL;
        return 0;
}

struct status *status_free(struct status *status)
{
        (void)status;
        return NULL;
}

void status_listen(struct status *status, const char *where)
{
        (void)status;
        if (where)
                log_message(LOG_WARNING, "metrics-listen has no effect: this daemon was built without metrics");
}
