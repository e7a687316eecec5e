"""Names of addresses: getnameinfo() and gethostbyaddr() answered from the table, or by the next source."""

import sys

from harness import daemon, lab, lookup, sandbox, tap

suite = tap.Suite()

PODS = ["10.244.0.11", "10.244.0.12", "fd00:10:244::11", "fd00:10:244:1::"]
LOST = "10.244.9.9"
SERVICE = "user-svc.default"
ZONE = "user-svc.default.svc.cluster.local"
CONFIG = f"""
[daemon]
reverse = {{reverse}}
[service {SERVICE}]
source = static
endpoints = {" ".join(PODS)}
"""
NAMES = {
    "10.244.0.11": f"10-244-0-11.{ZONE}",
    "10.244.0.12": f"10-244-0-12.{ZONE}",
    "fd00:10:244::11": f"fd00-10-244--11.{ZONE}",
    "fd00:10:244:1::": f"fd00-10-244-1--0.{ZONE}",
}

# Prints what a call makes of each address, or the error.
PYTHON = """
import socket, sys
for address in sys.argv[2:]:
    try:
        if sys.argv[1] == "gethostbyaddr":
            name, aliases, addresses = socket.gethostbyaddr(address)
            print(name, *aliases, *addresses)
        else:
            print(socket.getnameinfo((address, 80), socket.NI_NAMEREQD)[0])
    except OSError as error:
        print("!", type(error).__name__)
"""


def python(call, *addresses):
    return sandbox.run(sys.executable, "-c", PYTHON, call, *addresses).stdout.splitlines()


@suite.each("getnameinfo() of {0}", [(a,) for a in PODS])
def getnameinfo(address):
    assert python("getnameinfo", address) == [NAMES[address]]


@suite.test("getnameinfo() of an IPv4 peer of a socket for both families")
def getnameinfo_mapped():
    assert python("getnameinfo", "::ffff:10.244.0.11") == [NAMES["10.244.0.11"]]


@suite.each("gethostbyaddr() of {0}: the name and the address, no alias", [(a,) for a in PODS])
def gethostbyaddr(address):
    assert python("gethostbyaddr", address) == [f"{NAMES[address]} {address}"]


@suite.each("getent hosts {0}", [(a,) for a in PODS])
def getent(address):
    addresses, line = lookup.getent("hosts", address)
    assert (addresses, line[1:]) == ([address], [NAMES[address]])


@suite.test("each address of an answer")
def of_an_answer():
    answer = lookup.resolve(ZONE)
    assert python("getnameinfo", *answer.addresses) == [NAMES[a] for a in answer.addresses]


@suite.test("an address of no service goes on to the next source")
def next_source():
    sandbox.write("/etc/hosts", f"127.0.0.1 localhost\n{LOST} lost.example.test\n10.244.0.11 other.example.test\n")
    sandbox.nsswitch("k8shsvc files")
    assert python("getnameinfo", LOST, "10.244.0.11", "10.244.9.8") == ["lost.example.test", NAMES["10.244.0.11"], "! gaierror"]
    sandbox.nsswitch("files k8shsvc")
    assert python("getnameinfo", LOST, "10.244.0.11") == ["lost.example.test", "other.example.test"]


@suite.test("a set-user-ID program")
def setuid():
    """Reads the table without mapping it."""
    program = f"{sandbox.BIN}/getent-setuid"
    sandbox.install(program, "/usr/bin/getent")
    sandbox.run("chmod", "4755", program)
    result = sandbox.run(program, "hosts", "10.244.0.12", user=sandbox.NOBODY)
    assert result.stdout.split() == ["10.244.0.12", NAMES["10.244.0.12"]]


@suite.test("100 lookups by 8 threads of one process")
def threads():
    program = ("import concurrent.futures, socket, sys\n"
               "with concurrent.futures.ThreadPoolExecutor(8) as pool:\n"
               "    names = set(pool.map(lambda i: socket.getnameinfo((sys.argv[1], 80), 0)[0], range(100)))\n"
               "print(*names)")
    assert sandbox.run(sys.executable, "-c", program, PODS[1]).stdout.split() == [NAMES[PODS[1]]]


@suite.test("without the index all go on to the next source; with it again, none does")
def without_index():
    sandbox.nsswitch("k8shsvc files")
    for reverse, expected in ("no", "other.example.test"), ("yes", NAMES["10.244.0.11"]):
        daemon.configure(CONFIG.format(reverse=reverse))
        STARTED.reload()
        sandbox.wait_until(lambda: python("getnameinfo", "10.244.0.11") == [expected], 20, expected)


@suite.test("without a table all go on to the next source")
def without_table():
    STARTED.kill()
    sandbox.remove_table()
    assert python("getnameinfo", "10.244.0.11", LOST) == ["other.example.test", "lost.example.test"]


def set_up():
    sandbox.nsswitch("k8shsvc")
    daemon.configure(CONFIG.format(reverse="yes"))
    return lab.start_daemon(ZONE)


if __name__ == "__main__":
    sandbox.enter()
    with lab.set_up(set_up) as STARTED:
        sys.exit(suite.run())
