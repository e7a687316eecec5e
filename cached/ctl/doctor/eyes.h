#pragma once

/*
 * The eyes of another process: what it sees as files, and what only /proc tells of it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum eyes_libc { EYES_GLIBC, EYES_MUSL, EYES_STATIC, EYES_OTHER };

struct eyes {
        pid_t pid;
        char program[64]; /* as /proc/PID/comm has it */
        enum eyes_libc libc;
        char libc_path[512]; /* as the process has it mapped; empty: none */
        uint8_t elf_class;   /* of its program; 0: unknown */
        uint16_t elf_machine;
        bool is_table_a_mount; /* the table's file alone is mounted there */
        bool has_own_time;     /* another time namespace than ours */
};

/**
 * eyes_open() - see what a process sees, from now on and for good
 *
 * Everything of /proc is read first; then our root becomes the root of the process.
 *
 * Return: 0; -ESRCH: no such process; -EPERM and others: it can't be looked at.
 */
int eyes_open(struct eyes *ret, pid_t pid);

/* The same of our own process, root aside. */
void eyes_look(struct eyes *ret);
