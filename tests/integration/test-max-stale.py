"""max-stale counts from the first question that goes unanswered, and from nothing else.

Being late to ask is not a failure: neither where the rate of questions stretches the intervals, nor after the
daemon was stopped.
"""

import signal
import sys
import time

from harness import lookup, sandbox, scripted, tap
from harness.scene import POD, SUFFIX, Scene, services
from harness.scripted import Server

suite = tap.Suite()

POD6 = "fd00:10:1::1"
LATE = "cannot keep up"


def assert_served(scene, seconds, texts=(POD,)):
    names = [name + SUFFIX for name in scene.names]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        wrong = [(n, a) for n, a in zip(names, lookup.resolve_many(names)) if set(a.addresses) != set(texts)]
        assert not wrong, f"{len(wrong)} of {len(names)}, {until - time.monotonic():.1f} s before the end: {wrong[:3]}"
        time.sleep(0.1)


@suite.test("100 services of both families at 10 questions a second, max-stale = 5s: all are served, and it is said once")
def rate():
    server = Server()
    with Scene(services(100), server, options="max-stale = 5s\n", refresh_max="5s", query_rate=10, service="",
               texts=(POD, POD6)) as scene:
        scene.wait([POD, POD6])
        assert_served(scene, 30, [POD, POD6])
        assert scene.daemon.log().count(LATE) == 1, scene.daemon.log()


@suite.test("300 services taken over at 10 questions a second, max-stale = 5s: all are served until they were asked for")
def taken_over():
    server = Server()
    with Scene(services(300), server, options="max-stale = 5s\n", refresh_max="5s", query_rate=1000) as scene:
        scene.wait()
        scene.restart(query_rate=10)
        assert_served(scene, 20)


def stop(scene, seconds, meanwhile=lambda: None):
    """As a machine that sleeps, or a container that is paused."""
    scene.daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    meanwhile()
    scene.daemon.process.send_signal(signal.SIGCONT)
    time.sleep(0.2)


@suite.each("stopped for much longer than max-stale, {0}: everything is served again at once", [
    ("fresh", None, False),
    # What TCP leaves open goes by UDP, where the second time-out means that the server is given up.
    ("with questions in flight", lambda scene, server: server.asked(transport="udp"), False),
    ("and stale before", lambda scene, server: ": stale " in scene.daemon.log(), True),
])
def stopped(title, is_time, given_up):
    server = Server()
    with Scene(services(20), server, options="max-stale = 2s\n") as scene:
        scene.wait()
        if is_time:
            server.script = scripted.silent
            sandbox.wait_until(lambda: is_time(scene, server), 30, title)
        stop(scene, 14, lambda: setattr(server, "script", None))
        assert_served(scene, 5)
        assert LATE not in scene.daemon.log(), scene.daemon.log()
        assert given_up or "no answer" not in scene.daemon.log(), scene.daemon.log()


@suite.each("stopped for long, {0}, and nobody answers: one round of questions, then the time counts", [
    ("fresh",), ("stale before",)])
def stopped_for_good(before):
    server = Server()
    with Scene(services(20), server, options="max-stale = 20s\n") as scene:
        scene.wait()
        server.script = scripted.silent
        if before != "fresh":
            sandbox.wait_until(lambda: scene.daemon.log().count(": stale ") >= 10, 30, "they are stale")
        stop(scene, 14)
        assert_served(scene, 8)
        begin = time.monotonic()
        names = [name + SUFFIX for name in scene.names]
        sandbox.wait_until(lambda: all(a.error for a in lookup.resolve_many(names)), 30, "all are given up")
        took = time.monotonic() - begin
        tap.comment(f"given up after {took:.1f} s")
        assert took < 10, "max-stale was counted from the first question after the stop"


if __name__ == "__main__":
    sandbox.enter()
    sandbox.nsswitch("k8shsvc")
    sys.exit(suite.run())
