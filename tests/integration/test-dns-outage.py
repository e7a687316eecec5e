"""All DNS servers are gone: what was known is answered, they are hardly asked, and are not run over when back."""

import bisect
import sys
import time

from harness import lookup, sandbox, scripted, tap
from harness.scene import POD, POD2, SUFFIX, Scene, services
from harness.scripted import SOA, Server

suite = tap.Suite()

SECOND = "10.96.0.11"
DOWN = "no answer, asking once a second"


def busiest_second(times):
    """The most questions in any second."""
    times = sorted(times)
    return max((bisect.bisect_left(times, at + 1) - i for i, at in enumerate(times)), default=0)


def assert_served(scene, seconds):
    """Every name is answered as before, for so long."""
    names = [name + SUFFIX for name in scene.names]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        wrong = [(n, a) for n, a in zip(names, lookup.resolve_many(names)) if set(a.addresses) != {POD}]
        assert not wrong, wrong[:3]
        time.sleep(0.05)


def assert_probes(asked):
    """One a second, and nothing else; a late one may be followed by one in time."""
    assert asked, "not probed"
    assert {q.type for q in asked} == {SOA} and {q.name for q in asked} == {scripted.ZONE}, asked[0].name
    at = sorted(q.at for q in asked)
    assert len(at) <= 2 + (at[-1] - at[0]), f"{len(at)} probes in {at[-1] - at[0]:.1f} s"


def no_byte(server, question):
    question.reply(b"")


@suite.each("the server {0}: the answers stay, it is probed, and asked again when it is back", [
    ("refuses (ICMP)", "tcp", lambda server: server.close(), lambda server: server.listen()),
    ("is silent", "tcp", lambda server: setattr(server, "script", scripted.silent), lambda server: setattr(server, "script", None)),
    ("is silent by UDP", "udp", lambda server: setattr(server, "script", scripted.silent), lambda server: setattr(server, "script", None)),
    ("sends datagrams without a byte", "udp", lambda server: setattr(server, "script", no_byte), lambda server: setattr(server, "script", None)),
])
def one_server(_, transport, begin, end):
    server = Server()
    with Scene(services(20), server, options=f"dns-transport = {transport}\n") as scene:
        scene.wait()
        begin(server)
        sandbox.wait_until(lambda: DOWN in scene.daemon.log(), 30, "the server is given up")
        time.sleep(0.5)  # what was on its way
        since, cpu = time.monotonic(), scene.daemon.cpu_seconds()
        assert_served(scene, 4)
        if server.asked(since=since, probes=True):
            assert_probes(server.asked(since=since, probes=True))
        elapsed = time.monotonic() - since
        assert scene.daemon.cpu_seconds() - cpu < 0.05 * elapsed, scene.daemon.cpu_seconds() - cpu
        server.zone = {name: ([POD2], 1) for name in scene.names}
        end(server)
        scene.wait([POD2])


@suite.each("{0}: a server that takes 1.4 s for an answer is heard when it is back", [("tcp",), ("udp",)])
def slow_server(transport):
    def slow(server, question):
        answer = server.answer(question)
        server.later(1.4, lambda: question.reply(answer))

    server = Server()
    with Scene(services(2), server, options=f"dns-transport = {transport}\n") as scene:
        scene.wait()
        server.close()
        sandbox.wait_until(lambda: DOWN in scene.daemon.log(), 30, "the server is given up")
        server.script = slow
        server.zone = {name: ([POD2], 1) for name in scene.names}
        server.listen()
        scene.wait([POD2])


@suite.test("two silent servers: one probe a second for each, by TCP and UDP in turn")
def two_servers():
    first, second = Server(), Server(SECOND)
    with Scene(services(5), first, second) as scene:
        scene.wait()
        first.script = second.script = scripted.silent
        sandbox.wait_until(lambda: scene.daemon.log().count(DOWN) == 2, 60, "both are given up")
        since = time.monotonic() + 0.5
        assert_served(scene, 6.5)
        for server in first, second:
            asked = server.asked(since=since, probes=True)
            assert_probes(asked)
            transports = [q.transport for q in asked]
            assert all(a != b for a, b in zip(transports, transports[1:])) and len(asked) > 2, transports
        second.script = None
        scene.wait_asked(second, 10, since=time.monotonic())
        assert first.asked(since=since, probes=True)[-1].type == SOA


@suite.test("after an outage 300 names are asked at no more than twice the mean of the time before")
def ramp():
    server = Server()
    with Scene(services(300), server, refresh_max="3s") as scene:
        server.zone = {name: ([POD], 3) for name in scene.names}
        scene.wait()
        begin = time.monotonic() + 2  # the first round came all at once, and is no measure
        time.sleep(9)
        server.script = scripted.silent
        mean = len(server.asked(since=begin)) / (time.monotonic() - begin)
        sandbox.wait_until(lambda: DOWN in scene.daemon.log(), 30, "the server is given up")
        # so long that every name has become due
        assert_served(scene, 3)
        back, server.script = time.monotonic(), None
        sandbox.wait_until(lambda: min(asked_each(server, scene.names, back)) > 1, 60, "all are asked twice")
        busiest = busiest_second([q.at for q in server.asked(since=back)])
        tap.comment(f"mean {mean:.0f}/s before, {busiest} in the busiest second afterwards")
        assert busiest <= max(50, 2 * mean), f"{busiest} in a second, {2 * mean:.0f} allowed"
        scene.wait()


def asked_each(server, names, since):
    counts = dict.fromkeys(names, 0)
    for q in server.asked(since=since):
        if q.service:
            counts[q.service] += 1
    return counts.values()


@suite.test("a query-rate that cannot keep up: what was not asked does not expire, and it is said once")
def late():
    server = Server()
    with Scene(services(150), server, options="max-stale = 5s\n", query_rate=10) as scene:
        scene.wait()
        assert_served(scene, 25)
        said = [line for line in scene.daemon.log().splitlines() if "query-rate = 10 cannot keep up" in line]
        assert len(said) == 1, said
        # but what is asked in vain does
        server.script = scripted.silent
        sandbox.wait_until(lambda: all(a.error for a in lookup.resolve_many([n + SUFFIX for n in scene.names])), 60,
                           "all have expired")


@suite.test("no server at the start: names that were never known are asked at once when it comes")
def cold():
    server = Server(udp=False, tcp=False)
    with Scene(services(200), server) as scene:
        sandbox.wait_until(lambda: DOWN in scene.daemon.log(), 30, "the server is given up")
        assert lookup.resolve(scene.names[0] + SUFFIX).error
        server.listen()
        scene.wait(seconds=10)
        first = [q for q in server.asked() if q.service][:200]
        assert len({q.service for q in first}) == 200
        assert first[-1].at - first[0].at < 2, f"{first[-1].at - first[0].at:.1f} s for 200 names"


if __name__ == "__main__":
    sandbox.enter()
    sandbox.nsswitch("k8shsvc")
    sandbox.ip("address", "add", f"{SECOND}/32", "dev", "eth0")
    sys.exit(suite.run())
