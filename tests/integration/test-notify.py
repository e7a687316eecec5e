"""What the daemon tells its service manager: sd_notify(3), through a socket of the test."""

import os
import select
import signal
import socket
import sys
import time

from harness import daemon, lab, lookup, sandbox, tap

suite = tap.Suite()

POD = "10.244.0.10"
NAME = "user-svc.default.svc.cluster.local"
BASE = "[service user-svc.default]\n"
SOCKET = f"{sandbox.HOME}/notify"


class Manager:
    """The service manager's end: a datagram socket, and what has arrived there, oldest first."""

    def __init__(self):
        if os.path.exists(SOCKET):
            os.unlink(SOCKET)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(SOCKET)
        self.messages = []  # (time, {key: value})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def read(self, seconds):
        """Takes what arrives, for at most so long or until something has arrived."""
        if select.select([self._socket], [], [], seconds)[0]:
            text = self._socket.recv(65536).decode()
            self.messages.append((time.monotonic(), dict(line.split("=", 1) for line in text.split("\n") if "=" in line)))

    def values(self, key):
        return [message[key] for _, message in self.messages if key in message]

    def wait(self, key, value=None, seconds=20):
        """Waits for a message that has not been asked for before."""
        deadline = time.monotonic() + seconds
        while True:
            for i, (_, message) in enumerate(self.messages):
                if key in message and (value is None or message[key] == value):
                    del self.messages[:i + 1]
                    return message
            assert time.monotonic() < deadline, f"no {key}={value or '...'}; there were {self.messages}"
            self.read(0.2)


def start(**environment):
    return daemon.Daemon(env={"NOTIFY_SOCKET": SOCKET, **environment})


@suite.test("READY=1 with a STATUS, when the table is there")
def ready():
    with Manager() as manager, start():
        manager.wait("READY", "1")
        assert os.path.exists(sandbox.TABLE)
        sandbox.wait_until(lambda: lookup.addresses(NAME) == {POD}, 20, "the address")


@suite.test("STATUS is a line for people")
def status():
    with Manager() as manager, start():
        manager.wait("READY", "1")
        text = manager.wait("STATUS")["STATUS"]
        assert any(c.isdigit() for c in text), f"it counts nothing: {text!r}"


@suite.test("a start with many services: STATUS says at what it is")
def long_start():
    with Manager() as manager:
        daemon.configure("".join(f"[service s{i}.many]\nsource = static\n" for i in range(30000)))
        try:
            with start():
                manager.wait("STATUS", "reading the configuration")
                manager.wait("STATUS", "filling the table")
                manager.wait("READY", "1", seconds=60)
                assert "30000 services" in manager.wait("STATUS")["STATUS"]
        finally:
            daemon.configure(BASE)


@suite.test("READY=1 comes although no DNS server answers: the daemon is up, its services are pending")
def ready_without_dns():
    server.stop()
    sandbox.remove_table()
    try:
        with Manager() as manager, start():
            manager.wait("READY", "1")
    finally:
        server.start()


@suite.test("READY=1 comes when each service has had its first answer, though it takes three to believe that one has no pods")
def ready_after_one_round():
    daemon.configure(BASE + "[service no-pods.default]\n")
    sandbox.remove_table()
    try:
        with Manager() as manager, start():
            manager.wait("READY", "1")
            text = manager.wait("STATUS")["STATUS"]
            assert "1 fresh" in text and "1 pending" in text and "0 empty" in text, text
    finally:
        daemon.configure(BASE)


@suite.test("WATCHDOG=1 comes again and again, in good time")
def watchdog():
    with Manager() as manager, start(WATCHDOG_USEC="1000000"):
        manager.wait("READY", "1")
        for _ in range(4):
            start_time = time.monotonic()
            manager.wait("WATCHDOG", "1")
            assert time.monotonic() - start_time < 1.0, "later than WATCHDOG_USEC"


@suite.test("no WATCHDOG=1 where none is asked for")
def no_watchdog():
    with Manager() as manager, start():
        manager.wait("READY", "1")
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            manager.read(0.2)
        assert not manager.values("WATCHDOG"), manager.messages


@suite.test("WATCHDOG_PID of another process: no WATCHDOG=1")
def foreign_watchdog():
    with Manager() as manager, start(WATCHDOG_USEC="1000000", WATCHDOG_PID="1"):
        manager.wait("READY", "1")
        end = time.monotonic() + 2
        while time.monotonic() < end:
            manager.read(0.2)
        assert not manager.values("WATCHDOG"), manager.messages


@suite.test("a stopped daemon sends no WATCHDOG=1, so that the manager can tell")
def stopped():
    with Manager() as manager, start(WATCHDOG_USEC="1000000") as running:
        manager.wait("READY", "1")
        manager.wait("WATCHDOG", "1")
        running.process.send_signal(signal.SIGSTOP)
        manager.read(0.1)
        manager.messages.clear()
        manager.read(2)
        assert not manager.messages, manager.messages
        running.process.send_signal(signal.SIGCONT)
        manager.wait("WATCHDOG", "1")


@suite.test("SIGHUP: RELOADING=1 with MONOTONIC_USEC, then READY=1")
def reloading():
    with Manager() as manager, start() as running:
        manager.wait("READY", "1")
        running.reload()
        message = manager.wait("RELOADING", "1")
        now = time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6
        assert "MONOTONIC_USEC" in message, f"Type=notify-reload needs it: {message}"
        assert 0 <= now - int(message["MONOTONIC_USEC"]) < 60e6, message
        manager.wait("READY", "1")


@suite.test("SIGTERM: STOPPING=1, status 0")
def stopping():
    with Manager() as manager, start() as running:
        manager.wait("READY", "1")
        assert running.terminate() == 0
        manager.wait("STOPPING", "1")


@suite.each("NOTIFY_SOCKET that {0}: the daemon works all the same", [
    ("is not there", "/run/no/such/socket"), ("is not a path", "nonsense"), ("is empty", "")])
def no_socket(_, path):
    with lab.start_daemon(NAME, env={"NOTIFY_SOCKET": path}):
        pass


@suite.test("NOTIFY_SOCKET in the abstract name space")
def abstract():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0k8shsvc-test")
        manager.settimeout(20)
        with daemon.Daemon(env={"NOTIFY_SOCKET": "@k8shsvc-test"}):
            while "READY=1" not in manager.recv(65536).decode():
                pass


def set_up():
    sandbox.nsswitch("k8shsvc")
    daemon.configure(BASE)
    return lab.start_dns({"user-svc.default": ([POD], 1)})


if __name__ == "__main__":
    sandbox.enter()
    server = lab.set_up(set_up)
    sys.exit(suite.run())
