"""A Debian 12 root, booted: the unit under a real systemd, from installation to removal, while programs look names up."""

import contextlib
import subprocess

import machine
from harness import tap

PACKAGES = ["systemd", "systemd-sysv", "dbus", "python3-minimal", "libc-ares2", "libcurl4", "libjansson4", "libyaml-0-2",
            "libmicrohttpd12"]
WATCHDOG_S = 20
STATIC = "[service web.shop]\nsource = static\nendpoints = 192.0.2.11 192.0.2.12\n"
# As many as one core makes, each a process of its own, for as long as the file is there.
LOOP = "while [ -e /looping ]; do getent hosts web.shop >/dev/null && echo ok || echo FAILED; done"

suite = tap.Suite()
machine.enter()
# The machine has no network, and no python3 to install the Python package with.
debs = [deb for deb in machine.built("*.deb") if "/python3-" not in deb]
if not debs:
    tap.skip_all("the packages are not built: packaging/build deb build/packages/deb")


class Booted(machine.Root):
    """A root with processes of its own; what is run, runs among them."""

    def boot(self):
        self.log = open(f"{self.path}.log", "w")
        # Without @memlock, nspawn itself refuses mlock().
        nspawn = subprocess.Popen(["systemd-nspawn", "-D", self.path, "--private-network", "--register=no", "--keep-unit",
                                   "--system-call-filter=@memlock", "-b"], stdin=subprocess.DEVNULL, stdout=self.log,
                                  stderr=subprocess.STDOUT)
        self.nspawn = nspawn.pid
        machine.wait_until(self.is_up, 60, "it has booted")
        return self

    def is_up(self):
        """nspawn's first child is not its last one: looked for anew each time."""
        self.leader = machine.call("pgrep", "-P", str(self.nspawn), check=False).stdout.split()[:1]
        return bool(self.leader) and self.run("systemctl", "is-system-running", check=False).stdout.strip() in (
            "running", "degraded")

    def _enter(self, command):
        return ["nsenter", "-t", *self.leader, "-m", "-u", "-i", "-n", "-p", "--", *command]

    def run(self, *command, check=True):
        return machine.call(*self._enter(command), check=check, env=machine.ENVIRONMENT)

    def start(self, *command):
        return subprocess.Popen(self._enter(command), env=machine.ENVIRONMENT, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def unit(self, name):
        return self.run("systemctl", "show", "-P", name, "k8shsvcd").stdout.strip()

    @contextlib.contextmanager
    def lookups(self):
        """None of them fails, and the daemon is another one afterwards."""
        before = self.unit("MainPID")
        self.write("/looping", "")
        loop = self.start("sh", "-c", LOOP)
        try:
            yield
            machine.wait_until(lambda: self.unit("MainPID") not in ("0", before) and self.unit("ActiveState") == "active",
                               WATCHDOG_S + 10, "the next daemon is ready")
            self.run("sleep", "1")
        finally:
            self.run("rm", "/looping")
        outcomes = loop.communicate()[0].split()
        assert len(outcomes) > 100 and set(outcomes) == {"ok"}, f"{len(outcomes)} lookups: {set(outcomes)}"
        tap.comment(f"{len(outcomes)} lookups")


root = Booted("bookworm", *PACKAGES, cache="packages/boot").boot()


@suite.test("apt installs the previous release: enabled, READY, answering")
def installs():
    root.install(machine.older(debs, "0.0.9-1"))
    assert root.run("systemctl", "is-enabled", "k8shsvcd").stdout == "enabled\n"
    assert root.run("systemctl", "is-active", "k8shsvcd").stdout == "active\n"
    assert root.unit("NotifyAccess") == "main" and root.unit("StatusText"), root.unit("StatusText")
    script, = root.put(f"{machine.SOURCE}/packaging/debian/tests/lookup")
    root.run("sh", script)


@suite.test("the daemon runs as k8shsvc, in the sandbox of its unit: exposure 1.3 at most")
def is_sandboxed():
    status = root.run("cat", f"/proc/{root.unit('MainPID')}/status").stdout
    uid = root.run("id", "-u", "k8shsvc").stdout.strip()
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status and "CapBnd:\t0000000000000000\n" in status, status
    assert "NoNewPrivs:\t1\n" in status and "Seccomp:\t2\n" in status, status
    root.run("systemd-analyze", "security", "--threshold=13", "k8shsvcd.service")


@suite.test("a reload registers what has been added, in the same process")
def reloads():
    root.write("/etc/k8shsvc/conf.d/web.conf", STATIC)
    before = root.unit("MainPID")
    root.run("systemctl", "reload", "k8shsvcd")
    machine.wait_until(lambda: root.run("getent", "hosts", "web.shop", check=False).returncode == 0, 5, "it answers")
    assert root.unit("MainPID") == before


@suite.test("a restart: no lookup fails")
def restarts():
    with root.lookups():
        root.run("systemctl", "restart", "k8shsvcd")


@suite.test("an upgrade: no lookup fails, and the new daemon runs")
def upgrades():
    with root.lookups():
        root.install(debs)
    version = root.run("dpkg-query", "-W", "-f", "${Version}", "k8shsvc").stdout
    assert version != "0.0.9-1", version


@suite.test("SIGKILL: the next daemon runs, no lookup fails")
def survives_kill():
    with root.lookups():
        root.run("systemctl", "kill", "-s", "KILL", "k8shsvcd")


@suite.test("SIGSTOP: the watchdog fires, the next daemon runs, no lookup fails")
def watchdog_fires():
    with root.lookups():
        root.run("systemctl", "kill", "-s", "STOP", "k8shsvcd")
    log = root.run("journalctl", "-q", "-u", "k8shsvcd", "-o", "cat").stdout
    assert "Watchdog timeout" in log, log


@suite.test("a removal stops the daemon, a purge takes its directory along")
def purges():
    root.run("apt-get", "remove", "-q", "-y", "k8shsvc", "libnss-k8shsvc")
    assert root.run("systemctl", "is-active", "k8shsvcd", check=False).stdout == "inactive\n"
    assert root.run("test", "-d", "/run/k8shsvc", check=False).returncode == 0
    root.run("apt-get", "purge", "-q", "-y", "k8shsvc", "libnss-k8shsvc")
    assert root.run("test", "-e", "/run/k8shsvc", check=False).returncode == 1
    failed = root.run("systemctl", "--failed", "--plain", "--no-legend").stdout
    assert "k8shsvc" not in failed, failed


status = suite.run()
root.run("systemctl", "poweroff", check=False)
raise SystemExit(status)
