"""What a lookup costs in instructions, as valgrind counts them: the figure that no noise can hide.

    ninja -C build-release bench-instructions-report

getaddrinfo() through the module beside the module that answers constants, and k8shsvc_lookup() beside the raw
loop of bench-lookup. A figure is the difference between a run of many lookups and one of few, by their number,
so that what a process does once does not count. Valgrind hides the vDSO: of a look at the clock, only the call
counts.

With --test it speaks TAP and holds the bar.
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import daemon, lab, sandbox, tap, view  # noqa: the path is known only now

BENCH = f"{sandbox.BIN}/bench-getaddrinfo"
LOOKUP = os.environ["K8SHSVC_BENCH_LOOKUP"]  # where it finds its library
VALGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")

FEW, MANY = 200, 1200  # whole hundreds, since glibc looks for nscd's socket in every hundredth lookup
MOST_BEYOND = 900  # instructions of a getaddrinfo(), beyond those through the no-op module

DOMAIN = ".svc.cluster.local"
SERVICES = {"user-svc.default": lab.pods(10, 1), "single-03.bench": lab.pods(10, 3)}
NAMES = [service + suffix for service in SERVICES for suffix in ("", DOMAIN)]

suite = tap.Suite()


def _counted(*command):
    """Instructions of one run."""
    found = re.findall(r"Collected : (\d+)", sandbox.run(*command).stderr)
    assert len(found) == 1, f"{command}: {found}"
    return int(found[0])


def _each(command):
    """Instructions of one lookup; command(n) is the command line for n of them."""
    return (_counted(*command(MANY)) - _counted(*command(FEW))) / (MANY - FEW)


def getaddrinfo(module, name):
    first = view.View(f"{module}-first", f"{module} files dns")
    return _each(lambda n: first.command(*VALGRIND, BENCH, "--marked", name, "0", str(n)))


def lookup(contestant, suffix):
    return _each(lambda n: (*VALGRIND, LOOKUP, "--calls", str(n), contestant, suffix))


def report():
    print(f"getaddrinfo(), AF_UNSPEC, answers = single{'':16} no-op  k8shsvc  beyond")
    for name in NAMES:
        floor, ours = getaddrinfo("noop", name), getaddrinfo("k8shsvc", name)
        print(f"  {name:52} {floor:8.0f} {ours:8.0f} {ours - floor:7.0f}", flush=True)
    print(f"k8shsvc_lookup(), 3 addresses{'':27} raw      api")
    for suffix in "", DOMAIN:
        floor, ours = lookup("raw", suffix), lookup("api", suffix)
        print(f"  service-000000.default{suffix:30} {floor:8.0f} {ours:8.0f} {ours / floor:6.2f} x", flush=True)


@suite.each(f"getaddrinfo({{0}}) takes at most {MOST_BEYOND} instructions more than through the no-op module",
            [(name,) for name in NAMES])
def beyond(name):
    floor, ours = getaddrinfo("noop", name), getaddrinfo("k8shsvc", name)
    tap.comment(f"{ours:.0f}, through the no-op module {floor:.0f}: {ours - floor:.0f} more")
    assert ours - floor <= MOST_BEYOND


def set_up():
    sandbox.install(BENCH, os.environ["K8SHSVC_BENCH_PROGRAM"])
    sandbox.nsswitch("k8shsvc")
    daemon.configure("".join(f"[service {name}]\nsource = static\nanswers = single\nendpoints = {' '.join(addresses)}\n"
                             for name, addresses in SERVICES.items()))
    return lab.start_daemon(*NAMES)


def main():
    if not sandbox.have("valgrind"):
        tap.skip_all("valgrind is not installed")
    sandbox.enter()
    with lab.set_up(set_up):
        if "--test" in sys.argv:
            sys.argv.remove("--test")
            return suite.run()
        report()
        return 0


sys.exit(main())
