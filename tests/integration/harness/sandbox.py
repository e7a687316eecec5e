"""A private machine in namespaces: own processes, network, /run and /etc; the rest is the host's.

    enter()          goes there (the program starts anew in it)
    nsswitch(...)    what its programs ask for host names
    resolv_conf(...) and whom

The daemon, the module and the test programs are copied in, so that any user of the sandbox may run
them; the module is in ld.so's cache, so that every program finds it as if it were installed. All
processes of the sandbox end with its first one, whatever happens to that.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

from . import tap

HOME = "/run/sandbox"
BIN = f"{HOME}/bin"
LIB = f"{HOME}/lib"
DAEMON = f"{BIN}/k8shsvcd"
CTL = f"{BIN}/k8shsvcctl"
RESOLVE = f"{BIN}/resolve"
SPREAD = f"{BIN}/spread"
CONFIG_DIR = "/etc/k8shsvc"
CONFIG = f"{CONFIG_DIR}/k8shsvc.conf"
RUNDIR = os.environ.get("K8SHSVC_TEST_RUNDIR", "/run/k8shsvc")
TABLE = f"{RUNDIR}/table.v1"

# The addresses of a small cluster. The node has an address of either family, else AI_ADDRCONFIG
# (getent ahosts, node, nginx) hides the pods of that family.
NODE4, NODE6 = "10.244.0.5", "fd00:10:244::5"
DNS_SERVER = "10.96.0.10"
NOBODY = 65534

# Where a program finds the namespace that it started from: the tmpfs on /run must not be the host's.
_OUTSIDE = "K8SHSVC_TEST_OUTSIDE"


def run(*command, check=True, **options):
    """Runs a program to its end and returns its subprocess.CompletedProcess, output as text."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if check and result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: status {result.returncode}: {result.stderr.strip()}")
    return result


def _mount_namespace():
    return os.readlink("/proc/self/ns/mnt")


def enter():
    """Goes into a new sandbox; returns only inside."""
    os.environ.pop("LD_LIBRARY_PATH", None)  # meson sets it; here the module is found as if installed
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    outside = os.environ.get(_OUTSIDE)
    if outside and outside != _mount_namespace():
        try:
            _furnish()
        except Exception as error:
            tap.bail_out(f"the sandbox can't be made: {error}")
        return
    if os.geteuid() != 0:
        tap.skip_all("namespaces need root")
    if not RUNDIR.startswith("/run/"):
        tap.skip_all("the run directory that was built in is not below /run, which is all that is private here")
    os.environ[_OUTSIDE] = _mount_namespace()
    os.execvp("unshare", ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
                          sys.executable, *sys.argv])


def _furnish():
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    for directory in BIN, LIB:
        os.makedirs(directory)
    # A copy of /etc in place of /etc: files there can be replaced, as programs do, not only overwritten.
    run("cp", "-a", "/etc", f"{HOME}/etc")
    run("mount", "--bind", f"{HOME}/etc", "/etc")
    shutil.rmtree(CONFIG_DIR, ignore_errors=True)
    os.makedirs(CONFIG_DIR)
    write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    write("/etc/gai.conf", "")
    resolv_conf()
    nsswitch("files dns")
    os.umask(0o022)
    _install_programs()
    _network()


def install(target, source):
    """Copies a program in, where every user may run it."""
    shutil.copy(source, target)
    os.chmod(target, 0o755)


def _install_programs():
    for variable, target in (("K8SHSVCD", DAEMON), ("K8SHSVCCTL", CTL), ("K8SHSVC_TEST_RESOLVE", RESOLVE),
                             ("K8SHSVC_TEST_SPREAD", SPREAD)):
        if variable in os.environ:
            install(target, os.environ[variable])
    for variable in "K8SHSVC_TEST_MODULE", "K8SHSVC_TEST_NOOP", "K8SHSVC_TEST_PROBE":
        if variable in os.environ:
            shutil.copy(os.environ[variable], LIB)
    if os.path.isdir("/var/cache/ldconfig"):
        run("mount", "-t", "tmpfs", "tmpfs", "/var/cache/ldconfig")
    write("/etc/ld.so.conf.d/000-k8shsvc-test.conf", LIB + "\n")
    run("ldconfig")


def _network():
    ip("link", "set", "lo", "up")
    ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0-peer")
    for link in "eth0", "eth0-peer":
        ip("link", "set", link, "up")
    ip("address", "add", f"{NODE4}/24", "dev", "eth0")
    ip("address", "add", f"{NODE6}/64", "dev", "eth0", "nodad")
    ip("address", "add", f"{DNS_SERVER}/32", "dev", "eth0")


def ip(*arguments):
    run("ip", *arguments)


def add_pod_addresses(addresses):
    """Lets this machine be the pods: whatever connects to one of the addresses reaches it."""
    for address in addresses:
        if ":" in address:
            ip("address", "add", f"{address}/128", "dev", "eth0", "nodad")
        else:
            ip("address", "add", f"{address}/32", "dev", "eth0")


def write(path, content, mode=0o644):
    """Replaces a file in one step: whoever reads it sees the old or the new one."""
    data = content if isinstance(content, bytes) else content.encode()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".")
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    os.chmod(temporary, mode)
    os.rename(temporary, path)


def nsswitch(hosts):
    """Sets the hosts line of nsswitch.conf, for programs that start from now on."""
    write("/etc/nsswitch.conf", f"passwd: files\ngroup: files\nhosts: {hosts}\n")


def resolv_conf(search="", servers=(DNS_SERVER,), options="timeout:1 attempts:2"):
    lines = [f"nameserver {server}" for server in servers]
    if search:
        lines.append(f"search {search}")
    if options:
        lines.append(f"options {options}")
    write("/etc/resolv.conf", "".join(line + "\n" for line in lines))


def remove_table():
    shutil.rmtree(RUNDIR, ignore_errors=True)


def make_rundir():
    os.makedirs(RUNDIR, mode=0o755, exist_ok=True)


def wait_until(condition, seconds, what):
    """Polls until the condition holds; the time is a limit for broken products, not a measure of speed."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def have(program):
    return shutil.which(program) is not None
