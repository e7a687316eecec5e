"""A program of the control plane: started, killed, stopped for a while, started again."""

import os
import signal
import subprocess

from harness import sandbox

HOME = f"{sandbox.HOME}/plane"
# For a start on a machine that is busy with other things.
PATIENCE = 90


class Component:
    def __init__(self, command, ready=lambda: True):
        self.name = os.path.basename(command[0])
        self._command, self._ready = command, ready
        self.process = None

    def start(self):
        os.makedirs(HOME, exist_ok=True)
        with open(f"{HOME}/{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def wait_ready(self):
        sandbox.wait_until(self._is_ready, PATIENCE, f"{self.name} is ready")
        return self

    def _is_ready(self):
        assert self.process.poll() is None, f"{self.name} ended with status {self.process.returncode}:\n{self.log()}"
        return self._ready()

    def log(self, n_lines=20):
        with open(f"{HOME}/{self.name}.log", errors="replace") as file:
            return "".join(file.readlines()[-n_lines:])

    def kill(self):
        """As a crash."""
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.kill()
        self.start().wait_ready()

    def pause(self):
        """Its connections stay open then, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def memory_mib(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) // 1024
