"""The programs of tests/examples, as a programmer would try them."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

from table import Table, enter, sandbox, tap

suite = tap.Suite()

EXAMPLES = os.environ["K8SHSVC_TEST_EXAMPLES"]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
ALIVE, DEAD = "10.244.0.11", "10.244.0.12"


def example(name, *arguments):
    return subprocess.run([f"{EXAMPLES}/example-{name}", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=30)


def said(name, *arguments):
    result = example(name, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@suite.test("connect: to a pod that listens, and never to one that does not")
def connect():
    for _ in range(20):
        assert said("connect", "web.default:7777") == [f"connected to {ALIVE} port 7777"]


@suite.test("connect: nobody listens")
def connect_refused():
    result = example("connect", "web.default:7778")
    assert (result.returncode, result.stderr) == (1, "web.default:7778: connection refused\n")


@suite.test("connect: a service that is not registered")
def connect_unknown():
    result = example("connect", "nobody.default:80")
    assert (result.returncode, result.stderr) == (1, "nobody.default:80: not registered\n")


@suite.test("follow: the addresses now, and after each change")
def follow():
    with subprocess.Popen([f"{EXAMPLES}/example-follow", "changing"], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout.readline() == "10.244.0.1\n"
        table.set("changing.default", "10.244.0.2")
        assert program.stdout.readline() == "10.244.0.2\n"
        table.set("changing.default")
        assert program.stdout.readline() == "the service has no endpoint\n"
        table.remove("changing.default")
        assert program.stdout.readline() == "not registered\n"
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=10) == 0


@suite.test("ordinals: every pod with its port")
def ordinals():
    result = example("ordinals", "default", "set", "3000")
    assert result.stdout.splitlines() == ["10.244.0.21:3002", "10.244.0.22:3000", "[fd00:10:244::21]:3002"]
    assert (result.returncode, result.stderr) == (0, "1 without an ordinal\n")


@suite.test("ordinals: misuse")
def ordinals_misuse():
    assert example("ordinals", "default", "set", "0").returncode == 2


@suite.test("attributes: in C++")
def attributes():
    if not os.path.exists(f"{EXAMPLES}/example-attributes"):
        raise tap.Skip("no C++ compiler")
    assert said("attributes", "set:http") == ["10.244.0.21 8080 set-2 node-1 east ready",
                                              "10.244.0.22 8080 set-0 node-1 east ready", "10.244.0.23 0 - - - ready",
                                              "fd00:10:244::21 8080 set-2 node-1 east ready"]
    assert example("attributes", "nobody").stderr == "nobody: not registered\n"


# ---- the programs that are shown in manual pages and README ----


def build(work, source):
    """A program of the text between #include and the end, as a reader of the page would build it."""
    sandbox.write(f"{work}/example.c", source)
    sandbox.run("cc", "-Wall", "-Werror", "-o", f"{work}/example", f"{work}/example.c", f"-I{ROOT}/lib",
                os.environ["K8SHSVC_TEST_LIBRARY"])
    return f"{work}/example"


def shown_in_page(name):
    """The first block below EXAMPLES, without the escapes of mdoc."""
    with open(f"{ROOT}/packaging/man/{name}.3") as file:
        examples = file.read().split("\n.Sh EXAMPLES\n")[1]
    block = re.search(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", examples, re.MULTILINE | re.DOTALL).group(1)
    return block.replace("\\e", "\\").replace("\\-", "-")


@suite.each("the program in {0}(3)", [
    ("k8shsvc", ["user-svc.default has 2 endpoints", "connected"]),
    ("k8shsvc_open", [f"{ALIVE} port 8080", f"{DEAD} port 8080"]),
])
def in_page(name, wanted):
    with tempfile.TemporaryDirectory() as work:
        result = subprocess.run([build(work, shown_in_page(name))], stdout=subprocess.PIPE, text=True, timeout=30)
        assert result.returncode == 0
        assert sorted(result.stdout.splitlines()) == sorted(wanted), result.stdout


# What the lines of a page stand in.
PROGRAM = """
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <k8shsvc.h>

{before}
static int example(k8shsvc *h)
{{
{lines}
{after}
}}

int main(void)
{{
        k8shsvc *h;

        return k8shsvc_open(&h) < 0 || example(h) < 0;
}}
"""
RECONNECT = """
static int ended;

static void reconnect(k8shsvc *h, const char *name)
{
        (void)h;
        puts(name);
        ended = 1;
}
"""


@suite.each("the lines in {0}(3)", [
    ("k8shsvc_pick", "", "puts(r == 0 || r == -ECONNREFUSED ? \"picked\" : \"failed\"); close(fd); return 0;", ["picked"]),
    ("k8shsvc_endpoints", "", "free(e); return 0;", ["web-0", "web-1"]),
    ("k8shsvc_info", None, "return r;",
     ["changing.default: 1", "set.default: 4", "user-svc.default: 2", "web.default: 2"]),
    ("k8shsvc_wait", RECONNECT, "return r;", ["user-svc.default"]),
])
def lines_in_page(name, before, after, wanted):
    lines = shown_in_page(name)
    if name == "k8shsvc_info":  # a function, and its call
        before, call = lines.split("\n\n")
        lines = f"int {call}"
    table.set("changing.default", "10.244.0.1")
    with tempfile.TemporaryDirectory() as work:
        program = build(work, PROGRAM.format(before=before, lines=lines, after=after))
        said = sandbox.run(program).stdout.splitlines()
        assert sorted(said) == wanted, said


@suite.test("the program in README.md")
def in_readme():
    with open(f"{ROOT}/README.md") as file:
        program, = re.findall(r"^```c\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
    with tempfile.TemporaryDirectory() as work:
        assert sandbox.run(build(work, program)).stdout == "connected\n"


if __name__ == "__main__":
    enter()
    sandbox.add_pod_addresses([ALIVE, DEAD])
    listeners = [socket.create_server((ALIVE, port)) for port in (7777, 8080)]
    table = Table()
    table.set("web.default", f"{ALIVE}/web-0", f"{DEAD}/web-1")
    table.set("user-svc.default", ALIVE, DEAD)
    table.set("changing.default", "10.244.0.1")
    table.set("set.default", "10.244.0.21/set-2", "10.244.0.22/set-0", "10.244.0.23", "fd00:10:244::21/set-2", port=0)
    sys.exit(suite.run())
