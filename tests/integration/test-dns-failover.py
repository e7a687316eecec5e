"""Several DNS servers: which one is asked when others are gone, wrong or back again; and resolv.conf."""

import os
import statistics
import sys
import time

from harness import sandbox, scripted, tap
from harness.scene import Scene, services
from harness.scripted import Server, message

suite = tap.Suite()

SECOND = "10.96.0.11"
SERVER6 = "fd00:10:96::53"
BLACK_HOLE = "10.244.0.66"
LINK_LOCAL = "fe80::53"


@suite.test("the first of two servers is refused: the second answers at once; the first is back: it is asked again")
def fail_over():
    first, second = Server(udp=False, tcp=False), Server(SECOND)
    with Scene(services(3), first, second) as scene:
        scene.wait(seconds=10)
        assert not first.asked()
        first.listen()
        sandbox.wait_until(lambda: first.asked("s000.default"), 30, "the first is asked again")
        since = time.monotonic() + 2.5
        time.sleep(4)
        assert not second.asked(since=since), "the second is still asked"
        # and over again
        first.close()
        scene.wait_asked(second, 3, since=time.monotonic())
        scene.assert_quiet("tcp does not work, using udp", "no answer, asking once a second", "answers again by")


def assert_second_alone(scene, first, second):
    """The first one is given up and costs no time any more."""
    sandbox.wait_until(lambda: f"{first}:53: no answer, asking once a second" in scene.daemon.log(), 30, "it is given up")
    since = time.monotonic()
    scene.wait_asked(second, 30, since=since)
    times = [q.at for q in second.asked("s000.default", since=since)]
    gap = statistics.median(b - a for a, b in zip(times, times[1:]))
    assert gap < 1.5, f"still waits for the first: every {gap} s"


@suite.test("the first of two servers is a black hole at the start: the second answers")
def black_hole():
    sandbox.ip("neigh", "replace", BLACK_HOLE, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "permanent")
    second = Server(SECOND)
    with Scene(services(3), second, listed=f"{BLACK_HOLE} {SECOND}") as scene:
        tap.comment(f"known after {scene.wait() - scene.begin:.2f} s")
        assert_second_alone(scene, BLACK_HOLE, second)


@suite.test("the first of two servers accepts and is silent at the start: the second is asked after one time-out")
def silent_first():
    first, second = Server(), Server(SECOND)
    first.script = scripted.silent
    with Scene(services(3), first, second) as scene:
        tap.comment(f"known after {scene.wait() - scene.begin:.2f} s")
        before = [q for q in first.asked() if q.at < second.asked()[0].at]
        assert {q.transport for q in before} == {"tcp"}, "UDP was waited for, too"
        assert_second_alone(scene, first.address, second)
        first.script = None
        scene.wait_asked(first, 10, since=time.monotonic(), transport="tcp")


@suite.each("the first of two servers says {0} to every name: the second's answers are taken", [
    ("REFUSED", lambda server, q: q.reply(message(q, rcode=scripted.REFUSED))),
    ("SERVFAIL", lambda server, q: q.reply(message(q, rcode=scripted.SERVFAIL))),
    ("NXDOMAIN of the root", lambda server, q: q.reply(scripted.nxdomain(q, zone=""))),
])
def foreign(what, script):
    first, second = Server(), Server(SECOND)
    first.script = script
    with Scene(services(3), first, second) as scene:
        scene.wait(seconds=10)
        since = time.monotonic()
        scene.wait_asked(second, 12, since=since)
        if what != "SERVFAIL":
            assert not first.asked(since=since), "a server that does not know the cluster is still asked first"


@suite.test("the cluster's server comes back beside one that knows no cluster: names do not wait for their back-off")
def lame_beside():
    first, lame = Server(), Server(SECOND)
    lame.script = lambda server, question: question.reply(message(question, rcode=scripted.NXDOMAIN, cached=True))
    with Scene(services(20), first, lame, refresh_max="1s") as scene:
        scene.wait()
        first.listen(False, False)
        scene.daemon.wait_log("no answer, asking once a second", 30)
        time.sleep(35)
        for name in scene.names:
            first.zone[name] = (["10.1.0.2"], 1)
        first.listen(True, True)
        began = time.monotonic()
        scene.wait(["10.1.0.2"], seconds=60)
        took = time.monotonic() - began
        tap.comment(f"all after {took:.1f} s")
        assert took < 5, "each waited as long as it had failed"


@suite.test("a server with a port, a server with an IPv6 address and a port")
def ports():
    sandbox.ip("address", "add", f"{SERVER6}/128", "dev", "eth0", "nodad")
    for address, port in (sandbox.DNS_SERVER, 5353), (SERVER6, 53), (SERVER6, 5353):
        for transport in "tcp", "udp":
            server = Server(address, port, tcp=transport == "tcp")
            with Scene(services(1), server) as scene:
                scene.wait()
                assert {q.transport for q in server.asked()} == {transport}
                scene.assert_quiet("tcp does not work, using udp")


# ---- resolv.conf ----

@suite.each("resolv.conf names a server by its link-local address: {0}", [("tcp",), ("udp",)])
def scoped(transport):
    sandbox.ip("address", "replace", f"{LINK_LOCAL}/64", "dev", "eth0", "nodad")
    server = Server(f"{LINK_LOCAL}%eth0", tcp=transport == "tcp")
    sandbox.resolv_conf(servers=[server.address])
    with Scene(services(1), server, listed="") as scene:
        scene.wait()
        assert {q.transport for q in server.asked()} == {transport}
        scene.assert_quiet("tcp does not work, using udp")
    sandbox.resolv_conf()


@suite.test("resolv.conf is followed: written over, replaced, and behind a link; without a server in it nothing changes")
def resolv_conf():
    first, second, local = Server(), Server(SECOND), Server("127.0.0.1")
    sandbox.resolv_conf(servers=[first.address])
    with Scene(services(2), first, second, local, listed="") as scene:
        scene.wait()
        assert not second.asked() and not local.asked()
        # in place, as an editor or dhclient does
        with open("/etc/resolv.conf", "w") as file:
            file.write(f"nameserver {SECOND}\n")
        scene.wait_asked(second, 4)
        since = time.monotonic()
        scene.wait_asked(second, 4, since=since)
        assert not first.asked(since=since)
        # empty, as while it is being written: the previous ones
        sandbox.write("/etc/resolv.conf", "\n")
        time.sleep(1.5)
        since = time.monotonic()
        scene.wait_asked(second, 4, since=since)
        # without a line that names one: localhost, as for glibc, also by UDP from 0.0.0.0 and in place with its time kept
        sandbox.write("/etc/resolv.conf", "search example1.test\n")
        scene.wait_asked(local, 4, since=time.monotonic())
        before = os.stat("/etc/resolv.conf")
        with open("/etc/resolv.conf", "w") as file:
            file.write(f"nameserver {SECOND}")
        os.utime("/etc/resolv.conf", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert os.stat("/etc/resolv.conf").st_size == before.st_size, "the size tells nothing"
        scene.wait_asked(second, 4, since=time.monotonic())
        local.listen(udp=True, tcp=False)
        sandbox.write("/etc/resolv.conf", "nameserver 0.0.0.0\n")
        scene.wait_asked(local, 4, since=time.monotonic())
        # a link to elsewhere, and its target replaced
        sandbox.write("/run/elsewhere/resolv.conf", f"nameserver {first.address}\n")
        os.unlink("/etc/resolv.conf")
        os.symlink("/run/elsewhere/resolv.conf", "/etc/resolv.conf")
        scene.wait_asked(first, 4, since=time.monotonic())
        sandbox.write("/run/elsewhere/resolv.conf", f"nameserver {SECOND}\nnameserver {first.address}\n")
        scene.wait_asked(second, 4, since=time.monotonic())
        scene.assert_quiet("is empty, keeping the previous servers", "no nameserver, asking localhost",
                           "127.0.0.1:53", "0.0.0.0:53")
    sandbox.resolv_conf()


def search_page(server, question):
    """What some providers' resolvers say of every name."""
    question.reply(scripted.addresses(question, ["198.51.100.80"], cached=True) if question.type in (1, 28)
                   else message(question, cached=True))


@suite.test("a server that answers every name with its search page is not believed where another serves the cluster")
def provider():
    first, second = Server(), Server(SECOND)
    second.script = search_page
    with Scene(services(3), first, second, options="allow-cidr =\n") as scene:
        scene.wait()
        time.sleep(1)
        # one SERVFAIL for each
        failed = set()

        def fail_once(server, question):
            if question.service in failed:
                return question.reply(server.answer(question))
            failed.add(question.service)
            question.reply(message(question, rcode=scripted.SERVFAIL))
        first.script = fail_once
        sandbox.wait_until(lambda: len(failed) == 3, 30, "all have failed once")
        for _ in range(50):
            scene.wait(seconds=0)
            time.sleep(0.05)
        # and for as long as the first is away
        first.close()
        scene.wait_asked(second, 3, since=time.monotonic())
        for _ in range(50):
            scene.wait(seconds=0)
            time.sleep(0.05)
        first.listen()
        first.script = None
        scene.wait_asked(first, 6, since=time.monotonic() + 2)
        scene.wait(seconds=0)


@suite.test("the list of servers changes while an answer is on its way: it counts for the server that gives it")
def another_place():
    first, second = Server(), Server(SECOND)
    held = []
    sandbox.resolv_conf(servers=[first.address, SECOND])
    with Scene(services(2), first, second, listed="") as scene:
        scene.wait()
        first.close()
        scene.wait_asked(second, 4)
        for servers in [SECOND], [first.address, SECOND], [SECOND]:
            n_asked = len(second.asked())
            second.script = lambda server, question: held.append(question)
            sandbox.wait_until(lambda: held, 30, "a question is held")
            # the file is looked at every second, the question is given up after two
            sandbox.write("/etc/resolv.conf", "".join(f"nameserver {s}\n" for s in servers))
            scene.wait_logged("has changed")
            second.script = None
            for question in held:
                question.reply(second.answer(question))
            held.clear()
            scene.wait_asked(second, n_asked + 6)
            assert scene.daemon.alive, scene.daemon.log()[-2000:]
        scene.assert_quiet(f"{first.address}:53")
    sandbox.resolv_conf()


if __name__ == "__main__":
    sandbox.enter()
    sandbox.nsswitch("k8shsvc")
    sandbox.ip("address", "add", f"{SECOND}/32", "dev", "eth0")
    sys.exit(suite.run())
