/*
 * One block of memory, so that freeing it is all that there is to do; made in decode/builder.c. The words for what
 * was left out of it stand here, since every kind of object has the same.
 */

#include <stdlib.h>

#include "source/kube/decode/slice.h"

struct kube_slice *kube_slice_free(struct kube_slice *slice)
{
        free(slice);
        return NULL;
}

const char *kube_fault_text(unsigned int faults)
{
        static const char *const texts[] = {
                "not an object of the kind that was asked for", "a name, namespace or service that was not asked for",
                "an address that is none of its family",        "an endpoint with a field of a wrong type",
                "a host, node or zone that is no name",         "a port that is none",
                "a go-micro annotation that can't be read",
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                if (faults & 1U << i)
                        return texts[i];
        }
        return "nothing";
}
