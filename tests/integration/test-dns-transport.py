"""How questions reach a DNS server: connections, the way from TCP to UDP and back, large answers.

The scripted server sees each question as it was sent; that answers were taken is seen in the table.
"""

import math
import random
import struct
import sys
import time
from collections import Counter

from harness import lab, sandbox, scripted, tap
from harness.scene import POD, POD2, SUFFIX, Scene, services
from harness.scripted import Server

suite = tap.Suite()


# ---- TCP ----

@suite.test("1,000 names: one connection, more than a hundred questions in flight on it, nothing by UDP")
def one_connection():
    server, held, most = Server(), [], 0

    def hold(server, question):
        """Answers when a hundred wait, or when no more come."""
        nonlocal most
        held.append(question)
        most = max(most, len(held))
        n = len(held)
        if n >= 120:
            release()
        else:
            server.later(0.1, lambda: len(held) == n and release())

    def release():
        while held:
            question = held.pop()  # the last one first: answers need not be in order
            question.reply(server.answer(question))

    server.script = hold
    with Scene(services(1000), server, refresh_max="5s") as scene:
        scene.wait()
        assert server.n_connections == 1, server.n_connections
        assert most > 100, f"{most} in flight"
        assert not server.asked(transport="udp")
        scene.assert_quiet()


@suite.test("a connection that the server closes when it is idle is opened again, and nobody notices")
def idle_close():
    server = Server()

    def answer_and_close(server, question):
        question.reply(server.answer(question))
        server.later(0.2, question.hang_up)

    server.script = answer_and_close
    with Scene(services(1), server) as scene:
        scene.wait()
        sandbox.wait_until(lambda: server.n_connections >= 5, 30, "five connections")
        asked = server.asked()
        scene.assert_quiet()
        assert all(q.transport == "tcp" for q in asked), Counter(q.transport for q in asked)
        gaps = [b.at - a.at for a, b in zip(asked, asked[1:])]
        assert min(gaps) > 0.3, f"asked twice: {gaps}"


@suite.test("one answer a connection, and a probe that takes the place of the only question: asking goes on")
def one_answer():
    server = Server()

    def answer_once(server, question):
        if question.name == scripted.ZONE:  # that it does not show, and late
            server.later(0.3, lambda: (question.reply(scripted.message(question)), question.hang_up()))
        else:
            question.reply(server.answer(question))
            question.hang_up()

    server.script = answer_once
    with Scene(services(20), server, refresh_max="1s") as scene:
        scene.wait()
        for _ in range(5):  # a probe comes in the first seconds
            since = time.monotonic()
            sandbox.wait_until(lambda: len(server.asked(since=since)) >= 5, 10, "more questions")
            time.sleep(1)


@suite.test("a connection that goes silent, though a new one would be answered: large answers and ports follow soon, too")
def silent_connection():
    server, new = Server(), [f"10.2.0.{i}" for i in range(2, 102)]

    with Scene(services(3), server, refresh_max="1s") as scene:
        big = scene.names[0]
        server.zone[big] = (new[:-1] + ["10.2.0.1"], 1)
        scene.wait(new[:-1] + ["10.2.0.1"], [big])
        old = server.n_connections

        def gone(server, question):
            if question.transport == "udp" or question.connection > old:
                question.reply(server.answer(question))

        server.script = gone
        server.zone[big] = (new, 1)
        begin = time.monotonic()
        scene.wait(new, [big], 60)
        took = time.monotonic() - begin
        tap.comment(f"followed after {took:.1f} s")
        assert took < 30, "as long as a server without TCP is left alone"


@suite.test("a connection that is closed after 100 answers (dnsmasq) carries 1,000 names all the same")
def close_after_100():
    server, answered = Server(), Counter()

    def close_after_100_answers(server, question):
        answered[question.connection] += 1
        if answered[question.connection] <= 100:
            question.reply(server.answer(question))
        if answered[question.connection] == 100:
            question.hang_up()

    server.script = close_after_100_answers
    with Scene(services(1000), server, refresh_max="5s") as scene:
        scene.wait()
        assert server.n_connections >= 10
        assert not server.asked(transport="udp")
        scene.assert_quiet()


@suite.test("TCP is refused: UDP at once, with EDNS of 1,232 bytes, random ids and random case")
def refused():
    server = Server(tcp=False)
    with Scene(services(200), server) as scene:
        scene.wait()
        assert time.monotonic() - scene.begin < 10
        scene.wait_asked(server, 600)
        scene.assert_quiet("tcp does not work, using udp: Connection refused")
        asked = server.asked()
        assert {q.transport for q in asked} == {"udp"} and {q.edns for q in asked} == {1232}, asked[0].edns
        assert len({q.id for q in asked}) > len(asked) * 0.95, "ids come again"
        assert len({q.peer[1] for q in asked}) > 1, "one source port for all"
        letters = [c for q in asked for c in q.text if c.isalpha()]
        upper = sum(c.isupper() for c in letters) / len(letters)
        assert 0.45 < upper < 0.55, f"{upper * 100:.0f} % upper case"
        # no two questions for one name in one case: 24 letters
        texts = Counter(q.text for q in asked)
        assert max(texts.values()) == 1, texts.most_common(1)
        assert all(q.flags == 0x0100 for q in asked), "RD and nothing else"


@suite.test("by TCP: one connection that stays open when nothing is asked, random ids, the absolute name as it is")
def tcp_questions():
    server = Server()
    with Scene(services(200), server) as scene:
        scene.wait_asked(server, 600)
        asked = server.asked()
        assert len({q.id for q in asked}) > len(asked) * 0.95, "ids come again"
        assert {q.name for q in asked} == {name + SUFFIX for name in scene.names}
        assert server.n_connections == 1, server.n_connections


def half_a_message(server, question):
    """Some of the message, then nothing on this connection any more."""
    if question.transport == "udp":
        question.reply(server.answer(question))
    elif question.connection not in half_a_message.begun:
        half_a_message.begun.add(question.connection)
        answer = server.answer(question)
        question.reply_raw(len(answer).to_bytes(2, "big") + answer[:20])


half_a_message.begun = set()


def by_udp_only(tcp):
    """A script: what happens by TCP, while UDP works."""
    def script(server, question):
        if question.transport == "udp":
            question.reply(server.answer(question))
        else:
            tcp(server, question)
    return script


@suite.each("TCP {0}: UDP answers", [
    ("accepts and is silent", by_udp_only(scripted.silent)),
    ("gives half a message and stalls", half_a_message),
    ("gives messages of no byte", by_udp_only(lambda server, q: q.reply_raw(b"\0\0" * 100))),
    ("gives messages of one byte", by_udp_only(lambda server, q: q.reply_raw(b"\0\1x" * 100))),
    ("announces 65,535 bytes and gives a thousand", by_udp_only(lambda server, q: q.reply_raw(b"\xff\xff" + bytes(1000)))),
    ("hangs up on each question", by_udp_only(lambda server, q: q.hang_up())),
])
def tcp_broken(_, script):
    server = Server()
    server.script = script
    with Scene(services(2), server) as scene:
        scene.wait()
        tap.comment(f"known after {time.monotonic() - scene.begin:.1f} s")
        # When TCP was given up, UDP serves alone.
        sandbox.wait_until(lambda: "tcp does not work, using udp" in scene.daemon.log(), 30, "TCP is given up")
        since = time.monotonic()
        scene.wait_asked(server, 6, since=since, transport="udp")
        assert len(server.asked(since=since, transport="tcp")) <= 20
        scene.assert_quiet("tcp does not work, using udp", "tcp works again")


@suite.test("connections of a server that used to answer are tried again after 0.5, 1, 2 ... s, not at once")
def backs_off():
    server = Server()
    with Scene(services(5), server, refresh_max="500ms") as scene:
        scene.wait()
        assert server.asked(transport="tcp") and not server.asked(transport="udp")
        begin, accepted = time.monotonic(), []
        server.on_accept = lambda server, number: accepted.append(time.monotonic()) or False
        server.hang_up_all()
        scene.wait_asked(server, 50, transport="udp")
        # c-ares tries a question eight times; trials are after 0, 0.5, 1.5, 3.5, 7.5 ... s
        n_trials = 2 + math.log2(1 + (time.monotonic() - begin) / 0.5)
        assert 8 < len(accepted) <= 8 * n_trials, [at - begin for at in accepted]
        server.on_accept = None
        sandbox.wait_until(lambda: server.asked(transport="tcp", since=time.monotonic() - 1), 30, "TCP is used again")
        scene.assert_quiet("tcp does not work, using udp", "tcp works again")


@suite.test("a server that is restarted is asked by TCP again within seconds")
def restarted():
    server = Server()
    with Scene(services(5), server) as scene:
        scene.wait()
        server.listen(tcp=False)
        scene.wait_asked(server, 5, transport="udp")
        server.listen()
        since = time.monotonic()
        scene.wait_asked(server, 5, transport="tcp", since=since, seconds=15)


@suite.each("{0}: an answer that takes a second is taken, though all before were quick", [("tcp",), ("udp",)])
def slow_answers(transport):
    server = Server()
    with Scene(services(3), server, options=f"dns-transport = {transport}\n") as scene:
        scene.wait()
        scene.wait_asked(server, 20)
        server.script = lambda server, q: server.later(1, lambda: q.reply(server.answer(q)))
        server.zone = {name: ([POD2], 1) for name in scene.names}
        since = time.monotonic()
        scene.wait([POD2])
        scene.wait_asked(server, 9, since=since)
        scene.assert_quiet()


@suite.test("40 names that never get an answer take nothing from 50 others")
def silent_names():
    server = Server()
    names, good = services(90), services(50)
    server.script = lambda server, q: None if q.service not in good else q.reply(server.answer(q))
    with Scene(names, server) as scene:
        scene.wait(names=good)
        time.sleep(3)
        since = time.monotonic()
        time.sleep(5)
        asked = Counter(q.service for q in server.asked(since=since) if q.service in good)
        # each 0.4 to 0.5 s
        assert len(asked) == 50 and min(asked.values()) >= 5, f"{len(asked)} names, the least {min(asked.values())} times"
        assert server.n_connections <= 5, server.n_connections
        scene.assert_quiet()
        assert scene.daemon.cpu_seconds() < 0.05 * 8, scene.daemon.cpu_seconds()


# ---- EDNS: what stands between us and the server ----

def cookies_sometimes(server, question):
    """A forwarder in front of two servers, of which one knows DNS cookies (RFC 7873). It gives the last one's away."""
    answer = server.answer(question)
    if question.options and random.randrange(2):
        option = question.options[:2] + struct.pack("!H", 24) + question.options[4:12] + bytes(range(16))
        opt = scripted.record(b"\0", scripted.OPT, 0, option, klass=1232)
        answer = answer[:10] + b"\0\1" + answer[12:] + opt
    question.reply(answer)


def options_dropped(server, question):
    if not question.options:
        question.reply(server.answer(question))


def edns_dropped(server, question):
    if question.edns is None:
        question.reply(server.answer(question))


def edns_refused(server, question):
    if question.edns is None:
        question.reply(server.answer(question))
    else:
        question.reply(scripted.message(question, rcode=scripted.FORMERR))


def edns_refused_by_header(server, question):
    if question.edns is None:
        question.reply(server.answer(question))
    else:
        question.reply(scripted.message(question, rcode=scripted.FORMERR, asked=b"")[:4] + bytes(8))


@suite.each("udp: {0}: 20 names are served within {2} s, and each change within one", [
    ("a forwarder that passes cookies on only sometimes", cookies_sometimes, 1),
    ("a box that drops questions with EDNS options", options_dropped, 1),
    ("FORMERR to EDNS", edns_refused, 1),
    ("FORMERR to EDNS, a header and nothing else", edns_refused_by_header, 1),
    ("a box that drops questions with EDNS", edns_dropped, 8),
])
def edns(_, script, seconds):
    server = Server(tcp=False)
    server.script = script
    with Scene(services(20), server, options="dns-transport = udp\n", refresh_max="500ms") as scene:
        scene.wait()
        taken = time.monotonic() - scene.begin
        assert taken < seconds, f"{taken:.1f} s"
        for pod in [POD2, POD] * 3:
            server.zone = {name: ([pod], 1) for name in scene.names}
            begin = time.monotonic()
            scene.wait([pod])
            assert time.monotonic() - begin < 1, f"{time.monotonic() - begin:.1f} s"
        asked = server.asked(since=begin)
        assert len({q.edns is None for q in asked}) == 1, "a server's lack of EDNS is remembered"


# ---- size ----

@suite.each("{0} addresses {1}", [
    (300, "by UDP: truncated, then by TCP", "udp", 0), (4000, "by TCP", "tcp", 0), (4090, "by TCP, a message of 65,484 bytes", "tcp", 0),
    (2300, "of IPv6 by TCP", "tcp", 6)])
def large(n, _, transport, six):
    texts = [f"fd00:10:244::{i:x}" for i in range(1, n + 1)] if six else lab.pods(1000, n)
    server = Server()
    with Scene(services(1), server, options=f"dns-transport = {transport}\n", texts=texts,
               service=f"family = ipv{six or 4}\n") as scene:
        scene.wait(texts)
        if transport == "udp":
            assert server.asked(transport="udp") and server.asked(transport="tcp")
        scene.assert_quiet()


@suite.test("udp: 500 addresses in 8,000 bytes, which nobody offered to take: by TCP")
def too_large():
    texts = lab.pods(1000, 500)
    server = Server()
    server.script = lambda server, q: q.reply(scripted.addresses(q, texts, 1))
    with Scene(services(1), server, options="dns-transport = udp\n") as scene:
        scene.wait(texts)
        assert server.asked(transport="udp") and server.asked(transport="tcp")
        scene.assert_quiet()


if __name__ == "__main__":
    sandbox.enter()
    sandbox.nsswitch("k8shsvc")
    sys.exit(suite.run())
