"""What getaddrinfo() makes of the module's answers, in every kind of pod network.

A module between glibc and ours tells what ours has answered in each call, so that what the module
chose and what the program sees can be held against each other: in none of the answers but those of
`all` may glibc move another address to the front. The real daemon publishes the services, once for
all networks.
"""

import contextlib
import itertools
import os
import re
import subprocess
import sys
import time

from harness import daemon, lab, networks, sandbox, stats, tap

suite = tap.Suite()

CALLS = 400
FRESH_SECONDS = 10  # for so long the module believes what it knows of the network

# Name of a policy, what the configuration says, and how many addresses of each family it gives at most.
POLICIES = {
    "single": ("answers = single", 1),
    "auto": ("answers = auto", 4),
    "three": ("answers = 3", 3),
    "most": ("answers = 5000", 8),
    "random": ("answers = auto\norder = random", 4),
    "sticky": ("answers = auto\norder = sticky", 4),
    "all": ("answers = all", 8),
}
ROTATING = ("single", "auto", "three", "most", "random")
FAMILIES = ("any", "ipv4", "ipv6")


def service(network, pods, policy):
    return f"{network.name}-{pods}-{policy}.default"


def configuration():
    sections = ["[daemon]\nsource = static\n"]
    for network in networks.ALL:
        for pods, policy in itertools.product(network.pods, POLICIES):
            endpoints = "".join(f"\n    {address}" for address in network.pods[pods])
            sections.append(f"[service {service(network, pods, policy)}]\nendpoints ={endpoints}\n{POLICIES[policy][0]}\n")
    return "\n".join(sections)


@contextlib.contextmanager
def made(network):
    """The network, when all of its addresses are in use."""
    with networks.made(network):
        sandbox.wait_until(lambda: not network.run("ip", "-6", "address", "show", "tentative").stdout, 20,
                           "no address is tentative any more")
        yield network


class Call:
    """One lookup: what the module said and what the program got, in their orders."""

    def __init__(self, module, program):
        self.module, self.program = module, program

    def first(self, family):
        """The first address of one family, as the program sees it."""
        return next((a for a in self.program if family_of(a) == family), None)

    @property
    def is_moved(self):
        """Whether glibc has moved another address to the front, of all or of one family."""
        return self.program[0] != self.module[0] or any(
            self.first(family) != next((a for a in self.module if family_of(a) == family), None)
            for family in ("ipv4", "ipv6"))


def family_of(address):
    return "ipv6" if ":" in address else "ipv4"


def calls_of(result, count):
    """The calls of a program whose lookups are lines on its standard output, and the probe's on the other."""
    module = [line.split() for line in result.stderr.splitlines()]
    program = [line.split() for line in result.stdout.splitlines()]
    assert len(module) == len(program) == count, f"{len(module)} answers, {len(program)} results: {result}"
    calls = [Call(m, p) for m, p in zip(module, program)]
    for call in calls:
        assert sorted(call.module) == sorted(call.program), f"{call.program} of {call.module}"
    return calls


def look_up(network, name, family="any", count=CALLS, call="getaddrinfo"):
    flag = {"any": "0", "ipv4": "4", "ipv6": "6"}[family]
    result = network.run(sandbox.RESOLVE, "-f", flag, "-n", str(count), "-m", call, "--", name)
    result.stdout = "".join(line.split(" ", 1)[1] + "\n" for line in result.stdout.splitlines())
    return calls_of(result, count)


def moved(calls):
    return [call for call in calls if call.is_moved]


def cells(network):
    """The pods and families of a network."""
    for pods in network.pods:
        has = network.families(pods)
        yield from ((pods, family) for family in FAMILIES if family in has or (family == "any" and has))


# ---- the matrix ----

@suite.each("{1}: the address that is first stays first, and each is as often the first", [(n, n.title) for n in networks.ALL])
def stays_first(network, _):
    with made(network):
        for (pods, family), policy in itertools.product(cells(network), ROTATING):
            where = f"{pods}, {family}, {policy}"
            calls = look_up(network, service(network, pods, policy), family)
            wrong = moved(calls)
            assert not wrong, f"{where}: {len(wrong)} calls, {wrong[0].module} became {wrong[0].program}"
            for of in network.families(pods):
                if family not in ("any", of):
                    continue
                firsts = [call.first(of) for call in calls]
                stats.assert_even(firsts, network.addresses(pods, of))
                sizes = [sum(family_of(a) == of for a in call.program) for call in calls]
                assert 1 <= min(sizes) and max(sizes) <= POLICIES[policy][1], f"{where}: {min(sizes)} to {max(sizes)}"
                if policy == "auto":
                    tap.comment(f"{where}, {of}: {sum(sizes) / len(sizes):.2f} addresses on average")


@suite.each("{1}: where glibc sorts nothing, as many addresses are given as are asked for",
            [(n, n.title) for n in networks.ALL if n.keeps_order])
def all_that_is_asked_for(network, _):
    with made(network):
        for pods, policy in itertools.product(network.keeps_order, ("auto", "three", "most")):
            sizes = {len(call.program) for call in look_up(network, service(network, pods, policy), "any", 50)}
            assert sizes == {POLICIES[policy][1]}, f"{pods}, {policy}: {sizes}"


@suite.each("{1}: sticky keeps its pod, in every process, and it stays first", [(n, n.title) for n in networks.ALL if n.has_host])
def sticky(network, _):
    with made(network):
        for pods, family in cells(network):
            calls = [c for _ in range(3) for c in look_up(network, service(network, pods, "sticky"), family, 20)]
            assert not moved(calls), f"{pods}, {family}: {moved(calls)[0].module}"
            for of in ("ipv4", "ipv6"):
                firsts = {call.first(of) for call in calls}
                assert len(firsts) == 1, f"{pods}, {family}: {firsts}"


@suite.each("{1}: all are all of them", [(n, n.title) for n in networks.ALL])
def all_of_them(network, _):
    with made(network):
        for pods, family in cells(network):
            wanted = sorted(a for a in network.pods[pods] if family in ("any", family_of(a)))
            for call in look_up(network, service(network, pods, "all"), family, 20):
                assert sorted(call.program) == wanted, call.program


@suite.test("the measure works: `all` is moved where glibc sorts")
def control():
    with made(networks.BRIDGED_24) as network:
        calls = look_up(network, service(network, networks.NEAR, "all"))
        assert len(moved(calls)) > CALLS / 2, f"{len(moved(calls))} of {CALLS}"
        assert {call.first("ipv4") for call in calls} == {"10.77.0.4"}


@suite.test("a deprecated IPv4 address is a source all the same")
def deprecated_ipv4():
    with made(networks.BRIDGED_24) as network:
        network.run("ip", "address", "change", "10.77.0.5/24", "dev", "eth0", "valid_lft", "1000", "preferred_lft", "0")
        assert "deprecated" in network.run("ip", "address", "show", "dev", "eth0").stdout
        assert not moved(look_up(network, service(network, networks.NEAR, "auto")))


@suite.test("an own address among the endpoints goes first only in its turn")
def own_endpoint():
    """The caller is a pod of the service itself: nothing is nearer than that, and so nothing follows the others."""
    with made(networks.BRIDGED_24) as network:
        network.run("ip", "address", "add", "10.77.0.4/32", "dev", "eth0")
        calls = look_up(network, service(network, networks.NEAR, "auto"))
        assert not moved(calls)
        stats.assert_even([call.first("ipv4") for call in calls], network.pods[networks.NEAR])


# ---- what changes under a process ----

# Looks up COUNT times for each line of its standard input, in a forked child where it says "fork".
FOLLOWER = """
import os, socket, sys
def look_up(count):
    for i in range(count):
        found = socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)
        os.write(1, (" ".join(address[4][0] for address in found) + "\\n").encode())
for line in sys.stdin:
    if line == "fork\\n" and os.fork() == 0:
        look_up(int(sys.argv[2]))
        os._exit(0)
    elif line == "fork\\n":
        os.wait()
    elif line == "setns\\n":
        import ctypes
        with open("/run/netns/" + sys.argv[3]) as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0) != 0:
                raise OSError(ctypes.get_errno(), "setns")
    else:
        look_up(int(sys.argv[2]))
    os.write(1, b"done\\n")
"""


class Follower:
    """A process that looks one name up whenever it is told to."""

    COUNT = 200

    def __init__(self, network, name, other=""):
        # Through files: a pipe that nobody reads would stop it.
        self._files = [open(f"{sandbox.HOME}/follower-{id(self)}-{i}", "w+") for i in range(2)]
        self._process = subprocess.Popen(network.command(sys.executable, "-c", FOLLOWER, name, str(self.COUNT), other),
                                         stdin=subprocess.PIPE, stdout=self._files[0], stderr=self._files[1], text=True)
        self._n_done = 0

    def tell(self, word):
        """The lookups that it makes upon that."""
        for file in self._files:
            file.seek(0, os.SEEK_END)
        starts = [file.tell() for file in self._files]
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        self._n_done += 1
        sandbox.wait_until(lambda: self._read(0).count("done\n") == self._n_done or self._process.poll() is not None, 60,
                           f"{word} is done")
        assert self._process.poll() is None, self._read(1)
        result = subprocess.CompletedProcess("follower", 0, self._read(0, starts[0]).replace("done\n", ""),
                                             self._read(1, starts[1]))
        return calls_of(result, 0 if word == "setns" else self.COUNT)

    def _read(self, i, start=0):
        with open(self._files[i].name) as file:
            file.seek(start)
            return file.read()

    def end(self):
        self._process.stdin.close()
        assert self._process.wait(timeout=60) == 0
        for file in self._files:
            file.close()


@suite.test("a change of the network is known at once to a forked child, and in 10 s to its parent and after setns()")
def follows_changes():
    with made(networks.WITHOUT_IPV6) as before, made(networks.BRIDGED_24) as after:
        name = service(networks.WITHOUT_IPV6, networks.NEAR, "auto")
        changes, moves = Follower(before, name), Follower(before, name, after.name)
        for follower in changes, moves:
            calls = follower.tell("look up")
            assert not moved(calls) and {len(call.program) for call in calls} == {4}, "nothing is sorted without IPv6"

        before.run("sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        before.run("ip", "address", "add", "fd77::5/64", "dev", "eth0", "nodad")
        moves.tell("setns")
        known = time.monotonic()
        assert not moved(changes.tell("fork")), "the child believes its parent"
        tap.comment(f"at first, {[len(moved(f.tell('look up'))) for f in (changes, moves)]} of {Follower.COUNT} are moved")

        time.sleep(max(0, known + FRESH_SECONDS + 0.1 - time.monotonic()))
        for what, follower in ("the network changed", changes), ("setns", moves):
            wrong = moved(follower.tell("look up"))
            assert not wrong, f"{what}: {len(wrong)} calls, {wrong[0].module} became {wrong[0].program}"
            follower.end()


# ---- what it costs, and where it is refused ----

def dumps(network, policy, call, count=200):
    """How often a process asks the kernel for addresses in so many lookups, and most often it may on a slow machine."""
    log = f"{sandbox.HOME}/strace"
    start = time.monotonic()
    network.run("strace", "-f", "-e", "trace=sendto", "-o", log, sandbox.RESOLVE, "-f", "4", "-m", call,
                "-n", str(count), "--", service(network, networks.NEAR, policy))
    seconds = time.monotonic() - start
    with open(log) as file:
        # strace does not always know that the socket is NETLINK_ROUTE's
        return len(re.findall(r"nlmsg_type=(?:RTM_GETADDR|0x16\b)", file.read())), 1 + seconds // FRESH_SECONDS


@suite.each("200 lookups of `{0}`: the module asks the kernel for addresses {1} time(s)", [
    ("single", 0), ("all", 0), ("auto", 1), ("three", 1), ("random", 1), ("sticky", 1)])
def asks_once(policy, expected):
    """gethostbyname() does not sort: whoever asks is the module."""
    with made(networks.BRIDGED_24) as network:
        found, most = dumps(network, policy, "gethostbyname")
        assert expected <= found <= expected * most, found


@suite.each("200 getaddrinfo() of `{0}`: glibc asks {1} times, the module {2}", [("single", 0, 0), ("auto", 200, 1)])
def asks_less_than_glibc(policy, glibc, module):
    with made(networks.BRIDGED_24) as network:
        found, most = dumps(network, policy, "getaddrinfo")
        assert glibc + module <= found <= glibc + module * most, found


# socket(AF_NETLINK, ...) fails with EPERM from now on.
REFUSE = """
import ctypes, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
SECCOMP_DATA_NR, SECCOMP_DATA_ARG0, AF_NETLINK = 0, 16, 16
def instruction(code, jt, jf, k):
    return struct.pack("HBBI", code, jt, jf, k)
program = b"".join([
    instruction(0x20, 0, 0, SECCOMP_DATA_NR),
    instruction(0x15, 0, 3, int(sys.argv[2])),
    instruction(0x20, 0, 0, SECCOMP_DATA_ARG0),
    instruction(0x15, 0, 1, AF_NETLINK),
    instruction(0x06, 0, 0, 0x00050000 | 1),  # SECCOMP_RET_ERRNO, EPERM
    instruction(0x06, 0, 0, 0x7fff0000),  # SECCOMP_RET_ALLOW
])
text = ctypes.create_string_buffer(program)
filter = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(text))
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, filter) == 0, ctypes.get_errno()  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
import os, socket
for i in range(200):
    found = socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)
    os.write(1, (" ".join(address[4][0] for address in found) + "\\n").encode())
"""
SOCKET = {"x86_64": 41, "aarch64": 198}


@suite.each("where seccomp refuses netlink, {0} is single, and rotates", [("auto",), ("three",), ("sticky",)])
def refused(policy):
    if os.uname().machine not in SOCKET:
        raise tap.Skip("the number of socket() is not known here")
    with made(networks.BRIDGED_24) as network:
        name = service(network, networks.NEAR, policy)
        calls = calls_of(network.run(sys.executable, "-c", REFUSE, name, str(SOCKET[os.uname().machine])), 200)
        assert {len(call.program) for call in calls} == {1}
        stats.assert_even([call.program[0] for call in calls], network.pods[networks.NEAR])


def set_up():
    if not sandbox.have("strace"):
        tap.skip_all("strace is not installed")
    sandbox.nsswitch("k8shsvc")
    daemon.configure(configuration())
    names = [service(n, pods, policy) for n in networks.ALL for pods in n.pods for policy in POLICIES]
    started = lab.start_daemon(*names)
    sandbox.nsswitch("probe")
    return started


if __name__ == "__main__":
    sandbox.enter()
    with lab.set_up(set_up):
        sys.exit(suite.run())
