/*
 * The configuration, and the sources that it names: does each DNS server answer, does the API server let us.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <systemd/sd-event.h>

#include "base/log.h"
#include "base/resolv-conf.h"
#include "base/util.h"
#include "cluster.h"
#include "ctl/configuration.h"
#include "ctl/doctor/check.h"
#include "source/dns/transport/channel.h"
#include "wire/answer.h"
#include "wire/name.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define DNS_TRIES   2

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

struct asked {
        struct dns_name domain;
        struct dns_flight *flight;
        int result; /* whether the server has shown the domain's SOA, or a negative errno: no answer */
};

static void sources_on_reply(void *userdata, int error, const struct dns_question *question, const uint8_t *packet,
                             size_t n_packet)
{
        struct asked *asked = userdata;
        bool same_case;

        if (error < 0)
                asked->result = error;
        else if (!dns_question_matches(question, packet, n_packet, &same_case))
                asked->result = -EBADMSG;
        else
                asked->result = dns_answer_shows_domain(&asked->domain, question, packet, n_packet);
}

/* One question. Return: as in struct asked. */
static int sources_ask_by(sd_event *event, const struct address *server, bool tcp, const char *domain)
{
        struct asked asked = { .result = -ETIMEDOUT };
        uint8_t random[DNS_RANDOM_SIZE] = { 0 };
        struct dns_channel *channel = NULL;
        struct dns_question question;
        int r = dns_name_parse(&asked.domain, domain);

        (void)random_fill(random, sizeof(random));
        if (r >= 0) {
                dns_question_build(&question, &asked.domain, DNS_TYPE_SOA, tcp ? DNS_PLAIN : DNS_EDNS, random);
                r = dns_channel_new(&channel, event, server, tcp);
        }
        if (r >= 0)
                r = dns_channel_send(channel, &question, &asked.flight, sources_on_reply, &asked);
        while (r >= 0 && asked.flight)
                r = sd_event_run(event, UINT64_MAX);
        (void)dns_channel_free(channel);
        return r < 0 ? r : asked.result;
}

/* As the daemon does: by TCP first, unless it is told otherwise, and by UDP, of which datagrams are lost. */
static int sources_ask(const struct address *server, const struct config *config)
{
        bool tcp = config->dns_transport == CONFIG_TRANSPORT_TCP;
        sd_event *event;
        int r = sd_event_new(&event);

        if (r < 0)
                return r;
        r = tcp ? sources_ask_by(event, server, true, config->cluster_domain) : -ETIMEDOUT;
        for (int i = tcp ? 1 : 0; i < DNS_TRIES && r < 0; i++)
                r = sources_ask_by(event, server, false, config->cluster_domain);
        (void)sd_event_unref(event);
        return r;
}

static void sources_check_server(struct doctor *d, const struct address *server, const struct config *config)
{
        const char *domain = config->cluster_domain;
        int r = sources_ask(server, config);
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
                sources_check_server(d, &config->dns_servers[i], config);
        if (config->n_dns_servers > 0)
                return;
        (void)resolv_conf_read(&resolv, RESOLV_CONF);
        for (size_t i = 0; i < resolv.n_servers; i++)
                sources_check_server(d, &resolv.servers[i], config);
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

        if (r < 0 && problems.n_errors == 0)
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
