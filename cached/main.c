/*
 * k8shsvcd: the command line.
 *
 * What must hold before anything is opened is done here: descriptors 0 to 2 are taken, so that no table or
 * connection becomes our stderr, and signals are ignored where the code expects an error. Everything else is
 * daemon.c's.
 */

#include <errno.h>

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config/keys/key.h"
#include "daemon.h"

#define EXIT_USAGE 2

enum { OPT_CONFIG = 1, OPT_SERVICE, OPT_CHECK, OPT_LIVE, OPT_LOG_FORMAT, OPT_VERSION, OPT_HELP };

static const struct option long_options[] = {
        { "config", required_argument, NULL, OPT_CONFIG },
        { "service", required_argument, NULL, OPT_SERVICE },
        { "check-config", no_argument, NULL, OPT_CHECK },
        { "live", no_argument, NULL, OPT_LIVE },
        { "log-format", required_argument, NULL, OPT_LOG_FORMAT },
        { "version", no_argument, NULL, OPT_VERSION },
        { "help", no_argument, NULL, OPT_HELP },
        { NULL, 0, NULL, 0 },
};

static void usage(FILE *to)
{
        fputs("Usage: k8shsvcd [OPTION...]\n"
              "Keep headless Kubernetes services resolved in shared memory.\n"
              "\n"
              "  --config FILE      read FILE, and conf.d beside it, instead of " K8SHSVC_CONFDIR "/k8shsvc.conf\n"
              "  --service TARGET   register a service: NAME[.NAMESPACE][:PORT]; repeatable\n"
              "  --check-config     check the configuration, report each error, and exit\n"
              "  --live             with --check-config: ask the API server for the rights that are needed\n"
              "  --log-format WORD  auto, journal, text or json; the configuration's unless auto\n"
              "  --version          print the version and exit\n"
              "  --help             print this and exit\n"
              "\n"
              "K8SHSVC_SERVICES=\"TARGET TARGET\" in the environment also registers services.\n"
              "Changes of the configuration's files are noticed by themselves; SIGHUP reads the files again.\n"
              "SIGTERM stops the daemon and leaves the table in place.\n",
              to);
}

/* A closed stderr must not become the descriptor of the table, or of a connection. A small root lacks /dev. */
static bool open_standard_streams(void)
{
        int fd;

        do {
                fd = open("/dev/null", O_RDWR);
                if (fd < 0)
                        fd = open("/", O_RDONLY | O_DIRECTORY);
        } while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd >= 0)
                (void)close(fd);
        else
                log_message(LOG_ERR, "no descriptor to begin with: %s", strerror(errno));
        return fd >= 0;
}

/*
 * A log that nobody reads, a terminal that stops who writes from the background, and a limit of the size of files
 * are errors of write(2), not a reason to end. As PID 1 of a container we are given the children of others: the
 * kernel reaps them where SIGCHLD is ignored.
 */
static void ignore_signals(void)
{
        static const int signals[] = { SIGPIPE, SIGTTOU, SIGXFSZ, SIGCHLD };

        for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
                (void)signal(signals[i], SIG_IGN);
}

static bool parse_log_format(const char *text, enum log_format *ret)
{
        const struct config_word *word = config_word_find(config_log_format_words, text);

        if (word)
                *ret = (enum log_format)word->value;
        else
                fprintf(stderr, "k8shsvcd: --log-format: found '%s', expected " CONFIG_LOG_FORMAT_EXPECTED "%s\n", text,
                        config_word_hint(config_log_format_words, text).text);
        return word;
}

struct arguments {
        struct daemon_options options;
        const char **services; /* room for as many as there can be; owned */
        bool check, live;
};

#define STATUS_RUN (-1) /* no reason to exit */

/* Return: STATUS_RUN, or the status to exit with. */
static int arguments_take(struct arguments *a, int option, char *value)
{
        switch (option) {
        case OPT_CONFIG:
                a->options.config_file = value;
                return STATUS_RUN;
        case OPT_SERVICE:
                a->services[a->options.n_services++] = value;
                return STATUS_RUN;
        case OPT_CHECK:
                a->check = true;
                return STATUS_RUN;
        case OPT_LIVE:
                a->live = true;
                return STATUS_RUN;
        case OPT_LOG_FORMAT:
                return parse_log_format(value, &a->options.log_format) ? STATUS_RUN : EXIT_USAGE;
        case OPT_VERSION:
                puts("k8shsvcd " K8SHSVC_VERSION);
                return EXIT_SUCCESS;
        case OPT_HELP:
                usage(stdout);
                return EXIT_SUCCESS;
        default:
                return EXIT_USAGE;
        }
}

/* Return: as arguments_take(). */
static int arguments_parse(struct arguments *a, int argc, char **argv)
{
        int option, status = STATUS_RUN;

        while (status == STATUS_RUN && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
                status = arguments_take(a, option, optarg);
        if (status != STATUS_RUN)
                return status;
        if (a->live && !a->check) {
                fputs("k8shsvcd: --live goes with --check-config\n", stderr);
                return EXIT_USAGE;
        }
        if (optind < argc) {
                fprintf(stderr, "k8shsvcd: unexpected argument '%s'\n", argv[optind]);
                return EXIT_USAGE;
        }
        a->options.services = a->services;
        return STATUS_RUN;
}

int main(int argc, char **argv)
{
        struct arguments a = { .options.env_services = getenv("K8SHSVC_SERVICES") };
        int status;

        ignore_signals();
        if (!open_standard_streams())
                return EXIT_FAILURE;
        a.services = calloc((size_t)argc, sizeof(*a.services));
        if (!a.services) {
                log_message(LOG_ERR, "out of memory");
                return EXIT_FAILURE;
        }
        status = arguments_parse(&a, argc, argv);
        if (status == STATUS_RUN)
                status = a.check ? daemon_check_config(&a.options, a.live) : daemon_run(&a.options);
        if (status == EXIT_USAGE)
                usage(stderr);
        free(a.services);
        return status;
}
