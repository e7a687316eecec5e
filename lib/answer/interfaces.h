#pragma once

/*
 * What this process knows about its own interface addresses: enough to predict how glibc sorts an answer
 * (answer/score.h), and to tell this host from others (`sticky`).
 *
 * Lookups that need them ask the kernel, at most once every 10 s, by one RTM_GETADDR dump and raw system calls:
 * nothing stays open, nothing blocks. (glibc makes the same request in each lookup of two or more
 * addresses.) A change of addresses or of the network namespace is noticed within 10 s; until then a prediction may
 * be wrong, which costs balance, never an address. All threads share this knowledge, even those in a network
 * namespace of their own.
 *
 * The addresses are unknown if the kernel refuses (seccomp, no descriptor left), if there are more than
 * KHS_OWN_MAX, and while another thread asks for the very first time. A refusal is remembered for 10 s, too.
 *
 * Nobody waits for a lock. Readers use one of two static slots while the other one may be written, and check
 * afterwards that it was still theirs. Children of fork start anew (read/process.h).
 */

#include <stdbool.h>
#include <stdint.h>

#include "answer/score.h"

#define KHS_OWN_MAX 512U

/* The own addresses as they were at one moment. */
struct khs_interfaces {
        uint32_t known; /* number of the answer; 0: unknown */
        uint32_t n;
        bool has_ipv6; /* an address besides ::1, of whatever state */
};

/**
 * khs_interfaces_refresh() - ask the kernel if it was not asked in the last 10 s
 *
 * Preserves errno. The page of read/process.h must be prepared, which khs_map_enter() does.
 */
void khs_interfaces_refresh(void);

/**
 * khs_interfaces_look() - begin to read what is known
 *
 * Return: whether they are known.
 */
bool khs_interfaces_look(struct khs_interfaces *ret);

/* Whether everything read through @look belongs together; if not, it must not be used. */
bool khs_interfaces_valid(const struct khs_interfaces *look);

/**
 * khs_interfaces_score() - how near an address is to glibc, see answer/score.h
 * @family:  AF_INET or AF_INET6
 * @address: network byte order; 1 or 4 words
 */
void khs_interfaces_score(const struct khs_interfaces *look, int family, const uint32_t *address,
                          struct khs_score *ret);

/**
 * khs_interfaces_host() - the address that stands for this host
 * @ret: 16 bytes, network byte order, IPv4 as ::ffff:a.b.c.d
 *
 * The lowest global IPv4 address that has a subnet, else the lowest without, else of IPv6 the same; 169.254.0.0/16
 * last.
 *
 * Return: whether there is one.
 */
bool khs_interfaces_host(const struct khs_interfaces *look, void *ret);
