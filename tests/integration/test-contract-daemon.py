"""What programs get while the daemon's table goes through its states, one after another.

Behind the table is another DNS server, which has both families of all names. The rules are in
harness/matrix.py.
"""

import sys

from harness import daemon, dns, lab, matrix, sandbox, tap

suite = tap.Suite()

# The daemon's own server; resolv.conf has the other one.
KNOT = "10.96.0.11"
NAMES = ("both.live", "four.live", "none.live", "soon.live", "late.live")
POD4, POD6 = "10.244.0.10", "fd00:10:244::10"
CONFIG = f"""
[daemon]
source = dns
dns-servers = {KNOT}
refresh-min = 1s
refresh-max = 1s
orphan-max = 11s
[service both.live]
[service four.live]
[service none.live]
[service soon.live]
max-stale = 1s
"""

# What the module says for each family.
FULL = {matrix.UNSPEC: matrix.Found(1, 1), matrix.INET: matrix.Found(1, 0), matrix.INET6: matrix.Found(0, 1)}
ONLY4 = {matrix.UNSPEC: matrix.Found(1, 0), matrix.INET: matrix.Found(1, 0), matrix.INET6: matrix.OTHER}
EMPTY = {family: matrix.NONE for family in FULL}


def differences(service, by_family):
    """Through every call and hosts line."""
    row = [(service, service, by_family)]
    wrong = []
    for hosts in matrix.LINES:
        sandbox.nsswitch(hosts)
        wrong += [f"{hosts}: {w}" for w in matrix.differences(matrix.cells(states=row), hosts, states=row)]
    return wrong


def expect(service, by_family):
    wrong = differences(service, by_family)
    assert not wrong, "\n".join(wrong)


def wait_for(service, by_family, seconds=60):
    """With what is still wrong when the time is over."""
    try:
        sandbox.wait_until(lambda: not differences(service, by_family), seconds, service)
    except AssertionError:
        expect(service, by_family)


@suite.test("fresh")
def fresh():
    wait_for("both.live", FULL)


@suite.test("none of a family, after three answers that say so")
def other_family():
    wait_for("four.live", ONLY4)


@suite.test("no endpoint, after three answers that say so")
def empty():
    wait_for("none.live", EMPTY)


@suite.test("too old, a second after the last answer")
def expired():
    wait_for("soon.live", FULL)
    server.stop()
    wait_for("soon.live", matrix.UNUSABLE)


@suite.test("registered while no server answers")
def pending():
    daemon.configure(CONFIG + "[service late.live]\n")
    running.reload()
    running.wait_log(r"\b5 services", 60)
    expect("late.live", matrix.UNUSABLE)


@suite.test("stale; what was known of families and endpoints still is")
def stale():
    expect("both.live", FULL)
    expect("four.live", ONLY4)
    expect("none.live", EMPTY)


@suite.test("dead for more than orphan-max")
def dead():
    running.kill()
    for service in NAMES:
        wait_for(service, matrix.UNUSABLE)


def set_up():
    sandbox.ip("address", "add", f"{KNOT}/32", "dev", "eth0")
    matrix.start_dns(*NAMES)
    knot = dns.Server(KNOT)
    for service, addresses in ("both.live", [POD4, POD6]), ("four.live", [POD4]), ("soon.live", [POD4, POD6]):
        knot.set_service(service, addresses)
    knot.start()
    daemon.configure(CONFIG)
    return knot, daemon.Daemon()


if __name__ == "__main__":
    sandbox.enter()
    matrix.require_tools()
    server, running = lab.set_up(set_up)
    with running:
        sys.exit(suite.run())
