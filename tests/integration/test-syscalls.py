"""A hit costs no system call of the module.

strace records two processes that do the same lookups, one through k8shsvc, one through a module that
answers a constant without looking anywhere; between two results both must make the same calls, which
then are glibc's own. Nothing is known here about what glibc does.
"""

import re
import sys

from harness import daemon, lab, lookup, sandbox, tap

suite = tap.Suite()

POD, POD6 = "10.244.0.10", "fd00:10:244::10"
NAME = "user-svc.default.svc.cluster.local"
NAME6 = "six-svc.default.svc.cluster.local"
ROUNDS = 20


def trace(hosts, name, *options, names=1):
    """The system calls of each lookup but the first, which opens what it needs."""
    sandbox.nsswitch(hosts)
    log = f"{sandbox.HOME}/strace"
    command = ["strace", "-f", "-o", log, sandbox.RESOLVE, "-n", str(ROUNDS), *options, "--", *[name] * names]
    result = sandbox.run(*command)
    assert "!" not in result.stdout, result.stdout
    rounds, calls = [], []
    with open(log) as file:
        for line in file:
            call = re.match(r"(?:\d+ +)?(\w+)\((\S*)", line)
            if not call:
                continue
            if call.group(1) == "write" and call.group(2).startswith("1"):
                rounds.append(calls)
                calls = []
            else:
                calls.append(call.group(1))
    assert len(rounds) == ROUNDS * names, f"{len(rounds)} lookups in the trace"
    return rounds[1:]


@suite.each("{0}: the same calls as through a module that does nothing", [
    ("getaddrinfo, IPv4", NAME, ["-f", "4"]),
    ("getaddrinfo, IPv4 or IPv6", NAME, ["-f", "0"]),
    ("getaddrinfo, AI_CANONNAME", NAME, ["-f", "4", "-c"]),
    ("getaddrinfo, AI_ADDRCONFIG", NAME, ["-f", "4", "-a"]),
    ("gethostbyname", NAME, ["-m", "gethostbyname"]),
    ("getaddrinfo of a short name", "user-svc.default", ["-f", "4"]),
    ("getaddrinfo of an alias", "user", ["-f", "4"]),
])
def same_calls(_, name, options):
    ours = trace("k8shsvc", name, *options)
    theirs = trace("noop", name, *options)
    tap.comment(f"calls of a lookup: {ours[-1]}")
    assert theirs[-1] == theirs[-2], f"the no-op module's trace is not steady: {theirs[-2:]}"
    assert ours == theirs, f"k8shsvc: {ours[:3]}\nnoop:    {theirs[:3]}"


@suite.test("IPv6")
def ipv6():
    rounds = trace("k8shsvc", NAME6, "-f", "6")
    expected = trace("noop", NAME, "-f", "4")
    assert len(rounds) == len(expected)
    tap.comment(rounds[-1])
    opened = {"openat", "mmap", "munmap", "statx", "fstat", "newfstatat", "read", "pread64", "socket"} - set(expected[-1])
    assert not [r for r in rounds if opened & set(r)], rounds


@suite.test("the measure works: a name that is left to the next source costs more calls")
def control():
    ours = trace("k8shsvc", NAME, "-f", "4")
    files = trace("files k8shsvc", NAME, "-f", "4")
    assert all(len(f) > len(o) for f, o in zip(files, ours)), (files[0], ours[0])


@suite.test("the module keeps no descriptor open")
def no_descriptor():
    sandbox.nsswitch("k8shsvc")
    program = ("import os, socket\nbefore = set(os.listdir('/proc/self/fd'))\n"
               f"socket.getaddrinfo('{NAME}', None)\n"
               "print(len(set(os.listdir('/proc/self/fd')) - before))")
    assert sandbox.run(sys.executable, "-c", program).stdout.strip() == "0"


def set_up():
    if not sandbox.have("strace"):
        tap.skip_all("strace is not installed")
    sandbox.nsswitch("k8shsvc")
    lab.start_dns({"user-svc.default": ([POD, "10.244.0.11", "10.244.0.12"], 5),
                   "six-svc.default": ([POD6, "fd00:10:244::11"], 5)})
    daemon.configure("[service user-svc.default]\nanswers = single\nalias = user\n"
                     "[service six-svc.default]\nanswers = single\n")
    return lab.start_daemon(NAME, NAME6)


if __name__ == "__main__":
    sandbox.enter()
    with lab.set_up(set_up):
        sys.exit(suite.run())
