#pragma once

/*
 * What this process knows of its own interface addresses: enough to foresee in which order glibc
 * will sort an answer (answer/score.h), and to tell this host from others (`sticky`).
 *
 * The kernel is asked at most once every 10 s, by one RTM_GETADDR dump, in lookups that need it and
 * by raw system calls: nothing is kept open, nothing blocks (glibc makes the same request in each
 * lookup of two or more addresses). So a change of addresses or of the network namespace is known
 * within 10 s; until then what is foreseen may be wrong, which costs balance, never an address. All
 * threads share the knowledge, also those in a network namespace of their own.
 *
 * Unknown when the kernel refuses (seccomp, no descriptor left), when there are more than
 * KHS_OWN_MAX addresses, and while another thread asks for the very first time; a refusal is
 * remembered for 10 s, too.
 *
 * No lock is waited for. Readers look at one of two static slots while the other one may be written,
 * and say afterwards whether it was still theirs; children of fork begin anew (read/process.h).
 */

#include <stdbool.h>
#include <stdint.h>

#define KHS_OWN_MAX 512U

/* A look at the own addresses as they were at one moment. */
struct khs_interfaces {
        uint32_t known; /* number of the answer; 0: unknown */
        uint32_t n;
        bool has_ipv6; /* an address besides ::1, of whatever state */
};

/**
 * khs_interfaces_refresh() - ask the kernel, if it was not asked in the last 10 s
 *
 * Apart from the look, since it needs most stack. Preserves errno. The page of read/process.h must be
 * prepared, as khs_map_enter() does.
 */
void khs_interfaces_refresh(void);

/**
 * khs_interfaces_look() - what is known of the own addresses
 *
 * Return: whether they are known.
 */
bool khs_interfaces_look(struct khs_interfaces *ret);

/* Whether all that was read through @look belongs together; else it must not be used. */
bool khs_interfaces_valid(const struct khs_interfaces *look);

/**
 * khs_interfaces_score() - how near glibc finds an address, see answer/score.h
 * @family:  AF_INET or AF_INET6
 * @address: network byte order; 1 or 4 words
 */
uint32_t khs_interfaces_score(const struct khs_interfaces *look, int family, const uint32_t *address);

/**
 * khs_interfaces_host() - the address that stands for this host
 * @ret: 16 bytes, network byte order, IPv4 as ::ffff:a.b.c.d
 *
 * The lowest global IPv4 address, else the lowest global IPv6 one.
 *
 * Return: whether there is one.
 */
bool khs_interfaces_host(const struct khs_interfaces *look, void *ret);
