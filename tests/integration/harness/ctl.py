"""k8shsvcctl: in a pipe, on a terminal, and as a process that goes on."""

import json
import os
import pty
import select
import subprocess
import time
from collections import namedtuple

from . import sandbox

Result = namedtuple("Result", "status out err")

ENDS = 60  # seconds; a command that takes so long is one that never ends


def run(*arguments, command=(), env=None, **options):
    """In a pipe. It must end by itself, by no signal, and say at most a line about what is wrong."""
    result = subprocess.run([*command, sandbox.CTL, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=ENDS, env={**os.environ, **(env or {})}, **options)
    out, err = result.stdout.decode(errors="surrogateescape"), result.stderr.decode(errors="replace")
    assert result.returncode in (0, 1, 2), f"{arguments}: status {result.returncode}: {err}"
    return Result(result.returncode, out, err)


def rows(*arguments, **options):
    """The fields of each line of a command that ends well."""
    result = run(*arguments, **options)
    assert result.status == 0, f"{arguments}: {result}"
    return [line.split("\t") for line in result.out.splitlines()]


def value(*arguments, status=0, **options):
    """The one value that a command prints with --json."""
    result = run(*arguments, "--json", **options)
    assert result.status == status, f"{arguments}: {result}"
    return json.loads(result.out)


def refused(*arguments, status=2, **options):
    """The one line that a command prints which can't be done; nothing else comes out."""
    result = run(*arguments, **options)
    assert result.status == status, f"{arguments}: {result}"
    assert result.out == "", f"{arguments}: {result}"
    assert result.err.startswith("k8shsvcctl: ") and result.err.count("\n") == 1, f"{arguments}: {result.err!r}"
    return result.err.strip()


def on_terminal(*arguments, env=None):
    """What a terminal gets to see, and the exit status."""
    environment = {**os.environ, "TERM": "xterm", **(env or {})}
    if not env or "NO_COLOR" not in env:
        environment.pop("NO_COLOR", None)
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(sandbox.CTL, [sandbox.CTL, *arguments], environment)
    text = b""
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(fd)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return text.decode(errors="replace").replace("\r\n", "\n"), status


class Watch:
    """A command that goes on; as a context manager it is ended."""

    def __init__(self, *arguments, command=()):
        self.process = subprocess.Popen([*command, sandbox.CTL, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.process.kill()
        self.process.communicate()

    def line(self, seconds=20, stream=None):
        """The next line."""
        fd, text, deadline = (stream or self.process.stdout).fileno(), b"", time.monotonic() + seconds
        while not text.endswith(b"\n"):
            ready = select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f"no line within {seconds} s, only {text!r}"
            piece = os.read(fd, 1)
            assert piece, f"it has ended: {text!r}"
            text += piece
        return text.decode().rstrip("\n")

    def error_line(self, seconds=20):
        return self.line(seconds, self.process.stderr)
