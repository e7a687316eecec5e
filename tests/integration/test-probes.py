"""The probes of the module and the daemon, as bpftrace sees them: the one-liners of the manual pages."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

from harness import daemon, lookup, sandbox, tap

suite = tap.Suite()

WEB = "web.default.svc.cluster.local"
MODULE = f"{sandbox.LIB}/libnss_k8shsvc.so.2"


def section(addresses):
    return f"[service web.default]\nsource = static\nanswers = all\nendpoints = {' '.join(addresses)}\n"


class Trace:
    """bpftrace while it traces; it prints what it has counted when it ends."""

    def __init__(self, program):
        self._process = subprocess.Popen(["bpftrace", "-e", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                         stdin=subprocess.DEVNULL, env={**os.environ, "BPFTRACE_STRLEN": "64"})
        time.sleep(3)
        if self._process.poll() is not None:
            said = self._process.communicate()[0].decode(errors="replace").strip().splitlines()
            raise tap.Skip(f"bpftrace can't attach here: {said[-1:]}")

    def end(self):
        self._process.send_signal(signal.SIGINT)
        return self._process.communicate(timeout=20)[0].decode(errors="replace")


def needs_bpftrace():
    if not shutil.which("bpftrace"):
        raise tap.Skip("there is no bpftrace")


@suite.test("who looks up what: the probe of the module")
def module():
    needs_bpftrace()
    sandbox.remove_table()
    daemon.configure(section(["10.1.0.1"]))
    with daemon.Daemon() as running:
        running.wait_log("ready: ")
        trace = Trace(f"usdt:{MODULE}:k8shsvc:lookup "
                      "{ @[comm, str(arg0), (int32)arg2] = count(); }")
        for _ in range(3):
            assert lookup.addresses(WEB) == {"10.1.0.1"}
        assert lookup.resolve("nobody.default.svc.cluster.local").error
        said = trace.end()
        assert re.search(rf"@\[resolve, {WEB}, 0\]: [3-9]", said), said
        assert re.search(r"@\[resolve, nobody\.default\.svc\.cluster\.local, -2\]: \d", said), said


@suite.test("what is learned and published: the probes of the daemon")
def publications():
    needs_bpftrace()
    sandbox.remove_table()
    daemon.configure(section(["10.1.0.1"]))
    with daemon.Daemon() as running:
        running.wait_log("ready: ")
        trace = Trace(f'usdt:{sandbox.DAEMON}:k8shsvc:publish {{ printf("publish %s %d %d\\n", str(arg0), arg1, arg2); }} '
                      f'usdt:{sandbox.DAEMON}:k8shsvc:finding {{ printf("finding %s\\n", str(arg0)); }}')
        daemon.configure(section(["10.1.0.1", "10.1.0.2", "fd00::1"]))
        sandbox.wait_until(lambda: len(lookup.addresses(WEB)) == 3, 10, "the change is published")
        said = trace.end()
        assert "publish web.default 2 1\n" in said and "finding web.default\n" in said, said


if __name__ == "__main__":
    sandbox.enter()
    sandbox.nsswitch("k8shsvc")
    sys.exit(suite.run())
