"""k8shsvcctl doctor names the cause of each set-up in which programs do not get their answers, and diff what differs."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys

from harness import ctl, daemon, lab, sandbox, scripted, tap
from harness.apiserver import ApiServer, endpoint, slice_of
from harness.ctl import refused, rows, run, value

suite = tap.Suite()

PODS, OTHERS = lab.pods(10, 3), lab.pods(40, 2)
USER = "user-svc.default"
BASE = f"""\
[daemon]
orphan-max = 11s
refresh-min = 200ms
refresh-max = 500ms
[service {USER}]
"""
MODULE = "libnss_k8shsvc.so.2"
GOOD = "files k8shsvc dns"


def findings(*arguments, check=None, **options):
    """What the doctor says, as (check, ok, found, mend); the exit status must say the same."""
    result = run("doctor", "--json", *arguments, **options)
    said = json.loads(result.out)
    assert [list(f) for f in said] == [["check", "ok", "found", "mend"]] * len(said), said
    assert result.status == (1 if any(f["ok"] is False for f in said) else 0), result
    assert all(f["mend"] for f in said if f["ok"] is False), said
    assert result.err == "", result
    return [f for f in said if check in (None, f["check"])]


def bad(check, pattern, *arguments, **options):
    """The doctor finds this cause."""
    said = findings(*arguments, **options)
    found = [f for f in said if f["ok"] is False and f["check"] == check and re.search(pattern, f["found"])]
    assert found, f"no {check}: {pattern} in {said}"
    return found[0]


def not_bad(*checks):
    said = [f for f in findings() if f["ok"] is False and f["check"] in checks]
    assert not said, said


@contextlib.contextmanager
def process(*command, **options):
    """Another program, with a process group of its own; ended at the end."""
    started = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    try:
        yield started
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@contextlib.contextmanager
def called(name, script):
    """A Python program that the kernel knows by this name, once it says that it is ready."""
    program = f"open('/proc/self/comm', 'w').write({name!r})\n{script}\nprint('ready', flush=True)\nimport time\ntime.sleep(600)\n"
    with process(sys.executable, "-c", program, stdout=subprocess.PIPE) as started:
        assert started.stdout.readline() == b"ready\n"
        yield started


@suite.test("where all is well, everything is well")
def well():
    said = findings()
    assert not [f for f in said if f["ok"] is False], said
    checks = {f["check"] for f in said if f["ok"]}
    assert checks >= {"nsswitch", "cache", "module", "directory", "table", "daemon", "clock", "configuration", "dns",
                      "services", "lookup"}, said
    lines = rows("doctor")
    assert all(line[0] in ("ok", "?") for line in lines), lines
    text, status = ctl.on_terminal("doctor")
    assert status == 0 and "\033[32mok\033[0m" in text, text


# ---- nsswitch.conf ----

@suite.each("nsswitch: `{0}` ({1})", [
    ("files dns", "Debian", "missing", "files k8shsvc dns"),
    ("files mdns4_minimal [NOTFOUND=return] dns", "Ubuntu", "missing", "files k8shsvc mdns4_minimal [NOTFOUND=return] dns"),
    ("files mdns4_minimal [NOTFOUND=return] k8shsvc dns", "Ubuntu, misplaced", "mdns4_minimal stands in front",
     "files k8shsvc mdns4_minimal [NOTFOUND=return] dns"),
    ("files myhostname resolve [!UNAVAIL=return] dns", "Fedora", "missing",
     "files myhostname k8shsvc resolve [!UNAVAIL=return] dns"),
    ("files myhostname resolve [!UNAVAIL=return] k8shsvc dns", "systemd-resolved in front", "resolve stands in front",
     "files myhostname k8shsvc resolve [!UNAVAIL=return] dns"),
    ("files dns k8shsvc", "at the end", "dns stands in front", "files k8shsvc dns"),
    ("files dns k8shsvc [NOTFOUND=return]", "with an action", "dns stands in front", "files k8shsvc dns"),
    ("files", "without dns", "missing", "files k8shsvc"),
    ("files [NOTFOUND=return] k8shsvc dns", "never asked", "files stands in front", "k8shsvc files [NOTFOUND=return] dns"),
    ("files k8shsvc [SUCCESS=continue] dns", "not the last word", "ask on after its answer", "files k8shsvc dns"),
])
def nsswitch(line, _, cause, mended):
    sandbox.nsswitch(line)
    try:
        finding = bad("nsswitch", cause)
        assert re.search("`hosts: (.*)`", finding["mend"])[1] == mended, finding
        sandbox.nsswitch(mended)
        not_bad("nsswitch")
    finally:
        sandbox.nsswitch(GOOD)


@suite.each("nsswitch: {0}", [("no file",), ("no hosts line",)])
def nsswitch_missing(what):
    if what == "no file":
        os.unlink("/etc/nsswitch.conf")
    else:
        sandbox.write("/etc/nsswitch.conf", "passwd: files\n")
    try:
        bad("nsswitch", "can't be read|no hosts line")
    finally:
        sandbox.nsswitch(GOOD)


# ---- the module ----

@contextlib.contextmanager
def without_module():
    os.rename(f"{sandbox.LIB}/{MODULE}", f"{sandbox.HOME}/{MODULE}")
    try:
        yield f"{sandbox.HOME}/{MODULE}"
    finally:
        os.rename(f"{sandbox.HOME}/{MODULE}", f"{sandbox.LIB}/{MODULE}")
        sandbox.run("ldconfig")


def of_another_machine(path):
    """An ELF file as it is for a machine of another kind."""
    with open(path, "rb") as file:
        elf = bytearray(file.read())
    struct.pack_into("<H", elf, 18, 243)  # RISC-V
    return bytes(elf)


@suite.test("the module is missing")
def module_missing():
    with without_module():
        bad("module", "can't be loaded")


@suite.test("the module is of the wrong architecture")
def module_wrong():
    with without_module() as good:
        sandbox.write(f"{sandbox.LIB}/{MODULE}", of_another_machine(good))
        sandbox.run("ldconfig", check=False)
        bad("module", "wrong architecture: riscv64, programs are")


@suite.test("the module is damaged, or is not ours")
def module_damaged():
    with without_module() as good:
        with open(good, "rb") as file:
            sandbox.write(f"{sandbox.LIB}/{MODULE}", file.read()[:5000])
        bad("module", "can't be loaded|ends a program by signal")
        shutil.copy(f"{sandbox.LIB}/libnss_noop.so.2", f"{sandbox.LIB}/{MODULE}")
        bad("module", "not ours")


# ---- in front ----

_LISTEN = """\
import os, socket
os.makedirs('/run/nscd', exist_ok=True)
if os.path.exists('/run/nscd/socket'): os.unlink('/run/nscd/socket')
s = socket.socket(socket.AF_UNIX); s.bind('/run/nscd/socket'); s.listen()
"""


@suite.each("{0} answers before any module", [("nscd",), ("nsncd",)])
def cache(name):
    try:
        with called(name, _LISTEN):
            assert name in bad("cache", "before any module")["found"]
            sandbox.write("/etc/nscd.conf", "\tenable-cache\t\thosts\t\tno\n")
            if name == "nscd":
                not_bad("cache")
            else:
                bad("cache", "nsncd")
        not_bad("cache")  # a socket without a listener
    finally:
        os.unlink("/etc/nscd.conf")
        os.unlink("/run/nscd/socket")


# ---- the table ----

def replaced_table(content, mode=0o644):
    """The daemon puts its own back within a second: the doctor looks before."""
    sandbox.write(sandbox.TABLE, content, mode)


def stopped(function):
    """Runs while the daemon stands still, and the table is what we make of it."""
    running.process.send_signal(signal.SIGSTOP)
    with open(sandbox.TABLE, "rb") as file:
        table = file.read()
    try:
        function(table)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(sandbox.TABLE)  # what is there afterwards is the daemon's own again
        running.process.send_signal(signal.SIGCONT)
        sandbox.wait_until(lambda: all(f["ok"] for f in findings(check="table")), 20, "the table is back")


@suite.test("the table is missing; its directory, too")
def table_missing():
    def look(_):
        os.unlink(sandbox.TABLE)
        bad("table", "there is none")
        os.rename(sandbox.RUNDIR, sandbox.RUNDIR + ".away")
        try:
            bad("table", "there is none")
        finally:
            os.rename(sandbox.RUNDIR + ".away", sandbox.RUNDIR)
    stopped(look)


@suite.test("the table is damaged, of another format, or too short")
def table_damaged():
    def look(table):
        replaced_table(table[:200] + b"x" + table[201:])
        bad("table", "damaged")
        replaced_table(b"HSV9" + table[4:])
        bad("table", "another format")
        replaced_table(table[:4096])
        bad("table", "damaged")
        replaced_table(b"")
        bad("table", "damaged")
    stopped(look)


@suite.test("others may write the table, or the directory")
def table_open():
    os.chmod(sandbox.TABLE, 0o666)
    try:
        bad("table", "programs do not believe it")
    finally:
        os.chmod(sandbox.TABLE, 0o644)
    os.chmod(sandbox.RUNDIR, 0o777)
    try:
        bad("directory", "0777")
    finally:
        os.chmod(sandbox.RUNDIR, 0o755)


def in_mounts(script, **options):
    """A command's prefix: a mount namespace with these mounts."""
    return ["unshare", "--mount", "sh", "-e", "-c", script + '\nexec "$@"', "sh"]


@suite.test("a directory that is mounted read-only may be anybody's")
def table_read_only():
    os.chmod(sandbox.RUNDIR, 0o777)
    try:
        mounts = f"mount --bind {sandbox.RUNDIR} {sandbox.RUNDIR}; mount -o remount,ro,bind {sandbox.RUNDIR}"
        said = findings(check="directory", command=in_mounts(mounts))
        assert said[0]["ok"] and "read-only" in said[0]["found"], said
    finally:
        os.chmod(sandbox.RUNDIR, 0o755)


@suite.test("the file alone is mounted, and then replaced: it is stale for good")
def table_subpath():
    aside = f"{sandbox.HOME}/subpath"
    mounts = (f"touch {aside}; mount --bind {sandbox.TABLE} {aside}; mount -t tmpfs tmpfs {sandbox.RUNDIR}; "
              f"touch {sandbox.TABLE}; mount --bind {aside} {sandbox.TABLE}")
    with process(*in_mounts(mounts), "sleep", "600") as other:
        sandbox.wait_until(lambda: sandbox.run("ps", "-o", "comm=", "-p", str(other.pid), check=False).stdout == "sleep\n",
                           10, "the mount")
        bad("table", "subPath", "--pid", str(other.pid))
        os.unlink(sandbox.TABLE)
        sandbox.wait_until(lambda: os.path.exists(sandbox.TABLE), 10, "the daemon publishes it again")
        inside = ["nsenter", f"--mount=/proc/{other.pid}/ns/mnt"]
        bad("table", "subPath", command=inside)
        sandbox.wait_until(lambda: any(f["ok"] is False for f in findings(check="daemon", command=inside)), 30,
                           "stale or dead")
    not_bad("table")


# ---- the daemon ----

@suite.test("the daemon is silent, then dead")
def daemon_dead():
    running.process.send_signal(signal.SIGSTOP)
    try:
        sandbox.wait_until(lambda: any("dead" in f["found"] for f in findings(check="daemon")), 30, "it is dead")
        finding = bad("daemon", "dead")
        assert "restart" in finding["mend"], finding
    finally:
        running.process.send_signal(signal.SIGCONT)
    sandbox.wait_until(lambda: all(f["ok"] for f in findings(check="daemon")), 20, "it lives again")


@suite.test("two daemons share the directory")
def daemon_twice():
    with called("k8shsvcd", f"import os; fd = os.open({sandbox.RUNDIR!r}, os.O_RDONLY)") as other:
        finding = bad("daemon", "several daemons share")
        assert str(other.pid) in finding["found"] and str(running.process.pid) in finding["found"], finding
    with called("k8shsvcd", "import os; fd = os.open('/etc', os.O_RDONLY)"):
        not_bad("daemon")


@suite.test("the clock is that of another time namespace")
def clock():
    inside = ["unshare", "--time", "--boottime", "100000", "--fork", "--kill-child"]
    if subprocess.run([*inside, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        raise tap.Skip("no time namespaces")
    bad("clock", "off the daemon's: another time namespace", command=inside)
    with process(*inside, "sleep", "600") as other:
        child = sandbox.wait_until(lambda: sandbox.run("pgrep", "-P", str(other.pid), check=False).stdout.strip(), 10, "it")
        bad("clock", "another time namespace", "--pid", child)


# ---- the sources ----

@contextlib.contextmanager
def configured(text):
    daemon.configure(text)
    try:
        yield
    finally:
        daemon.configure(BASE)
        running.reload()


@suite.test("a DNS server is unreachable, or none is known")
def dns():
    with configured(BASE.replace("[daemon]\n", "[daemon]\ndns-servers = 10.96.0.10 127.0.0.77 127.0.0.78:5353\n")):
        bad("dns", "127.0.0.77, port 53, is unreachable")
        bad("dns", "127.0.0.78, port 5353, is unreachable")
        assert [f["ok"] for f in findings(check="dns")] == [True, False, False]
    server.pause()
    try:
        bad("dns", f"{sandbox.DNS_SERVER}, port 53, is unreachable: Connection timed out")
    finally:
        server.resume()
    sandbox.resolv_conf(servers=())
    try:
        bad("dns", "127.0.0.1, port 53, is unreachable: Connection refused")  # what such a file means
        os.unlink("/etc/resolv.conf")
        bad("dns", "names no server")
    finally:
        sandbox.resolv_conf()


@suite.test("a DNS server that answers by TCP alone is reachable, as it is for the daemon")
def dns_tcp():
    scripted.Server("127.0.0.79", udp=False)
    servers = "[daemon]\ndns-servers = 127.0.0.79\n"
    with configured(BASE.replace("[daemon]\n", servers)):
        assert [f["ok"] for f in findings(check="dns")] == [True]
    with configured(BASE.replace("[daemon]\n", servers + "dns-transport = udp\n")):
        bad("dns", "127.0.0.79, port 53, is unreachable: Connection refused")


@suite.test("K8SHSVC_SERVICES is read: the servers are asked for it, and remove knows it")
def unfiled():
    sandbox.run("cp", sandbox.CONFIG, f"{sandbox.CONFIG}.away")
    daemon.configure("[daemon]\ndns-servers = 127.0.0.77\n")
    try:
        bad("dns", "127.0.0.77, port 53, is unreachable", env={"K8SHSVC_SERVICES": "env.shop:80"})
        said = refused("remove", "env.shop", status=1, env={"K8SHSVC_SERVICES": "env.shop:80"})
        assert "K8SHSVC_SERVICES" in said, said
        bad("configuration", "K8SHSVC_SERVICES", env={"K8SHSVC_SERVICES": "env.shop:0"})
    finally:
        os.rename(f"{sandbox.CONFIG}.away", sandbox.CONFIG)
        running.reload()


@suite.test("the configuration has errors")
def configuration():
    with configured(BASE + "orders = rotate\n"):
        assert f"{sandbox.CONFIG}:6" in bad("configuration", "1 errors")["found"]


@suite.test("rights are missing at the API server; it is not there at all")
def api():
    kube = BASE + "[service web]\nsource = kubernetes\n"
    with configured(kube.replace("[daemon]\n", "[daemon]\napi-server = http://127.0.0.1:8001\nnamespace = shop\n")):
        with ApiServer() as apiserver:
            not_bad("api")
            apiserver.allows = lambda a: a["verb"] != "watch"
            assert "shop: watch on endpointslices" in bad("api", "rights are missing")["found"]
        said = findings(check="api")
        assert [f["ok"] for f in said] == [None], said


@suite.test("a service has never been resolved, and another is not confirmed any more")
def services():
    with configured(BASE + "[service lost.shop]\nsource = kubernetes\n"):
        server.pause()
        try:
            running.reload()
            sandbox.wait_until(lambda: any(f["ok"] is False and "lost.shop" in f["found"] for f in findings(check="services")),
                               60, "lost.shop has never been resolved")
            bad("services", "never resolved, as lost.shop")
            sandbox.wait_until(lambda: any("not confirmed" in f["found"] for f in findings(check="services")), 30, "stale")
        finally:
            server.resume()
    sandbox.wait_until(lambda: all(f["ok"] for f in findings(check="services")), 30, "all are well")


@suite.test("a real lookup is not answered from the table")
def lookup():
    sandbox.write("/etc/hosts", f"127.0.0.1 localhost\n10.66.66.66 {USER}\n")
    try:
        bad("lookup", "an address that the table lacks")
    finally:
        sandbox.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    not_bad("lookup")


@suite.test("a lookup that takes too long is not called a crash")
def lookup_slow():
    sandbox.nsswitch("files dns")
    sandbox.resolv_conf(servers=("127.0.0.66", "127.0.0.67", "127.0.0.68"), options="timeout:10 attempts:2")
    silent = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    try:
        for i, one in enumerate(silent):
            one.bind((f"127.0.0.{66 + i}", 53))
        bad("lookup", "takes more than 30 s")
    finally:
        for one in silent:
            one.close()
        sandbox.nsswitch(GOOD)
        sandbox.resolv_conf(search="")


# ---- other processes ----

@suite.test("--pid: nsswitch.conf and the module are those of the process, links included")
def pid():
    os.makedirs("/etc/other", exist_ok=True)
    home = f"{sandbox.HOME}/image"
    os.makedirs(f"{home}/etc/real")
    sandbox.write(f"{home}/etc/real/nsswitch.conf", "hosts: files dns\n")
    os.symlink("/etc/real/nsswitch.conf", f"{home}/etc/nsswitch.conf")  # absolute: in its own root
    os.makedirs(f"{home}/usr")
    for link in "bin", "sbin", "lib", "lib64":
        os.symlink(f"usr/{link}", f"{home}/{link}")
    mounts = (f"mount --rbind /usr {home}/usr; mkdir -p {home}/proc {home}{sandbox.RUNDIR}; mount --rbind /proc {home}/proc; "
              f"mount --bind {sandbox.RUNDIR} {home}{sandbox.RUNDIR}")
    with process(*in_mounts(mounts), "chroot", home, "sleep", "600") as other:
        sandbox.wait_until(lambda: sandbox.run("ps", "-o", "comm=", "-p", str(other.pid), check=False).stdout == "sleep\n",
                           10, "it runs")
        bad("nsswitch", "k8shsvc is missing: hosts: files dns", "--pid", str(other.pid))
        bad("module", "not where the process's ld.so looks", "--pid", str(other.pid))
        said = {f["check"]: f["ok"] for f in findings("--pid", str(other.pid))}
        assert said["libc"] and said["table"] and said["daemon"], said
        sandbox.write(f"{home}/etc/ld.so.conf.d/x.conf", "/modules\n")
        os.makedirs(f"{home}/modules")
        shutil.copy(f"{sandbox.LIB}/{MODULE}", f"{home}/modules")
        assert [f["ok"] for f in findings("--pid", str(other.pid), check="module")] == [True]
        sandbox.write(f"{home}/modules/{MODULE}", of_another_machine(f"{sandbox.LIB}/{MODULE}"))
        bad("module", "wrong architecture", "--pid", str(other.pid))
        assert not {"dns", "services", "lookup", "configuration"} & set(said), said


SLEEP = "#include <unistd.h>\nint main(void) { pause(); return 0; }\n"


@suite.each("--pid: a {0} program asks no module", [
    ("musl", "musl-gcc", (), "uses musl"), ("static", "cc", ("-static",), "static program")])
def pid_libc(kind, compiler, flags, cause):
    if not sandbox.have(compiler):
        raise tap.Skip(f"{compiler} is not installed")
    path = f"{sandbox.BIN}/sleep-{kind}"
    sandbox.run(compiler, *flags, "-x", "c", "-o", path, "-", input=SLEEP)
    with process(path) as other:
        sandbox.wait_until(lambda: os.readlink(f"/proc/{other.pid}/exe") == path, 10, "it runs")
        bad("libc", cause, "--pid", str(other.pid))


@suite.test("--pid: a program whose glibc was upgraded meanwhile")
def pid_upgraded():
    libc = next(line.split()[-1] for line in open("/proc/self/maps") if line.rstrip().endswith("/libc.so.6"))
    home = f"{sandbox.HOME}/upgraded"
    os.makedirs(home)
    shutil.copy(libc, f"{home}/libc.so.6")
    with process("sleep", "600", env={**os.environ, "LD_LIBRARY_PATH": home}) as other:
        sandbox.wait_until(lambda: home in open(f"/proc/{other.pid}/maps").read(), 10, "it runs")
        shutil.copy(libc, f"{home}/new")
        os.rename(f"{home}/new", f"{home}/libc.so.6")
        assert "libc.so.6 (deleted)" in open(f"/proc/{other.pid}/maps").read()
        said = findings("--pid", str(other.pid), check="libc")
        assert [f["ok"] for f in said] == [True] and said[0]["found"].endswith(f"{home}/libc.so.6"), said


@suite.test("--pid: nobody, somebody who may not look, and no number")
def pid_refused():
    assert "No such process" in refused("doctor", "--pid", "4194000", status=1)
    for text in "x", "", "-1", "0", "1x", "99999999999":
        assert "expected the number of a process" in refused("doctor", f"--pid={text}")
    refused("doctor", "--pid", str(os.getpid()), status=1, user=sandbox.NOBODY)


# ---- diff ----

def settled():
    server.set_service(USER, PODS)
    sandbox.wait_until(lambda: run("diff", USER).status == 0, 20, "the table is what DNS says")


@suite.test("diff: no difference, and every address that differs")
def diff():
    settled()
    assert rows("diff") == []
    assert value("diff") == [{"service": USER, "source": "dns", "equal": True, "error": None, "only_table": [],
                              "only_source": []}]
    running.process.send_signal(signal.SIGSTOP)
    try:
        server.set_service(USER, PODS[1:] + OTHERS)
        said = value("diff", "user-svc.default.svc", status=1)
        assert said == [{"service": USER, "source": "dns", "equal": False, "error": None, "only_table": PODS[:1],
                         "only_source": OTHERS}], said
        result = run("diff")
        lines = [line.split("\t") for line in result.out.splitlines()]
        assert result.status == 1 and lines == [[USER, PODS[0], "only the table"]] + [[USER, a, "only dns"] for a in OTHERS]
        server.set_service(USER, [])
        assert value("diff", status=1)[0]["only_table"] == PODS
    finally:
        running.process.send_signal(signal.SIGCONT)
    settled()


@suite.test("diff: a source that does not answer is neither a difference nor an agreement")
def diff_unknown():
    server.stop()
    try:
        said = value("diff", USER, status=1)
        assert said[0]["equal"] is None and said[0]["error"] in ("refused", "timeout"), said
        assert "unknown" in run("diff", USER).out
    finally:
        server.start()
    settled()


@suite.test("diff: of a static service that no file has, nothing else is known")
def diff_unfiled():
    with configured(BASE + "[service fixed.shop]\nsource = static\nendpoints = 10.1.0.1\n"):
        running.reload()
        sandbox.wait_until(lambda: run("diff", "fixed.shop").status == 0, 20, "it is served, and there is no difference")
        sandbox.run("cp", sandbox.CONFIG, f"{sandbox.HOME}/elsewhere.conf")
        running.process.send_signal(signal.SIGSTOP)
        try:
            daemon.configure(BASE)
            said = value("diff", "fixed.shop", status=1)
            assert said == [{"service": "fixed.shop", "source": "static", "equal": None, "error": "no file has its section",
                             "only_table": [], "only_source": []}], said
        finally:
            running.process.send_signal(signal.SIGCONT)


@suite.test("diff: services of the API are compared with the API")
def diff_api():
    head = BASE.replace("[daemon]\n", "[daemon]\napi-server = http://127.0.0.1:8001\nnamespace = shop\n")
    with ApiServer() as apiserver, configured(head + "[service web]\nsource = kubernetes\n"):
        apiserver.put(slice_of("web-a", "web", [endpoint(f"10.1.0.{i}", hostname=f"web-{i}") for i in (1, 2)], namespace="shop"))
        running.reload()
        sandbox.wait_until(lambda: run("resolve", "web.shop").out == "10.1.0.1\n10.1.0.2\n", 20, "web.shop is served")
        assert [d["equal"] for d in value("diff")] == [True, True]
        shown = value("show", "web.shop")
        assert shown["source"] == "kubernetes" and shown["ttl_s"] is None, shown
        assert [(e["host"], e["ordinal"], e["ready"], e["serving"], e["terminating"]) for e in shown["endpoints"]] == [
            ("web-1", 1, True, True, False), ("web-2", 2, True, True, False)], shown
        running.process.send_signal(signal.SIGSTOP)
        try:
            apiserver.put(slice_of("web-a", "web", ["10.1.0.2", "10.1.0.3"], namespace="shop"))
            said = value("diff", "web.shop", status=1)
            assert said == [{"service": "web.shop", "source": "kubernetes", "equal": False, "error": None,
                             "only_table": ["10.1.0.1"], "only_source": ["10.1.0.3"]}], said
        finally:
            running.process.send_signal(signal.SIGCONT)


def set_up():
    sandbox.nsswitch(GOOD)
    sandbox.resolv_conf(search="")
    daemon.configure(BASE)
    dns_server = lab.start_dns({USER: (PODS, 1)})
    return dns_server, lab.start_daemon(USER + ".svc.cluster.local")


if __name__ == "__main__":
    sandbox.enter()
    server, running = lab.set_up(set_up)
    settled()
    status = suite.run()
    running.kill()
    server.stop()
    sys.exit(status)
