"""Who takes part in the getaddrinfo() benchmark: the sandbox, the servers, a process for each contender.

A heat is a service of so many addresses, looked up for one family by all contenders. They are set up once;
after that each of them is a process that sleeps until it is its turn.
"""

import os
import re
import subprocess
import sys
from collections import namedtuple

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import caches, daemon, lab, noop, sandbox, view  # noqa: the path is known only now
from getaddrinfo_report import DNS_CACHES, floor_of

BENCH = f"{sandbox.BIN}/bench-getaddrinfo"
NAMESPACE = "bench"
LONG = 3600  # nothing expires while this runs

# How the service is registered for each of the module's own contenders, and how many addresses may come.
MODES = {"single": ("single", 1), "two": ("2", 2), "auto": ("auto", 4), "all": ("all", 1 << 30)}

# In slices of so many milliseconds: what answers in microseconds, and what wakes up another process for it.
QUICK, SLOW = 6, 12

Contender = namedtuple("Contender", "name heat view service module most msec")
Heat = namedtuple("Heat", "addresses family")
HEATS = [Heat(1, "AF_UNSPEC"), Heat(3, "AF_UNSPEC"), Heat(3, "AF_INET"), Heat(10, "AF_UNSPEC"),
         Heat(50, "AF_UNSPEC")]
MAIN_HEAT = Heat(3, "AF_UNSPEC")
AFTER_FILES = "single, after files"
_FAMILY = {"AF_UNSPEC": "0", "AF_INET": "4"}


def service(mode, heat):
    return f"{mode}-{heat.addresses:02d}.{NAMESPACE}"


def full_name(mode, heat):
    return f"{service(mode, heat)}.svc.cluster.local"


def pods(heat):
    return lab.pods(10, heat.addresses)


class Worker:
    """A contender's process."""

    def __init__(self, contender):
        self.contender = contender
        self._process = subprocess.Popen(
            contender.view.command(BENCH, contender.service, _FAMILY[contender.heat.family]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ask(self, command):
        """Has it do one thing; returns the words of its answer."""
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._process.stdout.readline()
        if not line:
            error = self._process.communicate()[1].strip()
            raise RuntimeError(f"{self.contender.name}, {self.contender.heat}: {command}: {error}")
        return line.split()

    def end(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()

    def check(self):
        """It answers, with all of the service's addresses, or with as many as its mode gives."""
        found = self.ask("answer")
        expected = set(pods(self.contender.heat))
        n = len(expected) if self.contender.most is None else min(self.contender.most, len(expected))
        right = len(found) == len(set(found)) and set(found) <= expected
        # first-kept drops those that glibc would sort to the front
        enough = len(found) == n if self.contender.most in (None, 1, 1 << 30) else 1 <= len(found) <= n
        if not right or not enough:
            raise RuntimeError(f"{self.contender.name}, {self.contender.heat}: answers {found}, "
                               f"expected {n} of {sorted(expected)}")
        return found


def trace(contender, count):
    """System calls of so many lookups, by name, as strace sees them."""
    log = f"{sandbox.HOME}/strace"
    sandbox.run(*contender.view.command("strace", "-f", "-o", log, BENCH, "--marked", contender.service,
                                        _FAMILY[contender.heat.family], str(count)))
    with open(log) as file:
        names = [m.group(1) for m in (re.match(r"\d+ +(\w+)\(", line) for line in file) if m]
    begin, end = (i for i, call in enumerate(names) if call == "getppid")
    calls = {}
    for call in names[begin + 1:end]:
        calls[call] = calls.get(call, 0) + 1
    return calls


class Contest:
    """All heats' contenders. `missing` says for each that could not be had why."""

    def __init__(self, heats):
        self.heats = heats
        self.missing = {}
        self.groups = {}   # heat: [[contenders that are compared with each other, next to each other]]
        self.returned = {}  # (heat, name): the mean number of addresses of an answer
        self._views = {}
        self._workers = {}

    # ---- setting up ----

    def set_up(self):
        """Inside the sandbox; returns the daemon, a context manager."""
        sandbox.install(BENCH, os.environ["K8SHSVC_BENCH_PROGRAM"])
        sandbox.nsswitch("k8shsvc")
        # one of each size, whatever families it is looked up for
        heats = {heat.addresses: heat for heat in self.heats}.values()
        lab.start_dns({service(mode, heat): (pods(heat), LONG) for heat in heats for mode in MODES})
        daemon.configure("[daemon]\nrefresh-max = 1h\n" + "".join(
            f"[service {service(mode, heat)}]\nanswers = {MODES[mode][0]}\n" for heat in heats for mode in MODES))
        started = lab.start_daemon(*(full_name(mode, heat) for heat in heats for mode in MODES))
        try:
            assert "<3>" not in started.log(), started.log()
            for heat in heats:
                lab.wait_addresses(full_name("all", heat), pods(heat))
            self._start_servers()
            for heat in self.heats:
                self.groups[heat] = self._contenders(heat)
        except BaseException:
            started.kill()
            raise
        return started

    def _start_servers(self):
        starts = {"nscd": caches.start_nscd, "systemd-resolved": caches.start_resolved,
                  "dnsmasq": caches.start_dnsmasq, "unbound": caches.start_unbound, "CoreDNS": caches.start_coredns}
        for name, start in starts.items():
            try:
                self._views[name] = start()
            except caches.Missing as reason:
                self.missing[name] = str(reason)

    def _nsncd(self, heat):
        """One for each number of addresses, since its answers come from /etc/hosts, which is to be short."""
        name = f"nsncd-{heat.addresses}"
        if name not in self._views:
            try:
                self._views[name] = caches.start_nsncd(name, _records(heat))
            except caches.Missing as reason:
                self.missing["nsncd"] = str(reason)
                self._views[name] = None
        return self._views[name]

    def _contenders(self, heat):
        groups = self._modules(heat)
        peers = [("files", view.View(f"files-{heat.addresses}", "files", records=_records(heat)), QUICK),
                 ("nscd", self._views.get("nscd"), QUICK), ("nsncd", self._nsncd(heat), SLOW),
                 *((name, self._views.get(name), SLOW) for name in ("systemd-resolved", *DNS_CACHES))]
        for name, of_view, msec in peers:
            if of_view:
                groups.append([Contender(name, heat, of_view, full_name("single", heat), None, None, msec)])
                self.returned[heat, name] = heat.addresses
        return groups

    def _modules(self, heat):
        """The module in its modes, each beside the no-op module that returns as many addresses."""
        def contender(name, module, hosts, mode, n, binds=None):
            self.returned[heat, name] = n
            of_view = view.View(f"{name}-{heat.addresses}-{heat.family}".replace(" ", "-"), hosts, binds=binds)
            return Contender(name, heat, of_view, full_name(mode, heat), module, MODES[mode][1], QUICK)

        floor = contender("no-op", "noop", "noop files dns", "single", 1, self._noop("no-op", heat, [pods(heat)[:1]]))
        groups = [[floor, contender("single", "k8shsvc", "k8shsvc files dns", "single", 1)],
                  [contender(AFTER_FILES, "k8shsvc", "files k8shsvc dns", "single", 1)]]
        for mode in ("two", "auto", "all") if heat.addresses > 1 else ():
            ours = contender(mode, "k8shsvc", "k8shsvc files dns", mode, 0)
            answers = self._record(ours)
            n = self.returned[heat, mode] = sum(map(len, answers)) / len(answers)
            binds = self._noop(floor_of(mode), heat, answers)
            groups.append([contender(floor_of(mode), "noop", "noop files dns", mode, n, binds), ours])
        return groups

    def _record(self, contender):
        worker = Worker(contender)
        answers = [answer.split(",") for answer in worker.ask(f"record {contender.module} {noop.ANSWERS}")]
        worker.end()
        return answers

    @staticmethod
    def _noop(name, heat, answers):
        path = f"{sandbox.HOME}/noop/{name}-{heat.addresses}-{heat.family}.so".replace(" ", "-")
        noop.write(answers, path)
        return {noop.INSTALLED: path}

    # ---- taking part ----

    def contenders(self, heat):
        return [contender for group in self.groups[heat] for contender in group]

    def in_turn(self, heat, i_round):
        """The order of a round: the groups change places, and within a group who goes first."""
        groups = self.groups[heat]
        at = i_round % len(groups)
        for group in groups[at:] + groups[:at]:
            yield from group if i_round % 2 else reversed(group)

    def worker(self, contender):
        key = (contender.heat, contender.name)
        if key not in self._workers:
            self._workers[key] = Worker(contender)
            self._workers[key].check()
        return self._workers[key]

    def renew(self):
        """New processes from now on: where the loader puts things, and which pages they get, is luck, too."""
        for worker in self._workers.values():
            worker.end()
        self._workers = {}


def _records(heat):
    return "".join(f"{address} {full_name('single', heat)}\n" for address in pods(heat))
