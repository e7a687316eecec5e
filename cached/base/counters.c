/*
 * One object of the process, as its log is: a count must cost whoever counts no more than an increment, and no
 * module has to be handed it. Nothing but the metrics reads it, and nothing is decided by it.
 */

#include "base/counters.h"

struct counters counters;

const double histogram_bounds[HISTOGRAM_N_BOUNDS] = {
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
};

/* A negative one is a clock that disagrees with ours; it counts as none. */
void histogram_add(struct histogram *histogram, double seconds)
{
        unsigned int i = 0;

        while (i < HISTOGRAM_N_BOUNDS && seconds > histogram_bounds[i])
                i++;
        histogram->buckets[i]++;
        histogram->sum += seconds > 0 ? seconds : 0;
}
