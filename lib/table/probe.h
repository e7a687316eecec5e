#pragma once

/*
 * Probes for bpftrace, systemtap and gdb (USDT): a NOP each, and a note in the file that says where it is and where its
 * arguments lie. None has a semaphore, which would be memory that is written to in every process. What an argument
 * needs must be there anyway: nothing is computed for a probe.
 */

#ifdef K8SHSVC_PROBES

#include <sys/sdt.h>

#define KHS_PROBE3(name, a, b, c) STAP_PROBE3(k8shsvc, name, a, b, c)

#else

#define KHS_PROBE3(name, a, b, c) ((void)0)

#endif
