"""The name service caches that people use: nscd, nsncd, systemd-resolved, dnsmasq, unbound, CoreDNS.

Each start_*() runs one in the sandbox, in front of the sandbox's DNS server where it wants one, and returns
the View with which a program asks it and nobody else. Missing is raised where there is no such program.
"""

import glob
import os
import re
import shutil
import socket
import struct
import subprocess

from . import sandbox, view

_TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

# Who runs a server of one's own on loopback gives it an address there.
DNSMASQ, UNBOUND, COREDNS = "127.0.0.11", "127.0.0.12", "127.0.0.13"
NSCD_DIRECTORY = "/run/nscd"


class Missing(Exception):
    """There is no such program here; the text says why."""


# ---- programs ----

_PEERS, _COREDNS, _WHY = "K8SHSVC_TEST_PEERS", "K8SHSVC_TEST_COREDNS", "_WHY"


def prepare(download):
    """To be called before sandbox.enter(), as long as there is a network: downloads and builds what is missing.

    Without `download` only what an earlier call has left behind is used.
    """
    if _PEERS in os.environ:
        return  # in the sandbox
    _ask_script(_PEERS, "fetch-peers", *([] if download else ["--present"]))
    if download:
        _ask_script(_COREDNS, "build-coredns")
    else:
        os.environ[_COREDNS] = _built_coredns()


def _ask_script(variable, script, *arguments):
    """Notes which path tests/SCRIPT prints, or why it prints none."""
    result = subprocess.run([os.path.join(_TESTS, script), *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    os.environ[variable] = result.stdout.strip() if result.returncode == 0 else ""
    os.environ[variable + _WHY] = result.stderr.strip()


def _why(variable, script, what):
    """The line in which the script speaks of it, else its last one."""
    lines = os.environ.get(variable + _WHY, "").splitlines() or [f"tests/{script} has not been run"]
    return next((line for line in lines if line.startswith(what)), lines[-1])


def _built_coredns():
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "k8shsvc")
    built = sorted(glob.glob(f"{cache}/coredns-v*"))
    return built[-1] if built else ""


def _peer(package, path):
    """A file of a package that tests/fetch-peers has unpacked."""
    peers = os.environ.get(_PEERS)
    if not peers or not os.path.exists(f"{peers}/{package}/{path}"):
        raise Missing(_why(_PEERS, "fetch-peers", package))
    return f"{peers}/{package}/{path}"


def _program(name):
    found = shutil.which(name)
    if not found:
        raise Missing(f"{name} is not installed")
    return found


def _library(package, pattern):
    """A library of an unpacked package, wherever this architecture has it."""
    for directory, _, files in os.walk(os.path.dirname(_peer(package, "usr"))):
        for name in files:
            if re.fullmatch(pattern, name):
                return f"{directory}/{name}"
    raise Missing(f"no library {pattern} in the package {package}")


# ---- running them ----

def _start(name, command, ready, env=None):
    """Runs a server until the sandbox ends; its output is a file."""
    path = f"{sandbox.HOME}/{name}.log"
    with open(path, "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                   env=dict(os.environ, **(env or {})))

    def is_ready():
        if process.poll() is not None:
            with open(path, errors="replace") as file:
                raise RuntimeError(f"{name} ended, status {process.returncode}: {file.read()[-2000:]}")
        return ready()

    sandbox.wait_until(is_ready, 60, f"{name} is ready; see {path}")
    return process


def _answers(address):
    """Whether a DNS server there answers a query, whatever it says."""
    query = struct.pack("!6H", 0x4b38, 0x0100, 1, 0, 0, 0) + b"\7cluster\5local\0" + struct.pack("!2H", 6, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(0.2)
        try:
            channel.connect((address, 53))
            channel.send(query)
            return len(channel.recv(1232)) > 12
        except OSError:
            return False


def _listens(path):
    with socket.socket(socket.AF_UNIX) as channel:
        try:
            channel.connect(path)
        except OSError:
            return False
    return True


# ---- the servers of nscd's protocol: glibc asks them before any module ----

_NSCD_CONF = """\
server-user root
paranoia no
threads 4
enable-cache passwd no
enable-cache group no
enable-cache services no
enable-cache netgroup no
enable-cache hosts yes
positive-time-to-live hosts 3600
negative-time-to-live hosts 3600
check-files hosts yes
persistent hosts no
shared hosts yes
max-db-size hosts 33554432
"""


def start_nscd():
    """Asks the sandbox's DNS server; programs read what it has cached from its memory."""
    try:
        program = _peer("nscd", "usr/sbin/nscd")
    except Missing:
        program = _program("nscd")
    directory = view.private_directory("nscd-run", NSCD_DIRECTORY)
    sandbox.write(f"{sandbox.HOME}/nscd.conf", _NSCD_CONF)
    server = view.View("nscd-server", "dns", binds=directory)
    _start("nscd", server.command(program, "-F", "-f", f"{sandbox.HOME}/nscd.conf"),
           lambda: _listens(f"{directory[NSCD_DIRECTORY]}/socket"))
    return view.View("nscd", "files", binds=directory)


def start_nsncd(name, records):
    """Caches nothing, and answers from these records in /etc/hosts: it has the least to do of all."""
    program = _peer("nsncd", "usr/libexec/nsncd")
    directory = view.private_directory(f"{name}-run", NSCD_DIRECTORY)
    server = view.View(f"{name}-server", "files", records=records, binds=directory)
    _start(name, server.command(program), lambda: _listens(f"{directory[NSCD_DIRECTORY]}/socket"))
    return view.View(name, "files", binds=directory)


# ---- systemd-resolved ----

_RESOLVED_CONF = """\
[Resolve]
DNS={server}
FallbackDNS=
Domains=~.
DNSSEC=no
LLMNR=no
MulticastDNS=no
Cache=yes
DNSStubListener=no
ReadEtcHosts=no
"""


def start_resolved():
    """Without systemd and D-Bus; programs ask it through nss-resolve."""
    program = _peer("systemd-resolved", "lib/systemd/systemd-resolved")
    shared = os.path.dirname(_library("libsystemd-shared", r"libsystemd-shared-\d+\.so"))
    shutil.copy(_library("libnss-resolve", r"libnss_resolve\.so\.2"), sandbox.LIB)
    sandbox.run("ldconfig")
    _add_user("systemd-resolve")
    os.makedirs("/run/systemd", exist_ok=True)
    sandbox.write("/etc/systemd/resolved.conf", _RESOLVED_CONF.format(server=sandbox.DNS_SERVER))
    _start("systemd-resolved", [program], lambda: _listens("/run/systemd/resolve/io.systemd.Resolve"),
           env={"LD_LIBRARY_PATH": shared})
    return view.View("resolved", "resolve")


def _add_user(name):
    """In the sandbox's own /etc: it may run as nobody."""
    with open("/etc/passwd") as file:
        known = [line.split(":")[0] for line in file]
    if name in known:
        return
    for database, line in (("passwd", "{0}:x:{1}:{1}::/:/usr/sbin/nologin"), ("group", "{0}:x:{1}:")):
        with open(f"/etc/{database}", "a") as file:
            file.write(line.format(name, 64999) + "\n")


# ---- DNS caches on loopback ----

_UNBOUND_CONF = """\
server:
    interface: {address}
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    do-daemonize: no
    chroot: ""
    username: ""
    pidfile: ""
    directory: "{home}"
    module-config: "iterator"
    num-threads: 1
    use-syslog: no
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: {server}
"""

_COREFILE = """\
.:53 {{
    bind {address}
    cache 3600
    forward . {server}
}}
"""


def _ask(name, address):
    return view.View(name, "dns", servers=[address])


def start_dnsmasq():
    _start("dnsmasq", [_program("dnsmasq"), "-k", "-C", "/dev/null", "-p", "53", "--no-resolv", "--no-hosts",
                       f"--listen-address={DNSMASQ}", "--bind-interfaces", "--pid-file=", "-u", "root",
                       f"--server={sandbox.DNS_SERVER}", "--cache-size=1000"], lambda: _answers(DNSMASQ))
    return _ask("dnsmasq", DNSMASQ)


def start_unbound():
    program = _program("unbound")
    conf = f"{sandbox.HOME}/unbound.conf"
    sandbox.write(conf, _UNBOUND_CONF.format(address=UNBOUND, home=sandbox.HOME, server=sandbox.DNS_SERVER))
    _start("unbound", [program, "-d", "-c", conf], lambda: _answers(UNBOUND))
    return _ask("unbound", UNBOUND)


def start_coredns():
    program = os.environ.get(_COREDNS)
    if not program:
        raise Missing(_why(_COREDNS, "build-coredns", "CoreDNS"))
    conf = f"{sandbox.HOME}/cache.Corefile"
    sandbox.write(conf, _COREFILE.format(address=COREDNS, server=sandbox.DNS_SERVER))
    _start("coredns", [program, "-conf", conf], lambda: _answers(COREDNS))
    return _ask("coredns", COREDNS)
