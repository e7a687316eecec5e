"""SIGHUP: what has changed in the files holds, what is broken in them does not."""

import os
import re
import sys
import time

from harness import daemon, lab, lookup, sandbox, table, tap
from harness.hammer import Hammer

suite = tap.Suite()

A, B, C = lab.pods(10, 3)
FIRST, SECOND = "first-svc.default.svc.cluster.local", "second-svc.default.svc.cluster.local"
CONF_D = f"{sandbox.CONFIG_DIR}/conf.d"
BASE = "[service first-svc.default]\nanswers = all\n"


def reload_with(text):
    daemon.configure(text)
    running.reload()


def wait_answer(name, addresses):
    sandbox.wait_until(lambda: lookup.addresses(name) == set(addresses), 20,
                       f"{name} is {addresses}; it is {lookup.resolve(name)}; the log is:\n{running.log()}")


def wait_gone(name):
    sandbox.wait_until(lambda: lookup.resolve(name).error, 20, f"{name} is not answered any more")


def back_to_base():
    for name in os.listdir(CONF_D) if os.path.isdir(CONF_D) else []:
        os.unlink(f"{CONF_D}/{name}")
    reload_with(BASE)
    wait_gone(SECOND)
    wait_answer(FIRST, [A])


@suite.test("a service that is added is answered; the others do not notice")
def added():
    loop = Hammer("long", FIRST, [A]).start()
    reload_with(BASE + "[service second-svc.default]\n")
    wait_answer(SECOND, [B])
    result = loop.stop()
    assert result["failures"] == result["wrong"] == 0, result


@suite.test("a service that is removed is not answered any more; the others do not notice")
def removed():
    loop = Hammer("long", FIRST, [A]).start()
    back_to_base()
    result = loop.stop()
    assert result["failures"] == result["wrong"] == 0, result


@suite.test("a file in conf.d that is added, and removed")
def conf_d():
    sandbox.write(f"{CONF_D}/10.conf", "[service second-svc.default]\n")
    running.reload()
    wait_answer(SECOND, [B])
    os.unlink(f"{CONF_D}/10.conf")
    running.reload()
    wait_gone(SECOND)


@suite.test("an alias that is added, moved to another service, and removed")
def alias():
    reload_with(BASE + "alias = nick\n[service second-svc.default]\n")
    wait_answer("nick", [A])
    reload_with(BASE + "[service second-svc.default]\nalias = nick\n")
    wait_answer("nick", [B])
    reload_with(BASE + "[service second-svc.default]\n")
    wait_gone("nick")
    back_to_base()


@suite.test("a reload touches nothing in the table but what has changed")
def only_changes():
    services = "".join(f"[service s{i}.default]\nsource = static\nendpoints = 192.0.2.{i}\nalias = n{i}\n"
                       for i in range(1, 9))
    reload_with(services)
    wait_gone(FIRST)
    wait_answer("n8", ["192.0.2.8"])
    before = table.changes(sandbox.TABLE)
    reload_with(services + "# nothing else\n")
    time.sleep(1.5)
    assert table.changes(sandbox.TABLE) == before, "services or aliases that stay were published again"
    reload_with(services.replace("192.0.2.8", "192.0.2.9"))
    wait_answer("n8", ["192.0.2.9"])
    assert table.changes(sandbox.TABLE) == before + 1, "more than one service was published"
    assert lookup.addresses("n7") == {"192.0.2.7"}
    back_to_base()


@suite.test("allow-cidr leaves fewer: addresses that are not allowed any more are not answered any more, not as old ones either")
def allow_cidr():
    outside = "192.0.2.77"
    server.set(FIRST + ".", [A, outside])
    wait_answer(FIRST, [A, outside])
    reload_with("[daemon]\nallow-cidr = 10.0.0.0/8\n" + BASE)
    wait_answer(FIRST, [A])
    reload_with("[daemon]\nallow-cidr = 172.16.0.0/12\n" + BASE)
    wait_gone(FIRST)
    server.set(FIRST + ".", [A])
    back_to_base()


@suite.test("answers = all becomes single, and all again")
def answers():
    server.set(FIRST + ".", [A, C])
    wait_answer(FIRST, [A, C])
    reload_with(BASE.replace("all", "single"))
    sandbox.wait_until(lambda: len(lookup.resolve(FIRST).addresses) == 1, 20, "one address")
    reload_with(BASE)
    wait_answer(FIRST, [A, C])
    server.set(FIRST + ".", [A])
    wait_answer(FIRST, [A])


@suite.test("namespace = added: a change of the table's static part, with no lookup lost")
def static_part():
    loop = Hammer("long", FIRST, [A]).start()
    reload_with("[daemon]\nnamespace = default\n" + BASE)
    wait_answer("first-svc", [A])
    reload_with(BASE)
    wait_gone("first-svc")
    result = loop.stop()
    assert result["failures"] == result["wrong"] == 0, result


BROKEN = [
    ("a syntax error", "[service second-svc.default\n"),
    ("an unknown key", BASE + "ansers = all\n[service second-svc.default]\n"),
    ("a bad value", "[daemon]\nsource = file\n[service second-svc.default]\n"),
    ("a NUL byte", BASE + "[service second-svc.default]\n\0"),
]


@suite.each("a file with {0} is ignored as a whole, its last good version stays, and the log says why", BROKEN)
def broken(_, text):
    before = len(running.log())
    reload_with(text)
    sandbox.wait_until(lambda: re.search(rf"{re.escape(sandbox.CONFIG)}:\d+: ", running.log()[before:]), 20,
                       f"the error in the log: {running.log()[before:]}")
    time.sleep(1.5)
    assert lookup.addresses(FIRST) == {A}
    assert lookup.resolve(SECOND).error, "the good part of the broken file is taken"
    assert running.alive


@suite.test("one broken file does not keep the others from being taken")
def one_broken():
    daemon.configure("[broken\n")
    sandbox.write(f"{CONF_D}/10.conf", "[service second-svc.default]\n")
    running.reload()
    wait_answer(SECOND, [B])
    assert lookup.addresses(FIRST) == {A}
    back_to_base()


@suite.test("mended, the file is taken")
def mended():
    reload_with("[broken\n")
    time.sleep(0.5)
    reload_with(BASE + "[service second-svc.default]\n")
    wait_answer(SECOND, [B])
    back_to_base()


@suite.test("the main file is removed: its services are not answered any more; put back, they are")
def file_removed():
    os.unlink(sandbox.CONFIG)
    running.reload()
    wait_gone(FIRST)
    assert running.alive
    reload_with(BASE)
    wait_answer(FIRST, [A])


@suite.test("100 reloads without a pause: the daemon lives and has the last state")
def many_reloads():
    loop = Hammer("long", FIRST, [A]).start()
    for i in range(100):
        reload_with(BASE + ("[service second-svc.default]\n" if i % 2 else ""))
    wait_answer(SECOND, [B])
    result = loop.stop()
    assert result["failures"] == result["wrong"] == 0, result
    back_to_base()


@suite.test("resolv.conf is replaced by one with another server: the new one is asked, without a reload")
def resolv_conf_followed():
    sandbox.resolv_conf(servers=["10.96.0.11"])
    time.sleep(3)
    assert lookup.addresses(FIRST) == {A}, "the dead server costs nothing"
    sandbox.resolv_conf()
    server.set(FIRST + ".", [C])
    wait_answer(FIRST, [C])
    server.set(FIRST + ".", [A])
    wait_answer(FIRST, [A])


@suite.test("the table is removed by hand: it is published again")
def table_removed():
    os.unlink(sandbox.TABLE)
    sandbox.wait_until(lambda: os.path.exists(sandbox.TABLE), 10, "a new table")
    wait_answer(FIRST, [A])


@suite.test("the run directory is removed: one line, status not 0")
def directory_removed():
    sandbox.remove_table()
    sandbox.wait_until(lambda: not running.alive, 10, "the daemon ends")
    assert running.process.returncode != 0
    assert sandbox.RUNDIR in running.log().splitlines()[-1], running.log()


def set_up():
    sandbox.nsswitch("k8shsvc")
    dns_server = lab.start_dns({"first-svc.default": ([A], 1), "second-svc.default": ([B], 1)})
    daemon.configure(BASE)
    return dns_server, lab.start_daemon(FIRST)


if __name__ == "__main__":
    sandbox.enter()
    server, running = lab.set_up(set_up)
    with running:
        sys.exit(suite.run())
