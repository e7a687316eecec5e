"""Servers in kwok's pods: each pod's addresses are this machine's as long as it runs, with the program `pods` on them."""

import socket
import subprocess
import threading

from harness import outside, sandbox, tap

from .churn import is_ready
from .watch import Watch


def program(name):
    """One of scenarios/: to be called before sandbox.enter(), too."""
    path = outside.made_by("e2e/build", "scenarios", "--cached")
    if not path:
        tap.skip_all("the scenarios were not built: tests/run --e2e does that")
    return f"{path}/{name}"


class Conversation:
    """A program that answers a line by a line."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        answer = self.process.stdout.readline()
        assert answer, f"{self.process.args}: no answer to {line!r}"
        return answer.split()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def is_here(address):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


class Residents:
    """Follows all pods; those whose addresses are not served yet are not ready for a test: wait()."""

    def __init__(self, client):
        self._servers = Conversation(program("pods"))
        self._wanted, self._served = set(), set()
        self._changed = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        self._watch = Watch(client, "v1", "Pod", self._note)

    def wait(self):
        sandbox.wait_until(lambda: self._wanted == self._served, 30, "the pods' programs are there")

    def _note(self, _since, _now, pods):
        self._wanted = {ip["ip"] for pod in pods.values() if is_ready(pod) for ip in pod["status"].get("podIPs", [])}
        self._changed.set()

    def _run(self):
        while self._changed.wait():
            self._changed.clear()
            wanted = set(self._wanted)
            for address in self._served - wanted:
                self._servers.ask(f"down {address}")
                sandbox.ip("address", "del", self._prefix(address), "dev", "eth0")
            for address in wanted - self._served:
                sandbox.add_pod_addresses([address])
                sandbox.wait_until(lambda: is_here(address), 10, f"{address} can be listened on")
                self._servers.ask(f"up {address}")
            self._served = wanted

    @staticmethod
    def _prefix(address):
        return f"{address}/{128 if ':' in address else 32}"
