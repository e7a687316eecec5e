"""The daemon dies and another one takes over: no lookup fails, none is wrong, and changes are seen again.

Two loops look up all the time: one process that lives on, and a new process for each lookup.
"""

import os
import re
import sys
import time

from harness import daemon, lab, lookup, sandbox, tap
from harness.hammer import Hammer

suite = tap.Suite()

NAME = "user-svc.default.svc.cluster.local"
PODS = lab.pods(10, 6) + lab.pods(10, 4, six=True)
CONFIG = """
[daemon]
source = dns
[service user-svc.default]
answers = all
[service canary.default]
answers = all
"""
CANARY = "canary.default.svc.cluster.local"


class Loops:
    """Both loops around a `with` block; at its end nothing may have failed."""

    def __enter__(self):
        self.hammers = {mode: Hammer(mode, NAME, PODS).start() for mode in ("long", "fresh")}
        return self

    def __exit__(self, kind, error, trace):
        results = {mode: hammer.stop() for mode, hammer in self.hammers.items()}
        for mode, result in results.items():
            tap.comment(f"{mode}: {result}")
        if kind:
            return
        for mode, result in results.items():
            assert result["lookups"] > 20, f"{mode}: too few lookups to prove anything: {result}"
            assert result["failures"] == 0 and result["wrong"] == 0, f"{mode}: {result}"


def start(**options):
    running[0] = daemon.Daemon(**options)
    return running[0]


def wait_in_charge():
    """Waits until the running daemon follows the zone: it shows an address that none before can have seen."""
    canary[0] += 1
    address = f"10.244.7.{canary[0] % 250 + 1}"
    server.set(CANARY + ".", [address], 1)
    sandbox.wait_until(lambda: lookup.addresses(CANARY) == {address} or not running[0].alive, 30,
                       f"the new daemon follows the zone; its log:\n{running[0].log()}")
    assert running[0].alive, f"the daemon ended:\n{running[0].log()}"


@suite.test("killed five times: no lookup fails")
def killed():
    with Loops():
        for _ in range(5):
            running[0].kill()
            start()
            wait_in_charge()


@suite.test("killed while it starts, ten times: no lookup fails")
def killed_at_start():
    with Loops():
        for i in range(10):
            running[0].kill()
            start()
            time.sleep(0.004 * i * i)
        wait_in_charge()


@suite.test("killed with two seconds to the next start, three times: no lookup fails")
def killed_with_a_gap():
    with Loops():
        for _ in range(3):
            running[0].kill()
            time.sleep(2)
            start()
            wait_in_charge()


@suite.test("silent for longer than readers like (12 s): they go on, and then find the next daemon's table")
def long_silence():
    with Loops():
        running[0].kill()
        time.sleep(12)
        start()
        wait_in_charge()
        time.sleep(2)


@suite.test("stopped by SIGTERM and started again, as in an upgrade: status 0, no lookup fails")
def upgraded():
    with Loops():
        for _ in range(3):
            assert running[0].terminate() == 0, running[0].log()
            assert os.path.exists(sandbox.TABLE), "the table is gone"
            start()
            wait_in_charge()


@suite.test("the DNS server is down during the take-over: no lookup fails")
def without_dns():
    with Loops():
        server.stop()
        try:
            for _ in range(3):
                running[0].kill()
                start()
                time.sleep(2)
                assert running[0].alive, running[0].log()
        finally:
            server.start()
        wait_in_charge()


@suite.test("the DNS server hangs during the take-over: no lookup fails")
def with_hanging_dns():
    with Loops():
        server.pause()
        try:
            running[0].kill()
            start()
            time.sleep(5)
            assert running[0].alive, running[0].log()
        finally:
            server.resume()
        wait_in_charge()


@suite.test("the answer that the next daemon took over without DNS is the last good one")
def last_good():
    server.stop()
    try:
        running[0].kill()
        start()
        time.sleep(3)
        assert lookup.addresses(NAME) == set(PODS)
    finally:
        server.start()
    wait_in_charge()


@suite.each("resolv.conf is {0} during the take-over: no lookup fails, and changes are seen when it is back", [
    ("gone", "no DNS server: /etc/resolv.conf .*; what is known is served"),
    ("empty", "ready: ")])  # then it means localhost, which answers nothing here
def without_resolv_conf(how, line):
    with Loops():
        if how == "gone":
            os.unlink("/etc/resolv.conf")
        else:
            sandbox.write("/etc/resolv.conf", "")
        try:
            for _ in range(2):
                running[0].kill()
                start().wait_log(line)
                time.sleep(2)
                assert running[0].alive, running[0].log()
        finally:
            sandbox.resolv_conf()
        wait_in_charge()


@suite.each("the next daemon's time namespace is {0}, and the DNS server is down: no lookup fails", [
    ("ten days ahead", 864000), ("behind again", 0)])
def other_clock(_, offset):
    prefix = ("unshare", "--time", "--boottime", str(offset), "--fork", "--kill-child") if offset else ()
    with Loops():
        server.stop()
        try:
            running[0].kill()
            start(prefix=prefix).wait_log("ready: ")
            time.sleep(3)
        finally:
            server.start()
        wait_in_charge()


@suite.test("a service that is not in the next daemon's configuration is not answered any more")
def forgotten():
    running[0].kill()
    daemon.configure(CONFIG.replace("[service user-svc.default]\nanswers = all\n", ""))
    start()
    wait_in_charge()
    assert lookup.resolve(NAME).error, lookup.resolve(NAME)
    daemon.configure(CONFIG)
    running[0].kill()
    start()
    sandbox.wait_until(lambda: lookup.addresses(NAME) == set(PODS), 20, "the service is back")


@suite.test("what allow-cidr of the next daemon leaves out is not taken over")
def restricted():
    allowed = [address for address in PODS if ":" not in address][:1]
    server.stop()
    try:
        running[0].kill()
        daemon.configure(CONFIG.replace("source = dns", f"source = dns\nallow-cidr = {allowed[0]}/32"))
        start().wait_log("ready: ")
        assert lookup.addresses(NAME) == set(allowed), lookup.resolve(NAME)
    finally:
        server.start()
    daemon.configure(CONFIG)
    running[0].kill()
    start()
    wait_in_charge()
    sandbox.wait_until(lambda: lookup.addresses(NAME) == set(PODS), 20, "all addresses")


@suite.test("no daemon for longer than orphan-max: readers give the table up")
def orphaned():
    daemon.configure(CONFIG.replace("source = dns", "source = dns\norphan-max = 11s"))
    running[0].kill()
    start()
    wait_in_charge()
    running[0].kill()
    died = time.monotonic()
    while time.monotonic() - died < 9:
        assert lookup.addresses(NAME) == set(PODS), f"given up after {time.monotonic() - died:.1f} s"
        time.sleep(0.2)
    sandbox.wait_until(lambda: lookup.resolve(NAME).error, 10, "the table is given up")
    sandbox.nsswitch("k8shsvc dns")
    assert lookup.addresses(NAME) == set(PODS), "dns does not answer in its place"
    sandbox.nsswitch("k8shsvc")
    start()
    sandbox.wait_until(lambda: lookup.addresses(NAME) == set(PODS), 20, "the next daemon's table")


def ends(process, pattern):
    """It says why, once, and ends by itself."""
    sandbox.wait_until(lambda: not process.alive, 5, "the daemon ends")
    assert process.process.returncode == 1, f"status {process.process.returncode}:\n{process.log()}"
    assert len(re.findall(pattern, process.log(), re.MULTILINE)) == 1, process.log()


@suite.test("the lock file is removed and a second daemon started: the first one says so and ends, then the second takes over")
def lock_is_removed():
    with Loops():
        while True:
            first = running[0]
            os.unlink(f"{sandbox.RUNDIR}/lock")
            second = start()
            sandbox.wait_until(lambda: not first.alive or not second.alive, 20, "one of the daemons ends")
            if not first.alive:
                break
            running[0] = first  # it had taken the lock again before the second one came
        ends(first, "lock was replaced: the table belongs to another k8shsvcd")
        wait_in_charge()


@suite.each("the run directory is {0}: the daemon says so and ends", [
    ("renamed", lambda: os.rename(sandbox.RUNDIR, f"{sandbox.RUNDIR}.moved"),
     lambda: os.rename(f"{sandbox.RUNDIR}.moved", sandbox.RUNDIR)),
    ("mounted over", lambda: sandbox.run("mount", "-t", "tmpfs", "tmpfs", sandbox.RUNDIR),
     lambda: sandbox.run("umount", sandbox.RUNDIR))])
def directory_is_lost(_, lose, restore):
    lose()
    try:
        ends(running[0], f"^(<3>)?{sandbox.RUNDIR} was removed, renamed or mounted over")
    finally:
        restore()
    start()
    wait_in_charge()


# ---- tokens of k8shsvc_wait() ----

WAIT = "import sys; from harness import api; print(api.Api().wait(sys.argv[1] or None, int(sys.argv[2]), 1000))"


def wait(name, token):
    """In a new process: what a token says does not depend on who has it."""
    return sandbox.run(sys.executable, "-c", WAIT, name, token, cwd=os.path.dirname(os.path.abspath(__file__))).stdout.strip()


@suite.each("{0}: a token of a table that was removed means nothing in the next one", [
    ("a service", NAME), ("the whole table", "")])
def tokens(_, name):
    tokens = []
    for i in range(4):
        if i > 0:
            running[0].terminate()
            os.unlink(sandbox.TABLE)
            start()
        wait_in_charge()
        lab.wait_addresses(NAME, PODS)
        for token in tokens:
            assert wait(name, token) not in ("ETIMEDOUT", token), f"{token} of an earlier table still holds"
        tokens.append(wait(name, "0"))
        if name:  # of the whole table there may be another change
            assert wait(name, tokens[-1]) == "ETIMEDOUT", "the control"


def set_up():
    sandbox.nsswitch("k8shsvc")
    dns_server = lab.start_dns({"user-svc.default": (PODS, 1), "canary.default": (["10.244.7.1"], 1)})
    daemon.configure(CONFIG)
    started = lab.start_daemon(NAME, CANARY)
    lab.wait_addresses(NAME, PODS)
    return dns_server, started


if __name__ == "__main__":
    sandbox.enter()
    server, first = lab.set_up(set_up)
    running, canary = [first], [1]
    try:
        sys.exit(suite.run())
    finally:
        running[0].kill()
