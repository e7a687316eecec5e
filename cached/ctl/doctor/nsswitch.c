/*
 * nsswitch.conf: whether programs ask the module, and before whom. The mend is a whole line: the one that is there,
 * with k8shsvc in its place.
 */

#include <string.h>

#include "ctl/doctor/check.h"
#include "ctl/glibc/nsswitch.h"

#define NSSWITCH_CHECK "nsswitch"

static bool nsswitch_is_word(const char *word, size_t n, const char *wanted)
{
        return wanted && n == strlen(wanted) && memcmp(word, wanted, n) == 0;
}

/* Whether a word of the line is one before which k8shsvc must stand. */
static bool nsswitch_is_before(const char *word, size_t n, const char *front)
{
        return nsswitch_is_word(word, n, "dns") || nsswitch_is_word(word, n, "resolve") ||
               nsswitch_is_word(word, n, front) || (n >= 4 && memcmp(word, "mdns", 4) == 0);
}

/*
 * The line without k8shsvc and its action, and with it before the first such word, else at the end.
 * @front: the service that is in its way, or NULL
 */
static void nsswitch_suggest(const struct nsswitch *nsswitch, const char *front, char *ret, size_t size)
{
        const char *at = nsswitch->line;
        bool placed = false, dropping = false;
        size_t n = (size_t)snprintf(ret, size, "write `hosts:");

        while (*(at += strspn(at, " \t")) && n < size) {
                size_t n_word = *at == '[' ? strcspn(at, "]") + (strchr(at, ']') != NULL) : strcspn(at, " \t[");

                dropping = nsswitch_is_word(at, n_word, "k8shsvc") || (dropping && *at == '[');
                if (!placed && nsswitch_is_before(at, n_word, front)) {
                        n += (size_t)snprintf(ret + n, size - n, " k8shsvc");
                        placed = true;
                }
                if (!dropping && n < size)
                        n += (size_t)snprintf(ret + n, size - n, " %.*s", (int)n_word, at);
                at += n_word;
        }
        if (n < size)
                (void)snprintf(ret + n, size - n,
                               "%s` in %s; running programs take it over by themselves, those with a glibc before 2.33 "
                               "when they are restarted",
                               placed ? "" : " k8shsvc", NSSWITCH_CONF);
}

void doctor_check_nsswitch(struct doctor *d)
{
        struct nsswitch nsswitch = { 0 };
        int r = nsswitch_read(&nsswitch, NSSWITCH_CONF);
        size_t at = nsswitch_find(&nsswitch, "k8shsvc");
        const char *front = nsswitch_in_front(&nsswitch, at);
        char mend[768];

        if (r < 0 || !nsswitch.found) {
                doctor_sayf(d, NSSWITCH_CHECK, VERDICT_BAD, "write `hosts: files k8shsvc dns` in " NSSWITCH_CONF, "%s",
                            r < 0 ? NSSWITCH_CONF " can't be read" : NSSWITCH_CONF " has no hosts line");
                return;
        }
        nsswitch_suggest(&nsswitch, front, mend, sizeof(mend));
        if (at == nsswitch.n_services)
                doctor_sayf(d, NSSWITCH_CHECK, VERDICT_BAD, mend, "k8shsvc is missing: hosts: %s", nsswitch.line);
        else if (front)
                doctor_sayf(d, NSSWITCH_CHECK, VERDICT_BAD, mend,
                            "%s stands in front of k8shsvc, and answers or ends the lookup: hosts: %s", front,
                            nsswitch.line);
        else if (!nsswitch.services[at].returns[NSSWITCH_SUCCESS])
                doctor_sayf(d, NSSWITCH_CHECK, VERDICT_BAD, mend,
                            "the action behind k8shsvc lets programs ask on after its answer: hosts: %s",
                            nsswitch.line);
        else
                doctor_sayf(d, NSSWITCH_CHECK, VERDICT_OK, NULL, "hosts: %s", nsswitch.line);
}
