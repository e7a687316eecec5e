"""Which table programs believe: where it lies, who can have written it, and what the daemon says of it.

The same daemon and programs on every kind of file system, by every kind of owner. What a process in namespaces of
its own believes is asked in all combinations by tests/unit/read/test-trust.c; here it is the whole product.
"""

import contextlib
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading

from harness import daemon, lab, lookup, sandbox, tap

suite = tap.Suite()

NAME = "user-svc.default.svc.cluster.local"
A, B = lab.pods(10, 2)
OWNER = 1000
SETUID = f"{sandbox.BIN}/resolve-setuid"
PLAIN_DIRECTORY = "/var/tmp/k8shsvc-test-trust"


def configure(*addresses):
    daemon.configure("[service user-svc.default]\nsource = static\nanswers = all\nendpoints =" +
                     "".join(f"\n    {address}" for address in addresses) + "\n")


def look_up(*mounts, program=sandbox.RESOLVE, user=None):
    """The addresses that a new process sees behind these mounts; none where there is an error."""
    script = "\n".join([*mounts, 'exec "$@"'])
    command = ["unshare", "--mount", "sh", "-ec", script, "sh"]
    if user:
        command += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    result = sandbox.run(*command, program, "--", NAME)
    return set() if result.stdout.startswith("!") else set(result.stdout.split()[1:])


READ_ONLY = f"mount --bind {sandbox.RUNDIR} {sandbox.RUNDIR} && mount -o remount,bind,ro {sandbox.RUNDIR}"


@contextlib.contextmanager
def mounted(*command):
    """Something else at the run directory."""
    sandbox.remove_table()
    sandbox.make_rundir()
    sandbox.run(*command)
    try:
        yield
    finally:
        sandbox.run("umount", "--lazy", sandbox.RUNDIR)
        sandbox.remove_table()


# ---- where it lies ----

def on_ramfs():
    return mounted("mount", "-t", "ramfs", "-o", "mode=755", "ramfs", sandbox.RUNDIR)


def on_tmpfs():
    return mounted("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", sandbox.RUNDIR)


def on_overlayfs():
    layers = [f"{sandbox.HOME}/overlay/{part}" for part in ("lower", "upper", "work")]
    for layer in layers:
        os.makedirs(layer, exist_ok=True)
    return mounted("mount", "-t", "overlay", "-o", "lowerdir={},upperdir={},workdir={}".format(*layers), "overlay",
                   sandbox.RUNDIR)


def by_bind_mount():
    os.makedirs(f"{sandbox.HOME}/elsewhere", exist_ok=True)
    return mounted("mount", "--bind", f"{sandbox.HOME}/elsewhere", sandbox.RUNDIR)


@contextlib.contextmanager
def on_disk():
    """The machine's own: ext4, xfs, btrfs ... wherever /var/tmp lies."""
    shutil.rmtree(PLAIN_DIRECTORY, ignore_errors=True)
    os.makedirs(PLAIN_DIRECTORY, mode=0o755)
    try:
        with mounted("mount", "--bind", PLAIN_DIRECTORY, sandbox.RUNDIR):
            yield
    finally:
        shutil.rmtree(PLAIN_DIRECTORY)


@suite.each("{0}: believed; a withdrawn address goes", [
    ("tmpfs", on_tmpfs), ("ramfs", on_ramfs), ("overlayfs", on_overlayfs), ("a bind mount", by_bind_mount),
    ("the disk", on_disk)])
def local(_, place):
    with place():
        configure(A, B)
        with lab.start_daemon(NAME) as started:
            assert look_up() == {A, B}
            configure(B)
            sandbox.wait_until(lambda: look_up() == {B}, 5, "the address is gone")
            assert "read-only" not in started.log(), started.log()


def fuse(*options):
    """Shows the run directory through a program, as virtiofs, 9p and Docker Desktop do; the beginning of a look_up()."""
    return f"bindfs {' '.join(f'-o {option}' for option in options)} {sandbox.RUNDIR} {sandbox.RUNDIR}"


def need_fuse():
    if not sandbox.have("bindfs"):
        raise tap.Skip("bindfs is not installed")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise tap.Skip("no /dev/fuse")


FUSE_OPTIONS = [("cache kept", ("kernel_cache", "attr_timeout=3600", "entry_timeout=3600")), ("cache by default", ()),
                ("cache dropped", ("direct_io",))]


@suite.each("FUSE, {0}: never believed", FUSE_OPTIONS)
def foreign(_, options):
    need_fuse()
    sandbox.remove_table()
    configure(A, B)
    with lab.start_daemon(NAME):
        assert look_up() == {A, B}
        assert look_up(fuse(*options), f"test -r {sandbox.TABLE}") == set()
        assert look_up(fuse(*options, "ro"), f"test -r {sandbox.TABLE}") == set(), "read-only"


@suite.each("FUSE, {0}: the daemon does not start", FUSE_OPTIONS[1:])
def foreign_to_the_daemon(_, options):
    need_fuse()
    sandbox.remove_table()
    sandbox.make_rundir()
    configure(A)
    sandbox.run("sh", "-c", fuse(*options))
    try:
        ended = daemon.Ended()
    finally:
        sandbox.run("umount", "--lazy", sandbox.RUNDIR)
    assert ended.status == 1 and len(ended.errors()) == 1, ended
    if "direct_io" not in options:  # which can't be mapped at all
        assert "no program believes" in ended.errors()[0], ended


# ---- whose it is ----

@contextlib.contextmanager
def directory(owner, mode):
    sandbox.remove_table()
    sandbox.make_rundir()
    os.chown(sandbox.RUNDIR, owner, owner)
    os.chmod(sandbox.RUNDIR, mode)
    try:
        yield
    finally:
        sandbox.remove_table()


@suite.each("a daemon of uid 1000 in {0}: {3}", [
    ("root's emptyDir, 0777", 0, 0o777, "believed where it is mounted read-only"),
    ("root's emptyDir with fsGroup, 02777", 0, 0o2777, "believed where it is mounted read-only"),
    ("a directory of its own, 0775", OWNER, 0o775, "believed where it is mounted read-only"),
    ("a directory of its own, 0755", OWNER, 0o755, "believed by all"),
    ("a directory of its own, 0711", OWNER, 0o711, "believed by all")])
def owners(_, owner, mode, outcome):
    with directory(owner, mode):
        configure(A)
        with daemon.Daemon(user=OWNER) as started:
            started.wait_log("ready:")
            sandbox.wait_until(lambda: look_up(READ_ONLY) == {A}, 10, "a read-only mount answers")
            by_all = outcome == "believed by all"
            assert look_up() == ({A} if by_all else set())
            assert look_up(READ_ONLY, program=SETUID, user=sandbox.NOBODY) == ({A} if by_all else set()), "setuid"
            said = [line for line in started.log().splitlines() if "mounted read-only" in line]
            assert len(said) == (not by_all), started.log()


@suite.test("a daemon of uid 1000 in an emptyDir takes over what the previous one had, also into a new file")
def takes_over():
    with directory(0, 0o777):
        configure(A)
        for orphan_max in 30, 30, 40:  # in place, then into a new file
            daemon.configure(f"[daemon]\norphan-max = {orphan_max}s\ndns-servers = {sandbox.DNS_SERVER}\n"
                             "[service user-svc.default]\nanswers = all\n" +
                             ("" if os.path.exists(sandbox.TABLE) else f"source = static\nendpoints = {A}\n"))
            with daemon.Daemon(user=OWNER) as started:
                started.wait_log("ready:")
                sandbox.wait_until(lambda: look_up(READ_ONLY) == {A}, 10, "it answers")
                assert "cannot be read back" not in started.log(), started.log()


@suite.test("a stranger's table in root's world-writable directory is believed nowhere but behind a read-only mount")
def strangers():
    with directory(0, 0o1777):
        configure(A)
        with daemon.Daemon(user=OWNER) as started:
            started.wait_log("ready:")
            assert look_up(READ_ONLY) == {A}, "the control"
            in_namespace = ["unshare", "--user", sandbox.RESOLVE, "--", NAME]
            assert sandbox.run(*in_namespace).stdout.startswith("!"), "in a user namespace both owners are nobody"
            assert lookup.addresses(NAME) == set()


# ---- programs whose system calls are filtered, and who are killed for others ----

@suite.each("chronyd -F {0} resolves its server by the table", [(0,), (1,), (2,)])
def chronyd(level):
    if not sandbox.have("chronyd"):
        raise tap.Skip("chrony is not installed")
    sandbox.remove_table()
    configure(sandbox.NODE4)
    os.makedirs("/run/chrony", exist_ok=True)
    sandbox.write(f"{sandbox.HOME}/chrony.conf", f"server {NAME} iburst\ncmdport 0\npidfile /run/chrony/pid\n"
                  "bindcmdaddress /\nport 0\nuser root\n")
    with lab.start_daemon(NAME), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as pod:
        pod.bind((sandbox.NODE4, 123))
        pod.settimeout(20)
        process = subprocess.Popen(["chronyd", "-d", "-x", "-F", str(level), "-f", f"{sandbox.HOME}/chrony.conf"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            try:
                assert pod.recv(2048)
            except socket.timeout:
                process.kill()
                raise AssertionError(f"nothing arrives at the pod: {process.communicate()}") from None
            assert process.poll() is None, f"chronyd ended: {process.communicate()}"
        finally:
            process.kill()
            process.wait()


@suite.test("apt's http method with its filter resolves a host by the table")
def apt():
    helper = "/usr/lib/apt/apt-helper"
    if not os.path.exists(helper):
        raise tap.Skip("apt is not installed")
    sandbox.remove_table()
    configure(sandbox.NODE4)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"found")

        def log_message(self, *_):
            pass

    with lab.start_daemon(NAME), http.server.HTTPServer((sandbox.NODE4, 8080), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = f"{sandbox.HOME}/fetched"
        result = sandbox.run(helper, "-o", "APT::Sandbox::Seccomp=true", "-o", "APT::Sandbox::User=root",
                             "-o", "Acquire::http::Proxy=DIRECT", "-o", "Acquire::Retries=0", "download-file",
                             f"http://{NAME}:8080/x", target, check=False, timeout=60)
        server.shutdown()
        assert result.returncode == 0, result
        with open(target) as file:
            assert file.read() == "found"


def set_up():
    sandbox.nsswitch("k8shsvc")
    sandbox.install(SETUID, sandbox.RESOLVE)
    os.chown(SETUID, OWNER + 1, OWNER + 1)
    os.chmod(SETUID, 0o4755)


if __name__ == "__main__":
    sandbox.enter()
    lab.set_up(set_up)
    sys.exit(suite.run())
