"""A hit costs no system call of the module, but for one dump of the own addresses in 10 s where the order
of several addresses, or `sticky`, depends on them.

strace records two processes that do the same lookups, one through k8shsvc, one through a module that
gives the same answers without looking anywhere; between two results both must make the same calls, which
then are glibc's own. Nothing is known here about what glibc does, except that it is little.
"""

import collections
import platform
import re
import sys

from harness import daemon, lab, noop, sandbox, tap

suite = tap.Suite()

THREE = lab.pods(10, 3)
# At different distances to the caller, so that the number of addresses in an answer changes, too.
EIGHT = [f"10.244.0.{i}" for i in (4, 6, 7, 20, 33, 100, 129, 200)]
THREE6 = lab.pods(10, 3, six=True)
NAME = "user-svc.default.svc.cluster.local"
# Enough for glibc to try nscd again, which it does every 100 calls.
ROUNDS = 320
# The module asks at most every 10 s; the time stamps are strace's, which may be late.
KEEP = 10

Call = collections.namedtuple("Call", "time name arguments")


def trace(hosts, *command):
    """The calls of a program, and what it prints."""
    sandbox.nsswitch(hosts)
    log = f"{sandbox.HOME}/strace"
    output = sandbox.run("strace", "-f", "-ttt", "-o", log, *command).stdout
    with open(log) as file:
        matches = [re.match(r"(?:\d+ +)?(\d+\.\d+) (\w+)\((.*)", line) for line in file]
    return [Call(float(m[1]), m[2], m[3]) for m in matches if m], output


def lookups(hosts, name, *options, rounds=ROUNDS):
    """[calls of each lookup], [its answer]; the first one also opens what it needs."""
    calls, output = trace(hosts, sandbox.RESOLVE, "-n", str(rounds), *options, "--", name)
    parts = [[]]
    for call in calls:
        if call.name == "write" and call.arguments.startswith("1,"):
            parts.append([])
        else:
            parts[-1].append(call)
    assert len(parts) == rounds + 1, f"{len(parts) - 1} lookups in the trace"
    return parts[:-1], [line.split()[1:] for line in output.splitlines()]


def names(calls):
    return [call.name for call in calls]


def without_dump(calls):
    """A lookup's calls but for those of the module's own dump, and the times of such dumps."""
    left, times = list(calls), []
    # glibc's own socket is a blocking one
    while (start := next((i for i, c in enumerate(left) if c.name == "socket" and "NETLINK" in c.arguments
                          and "NONBLOCK" in c.arguments), None)) is not None:
        end = next(i for i in range(start, len(left)) if left[i].name == "close")
        dump = names(left[start:end])
        assert dump[:2] == ["socket", "sendto"] and set(dump[2:]) == {"recvfrom"}, dump
        times.append(left[start].time)
        del left[start:end + 1]
    return left, times


def assert_same(ours, theirs):
    """Both lists of lookups make the same calls, all but the first, which finds the table."""
    for i, (our, their) in enumerate(zip(ours, theirs)):
        assert i == 0 or names(our) == names(their), f"lookup {i}: k8shsvc: {names(our)}\nnoop: {names(their)}"


def dumps(rounds):
    """The lookups' calls but for those of the module's own dumps, and the times of those."""
    left, times = zip(*map(without_dump, rounds))
    return left, sum(times, [])


def assert_apart(times):
    for earlier, later in zip(times, times[1:]):
        assert later - earlier > KEEP - 2, f"dumps {later - earlier:.2f} s apart"


@suite.each("{0}: the same calls as through a module that does nothing", [
    ("getaddrinfo, IPv4", NAME, ["-f", "4"]),
    ("getaddrinfo, IPv4 or IPv6", NAME, ["-f", "0"]),
    ("getaddrinfo, AI_CANONNAME", NAME, ["-f", "4", "-c"]),
    ("getaddrinfo, AI_ADDRCONFIG", NAME, ["-f", "4", "-a"]),
    ("gethostbyname", NAME, ["-m", "gethostbyname"]),
    ("getaddrinfo of a short name", "user-svc.default", ["-f", "4"]),
    ("getaddrinfo of an alias", "user", ["-f", "4"]),
    ("order = random", "random.default", ["-f", "0"]),
])
def same_calls(_, name, options):
    ours, given = lookups("k8shsvc", name, *options)
    theirs, _ = lookups("noop", name, *options)
    assert all(len(addresses) == 1 for addresses in given)
    assert not dumps(ours)[1], "a dump, although there is nothing to choose by it"
    assert_same(ours, theirs)
    tap.comment(f"calls of a lookup: {names(ours[-1])}")


@suite.each("{0}, k8shsvc first: two calls a lookup, both glibc's own", [("IPv4", "4"), ("IPv4 or IPv6", "0")])
def two_calls(_, family):
    if [int(n) for n in platform.libc_ver()[1].split(".")] < [2, 33]:
        raise tap.Skip("this glibc does not look for changes of nsswitch.conf")
    ours, _ = lookups("k8shsvc", NAME, "-f", family)
    others = [names(calls) for calls in ours[1:] if len(calls) != 2]
    assert len(others) <= ROUNDS // 100, f"{len(others)} lookups with other calls: {others[:3]}"
    assert all(set(calls) <= {"newfstatat", "stat", "statx", "socket", "connect", "close"} for calls in others), others
    tap.comment(f"{len(others)} of {ROUNDS - 1} with more, where glibc looks for nscd: {others[:1]}")


@suite.test("IPv6: as many calls as IPv4")
def ipv6():
    ours, given = lookups("k8shsvc", "six-svc.default", "-f", "6")
    theirs, _ = lookups("noop", NAME, "-f", "4")
    assert all(len(addresses) == 1 for addresses in given)
    assert {len(calls) for calls in ours[1:]} == {len(calls) for calls in theirs[1:]}
    assert sum(map(len, ours[1:])) == sum(map(len, theirs[1:]))


@suite.each("answers = {0}, {2}: the same calls as through a module that gives the same answers, and {1}", [
    (answers, dumps, title, options) for answers, dumps in (("3", "one dump"), ("auto", "one dump"), ("all", "no dump"))
    for title, options in (("getaddrinfo, IPv4", ["-f", "4"]), ("getaddrinfo, IPv4 or IPv6", ["-f", "0"]),
                           ("gethostbyname", ["-m", "gethostbyname"]))
])
def several(answers, expected, _, options):
    ours, given = lookups("k8shsvc", f"many-{answers}.default", *options, rounds=noop.ANSWERS)
    assert sum(map(len, given)) > len(given), "one address only"
    stripped, times = dumps(ours)
    assert bool(times) == (expected == "one dump"), f"{len(times)} dumps"
    assert_apart(times)
    with noop.answering(given):
        theirs, same = lookups("noop", NAME, *options, rounds=noop.ANSWERS)
    assert [sorted(a) for a in same] == [sorted(a) for a in given], "the no-op module gave other answers"
    assert_same(stripped, theirs)
    tap.comment(f"{len(times)} dumps; {min(map(len, given))} to {max(map(len, given))} addresses, "
                f"{min(map(len, ours[1:]))} to {max(map(len, ours[1:]))} calls a lookup")


@suite.test("order = sticky: one address, one dump")
def sticky():
    ours, given = lookups("k8shsvc", "sticky.default", "-f", "4")
    assert len(set(map(tuple, given))) == 1 and len(given[0]) == 1, set(map(tuple, given))
    stripped, times = dumps(ours)
    assert len(times) >= 1, "no dump: how does it know the host's address?"
    assert_apart(times)
    theirs, _ = lookups("noop", NAME, "-f", "4")
    assert_same(stripped, theirs)


@suite.test("12 s of lookups: a dump at the beginning and one 10 s later")
def dumps_apart():
    calls, _ = trace("k8shsvc", sandbox.SPREAD, "-f", "0", "-n", "120", "-s", "100", "many-auto.default")
    _, times = without_dump(calls)
    assert len(times) >= 2, f"{len(times)} dumps in {calls[-1].time - calls[0].time:.1f} s"
    assert_apart(times)
    tap.comment(f"{len(times)} dumps in {calls[-1].time - calls[0].time:.1f} s")


@suite.test("a name that is not registered: no calls but those of the next source")
def not_registered():
    ours, _ = lookups("k8shsvc files", "other-svc.default", "-f", "0")
    theirs, _ = lookups("files", "other-svc.default", "-f", "0")
    assert_same(ours, theirs)


@suite.test("the measure works: a name that is left to the next source costs more calls")
def control():
    ours, _ = lookups("k8shsvc", NAME, "-f", "4")
    files, _ = lookups("files k8shsvc", NAME, "-f", "4")
    assert all(len(f) > len(o) for f, o in zip(files[1:], ours[1:])), (names(files[1]), names(ours[1]))


@suite.test("the module keeps no descriptor open")
def no_descriptor():
    sandbox.nsswitch("k8shsvc")
    program = ("import os, socket\nbefore = set(os.listdir('/proc/self/fd'))\n"
               f"for name in '{NAME}', 'many-auto.default', 'sticky.default':\n    socket.getaddrinfo(name, None)\n"
               "print(len(set(os.listdir('/proc/self/fd')) - before))")
    assert sandbox.run(sys.executable, "-c", program).stdout.strip() == "0"


def set_up():
    if not sandbox.have("strace"):
        tap.skip_all("strace is not installed")
    sandbox.nsswitch("k8shsvc")
    services = {"user-svc": ("single", THREE), "six-svc": ("single", THREE6), "random": ("single\norder = random", THREE),
                "sticky": ("single\norder = sticky", EIGHT)}
    services |= {f"many-{answers}": (answers, EIGHT) for answers in ("3", "auto", "all")}
    lab.start_dns({f"{name}.default": (addresses, 5) for name, (_, addresses) in services.items()})
    daemon.configure("".join(f"[service {name}.default]\nanswers = {answers}\n" + "alias = user\n" * (name == "user-svc")
                             for name, (answers, _) in services.items()))
    return lab.start_daemon(*(f"{name}.default" for name in services))


if __name__ == "__main__":
    sandbox.enter()
    with lab.set_up(set_up):
        sys.exit(suite.run())
