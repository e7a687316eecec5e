"""What k8shsvc does not answer costs nothing: the next source of nsswitch.conf does.

hosts: k8shsvc dns, and resolv.conf names the DNS server of the sandbox.
"""

import os
import random
import socket
import sys

from harness import daemon, lab, lookup, sandbox, table, tap

suite = tap.Suite()

POD, POD6 = "10.244.0.10", "fd00:10:244::10"
NAME = "user-svc.default.svc.cluster.local"
# In the zone, but not registered.
PLAIN, PLAIN_POD = "plain.default.svc.cluster.local", "10.244.0.99"
# What the table says and DNS does not: shows who has answered.
STATIC, STATIC_POD = "static-svc.default.svc.cluster.local", "10.244.0.77"
CONFIG = """
[daemon]
source = dns
# the daemon learns nothing new while the tests run, and its table is trusted until their end
refresh-min = 1h
refresh-max = 1h
orphan-max = 10m
[service user-svc.default]
answers = single
[service static-svc.default]
answers = single
"""
WWW = "www.example.test"


# ---- with a good table ----

@suite.each("not registered, answered by dns: {0}, {1}", [
    (PLAIN, "any", {PLAIN_POD}), (PLAIN, "ipv4", {PLAIN_POD}), (WWW, "any", {"192.0.2.1", "2001:db8::1"}),
    (WWW, "ipv4", {"192.0.2.1"}), (WWW, "ipv6", {"2001:db8::1"}), (WWW + ".", "any", {"192.0.2.1", "2001:db8::1"}),
])
def not_registered(name, family, expected):
    assert lookup.addresses(name, family=family) == expected


@suite.test("a per-pod name, whose host the table does not know, is answered by dns")
def per_pod():
    assert lookup.addresses("web-0.user-svc.default.svc.cluster.local") == {POD}


@suite.test("a family that a registered service is known not to have: dns is asked, and has none either")
def other_family():
    assert lookup.resolve(STATIC, family="ipv6").error in ("EAI_NODATA", "EAI_NONAME")


@suite.test("/etc/hosts works before and after k8shsvc")
def hosts_file():
    sandbox.write("/etc/hosts", "127.0.0.1 localhost\n192.0.2.7 box.example.test\n")
    for sources in "files k8shsvc dns", "k8shsvc files dns":
        sandbox.nsswitch(sources)
        assert lookup.addresses("box.example.test") == {"192.0.2.7"}, sources
        assert lookup.addresses("localhost", family="ipv4") == {"127.0.0.1"}, sources
        assert lookup.addresses(NAME) == {POD, POD6}, sources
    sandbox.nsswitch("k8shsvc dns")


@suite.test("a name that nobody knows is not found")
def nobody_knows():
    assert lookup.resolve("nothing.example.test").error == "EAI_NONAME"


@suite.test("a registered name is answered without dns: the server is stopped")
def without_dns():
    server.stop()
    try:
        for family, expected in ("any", {POD, POD6}), ("ipv4", {POD}), ("ipv6", {POD6}):
            assert lookup.addresses(NAME, family=family) == expected
        assert lookup.addresses(STATIC) == {STATIC_POD}
    finally:
        server.start()


@suite.test("the table answers before dns: an address that DNS has no more")
def table_first():
    server.set(STATIC + ".", [])
    assert lookup.addresses(STATIC) == {STATIC_POD}


# ---- with a bad one: the daemon is stopped, the file is put in its place ----

def stop_daemon():
    if running:
        running.pop().kill()


def put(content, owner=0, mode=0o644, directory_mode=0o755):
    stop_daemon()
    sandbox.remove_table()
    sandbox.make_rundir()
    sandbox.write(sandbox.TABLE, content, mode)
    os.chown(sandbox.TABLE, owner, owner)
    os.chmod(sandbox.RUNDIR, directory_mode)


def assert_costs_nothing(user=None):
    """Everything that DNS knows is still answered, in all the ways, and nothing crashes."""
    for family, expected in ("any", {POD, POD6}), ("ipv4", {POD}), ("ipv6", {POD6}):
        answers = lookup.resolve_many([NAME], family=family, count=2, user=user)
        assert [set(a.addresses) for a in answers] == [expected] * 2, answers
    assert lookup.addresses(NAME, call="gethostbyname", user=user) == {POD}
    assert lookup.addresses(WWW, user=user) == {"192.0.2.1", "2001:db8::1"}
    # and it is dns that answers: the table's address is unknown there
    found = lookup.addresses(STATIC, user=user)
    assert not found, f"the bad table answers: {found}"
    sandbox.nsswitch("k8shsvc")
    try:
        assert lookup.resolve(NAME, user=user).error == "EAI_NONAME"
    finally:
        sandbox.nsswitch("k8shsvc dns")


@suite.test("no run directory")
def no_directory():
    stop_daemon()
    sandbox.remove_table()
    assert_costs_nothing()


@suite.test("no table in the run directory")
def no_table():
    stop_daemon()
    sandbox.remove_table()
    sandbox.make_rundir()
    assert_costs_nothing()


@suite.test("a table that its reader may not read")
def mode_zero():
    put(good, mode=0)
    assert_costs_nothing(user=sandbox.NOBODY)


@suite.test("a directory that its reader may not search")
def directory_mode():
    put(good, directory_mode=0o700)
    assert_costs_nothing(user=sandbox.NOBODY)


@suite.test("a table of another owner than root and the directory's")
def wrong_owner():
    put(good, owner=1234)
    assert_costs_nothing()


@suite.each("a table that is writable by {0}", [("its group", 0o664), ("everybody", 0o646)])
def writable(_, mode):
    put(good, mode=mode)
    assert_costs_nothing()


SIZES = [0, 1, 3, 1023, 1024, 4095, 4096, 4097, 8192]


@suite.each("a table cut off after {0} bytes", [(size,) for size in SIZES])
def truncated(size):
    put(good[:size])
    assert_costs_nothing()


@suite.test("a table cut off in the middle, and by one page")
def cut():
    for size in len(good) // 2, len(good) // 8192 * 4096, len(good) - 4096, len(good) - 1:
        put(good[:size])
        assert_costs_nothing()


@suite.test("a table with a page too many")
def too_long():
    put(good + bytes(4096))
    assert_costs_nothing()


@suite.each("a table of {0}", [("zeros",), ("ones",), ("random bytes",), ("text",)])
def filled(kind):
    put({"zeros": bytes(len(good)), "ones": b"\xff" * len(good), "text": (b"hello, world\n" * len(good))[:len(good)],
         "random bytes": random.Random(7).getrandbits(8 * len(good)).to_bytes(len(good), "little")}[kind])
    assert_costs_nothing()


@suite.each("a table with {0}", [
    ("another major version", 8, "<H", 2),
    ("an incompatible flag", 16, "<I", 1 << 9),
    ("another magic number", 0, "<I", 0x12345678),
    ("the other byte order", 4, "<I", 0x04030201),
    ("a wrong number of pages", 24, "<I", 1),
    ("an index beyond the file", 28, "<I", 1 << 20),
    ("an arena beyond the file", 48, "<I", 1 << 30),
    ("a wrong checksum", None, None, None),
])
def foreign(_, at, form, value):
    if at is None:
        data = bytearray(good)
        data[table.CHECKSUM_AT] ^= 1
        put(bytes(data))
    else:
        put(table.with_field(good, at, form, value))
    assert_costs_nothing()


@suite.each("in the place of the table: {0}", [("a symbolic link to a good one",), ("a pipe",), ("a directory",),
                                               ("a socket",), ("a device",)])
def no_file(kind):
    put(good)
    os.rename(sandbox.TABLE, f"{sandbox.RUNDIR}/good")
    if kind == "a pipe":
        os.mkfifo(sandbox.TABLE)
    elif kind == "a directory":
        os.mkdir(sandbox.TABLE)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(sandbox.TABLE)
    elif kind == "a device":
        os.symlink("/dev/zero", sandbox.TABLE)
    else:
        os.symlink("good", sandbox.TABLE)
    assert_costs_nothing()


@suite.test("300 tables with 20 random bytes changed: no program crashes or hangs, unregistered names resolve")
def damaged():
    source = random.Random(11)
    for _ in range(300):
        data = bytearray(good)
        # half of the damage where the structure is: the header and the used part of the file
        for _ in range(20):
            limit = len(data) if source.random() < 0.5 else min(len(data), used)
            data[source.randrange(limit)] = source.randrange(256)
        fixed = table.with_field(bytes(data), table.CHECKSUM_AT, "<I", 0) if source.random() < 0.9 else bytes(data)
        put(fixed)
        answers = lookup.resolve_many([NAME, STATIC, "user-svc.default", WWW, PLAIN])
        assert set(answers[3].addresses) == {"192.0.2.1", "2001:db8::1"}, answers


@suite.test("the checks of this file can fail: the good table, put back, is answered from")
def control():
    put(good)
    assert lookup.addresses(STATIC) == {STATIC_POD}
    put(table.with_field(good, 24, "<I", len(good) // 4096))
    assert lookup.addresses(STATIC) == {STATIC_POD}


@suite.each("a daemon that starts on {0} publishes a good table", [
    ("no table", None), ("an empty file", b""), ("zeros", bytes(8192)), ("random bytes", os.urandom(65536)),
])
def daemon_recovers(_, content):
    if content is None:
        stop_daemon()
        sandbox.remove_table()
    else:
        put(content)
    sandbox.nsswitch("k8shsvc")
    with lab.start_daemon(NAME):
        lab.wait_addresses(NAME, {POD, POD6})
    sandbox.nsswitch("k8shsvc dns")


@suite.test("a daemon that starts on a table of another version publishes a good one")
def daemon_recovers_version():
    put(table.with_field(good, 8, "<H", 2))
    sandbox.nsswitch("k8shsvc")
    with lab.start_daemon(NAME):
        lab.wait_addresses(NAME, {POD, POD6})
    sandbox.nsswitch("k8shsvc dns")


def set_up():
    sandbox.nsswitch("k8shsvc")
    dns_server = lab.start_dns({"user-svc.default": ([POD, POD6], 300), "plain.default": ([PLAIN_POD], 5),
                                "static-svc.default": ([STATIC_POD], 300), "web-0.user-svc.default": ([POD], 5)})
    dns_server.set(WWW + ".", ["192.0.2.1", "2001:db8::1"], zone="example.test")
    daemon.configure(CONFIG)
    started = lab.start_daemon(NAME, STATIC)
    lab.wait_addresses(NAME, {POD, POD6})
    sandbox.nsswitch("k8shsvc dns")
    with open(sandbox.TABLE, "rb") as file:
        return dns_server, started, file.read()


if __name__ == "__main__":
    sandbox.enter()
    server, first_daemon, good = lab.set_up(set_up)
    used = max(i for i, byte in enumerate(good) if byte) + 1
    running = [first_daemon]
    try:
        sys.exit(suite.run())
    finally:
        stop_daemon()
