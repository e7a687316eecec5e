"""The daemon among others: a log that nobody reads, a service manager that hangs, storms of signals, no processor."""

import fcntl
import json
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import termios
import time

from harness import daemon, lab, lookup, sandbox, tap
from harness.hammer import Hammer

suite = tap.Suite()

A, B = lab.pods(10, 2)
FIRST, SECOND = "first-svc.default.svc.cluster.local", "second-svc.default.svc.cluster.local"
BASE = "[service first-svc.default]\n"
CONF_D = f"{sandbox.CONFIG_DIR}/conf.d"
NEVER = 20


def fresh():
    sandbox.run("rm", "-rf", CONF_D)
    daemon.configure(BASE)


def follows(seconds=NEVER):
    """The loop runs: what is added now is answered, then what is taken away is not."""
    sandbox.write(f"{CONF_D}/10.conf", "[service second-svc.default]\n")
    sandbox.wait_until(lambda: lookup.addresses(SECOND) == {B}, seconds, "the daemon follows its configuration")
    os.unlink(f"{CONF_D}/10.conf")
    sandbox.wait_until(lambda: lookup.resolve(SECOND).error, seconds, "the daemon follows its configuration")


class Process:
    """A daemon with a stderr of the test's own."""

    def __init__(self, stderr, *arguments, **environment):
        self.process = subprocess.Popen([sandbox.DAEMON, *arguments], stderr=stderr, stdin=subprocess.DEVNULL,
                                        env={**os.environ, **environment})

    def __enter__(self):
        sandbox.wait_until(lambda: lookup.addresses(FIRST) == {A}, NEVER, "the table answers")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def shout(number, errors=90):
    """Makes the daemon say many lines: another number, other lines."""
    sandbox.write(f"{CONF_D}/50.conf", "[daemon]\n" + "".join(f"key-{number}-{i} = {'x' * 50}\n" for i in range(errors)))


def read_all(fd, seconds=0.5):
    """What can be read until nothing comes for a while."""
    text = b""
    while select.select([fd], [], [], seconds)[0]:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    return text.decode(errors="replace")


# ---- the log ----

def pipe():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    return reader, writer


def stream():
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ends[1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return ends[0].detach(), ends[1].detach()


def terminal():
    reader, writer = os.openpty()
    attributes = termios.tcgetattr(writer)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(writer, termios.TCSANOW, attributes)
    return reader, writer


@suite.each("fault 50: stderr is {0} that nobody reads: the daemon goes on, and says later what is missing", [
    ("a pipe", pipe), ("a socket, as the journal's,", stream), ("a terminal", terminal)])
def nobody_reads(_, make):
    fresh()
    reader, writer = make()
    with Process(writer):
        os.close(writer)
        for number in range(12):
            shout(number)
            time.sleep(0.15)
        follows()
        text = read_all(reader)
        deadline = time.monotonic() + NEVER
        while not re.search(r"\d+ messages could not be written", text) and time.monotonic() < deadline:
            text += read_all(reader)
        assert re.search(r"(^| |: ?|m )[1-9]\d* messages could not be written\r?$", text, re.MULTILINE), text[-2000:]
        for line in text.splitlines()[:-1]:
            assert re.match(r"<\d>|\S", line), f"a torn line: {line!r}"
        follows()
    os.close(reader)


@suite.test("fault 50: the disk of the log is full (ENOSPC), and has room again")
def full_disk():
    fresh()
    directory = f"{sandbox.HOME}/full"
    os.makedirs(directory)
    sandbox.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory)
    try:
        with open(f"{directory}/ballast", "wb") as ballast, open(f"{directory}/log", "ab") as log:
            ballast.write(bytes(60 << 10))
            ballast.flush()
            with Process(log):
                for number in range(3):
                    shout(number)
                    time.sleep(0.25)
                follows()
                os.unlink(f"{directory}/ballast")
                ballast.close()
                sandbox.wait_until(lambda: "messages could not be written" in open(f"{directory}/log").read(), NEVER,
                                   "it says what is missing")
    finally:
        sandbox.run("umount", "-l", directory)


@suite.test("fault 50: the terminal has gone (EIO)")
def terminal_gone():
    fresh()
    reader, writer = os.openpty()
    with Process(writer):
        os.close(writer)
        os.close(reader)
        shout(0)
        follows()


@suite.test("in the background of a terminal that stops who writes (stty tostop)")
def terminal_stops():
    fresh()
    reader, writer = terminal()
    pid_file = f"{sandbox.HOME}/background"
    command = ["setsid", "--ctty", "sh", "-c", f'set -m; stty tostop; "$0" & echo $! > {pid_file}; sleep 60', sandbox.DAEMON]
    shell = subprocess.Popen(command, stdin=writer, stdout=writer, stderr=writer)
    os.close(writer)
    try:
        sandbox.wait_until(lambda: lookup.addresses(FIRST) == {A}, NEVER, "the table answers")
        follows()
        assert "ready: " in read_all(reader)
    finally:
        with open(pid_file) as file:
            os.kill(int(file.read()), signal.SIGKILL)
        shell.kill()
        shell.wait()
        os.close(reader)


def said(*arguments, configured=""):
    """What a daemon says to a pipe, as lines: it starts, a service comes, then one is configured wrongly."""
    reader, writer = os.pipe()
    fresh()
    daemon.configure(configured + BASE)
    with Process(writer, *arguments, JOURNAL_STREAM="1:1"):
        os.close(writer)
        follows()
        sandbox.write(f"{CONF_D}/10.conf", "[service second-svc.default]\nsource = static\nordre = random\n")
        text = read_all(reader, 2)
    os.close(reader)
    return text.splitlines()


@suite.test("the log in a pipe: each line has its time and level, none a priority of the journal's")
def log_plain():
    lines = said()
    form = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|notice|info) \S"
    assert lines and all(re.match(form, line) for line in lines), lines
    assert any(re.search("Z info ready: ", line) for line in lines), lines
    assert any(re.search(r"Z error .*10\.conf:3: .* ordre: .*; did you mean order\?$", line) for line in lines), lines


@suite.each("the log as JSON, by {0}: an object a line", [
    ("log-format = json", (), "[daemon]\nlog-format = json\nlog-level = debug\n"),
    ("--log-format json", ("--log-format", "json"), "[daemon]\nlog-level = debug\n"),
])
def log_json(way, arguments, configured):
    entries = [json.loads(line) for line in said(*arguments, configured=configured)]
    assert all(list(e) == ["ts", "level", "service", "msg"] for e in entries), entries
    assert any(e["msg"].startswith("ready: ") and e["service"] is None for e in entries), entries
    assert any(e["level"] == "error" and "ordre" in e["msg"] for e in entries), entries
    assert any(e["service"] == "second-svc.default" and e["level"] == "debug" for e in entries), entries


@suite.test("the configuration's log-format is followed; the command line goes before it")
def log_followed():
    def lines(*arguments):
        """Before and after log-format = json."""
        fresh()
        path = f"{sandbox.HOME}/followed"
        with open(path, "wb") as log, Process(log, *arguments):
            sandbox.wait_until(lambda: "ready: " in open(path).read(), NEVER, "it is ready")
            daemon.configure("[daemon]\nlog-format = json\n" + BASE)
            follows()
            said = open(path).read().splitlines()
            return said[0], said[-1]

    first, last = lines("--log-format", "text")
    assert first[0] == last[0] == "2", (first, last)
    first, last = lines()
    assert first[0] == "2" and json.loads(last)["level"] == "info", (first, last)


@suite.test("more lines than somebody could read: they are limited, counted, and the count is told")
def too_many():
    fresh()
    with daemon.Daemon() as running:
        running.wait_log("ready: ")
        for number in range(10):
            shout(number)
            time.sleep(0.3)
        running.wait_log(r"^<4>[1-9]\d* messages came too fast and were left out$", NEVER)
        n = len(running.log().splitlines())
        assert n < 800, f"{n} lines"
        assert lookup.addresses(FIRST) == {A}


# ---- the service manager ----

class Manager:
    """A socket for sd_notify(3) that is read when the test says so."""

    PATH = f"{sandbox.HOME}/notify"

    def __init__(self):
        if os.path.exists(self.PATH):
            os.unlink(self.PATH)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.PATH)

    def read(self, seconds):
        """What comes within so many seconds, but for signs of life."""
        messages = []
        end = time.monotonic() + seconds
        while select.select([self._socket], [], [], max(0, end - time.monotonic()))[0]:
            messages.append(self._socket.recv(65536).decode())
        return [message for message in messages if message != "WATCHDOG=1"]

    def wait(self, pattern):
        messages = []
        deadline = time.monotonic() + NEVER
        while not any(re.search(pattern, message) for message in messages):
            assert time.monotonic() < deadline, f"no {pattern} in {messages}"
            messages += self.read(0.1)
        return messages


@suite.test("a service manager that reads nothing: the daemon goes on, and says later where it is")
def manager_hangs():
    fresh()
    manager = Manager()
    with daemon.Daemon(env={"NOTIFY_SOCKET": manager.PATH, "WATCHDOG_USEC": "30000"}) as running:
        running.wait_log("ready: ")
        time.sleep(1)  # 10 datagrams fill the socket
        follows()
        running.reload()
        follows()
        messages = manager.wait("STATUS=1 services, 1 addresses: 1 fresh")
        told = [m.split("=")[0] for m in messages if m.startswith(("READY", "RELOADING"))]
        assert told[0] == "READY" and told[-1] == "READY", told


@suite.test("STATUS follows the counts; RELOADING=1 and READY=1 when a file changes, and nothing when nothing does")
def manager_told():
    fresh()
    manager = Manager()
    with daemon.Daemon(env={"NOTIFY_SOCKET": manager.PATH}):
        manager.wait("READY=1")
        manager.wait("STATUS=1 services, 1 addresses: 1 fresh, 0 stale, 0 empty, 0 pending")
        sandbox.write(f"{CONF_D}/10.conf", "[service second-svc.default]\n")
        messages = manager.wait("STATUS=2 services, 2 addresses: 2 fresh")
        text = "\n".join(messages)
        assert re.search(r"RELOADING=1\nMONOTONIC_USEC=\d+\n(.*\n)*READY=1", text), text
        sandbox.write(f"{CONF_D}/.ignored", "")
        messages = manager.read(1.5)
        assert not [message for message in messages if "STATUS" not in message], messages


# ---- signals ----

def storm(pid, number, seconds):
    end = time.monotonic() + seconds
    n = 0
    while time.monotonic() < end:
        os.kill(pid, number)
        n += 1
    return n


@suite.test("fault 51: a storm of SIGHUP: the daemon goes on, reads now and then, and answers the last one")
def hangup_storm():
    fresh()
    manager = Manager()
    with daemon.Daemon(env={"NOTIFY_SOCKET": manager.PATH}) as running:
        manager.wait("READY=1")
        loop = Hammer("long", FIRST, [A]).start()
        before = len(running.log())
        start = time.monotonic()
        n = storm(running.process.pid, signal.SIGHUP, 3)
        seconds = time.monotonic() - start
        n_read = running.log()[before:].count("configuration: ")
        tap.comment(f"{n} signals, {n_read} readings in {seconds:.1f} s")
        assert n > 100 and n_read <= 11 * seconds + 2, "every signal is a reading"
        follows()
        told = [message.split("=")[0] for message in manager.read(1.5) if not message.startswith("STATUS")]
        assert told[-1] == "READY" and told.count("READY") == told.count("RELOADING"), told
        result = loop.stop()
        assert result["failures"] == result["wrong"] == 0, result


@suite.test("fault 51: SIGHUP and SIGTERM while the configuration is read at the start")
def signals_at_start():
    fresh()
    daemon.configure(BASE + "".join(f"[service s{i}.many]\nsource = static\n" for i in range(30000)))
    for number in signal.SIGHUP, signal.SIGTERM:
        with daemon.Daemon() as running:
            pid = running.process.pid
            bit = 1 << number - 1
            # not before it can: until then a signal does what it does to every program
            sandbox.wait_until(lambda: int(re.search(r"SigBlk:\s*(\S+)", open(f"/proc/{pid}/status").read())[1], 16) & bit,
                               NEVER, "signals wait for the loop")
            for _ in range(1000):
                os.kill(pid, number)
            if number == signal.SIGTERM:
                assert running.process.wait(timeout=3 * NEVER) == 0, running.log()
            else:
                running.wait_log("ready: ", 3 * NEVER)
                assert running.alive


@suite.test("fault 51: a storm of SIGTERM: status 0, the table stays and is answered from")
def term_storm():
    fresh()
    with lab.start_daemon(FIRST) as running:
        running.wait_log("ready: ")
        try:
            storm(running.process.pid, signal.SIGTERM, 2)
        except ProcessLookupError:
            pass
        assert running.process.wait(timeout=NEVER) == 0, f"status {running.process.returncode}: {running.log()}"
        assert lookup.addresses(FIRST) == {A}


# ---- the machine ----

@suite.test("fault 54: nice 19 beside eight busy loops on one processor: no lookup fails")
def starved():
    fresh()
    # On a machine that has other work, too, such a daemon may have to wait longer than the usual 30 s.
    daemon.configure("[daemon]\norphan-max = 5m\n" + BASE)
    with lab.start_daemon(FIRST) as running:
        running.wait_log("ready: ")
        processor = min(os.sched_getaffinity(0))
        os.sched_setaffinity(running.process.pid, {processor})
        os.setpriority(os.PRIO_PROCESS, running.process.pid, 19)
        busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"],
                                 preexec_fn=lambda: os.sched_setaffinity(0, {processor})) for _ in range(8)]
        try:
            loop = Hammer("fresh", FIRST, [A, B]).start()
            server.set_service("first-svc.default", [B])
            start = time.monotonic()
            sandbox.wait_until(lambda: lookup.addresses(FIRST) == {B}, 60, "a change gets through")
            tap.comment(f"a change is seen after {time.monotonic() - start:.1f} s")
            time.sleep(max(0.0, start + 5 - time.monotonic()))
            result = loop.stop()
            assert result["failures"] == result["wrong"] == 0, result
        finally:
            for process in busy:
                process.kill()
                process.wait()
            server.set_service("first-svc.default", [A])


def locked_kib(running):
    """What it has locked, and the table's size."""
    return running.status_kib("VmLck"), os.stat(sandbox.TABLE).st_size // 1024


@suite.test("fault 55: the table is kept from being swapped out, also one that was taken over")
def locked():
    fresh()
    for _ in range(2):
        with daemon.Daemon() as running:
            running.wait_log("ready: ", NEVER)
            kib, size = locked_kib(running)
            assert kib >= size > 0, f"{kib} of {size} KiB"


@suite.test("fault 55: where nothing may be locked, the daemon does without")
def not_locked():
    fresh()
    sandbox.remove_table()
    sandbox.make_rundir()
    # root may lock whatever the limit says
    os.chown(sandbox.RUNDIR, sandbox.NOBODY, sandbox.NOBODY)
    limits = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, limits[1]))
    try:
        with daemon.Daemon(user=sandbox.NOBODY) as running:
            sandbox.wait_until(lambda: lookup.addresses(FIRST) == {A}, NEVER, "the table answers")
            assert locked_kib(running)[0] == 0
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, limits)
        sandbox.remove_table()


def set_up():
    sandbox.nsswitch("k8shsvc")
    return lab.start_dns({"first-svc.default": ([A], 1), "second-svc.default": ([B], 1)})


if __name__ == "__main__":
    sandbox.enter()
    server = lab.set_up(set_up)
    sys.exit(suite.run())
