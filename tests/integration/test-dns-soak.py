"""What shows only after minutes: TCP that is tried again, servers that are forgiven, memory that stays.

Suite slow. K8SHSVC_SOAK_SECONDS (default 600) is the length of the last test.
"""

import collections
import os
import random
import re
import statistics
import sys
import time

from harness import daemon, lookup, sandbox, scripted, tap
from harness.scene import SUFFIX, Scene, services
from harness.scripted import Server, message

suite = tap.Suite()

SECOND = "10.96.0.11"
SOAK = int(os.environ.get("K8SHSVC_SOAK_SECONDS", "600"))
WARM_UP = SOAK / 10
NAMES, CHURN = 400, 60


@suite.test("TCP that was refused from the start is tried again after a minute; then each minute a new connection")
def tcp_again():
    server = Server(tcp=False)
    with Scene(services(3), server) as scene:
        scene.wait()
        begin = time.monotonic()
        server.listen()
        scene.wait_asked(server, 1, transport="tcp", seconds=90)
        after = server.asked(transport="tcp")[0].at - begin
        tap.comment(f"tried again after {after:.0f} s")
        assert after > 50, after
        scene.wait_asked(server, 10, transport="tcp", since=time.monotonic())
        first = server.n_connections
        sandbox.wait_until(lambda: server.n_connections > first, 90, "another connection")
        assert server.n_connections == first + 1
        scene.assert_quiet("tcp does not work, using udp: Connection refused", "tcp works again")


class Soak:
    """Two servers, whose answers, faults and connections change all the time, and services that come and go."""

    def __init__(self):
        self.first, self.second = Server(), Server(SECOND)
        for server in self.first, self.second:
            server.log = collections.deque(maxlen=50000)  # of a million
        self.names, self.removed = services(NAMES), set()
        self.begin = time.monotonic()
        self.rss, self.descriptors, self.table = [], [], []
        for name in self.names:
            self.change(name)
        self.first.script = self.second.script = self.answer

    def change(self, name):
        """Half of the services have both families always: one that is new to a service is looked for every 5 minutes."""
        both = name in self.names[::2]
        n = random.choice([1 if both else 0, 1, 1, 2, 3, 3, 5, 10, 50, 200])
        texts = [f"10.{random.randrange(1, 200)}.{random.randrange(256)}.{random.randrange(1, 255)}" for _ in range(n)]
        texts += [f"fd00::{random.randrange(1, 65536):x}" for _ in range(random.randrange(1, 5) if both else 0)]
        self.first.zone[name] = self.second.zone[name] = (texts, random.choice([0, 1, 1, 5]))

    def elapsed(self):
        return time.monotonic() - self.begin

    def answer(self, server, question):
        """Mostly honest."""
        if server is self.first and self.elapsed() < 20:
            question.reply(message(question, rcode=scripted.REFUSED))
            return
        chance = random.random() if self.elapsed() < SOAK else 1
        if chance < 0.002:
            question.hang_up()
        elif chance < 0.004:
            pass
        elif chance < 0.01:
            question.reply(message(question, rcode=random.choice([1, 2, 3, 5])))
        elif chance < 0.012:
            question.reply(server.answer(question)[:random.randrange(12, 40)])
        else:
            question.reply(server.answer(question))

    def configure(self):
        daemon.configure(f"[daemon]\ndns-servers = {self.first.address} {SECOND}\nrefresh-min = 200ms\nrefresh-max = 1s\n"
                         "query-rate = 2000\nlog-level = warning\n" +
                         "".join(f"[service {n}]\nanswers = all\n" for n in self.names if n not in self.removed))

    def step(self, running, second):
        for name in random.sample(self.names, 20):
            self.change(name)
        if second % 5 == 0:
            self.removed = set(random.sample(self.names, CHURN))
            self.configure()
            running.reload()
        if second % 45 == 20:
            self.first.listen(tcp=False)
        if second % 45 == 30:
            self.first.listen()
        if second % 97 == 50:  # an outage of both
            self.first.close()
            self.second.close()
        if second % 97 == 56:
            self.first.listen()
            self.second.listen()
        if self.elapsed() > WARM_UP:
            self.rss.append(running.status_kib("VmRSS"))
            self.descriptors.append(running.n_descriptors())
            self.table.append(os.stat(sandbox.TABLE).st_size)

    def settle(self, running):
        """Everything is well and registered in the end: is everything right?"""
        self.first.listen()
        self.second.listen()
        self.removed = set()
        self.configure()
        running.reload()
        try:
            sandbox.wait_until(lambda: not self.wrong(), 60, "every name is what its server says")
        finally:
            for name in self.wrong()[:5]:
                tap.comment(f"{name}: {self.first.zone[name]}, not {lookup.resolve(name + SUFFIX)}")

    def wrong(self):
        names = [name + SUFFIX for name in self.names]
        return [name for name, answer in zip(self.names, lookup.resolve_many(names))
                if set(answer.addresses) != set(self.first.zone[name][0])]


def thirds(values):
    n = len(values) // 3
    return statistics.median(values[:n]), statistics.median(values[-n:])


@suite.test(f"{SOAK} s of change and trouble: memory, descriptors and table stay as they were, and all is right in the end")
def soak():
    sandbox.remove_table()
    run = Soak()
    run.configure()
    with daemon.Daemon() as running:
        sandbox.wait_until(lambda: os.path.exists(sandbox.TABLE), 20, "a table")
        second = 0
        while run.elapsed() < SOAK:
            second += 1
            run.step(running, second)
            time.sleep(max(0, run.begin + second - time.monotonic()))
            assert running.alive, running.log()[-2000:]
        first, last = thirds(run.rss)
        tap.comment(f"{run.first.n_questions} + {run.second.n_questions} questions, {run.first.n_connections} + "
                    f"{run.second.n_connections} connections; processor {running.cpu_seconds() / SOAK * 100:.1f} %")
        tap.comment(f"resident {first:.0f} KiB in the first third, {last:.0f} in the last; at most {running.status_kib('VmHWM')} KiB")
        tap.comment(f"descriptors {min(run.descriptors)} to {max(run.descriptors)}; table {thirds(run.table)} bytes")
        assert last <= first * 1.03 + 256, f"resident memory grows from {first} to {last} KiB"
        assert thirds(run.descriptors)[1] <= thirds(run.descriptors)[0] + 1 and max(run.descriptors) < 40, run.descriptors
        run.settle(running)
        if SOAK > 400:
            assert re.search(rf"{run.first.address}:53: does not serve the cluster domain", running.log())
            used = run.first.asked(since=time.monotonic() - 20)
            assert len(used) > NAMES, "the first server is not forgiven"
    run.first.close()
    run.second.close()


if __name__ == "__main__":
    sandbox.enter()
    sandbox.nsswitch("k8shsvc")
    sandbox.ip("address", "add", f"{SECOND}/32", "dev", "eth0")
    sys.exit(suite.run())
