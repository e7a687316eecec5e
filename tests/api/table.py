"""A table that a test writes, in a sandbox without a daemon."""

import os
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import sandbox, tap  # noqa: the path is known only now


def enter():
    """Goes into a sandbox where the library is installed."""
    sandbox.enter()
    sandbox.install(f"{sandbox.LIB}/libk8shsvc.so.0", os.environ["K8SHSVC_TEST_LIBRARY"])
    sandbox.run("ldconfig")


class Table:
    def __init__(self):
        sandbox.make_rundir()
        self._lock = threading.Lock()
        self._writer = subprocess.Popen([os.environ["K8SHSVC_TEST_WRITER"], sandbox.RUNDIR], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def _tell(self, *words):
        with self._lock:  # a test may change the table in one thread, and see the change in another
            print(*words, file=self._writer.stdin, flush=True)
            assert self._writer.stdout.readline() == "ok\n", words

    def set(self, service, *endpoints, port=8080):
        """Endpoints are "ADDRESS" or "ADDRESS/HOST", sorted, IPv4 first."""
        self._tell("set", service, port, *endpoints)

    def remove(self, service):
        self._tell("remove", service)
