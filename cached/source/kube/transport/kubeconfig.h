#pragma once

/*
 * Credentials out of a kubeconfig file, as kubectl has it.
 */

#include "source/kube/transport/credentials.h"

#define KUBE_KUBECONFIG_MAX (1U << 20) /* bytes of a file */

/**
 * kube_credentials_kubeconfig() - those of the file's current context
 *
 * Read are, of the cluster, server, certificate-authority(-data) and tls-server-name; of the user,
 * client-certificate(-data), client-key(-data), token and tokenFile. Any other key there changes the connection
 * (exec, auth-provider, proxy-url, insecure-skip-tls-verify, as, username ...) and is refused by its name, since
 * a connection other than the one that was asked for is worse than none.
 *
 * @ret_error: what is wrong, with file and line, for people; for free()
 *
 * Return: 0; -EINVAL; -ENOMEM; another negative errno: the file can't be read.
 */
int kube_credentials_kubeconfig(struct kube_credentials **ret, const char *path, char **ret_error);

/* Base64 with padding, spaces ignored. Return: 0; -EINVAL: none; -ENOMEM. */
int kube_base64(const char *text, struct kube_blob *ret);
