#pragma once

/*
 * resolv.conf(5) as glibc reads it: name servers and search list, and whether the file has changed since.
 *
 * Options are of no interest: names are asked absolute, time-outs and order are our own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/address.h"

#define RESOLV_CONF_SERVERS_MAX 8U /* glibc takes the first 3 and never looks further */
#define RESOLV_CONF_SEARCH_MAX  2048U

struct resolv_conf {
        struct address servers[RESOLV_CONF_SERVERS_MAX]; /* port 53, in the file's order, no duplicates */
        size_t n_servers;                                /* at least 1: without a usable line it is localhost */
        size_t n_lines;                                  /* nameserver lines */
        size_t n_skipped;                                /* of them no address, or too many */
        bool is_empty;                                   /* nothing but blanks, as while it is being written */
        char search[RESOLV_CONF_SEARCH_MAX]; /* the last "search" or "domain"; words between blanks, "" if none */

        /* Which file it was, for resolv_conf_changed(). */
        dev_t dev;
        ino_t ino;
        struct timespec mtime, ctime;
        off_t size;
};

/* Reads from memory; the file's identity is left zero. */
void resolv_conf_parse(struct resolv_conf *ret, const char *text, size_t n_text);

/**
 * resolv_conf_read() - read a file
 *
 * Never blocks on a FIFO or device.
 *
 * Return: 0; -EFBIG for more than 1 MiB; -ENOENT or another negative errno. @ret is untouched on failure.
 */
int resolv_conf_read(struct resolv_conf *ret, const char *path);

/*
 * Is @path another file than the one that was read, or written since? The path is often a link into elsewhere,
 * exchanged by a rename: device and inode of its target tell. A missing file is no change.
 */
bool resolv_conf_changed(const struct resolv_conf *conf, const char *path);
