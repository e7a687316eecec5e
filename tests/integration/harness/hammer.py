"""Lookups without a pause in processes of their own, that count what must never happen.

As a program: hammer.py long|fresh NAME ADDRESS...

long looks up in one process for all its life, as a server does; fresh starts a program for each
lookup, which has to find the table by itself. On SIGTERM it prints its counts as JSON.
"""

import json
import signal
import socket
import subprocess
import sys
import time

if __package__:
    from . import sandbox
    RESOLVE = sandbox.RESOLVE


class Hammer:
    """Runs in the background between start() and stop()."""

    def __init__(self, mode, name, expected):
        self._command = [sys.executable, __file__, mode, RESOLVE, name, *expected]
        self._process = None

    def start(self):
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "started\n", "the lookup loop does not start"
        return self

    def stop(self):
        """Ends it and returns {lookups, failures, wrong, examples}."""
        self._process.send_signal(signal.SIGTERM)
        output, _ = self._process.communicate(timeout=20)
        return json.loads(output)


def _lookup_long(_, name):
    return {info[4][0] for info in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}


def _lookup_fresh(resolve, name):
    output = subprocess.run([resolve, "--", name], stdout=subprocess.PIPE, text=True, check=True).stdout
    if output.startswith("!"):
        raise OSError(output.strip())
    return set(output.split()[1:])


def _main(mode, resolve, name, *expected):
    counts = {"lookups": 0, "failures": 0, "wrong": 0, "examples": []}
    running = True

    def stop(*_):
        nonlocal running
        running = False

    def note(kind, what):
        counts[kind] += 1
        if len(counts["examples"]) < 5:
            counts["examples"].append(f"{time.monotonic():.3f} {what}")

    lookup = _lookup_long if mode == "long" else _lookup_fresh
    signal.signal(signal.SIGTERM, stop)
    print("started", flush=True)
    while running:
        counts["lookups"] += 1
        try:
            found = lookup(resolve, name)
        except (OSError, subprocess.SubprocessError) as error:
            note("failures", error)
            continue
        if not found or not found <= set(expected):
            note("wrong", sorted(found))
        if counts["lookups"] % 64 == 0:
            time.sleep(0.001)  # the daemon needs a processor, too
    print(json.dumps(counts))


if __name__ == "__main__":
    _main(*sys.argv[1:])
