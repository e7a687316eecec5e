#pragma once

/*
 * What every source says, and the one way in which it says it.
 *
 * A source (dns, static, kubernetes) learns the endpoints of services and reports each finding as
 * a struct finding through a source_report_fn. It knows nothing of the service model's
 * states nor of the table.
 */

#include "model/finding.h"

/**
 * source_report_fn() - a source has learned something about one service
 *
 * @userdata: of the watch; the service that was registered with the source
 * @result:   valid during the call only
 *
 * Called from the event loop's thread. The callee may remove this or any other watch.
 */
typedef void (*source_report_fn)(void *userdata, const struct finding *result);
