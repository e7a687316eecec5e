"""The daemon under test, as a plain foreground process."""

import os
import re
import signal
import subprocess
import tempfile

from . import sandbox


def configure(text):
    """Writes the daemon's main configuration file."""
    sandbox.write(sandbox.CONFIG, text)


def _environment(extra, log):
    """@log: the file that is its stderr, and counts as the journal: its lines have their priorities."""
    env = {k: v for k, v in os.environ.items()
           if k not in ("K8SHSVC_SERVICES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")}
    status = os.fstat(log.fileno())
    env["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
    env.update(extra or {})
    return env


class Daemon:
    """A running daemon; as a context manager it is stopped at the end, however the test goes.

    @prefix: a command that runs it, and goes with it
    """

    def __init__(self, *arguments, env=None, user=None, prefix=()):
        self._log = tempfile.NamedTemporaryFile(dir=sandbox.HOME, prefix="daemon-", suffix=".log")
        self.process = subprocess.Popen([*prefix, sandbox.DAEMON, *arguments], env=_environment(env, self._log), user=user,
                                        stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            print("".join(f"# daemon: {line}\n" for line in self.log().splitlines()[-40:]), end="")
        self.kill()

    def log(self):
        with open(self._log.name, errors="replace") as file:
            return file.read()

    def wait_log(self, pattern, seconds=10):
        return sandbox.wait_until(lambda: re.search(pattern, self.log(), re.MULTILINE), seconds,
                                  f"a log line {pattern!r}; the log is:\n{self.log()}")

    @property
    def alive(self):
        return self.process.poll() is None

    def cpu_seconds(self):
        """Processor time that it has used so far, of its own and in the kernel."""
        with open(f"/proc/{self.process.pid}/schedstat") as file:  # its only thread's
            return int(file.read().split()[0]) / 1e9

    def status_kib(self, key):
        """A line of /proc/PID/status that counts KiB: VmRSS, VmHWM ..."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(rf"^{key}:\s+(\d+) kB", file.read(), re.MULTILINE).group(1))

    def n_sleeps(self):
        """How often it has waited for something."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.MULTILINE).group(1))

    def n_descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def kill(self):
        """As a crash: nothing is said or tidied up."""
        if self.alive:
            self.process.kill()
        self.process.wait()

    def terminate(self):
        """As the service manager stops it; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)


class Ended:
    """A daemon that was to end by itself: how it did, and what it said."""

    def __init__(self, *arguments, env=None, user=None, prefix=()):
        with tempfile.TemporaryFile() as log:
            try:
                result = subprocess.run([*prefix, sandbox.DAEMON, *arguments], env=_environment(env, log), user=user,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, timeout=20)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"still running after 20 s; it said: {self._said(log)!r}") from None
            self.stderr = self._said(log)
        self.status = result.returncode
        self.stdout = result.stdout.decode(errors="replace")

    @staticmethod
    def _said(log):
        log.seek(0)
        return log.read().decode(errors="replace")

    def lines(self):
        """What it said on stderr, without the priorities of sd-daemon(3)."""
        return [re.sub(r"^<\d>", "", line) for line in self.stderr.splitlines()]

    def errors(self):
        """Its lines of priority err and worse; all lines where it marks none."""
        marked = [line for line in self.stderr.splitlines() if re.match(r"<\d>", line)]
        return [re.sub(r"^<\d>", "", line) for line in marked if line[1] in "0123"] if marked else self.lines()

    def __str__(self):
        return f"status {self.status}, stdout {self.stdout!r}, stderr {self.stderr!r}"
