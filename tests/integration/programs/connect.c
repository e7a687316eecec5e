/*
 * What most C programs do: looks a name up, connects to the first address that lets it, again and again.
 *
 *     connect [-h] [-n COUNT] NAME PORT
 *
 * By getaddrinfo(), with -h by gethostbyname(). Prints "secure" first when the kernel says that it has
 * another privilege than its caller (setuid).
 */

#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>

static bool reaches(int family, const struct sockaddr *address, socklen_t n_address)
{
        int fd = socket(family, SOCK_STREAM, 0);
        bool connected = fd >= 0 && connect(fd, address, n_address) == 0;

        if (fd >= 0)
                close(fd);
        return connected;
}

static bool by_getaddrinfo(const char *name, const char *port)
{
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
        const struct addrinfo *info;
        struct addrinfo *list;
        int r = getaddrinfo(name, port, &hints, &list);

        if (r != 0) {
                fprintf(stderr, "%s: %s\n", name, gai_strerror(r));
                return false;
        }
        for (info = list; info && !reaches(info->ai_family, info->ai_addr, info->ai_addrlen); info = info->ai_next)
                ;
        freeaddrinfo(list);
        return info;
}

static bool by_gethostbyname(const char *name, const char *port)
{
        const struct hostent *host = gethostbyname(name);
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

        if (!host) {
                fprintf(stderr, "%s: %s\n", name, hstrerror(h_errno));
                return false;
        }
        for (char **a = host->h_addr_list; *a; a++) {
                memcpy(&address.sin_addr, *a, sizeof(address.sin_addr));
                if (reaches(AF_INET, (struct sockaddr *)&address, sizeof(address)))
                        return true;
        }
        return false;
}

int main(int argc, char **argv)
{
        bool (*by)(const char *name, const char *port) = by_getaddrinfo;
        int c, n = 1;

        while ((c = getopt(argc, argv, "hn:")) != -1) {
                if (c == 'h')
                        by = by_gethostbyname;
                else if (c == 'n')
                        n = atoi(optarg);
                else
                        return 2;
        }
        if (argc - optind != 2) {
                fputs("connect [-h] [-n COUNT] NAME PORT\n", stderr);
                return 2;
        }
        if (getauxval(AT_SECURE))
                puts("secure");
        while (n-- > 0) {
                if (!by(argv[optind], argv[optind + 1]))
                        return 1;
        }
        return 0;
}
