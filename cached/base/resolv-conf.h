#pragma once

/*
 * The name servers of resolv.conf(5), and whether the file has changed since they were read.
 *
 * Only `nameserver` is of interest: names are asked absolute, time-outs and order are our own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/address.h"

#define RESOLV_CONF_SERVERS_MAX 8U /* glibc takes the first 3 and never looks further */

struct resolv_conf {
        struct address servers[RESOLV_CONF_SERVERS_MAX]; /* port 53, in the file's order, no duplicates */
        size_t n_servers;
        size_t n_skipped; /* nameserver lines that are no address, scoped, or too many */
        dev_t dev;
        ino_t ino;
        struct timespec mtime;
        off_t size;
};

/* Reads from memory; the file's identity is left zero. For resolv_conf_read() and its tests. */
void resolv_conf_parse(struct resolv_conf *ret, const char *text, size_t n_text);

/**
 * resolv_conf_read() - read a file
 *
 * Never blocks on a FIFO or device. At most 64 KiB are looked at.
 *
 * Return: 0, also with no server in it; -ENOENT or another negative errno, @ret is then untouched.
 */
int resolv_conf_read(struct resolv_conf *ret, const char *path);

/*
 * Is @path another file than the one that was read, or written since? The path is often a link into
 * elsewhere, exchanged by a rename: device and inode of its target tell. A missing file is no change.
 */
bool resolv_conf_changed(const struct resolv_conf *conf, const char *path);
