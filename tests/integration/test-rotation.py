"""The first address that a program sees is spread evenly over the pods, whatever kind of program it is.

answers = single. Evenness is Pearson's chi-squared test, p > 1e-6.
"""

import collections
import os
import sys

from harness import daemon, lab, lookup, sandbox, stats, tap

suite = tap.Suite()

EIGHT = lab.pods(10, 8)
SEVEN6 = lab.pods(10, 7, six=True)
DUAL4, DUAL6 = lab.pods(30, 5), lab.pods(30, 6, six=True)
NAME, NAME6, DUAL = (f"{s}.default.svc.cluster.local" for s in ("eight", "seven", "dual"))
# 21 is a number of turns after which the sequence is nearly where it was: who shares turns stands still.
WALKED = [f"walked-{i}" for i in range(21)]
CONFIG = """
[daemon]
source = dns
[service eight.default]
answers = single
[service seven.default]
answers = single
[service dual.default]
answers = single
[service all.default]
answers = all
""" + "".join(f"[service {service}.default]\nanswers = single\n" for service in WALKED)
LOOKUPS = 1000


def python(program, *arguments):
    """Runs a Python program; each line that it prints is the first address of a lookup."""
    return sandbox.run(sys.executable, "-c", program, *arguments).stdout.split()


PYTHON = """
import socket, sys
for i in range(int(sys.argv[2])):
    print(socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)[0][4][0])
"""

# What a preforking server does: look up (and so set up all state) before the workers are made.
WORKER_POOL = """
import os, socket, sys
def first():
    return socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)[0][4][0]
first()
for worker in range(int(sys.argv[2])):
    if os.fork() == 0:
        os.write(1, "".join(first() + "\\n" for i in range(int(sys.argv[3]))).encode())
        os._exit(0)
for worker in range(int(sys.argv[2])):
    os.wait()
"""

THREADS = """
import concurrent.futures, socket, sys
def first(_):
    return socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)[0][4][0]
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(*pool.map(first, range(int(sys.argv[2]))), sep="\\n")
"""


@suite.test("getaddrinfo in one process, IPv4")
def one_process_ipv4():
    draws = [a.addresses[0] for a in lookup.resolve_many([NAME], family="ipv4", count=LOOKUPS)]
    stats.assert_even(draws, EIGHT)


@suite.test("getaddrinfo in one process, IPv6")
def one_process_ipv6():
    draws = [a.addresses[0] for a in lookup.resolve_many([NAME6], family="ipv6", count=LOOKUPS)]
    stats.assert_even(draws, SEVEN6)


@suite.each("getaddrinfo in one process, both families asked for, {0} of a service with both", [("ipv4",), ("ipv6",)])
def one_process_dual(family):
    answers = lookup.resolve_many([DUAL], count=LOOKUPS)
    wanted = {"ipv4": DUAL4, "ipv6": DUAL6}[family]
    draws = [a for answer in answers for a in answer.addresses if (":" in a) == (family == "ipv6")]
    assert len(draws) == LOOKUPS, f"{len(draws)} addresses in {LOOKUPS} answers"
    stats.assert_even(draws, wanted)


@suite.test("gethostbyname in one process")
def one_process_gethostbyname():
    draws = [a.addresses[0] for a in lookup.resolve_many([NAME], call="gethostbyname", count=LOOKUPS)]
    stats.assert_even(draws, EIGHT)


@suite.test("every run of 16 lookups of a process reaches all 8 pods")
def no_pod_is_left_out():
    draws = [a.addresses[0] for a in lookup.resolve_many([NAME], family="ipv4", count=LOOKUPS)]
    for i in range(0, LOOKUPS - 16):
        assert len(set(draws[i:i + 16])) == 8, f"lookups {i} to {i + 15}: {collections.Counter(draws[i:i + 16])}"


@suite.test("programs that walk through 21 services: every run of 16 lookups of each reaches all 8 pods")
def walk():
    rounds = 100
    answers = lookup.resolve_many([f"{service}.default" for service in WALKED] * rounds, family="ipv4")
    for i, service in enumerate(WALKED):
        draws = [a.addresses[0] for a in answers[i::len(WALKED)]]
        for j in range(0, rounds - 16):
            assert len(set(draws[j:j + 16])) == 8, f"{service}, lookups {j} to {j + 15}: {draws[j:j + 16]}"


@suite.test("python3 socket.getaddrinfo in one process")
def python_one_process():
    stats.assert_even(python(PYTHON, NAME, str(LOOKUPS)), EIGHT)


@suite.test("python3 with 8 threads")
def python_threads():
    stats.assert_even(python(THREADS, NAME, str(LOOKUPS)), EIGHT)


@suite.test("a pool of 8 forked workers, 125 lookups in each")
def worker_pool():
    stats.assert_even(python(WORKER_POOL, NAME, "8", "125"), EIGHT)


@suite.test("the first lookup of each of 1,000 forked workers")
def worker_storm():
    stats.assert_even(python(WORKER_POOL, NAME, "1000", "1"), EIGHT)


@suite.test("the first lookup of each of 200 forked workers, under an emulator that grants every madvise()")
def worker_storm_under_qemu():
    qemu = f"qemu-{os.uname().machine}"
    if not sandbox.have(qemu):
        raise tap.Skip("qemu-user is not installed")
    draws = sandbox.run(qemu, sys.executable, "-c", WORKER_POOL, NAME, "200", "1").stdout.split()
    stats.assert_even(draws, EIGHT)


@suite.test("programs that look up twice for each connection: the second lookups of one process")
def every_second():
    draws = [a.addresses[0] for a in lookup.resolve_many([NAME], family="ipv4", count=2 * LOOKUPS)]
    stats.assert_even(draws[::2], EIGHT)
    stats.assert_even(draws[1::2], EIGHT)


@suite.test("programs that walk through several services in turn")
def in_turn():
    names = [NAME, DUAL, NAME6, "all.default.svc.cluster.local"] * 250
    answers = lookup.resolve_many(names)
    stats.assert_even([a.addresses[0] for a in answers[::4]], EIGHT)
    stats.assert_even([a.addresses[0] for a in answers[2::4]], SEVEN6)


@suite.test("getent ahosts, 1,000 short-lived processes")
def getent_processes():
    stats.assert_even([lookup.getent("ahosts", NAME)[0][0] for _ in range(LOOKUPS)], EIGHT)


@suite.test("getent hosts, 1,000 short-lived processes")
def getent_hosts_processes():
    stats.assert_even([lookup.getent("hosts", NAME)[0][0] for _ in range(LOOKUPS)], EIGHT)


@suite.test("1,000 short-lived processes, two at a time")
def short_lived():
    script = 'seq 1000 | xargs -P 2 -I "{}" "$0" -f 4 -- "$1"'
    lines = sandbox.run("sh", "-c", script, sandbox.RESOLVE, NAME).stdout.splitlines()
    stats.assert_even([line.split()[1] for line in lines], EIGHT)


@suite.test("answers = all: the module's order turns, too (gethostbyname, which glibc does not sort)")
def all_rotates():
    answers = lookup.resolve_many(["all.default.svc.cluster.local"], call="gethostbyname", count=LOOKUPS)
    assert all(set(a.addresses) == set(EIGHT) for a in answers)
    stats.assert_even([a.addresses[0] for a in answers], EIGHT)


def set_up():
    sandbox.nsswitch("k8shsvc")
    lab.start_dns({"eight.default": (EIGHT, 5), "seven.default": (SEVEN6, 5), "dual.default": (DUAL4 + DUAL6, 5),
                   "all.default": (EIGHT, 5)} | {f"{service}.default": (EIGHT, 5) for service in WALKED})
    daemon.configure(CONFIG)
    started = lab.start_daemon(NAME, NAME6, DUAL, "all.default", *(f"{service}.default" for service in WALKED))
    sandbox.wait_until(lambda: len(lookup.resolve(DUAL).addresses) == 2, 20, "both families")
    return started


if __name__ == "__main__":
    os.environ.pop("PYTHONSTARTUP", None)
    sandbox.enter()
    with lab.set_up(set_up):
        sys.exit(suite.run())
