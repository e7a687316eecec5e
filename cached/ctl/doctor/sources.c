/*
 * The configuration, and the sources that it names: does each DNS server answer, does the API server let us.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/resolv-conf.h"
#include "base/util.h"
#include "cluster.h"
#include "ctl/configuration.h"
#include "ctl/doctor/check.h"
#include "wire/answer.h"
#include "wire/name.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define DNS_TRIES   2
#define DNS_MSEC    1000

struct problems {
        size_t n_errors;
        char first[512];
};

static void sources_take_problem(void *userdata, int priority, const char *message)
{
        struct problems *p = userdata;

        if (priority > LOG_ERR)
                return;
        if (p->n_errors++ == 0)
                (void)snprintf(p->first, sizeof(p->first), "%s", message);
}

/* ---- DNS ---- */

static socklen_t sources_sockaddr(const struct address *server, struct sockaddr_storage *ret)
{
        struct sockaddr_in *four = (struct sockaddr_in *)(void *)ret;
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)ret;

        *ret = (struct sockaddr_storage){ .ss_family = server->family };
        if (server->family == AF_INET) {
                four->sin_port = htons(server->port);
                memcpy(&four->sin_addr, server->bytes, 4);
                return sizeof(*four);
        }
        six->sin6_port = htons(server->port);
        six->sin6_scope_id = server->scope;
        memcpy(&six->sin6_addr, server->bytes, 16);
        return sizeof(*six);
}

/* Return: whether it has shown the domain's SOA; -ETIMEDOUT; -ECONNREFUSED and others: no answer. */
static int sources_ask_once(int fd, const struct dns_question *question, const struct dns_name *domain)
{
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        uint8_t reply[4096];
        ssize_t n;
        bool same_case;

        if (send(fd, question->packet, question->n, MSG_NOSIGNAL) < 0)
                return -errno;
        if (poll(&poll_fd, 1, DNS_MSEC) <= 0)
                return -ETIMEDOUT;
        n = recv(fd, reply, sizeof(reply), 0);
        if (n < 0)
                return -errno;
        if (!dns_question_matches(question, reply, (size_t)n, &same_case))
                return -EBADMSG;
        return dns_answer_shows_domain(domain, question, reply, (size_t)n);
}

static int sources_ask(const struct address *server, const char *domain)
{
        struct sockaddr_storage address;
        socklen_t n_address = sources_sockaddr(server, &address);
        struct dns_question question;
        struct dns_name name;
        uint8_t random[DNS_RANDOM_SIZE];
        int fd, r = -ETIMEDOUT;

        if (dns_name_parse(&name, domain) < 0)
                return -EINVAL;
        memset(random, 0, sizeof(random));
        (void)random_fill(random, sizeof(random));
        dns_question_build(&question, &name, DNS_TYPE_SOA, DNS_EDNS, random);
        fd = socket(server->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)&address, n_address) < 0)
                r = -errno;
        for (int i = 0; i < DNS_TRIES && r == -ETIMEDOUT; i++)
                r = sources_ask_once(fd, &question, &name);
        (void)close(fd);
        return r;
}

static void sources_check_server(struct doctor *d, const struct address *server, const char *domain)
{
        int r = sources_ask(server, domain);
        char text[INET6_ADDRSTRLEN];

        if (!inet_ntop(server->family, server->bytes, text, sizeof(text)))
                return;
        if (r < 0)
                doctor_sayf(d, "dns", VERDICT_BAD,
                            "look at the network and at the server; dns-servers or " RESOLV_CONF " names it",
                            "the DNS server %s, port %u, is unreachable: %s", text, server->port, strerror(-r));
        else if (r == 0)
                doctor_sayf(d, "dns", VERDICT_UNKNOWN, "name a server of the cluster in dns-servers",
                            "the DNS server %s, port %u, answers, but does not show the SOA of %s", text, server->port,
                            domain);
        else
                doctor_sayf(d, "dns", VERDICT_OK, NULL, "the DNS server %s, port %u, answers for %s", text,
                            server->port, domain);
}

static bool sources_are_asked(const struct config *config, enum khs_source source)
{
        if (source == KHS_SOURCE_KUBERNETES && (config->n_pods > 0 || config->n_namespaces > 0))
                return true;
        for (size_t i = 0; i < config->n_services; i++) {
                if (config->services[i].source == source)
                        return true;
        }
        return false;
}

static void sources_check_dns(struct doctor *d, const struct config *config)
{
        struct resolv_conf resolv = { 0 };

        if (!sources_are_asked(config, KHS_SOURCE_DNS))
                return;
        for (size_t i = 0; i < config->n_dns_servers; i++)
                sources_check_server(d, &config->dns_servers[i], config->cluster_domain);
        if (config->n_dns_servers > 0)
                return;
        (void)resolv_conf_read(&resolv, RESOLV_CONF);
        for (size_t i = 0; i < resolv.n_servers; i++)
                sources_check_server(d, &resolv.servers[i], config->cluster_domain);
        if (resolv.n_servers == 0)
                doctor_say(d, "dns", VERDICT_BAD, RESOLV_CONF " names no server, and dns-servers is not set",
                           "set dns-servers in [daemon]");
}

/* ---- the API ---- */

/* The first right that is missing, out of the comments of the check. */
static void sources_first_missing(const char *text, char *ret, size_t size)
{
        const char *missing = strstr(text, ": MISSING\n"), *line = missing;

        while (line && line > text && line[-1] != '\n')
                line--;
        (void)snprintf(ret, size, "%.*s", missing ? (int)(missing - line) : 0, missing ? line : "");
}

static void sources_check_api(struct doctor *d, const struct config *config)
{
        _cleanup_(cleanup_free) char *text = NULL;
        size_t n = 0;
        FILE *to;
        char missing[256];
        int r;

        if (!sources_are_asked(config, KHS_SOURCE_KUBERNETES))
                return;
        to = open_memstream(&text, &n);
        if (!to)
                return;
        log_set_level(LOG_EMERG);
        r = cluster_check_access(config, to);
        (void)fclose(to);
        sources_first_missing(text ? text : "", missing, sizeof(missing));
        if (r < 0)
                doctor_sayf(d, "api", VERDICT_UNKNOWN, "k8shsvcd --check-config --live, with the daemon's credentials",
                            "the API server can't be asked from here: %s", strerror(-r));
        else if (r > 0)
                doctor_sayf(d, "api", VERDICT_BAD, "k8shsvcd --check-config --live | kubectl apply -f -",
                            "rights are missing%s%s", missing[0] ? ": " : "",
                            missing[0] == '#' ? missing + 2 : missing);
        else
                doctor_say(d, "api", VERDICT_OK, "the API server grants all rights that are needed", NULL);
}

void doctor_check_configuration(struct doctor *d)
{
        struct problems problems = { 0 };
        struct config *config = NULL;
        int r = ctl_load_configuration(&config, sources_take_problem, &problems);

        if (r < 0)
                doctor_sayf(d, "configuration", VERDICT_UNKNOWN, NULL, "it can't be read: %s", strerror(-r));
        else if (problems.n_errors > 0)
                doctor_sayf(d, "configuration", VERDICT_BAD, "k8shsvcd --check-config lists them all",
                            "%zu errors, the first: %s", problems.n_errors, problems.first);
        else
                doctor_say(d, "configuration", VERDICT_OK, "no errors", NULL);
        if (config) {
                sources_check_dns(d, config);
                sources_check_api(d, config);
        }
        (void)config_free(config);
}
