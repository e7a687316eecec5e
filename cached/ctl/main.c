/*
 * k8shsvcctl: the command line.
 *
 *     k8shsvcctl COMMAND [ARGUMENT] [--FLAG[=VALUE]]...
 *
 * One table says which commands there are and which flags each has; flags and the argument may stand in any order.
 * What is not in the table is answered in one line with what was expected, and the nearest known word.
 */

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hint.h"
#include "ctl/ctl.h"
#include "view/printable.h"

#define FLAG(flag) (1U << CTL_##flag)

const struct ctl_command ctl_commands[] = {
        { "status", NULL, FLAG(READY), false, ctl_status, "say how table, daemon and services are" },
        { "list", NULL, 0, true, ctl_list, "list the registered services" },
        { "show", "NAME", 0, true, ctl_show, "show a service with all that is known of its endpoints" },
        { "resolve", "TARGET", FLAG(FORMAT), true, ctl_resolve, "print the addresses of a target, a line for each" },
        { "watch", "[NAME]", FLAG(EXEC) | FLAG(WAIT), false, ctl_watch,
          "print changes as they happen, or run a command" },
        { "add", "TARGET", FLAG(PERSIST), false, ctl_add, "register a service with the running daemon" },
        { "remove", "NAME", FLAG(PERSIST), false, ctl_remove, "take back what add has registered" },
        { "explain", "NAME", 0, true, ctl_explain, "say what getaddrinfo() returns here, and why" },
        { "spread", "NAME", FLAG(COUNT), true, ctl_spread, "make real lookups and draw which address came first" },
        { "diff", "[NAME]", 0, true, ctl_diff, "compare the table with what the sources say now" },
        { "doctor", NULL, FLAG(PID), false, ctl_doctor, "look for what keeps programs from their answers" },
        { "version", NULL, 0, false, ctl_version, "print the version" },
        { 0 },
};

static const struct {
        const char *name, *value; /* NULL: it has none */
} flags[CTL_N_FLAGS] = {
        [CTL_JSON] = { "json", NULL },       [CTL_READY] = { "ready", NULL },    [CTL_FORMAT] = { "format", "FORMAT" },
        [CTL_PERSIST] = { "persist", NULL }, [CTL_EXEC] = { "exec", "COMMAND" }, [CTL_WAIT] = { "wait", "MIN[:MAX]" },
        [CTL_COUNT] = { "count", "N" },      [CTL_PID] = { "pid", "PID" },
};

/* ---- what is said ---- */

__attribute__((format(printf, 2, 0))) static void ctl_say(const struct ctl *ctl, const char *format, va_list arguments)
{
        char *text = NULL;

        (void)fflush(ctl->out.to);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        (void)fputs("k8shsvcctl: ", stderr);
        (void)printable_write(stderr, text ? text : "out of memory");
        (void)fputc('\n', stderr);
        free(text);
}

int ctl_no(const struct ctl *ctl, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        ctl_say(ctl, format, arguments);
        va_end(arguments);
        return CTL_NO;
}

int ctl_misuse(const struct ctl *ctl, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        ctl_say(ctl, format, arguments);
        va_end(arguments);
        return CTL_MISUSE;
}

void ctl_warn(const struct ctl *ctl, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        ctl_say(ctl, format, arguments);
        va_end(arguments);
}

static bool ctl_has_flag(const struct ctl_command *command, size_t flag)
{
        return (command->flags | FLAG(JSON)) & 1U << flag;
}

static void ctl_usage(FILE *to)
{
        (void)fputs("Usage: k8shsvcctl COMMAND [ARGUMENT] [OPTION...]\n"
                    "Look at the headless services that k8shsvcd keeps resolved, and register them.\n\n",
                    to);
        for (const struct ctl_command *c = ctl_commands; c->name; c++) {
                int n = fprintf(to, "  %s%s%s", c->name, c->argument ? " " : "", c->argument ? c->argument : "");

                for (size_t f = CTL_JSON + 1; f < CTL_N_FLAGS; f++) {
                        if (ctl_has_flag(c, f))
                                n += fprintf(to, " [--%s%s%s]", flags[f].name, flags[f].value ? " " : "",
                                             flags[f].value ? flags[f].value : "");
                }
                (void)fprintf(to, "%*s%s\n", n < 44 ? 44 - n : 1, "", c->help);
        }
        (void)fputs("\nEach command takes --json. See k8shsvcctl(8).\n", to);
}

/* ---- the command line ---- */

static const struct ctl_command *ctl_find_command(struct ctl *ctl, const char *name)
{
        struct hint hint = { 0 };

        for (const struct ctl_command *c = ctl_commands; c->name; c++) {
                if (strcmp(c->name, name) == 0)
                        return c;
                hint_offer(&hint, name, c->name);
        }
        (void)ctl_misuse(ctl, "unknown command %s, expected status, list, show ... (see --help)%s", name, hint.text);
        return NULL;
}

/* "--format, --json" */
static int ctl_unknown_flag(struct ctl *ctl, const char *word, size_t n_name)
{
        struct hint hint = { 0 };
        char expected[128] = "", *name = strndup(word, n_name);
        size_t n = 0;

        for (size_t f = 0; f < CTL_N_FLAGS && name; f++) {
                char flag[32];

                if (!ctl_has_flag(ctl->command, f))
                        continue;
                (void)snprintf(flag, sizeof(flag), "--%s", flags[f].name);
                hint_offer(&hint, name, flag);
                n += (size_t)snprintf(expected + n, sizeof(expected) - n, "%s%s", n > 0 ? ", " : "", flag);
        }
        (void)ctl_misuse(ctl, "%s: unknown option %.*s, expected %s%s", ctl->command->name, (int)n_name, word, expected,
                         hint.text);
        free(name);
        return CTL_MISUSE;
}

/* @word: "--NAME" or "--NAME=VALUE". @next: the word behind it, which may be its value; moved on where it is. */
static int ctl_take_flag(struct ctl *ctl, const char *word, char ***next)
{
        size_t n_name = strcspn(word, "=");
        const char *value = word[n_name] ? word + n_name + 1 : NULL;

        for (size_t f = 0; f < CTL_N_FLAGS; f++) {
                if (!ctl_has_flag(ctl->command, f) || word[1] != '-' || strlen(flags[f].name) + 2 != n_name ||
                    memcmp(word + 2, flags[f].name, n_name - 2) != 0)
                        continue;
                if (!flags[f].value && value)
                        return ctl_misuse(ctl, "%s: --%s takes no value", ctl->command->name, flags[f].name);
                if (flags[f].value && !value)
                        value = **next ? *(*next)++ : NULL;
                if (flags[f].value && !value)
                        return ctl_misuse(ctl, "%s: --%s expects %s", ctl->command->name, flags[f].name,
                                          flags[f].value);
                ctl->flags[f] = value ? value : "";
                return 0;
        }
        return ctl_unknown_flag(ctl, word, n_name);
}

static int ctl_take_argument(struct ctl *ctl, const char *word)
{
        if (!ctl->command->argument)
                return ctl_misuse(ctl, "%s: unexpected argument %s, expected none", ctl->command->name, word);
        if (ctl->argument)
                return ctl_misuse(ctl, "%s: unexpected argument %s, expected one", ctl->command->name, word);
        ctl->argument = word;
        return 0;
}

/* @words: what stands behind the command, NULL-terminated. */
static int ctl_parse(struct ctl *ctl, char **words)
{
        bool flags_end = false;
        int r = 0;

        while (r == 0 && *words) {
                const char *word = *words++;

                if (!flags_end && strcmp(word, "--") == 0)
                        flags_end = true;
                else if (!flags_end && word[0] == '-' && word[1] != '\0')
                        r = ctl_take_flag(ctl, word, &words);
                else
                        r = ctl_take_argument(ctl, word);
        }
        if (r == 0 && ctl->command->argument && ctl->command->argument[0] != '[' && !ctl->argument)
                r = ctl_misuse(ctl, "%s: expected %s", ctl->command->name, ctl->command->argument);
        return r;
}

/* A full disk or a closed pipe must not look like an answer. */
static int ctl_flush(const struct ctl *ctl, const char *what, int r)
{
        if ((fflush(ctl->out.to) != 0 || ferror(ctl->out.to)) && r == CTL_YES)
                r = ctl_no(ctl, "%s: the output can't be written", what);
        return r;
}

static int ctl_run(struct ctl *ctl)
{
        int r = ctl->command->needs_table ? ctl_open_table(ctl) : 0;

        if (r == 0)
                r = ctl->command->run(ctl);
        ctl_close_table(ctl);
        return ctl_flush(ctl, ctl->command->name, r);
}

int main(int argc, char **argv)
{
        struct ctl ctl = { .json.to = stdout };
        int r;

        (void)signal(SIGCHLD, SIG_DFL); /* where it is ignored, nobody learns how a child ended */
        output_init(&ctl.out, stdout);
        for (int i = 1; i < argc && i <= 2; i++) {
                if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
                        ctl_usage(stdout);
                        return ctl_flush(&ctl, argv[i], CTL_YES);
                }
        }
        if (argc < 2) {
                ctl_usage(stderr);
                return CTL_MISUSE;
        }
        ctl.command = ctl_find_command(&ctl, strcmp(argv[1], "--version") == 0 ? "version" : argv[1]);
        if (!ctl.command)
                return CTL_MISUSE;
        r = ctl_parse(&ctl, argv + 2);
        return r ? r : ctl_run(&ctl);
}
