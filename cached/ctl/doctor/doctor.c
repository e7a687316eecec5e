/*
 * doctor: everything between a program and its answer, in the order in which a lookup meets it.
 *
 *     libc -> nsswitch -> cache in front -> module -> table -> daemon -> clock -> sources -> services -> a lookup
 *
 * With --pid the first half is looked at with that process's eyes; the second is the daemon's, and not that process's
 * business.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doctor/check.h"
#include "ctl/doctor/eyes.h"

static void doctor_json(struct doctor *d, const char *check, enum verdict verdict, const char *found, const char *mend)
{
        struct json_writer *w = &d->ctl->json;

        json_put_open(w, NULL, '{');
        json_put_text(w, "check", check);
        if (verdict == VERDICT_UNKNOWN)
                json_put_null(w, "ok");
        else
                json_put_bool(w, "ok", verdict == VERDICT_OK);
        json_put_text(w, "found", found);
        json_put_text(w, "mend", mend);
        json_put_close(w, '}');
}

static void doctor_text(const struct doctor *d, const char *check, enum verdict verdict, const char *found,
                        const char *mend)
{
        static const char *const words[] = { "ok", "BAD", "?" };
        static const enum style styles[] = { STYLE_GOOD, STYLE_BAD, STYLE_WARNING };
        const struct output *out = &d->ctl->out;

        (void)output_text(out, styles[verdict], words[verdict]);
        (void)fprintf(out->to, "\t%s\t", check);
        (void)output_text(out, STYLE_PLAIN, found);
        if (mend && out->terminal) {
                (void)fputs("\n\t\tmend: ", out->to);
                (void)output_text(out, STYLE_BOLD, mend);
        } else if (mend) {
                (void)fputc('\t', out->to);
                (void)output_text(out, STYLE_PLAIN, mend);
        }
        (void)fputc('\n', out->to);
}

void doctor_say(struct doctor *d, const char *check, enum verdict verdict, const char *found, const char *mend)
{
        d->is_bad = d->is_bad || verdict == VERDICT_BAD;
        if (d->ctl->flags[CTL_JSON])
                doctor_json(d, check, verdict, found, mend);
        else
                doctor_text(d, check, verdict, found, mend);
}

void doctor_sayf(struct doctor *d, const char *check, enum verdict verdict, const char *mend, const char *format, ...)
{
        char text[1024];
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        doctor_say(d, check, verdict, text, mend);
}

/* Return: 0, or the exit status after a line. */
static int doctor_open_eyes(struct doctor *d, struct eyes *eyes)
{
        const char *text = d->ctl->flags[CTL_PID];
        unsigned long pid;
        char *end;
        int r;

        if (!text)
                return 0;
        errno = 0;
        pid = strtoul(text, &end, 10);
        if (errno != 0 || *end || text[0] < '0' || text[0] > '9' || pid < 1 || pid > INT32_MAX)
                return ctl_misuse(d->ctl, "doctor: --pid: found %s, expected the number of a process", text);
        r = eyes_open(eyes, (pid_t)pid);
        if (r < 0)
                return ctl_no(d->ctl, "doctor: process %lu can't be looked at: %s", pid, strerror(-r));
        d->eyes = eyes;
        return 0;
}

int ctl_doctor(struct ctl *ctl)
{
        static void (*const programs[])(struct doctor *) = {
                doctor_check_libc,  doctor_check_nsswitch, doctor_check_cache, doctor_check_module,
                doctor_check_table, doctor_check_daemon,   doctor_check_clock,
        };
        static void (*const daemons[])(struct doctor *) = {
                doctor_check_configuration,
                doctor_check_services,
                doctor_check_lookup,
        };
        struct doctor d = { .ctl = ctl };
        struct eyes eyes;
        int r = doctor_open_eyes(&d, &eyes);

        ctl->warned = true; /* what is wrong with the table is a result here */
        if (r > 0)
                return r;
        if (ctl->flags[CTL_JSON])
                json_put_open(&ctl->json, NULL, '[');
        for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
                programs[i](&d);
        for (size_t i = 0; i < sizeof(daemons) / sizeof(daemons[0]) && !d.eyes; i++)
                daemons[i](&d);
        if (ctl->flags[CTL_JSON]) {
                json_put_close(&ctl->json, ']');
                json_put_end(&ctl->json);
        }
        return d.is_bad ? CTL_NO : CTL_YES;
}
