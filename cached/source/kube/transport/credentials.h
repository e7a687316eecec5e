#pragma once

/*
 * Where the API server is, how it proves that it is it, and how we prove who we are.
 *
 * Secrets are wiped when they go, stand in no log line and no error text, and are for this server alone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KUBE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* Bytes, such as a certificate, or a secret. */
struct kube_blob {
        char *bytes; /* with a zero behind them; owned */
        size_t n;
};

struct kube_credentials {
        char *url;  /* "https://10.96.0.1:443", perhaps with a path; no slash at the end */
        char *host; /* of it: a name, an IPv4 address, an IPv6 one without brackets */
        uint16_t port;
        bool is_tls;
        char *server_name; /* the name that the certificate has to have; NULL: host */
        char *ca_file;     /* read at each new connection; NULL: those that the system trusts */
        int ca_fd;         /* -1, or behind ca_file where it was no file */
        char *cert_file, *key_file;
        struct kube_blob cert, key; /* PEM, where they were no files */
        char *token_file;
        struct kube_blob token;
        uint64_t token_usec;        /* when it was read */
        uint64_t token_missed_usec; /* since when the file has been no good; 0: it is good */
        bool token_refused;
};

struct kube_credentials *kube_credentials_free(struct kube_credentials *c);

/**
 * kube_credentials_in_cluster() - those of the pod's own service account
 * @dir:  KUBE_ACCOUNT_DIR
 * @host, @port: KUBERNETES_SERVICE_HOST and _PORT
 * @ret_error: what is wrong, for people; for free(); also on failure for want of memory NULL
 *
 * Return: 0; -ENOENT: this is no pod, or one without a service account; -EINVAL; -ENOMEM.
 */
int kube_credentials_in_cluster(struct kube_credentials **ret, const char *dir, const char *host, const char *port,
                                char **ret_error);

/**
 * kube_credentials_at() - an API server given by its address
 * @dir: with https the service account there is used; http needs nothing, as kubectl proxy, and has to be on loopback
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
int kube_credentials_at(struct kube_credentials **ret, const char *url, const char *dir, char **ret_error);

/* Takes "https://HOST:PORT/PATH" apart. Return: 0; -EINVAL: none that may be used; -ENOMEM. */
int kube_credentials_set_url(struct kube_credentials *c, const char *url, char **ret_error);
/* A CA that is no file. */
int kube_credentials_set_ca(struct kube_credentials *c, const struct kube_blob *pem);

/**
 * kube_credentials_token() - the token for the next request
 *
 * Read again when it is a minute old, or was refused. While the file is missing, empty or no token, the last good
 * one is used for another minute.
 *
 * Return: 0: @ret is it, or NULL where none is needed; -EACCES: there is none.
 */
int kube_credentials_token(struct kube_credentials *c, uint64_t now, const char **ret);
/* The server no longer takes it. */
void kube_credentials_refused(struct kube_credentials *c);

void kube_blob_wipe(struct kube_blob *blob);
