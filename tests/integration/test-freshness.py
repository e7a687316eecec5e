"""A change of the zone is seen in time, and an outage of the DNS server is not seen at all.

"In time" is the TTL, held between refresh-min and refresh-max, and a second for all the rest.
"""

import sys
import time

from harness import daemon, lab, lookup, sandbox, stats, tap

suite = tap.Suite()

TTL = 2
SLACK = 1
NAME = "user-svc.default.svc.cluster.local"
SINGLE = "one-svc.default.svc.cluster.local"
SLOW = "slow-svc.default.svc.cluster.local"
GONE = "gone-svc.default.svc.cluster.local"
CONFIG = """
[daemon]
source = dns
refresh-min = 1s
refresh-max = 4s
[service user-svc.default]
answers = all
[service one-svc.default]
answers = single
[service slow-svc.default]
answers = all
[service gone-svc.default]
answers = all
[service outage-svc.default]
answers = all
[service late-svc.default]
answers = all
[service moved-svc.default]
answers = all
"""
OUTAGE = "outage-svc.default.svc.cluster.local"
MOVED = "moved-svc.default.svc.cluster.local"
LATE = "late-svc.default.svc.cluster.local"
A, B, C = lab.pods(10, 3)
A6, B6 = lab.pods(10, 2, six=True)


def change(name, addresses, ttl=TTL):
    """Changes the zone and returns the time from which on the server gives the new answer."""
    server.set(name + ".", addresses, ttl)
    return time.monotonic()


def wait_for(name, addresses):
    """Waits for exactly these addresses; returns the time when they were seen first."""
    sandbox.wait_until(lambda: lookup.addresses(name) == set(addresses), 30,
                       f"{name} is {addresses}; it is {lookup.resolve(name)}")
    return time.monotonic()


def assert_in_time(name, addresses, ttl=TTL, limit=TTL):
    start = change(name, addresses, ttl)
    took = wait_for(name, addresses) - start
    tap.comment(f"seen after {took:.2f} s")
    assert took <= limit + SLACK, f"seen after {took:.2f} s, the TTL is {limit} s"


# Each row starts from what the row before has left behind. No family loses its last address here: DNS
# says the same then as for a service that does not exist, and must say it three times.
@suite.each("within TTL + 1 s: {0}", [
    ("an added address", [A, B, A6]),
    ("a removed address", [B, A6]),
    ("a replaced address", [C, A6]),
    ("an added IPv6 address", [C, A6, B6]),
    ("a removed IPv6 address", [C, B6]),
    ("everything replaced", [A, B, A6]),
    ("50 addresses", lab.pods(100, 50) + [A6]),
    ("back to one", [A, A6]),
])
def in_time(_, addresses):
    assert_in_time(NAME, addresses)


@suite.test("a service that moves from one family to the other")
def moves():
    change(MOVED, [A6])
    wait_for(MOVED, [A6])
    change(MOVED, [B])
    wait_for(MOVED, [B])


@suite.test("a removed address is not answered again, in 1,000 lookups of a process that knew it")
def removed_in_single_mode():
    wait_for(SINGLE, [A])
    start = change(SINGLE, [B, C])
    sandbox.wait_until(lambda: lookup.addresses(SINGLE) <= {B, C}, 20, "the new addresses")
    time.sleep(max(0.0, start + TTL + SLACK - time.monotonic()))
    stats.assert_even([a.addresses[0] for a in lookup.resolve_many([SINGLE], count=1000)], [B, C])


@suite.test("a long TTL is held down to refresh-max")
def long_ttl():
    wait_for(SLOW, [A])
    assert_in_time(SLOW, [A, B], ttl=600, limit=4)
    # what is asked for next was learned with the long TTL
    assert_in_time(SLOW, [B], ttl=600, limit=4)


@suite.test("TTL 0 is held up to refresh-min")
def short_ttl():
    assert_in_time(SLOW, [A, B], ttl=0, limit=4)
    assert_in_time(SLOW, [B], ttl=0, limit=1)
    assert_in_time(SLOW, [A], ttl=0, limit=1)


@suite.test("a service that appears after the daemon")
def late():
    assert lookup.resolve(LATE).error
    change(LATE, [C])
    wait_for(LATE, [C])


@suite.test("the last address is removed: NXDOMAIN must repeat before the table says that there is none")
def last_removed():
    wait_for(GONE, [A])
    start = change(GONE, [])
    # One negative answer proves nothing: the addresses stay for at least two more, 2 s apart.
    while time.monotonic() - start < 3.5:
        assert lookup.addresses(GONE) == {A}, f"gone after {time.monotonic() - start:.2f} s"
        time.sleep(0.1)
    sandbox.wait_until(lambda: lookup.resolve(GONE).error, 20, "the service is known to be empty")
    change(GONE, [B])
    wait_for(GONE, [B])


@suite.test("empty is an answer of its own: [NOTFOUND=return] keeps dns from being asked")
def empty_returns():
    change(GONE, [])
    sandbox.wait_until(lambda: lookup.resolve(GONE).error, 30, "the service is known to be empty")
    sandbox.nsswitch("k8shsvc [NOTFOUND=return] dns")
    # the table does not know the new address yet, the server does
    change(GONE, [C])
    try:
        assert lookup.resolve(GONE).error, "dns was asked"
    finally:
        sandbox.nsswitch("k8shsvc")
    wait_for(GONE, [C])


def outage(begin, end, seconds):
    wait_for(OUTAGE, [A, B])
    begin()
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert lookup.addresses(OUTAGE) == {A, B}, lookup.resolve(OUTAGE)
            time.sleep(0.05)
        assert running.alive
    finally:
        end()


@suite.test("the DNS server is stopped: the answers stay")
def server_stopped():
    outage(server.stop, server.start, 8)


@suite.test("after the server is back, changes are seen again")
def back_again():
    change(OUTAGE, [A, B, C])
    wait_for(OUTAGE, [A, B, C])
    change(OUTAGE, [A, B])
    wait_for(OUTAGE, [A, B])


@suite.test("the DNS server does not answer (it hangs): the answers stay")
def server_hangs():
    outage(server.pause, server.resume, 10)


@suite.test("the server comes back with another zone: the new addresses are seen")
def other_zone():
    wait_for(OUTAGE, [A, B])
    server.stop()
    change(OUTAGE, [C])
    time.sleep(3)
    assert lookup.addresses(OUTAGE) == {A, B}
    server.start()
    wait_for(OUTAGE, [C])


@suite.test("max-stale: an answer that nobody confirms is given up in the end")
def max_stale():
    wait_for(NAME, [A, A6])
    daemon.configure("[daemon]\nsource = dns\nmax-stale = 3s\n[service user-svc.default]\nanswers = all\n")
    running.reload()
    sandbox.wait_until(lambda: lookup.resolve(OUTAGE).error, 20, "the reload is done")
    # an answer that came after the reload
    change(NAME, [A, B, A6])
    wait_for(NAME, [A, B, A6])
    server.stop()
    try:
        sandbox.wait_until(lambda: lookup.resolve(NAME).error, 20, "the answer is given up")
    finally:
        server.start()
    wait_for(NAME, [A, B, A6])


def set_up():
    sandbox.nsswitch("k8shsvc")
    dns_server = lab.start_dns({"user-svc.default": ([A, A6], TTL), "one-svc.default": ([A], TTL),
                                "slow-svc.default": ([A], TTL), "moved-svc.default": ([A], 1), "gone-svc.default": ([A], TTL),
                                "outage-svc.default": ([A, B], 1)})
    daemon.configure(CONFIG)
    return dns_server, lab.start_daemon(NAME, SINGLE, SLOW, GONE, OUTAGE, MOVED)


if __name__ == "__main__":
    sandbox.enter()
    server, running = lab.set_up(set_up)
    with running:
        sys.exit(suite.run())
