/*
 * Looks names up through glibc and prints what it says, one line for each lookup, each line by one
 * write(2): so that under strace the writes part the lookups from each other.
 *
 *     CANONICAL-NAME|- ADDRESS...       or       ! ERROR
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct options {
        int family;
        int flags;
        int count;
        const char *call;
};

/* As long as 5,000 IPv6 addresses need. */
static char line[256 * 1024];
static size_t n_line;

static void put(const char *text)
{
        size_t n = strlen(text);

        if (n_line + n < sizeof(line)) {
                memcpy(line + n_line, text, n);
                n_line += n;
        }
}

static void flush_line(void)
{
        line[n_line++] = '\n';
        for (size_t done = 0; done < n_line;) {
                ssize_t n = write(STDOUT_FILENO, line + done, n_line - done);

                if (n < 0)
                        exit(1);
                done += (size_t)n;
        }
        n_line = 0;
}

static void put_address(int family, const void *address)
{
        char text[INET6_ADDRSTRLEN];

        put(" ");
        put(inet_ntop(family, address, text, sizeof(text)));
}

static const char *gai_name(int error)
{
        switch (error) {
        case EAI_NONAME:
                return "EAI_NONAME";
        case EAI_NODATA:
                return "EAI_NODATA";
        case EAI_AGAIN:
                return "EAI_AGAIN";
        case EAI_FAIL:
                return "EAI_FAIL";
        case EAI_SYSTEM:
                return "EAI_SYSTEM";
        default:
                return gai_strerror(error);
        }
}

static void by_getaddrinfo(const struct options *o, const char *name)
{
        struct addrinfo hints = { .ai_family = o->family, .ai_socktype = SOCK_STREAM, .ai_flags = o->flags };
        struct addrinfo *list = NULL;
        int r = getaddrinfo(name, NULL, &hints, &list);

        if (r != 0) {
                put("! ");
                put(gai_name(r));
                return;
        }
        put(list->ai_canonname ? list->ai_canonname : "-");
        for (const struct addrinfo *i = list; i; i = i->ai_next)
                put_address(i->ai_family, i->ai_family == AF_INET
                                                  ? (void *)&((struct sockaddr_in *)(void *)i->ai_addr)->sin_addr
                                                  : (void *)&((struct sockaddr_in6 *)(void *)i->ai_addr)->sin6_addr);
        freeaddrinfo(list);
}

static void by_gethostbyname(const struct options *o, const char *name)
{
        const struct hostent *host = o->family == AF_UNSPEC ? gethostbyname(name) : gethostbyname2(name, o->family);

        if (!host) {
                put("! ");
                put(hstrerror(h_errno));
                return;
        }
        put(host->h_name);
        for (char **address = host->h_addr_list; *address; address++)
                put_address(host->h_addrtype, *address);
}

static int usage(void)
{
        fputs("resolve [-f 0|4|6] [-n COUNT] [-m getaddrinfo|gethostbyname] [-c] [-a] [--] NAME...\n", stderr);
        return 2;
}

static int parse(int argc, char **argv, struct options *o)
{
        int c;

        while ((c = getopt(argc, argv, "f:n:m:ca")) != -1) {
                switch (c) {
                case 'f':
                        o->family = *optarg == '4' ? AF_INET : *optarg == '6' ? AF_INET6 : AF_UNSPEC;
                        break;
                case 'n':
                        o->count = atoi(optarg);
                        break;
                case 'm':
                        o->call = optarg;
                        break;
                case 'c':
                        o->flags |= AI_CANONNAME;
                        break;
                case 'a':
                        o->flags |= AI_ADDRCONFIG;
                        break;
                default:
                        return -EINVAL;
                }
        }
        return optind < argc ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
        struct options o = { .family = AF_UNSPEC, .count = 1, .call = "getaddrinfo" };

        if (parse(argc, argv, &o) < 0)
                return usage();
        for (int i = optind; i < argc; i++) {
                for (int n = 0; n < o.count; n++) {
                        if (strcmp(o.call, "gethostbyname") == 0)
                                by_gethostbyname(&o, argv[i]);
                        else
                                by_getaddrinfo(&o, argv[i]);
                        flush_line();
                }
        }
        return 0;
}
