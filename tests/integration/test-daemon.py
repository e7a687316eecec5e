"""The daemon's command line, its configuration's errors, and the starts that must fail with one clear line."""

import os
import re
import resource
import signal
import subprocess
import sys
import time

from harness import daemon, lab, lookup, sandbox, tap
from harness.daemon import Daemon, Ended

suite = tap.Suite()

SOURCES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
POD, POD2 = lab.pods(10, 2)
NAME, NAME2 = "user-svc.default.svc.cluster.local", "shop-svc.shop.svc.cluster.local"
ONE_SERVICE = "[service user-svc.default]\n"


def fresh():
    """No table, no configuration, a resolv.conf that names the server."""
    sandbox.remove_table()
    sandbox.make_rundir()
    sandbox.run("rm", "-rf", sandbox.CONFIG_DIR)
    sandbox.resolv_conf()
    sandbox.nsswitch("k8shsvc")


def assert_one_line(ended, pattern):
    assert len(ended.errors()) == 1, f"not one line: {ended}"
    assert re.search(pattern, ended.errors()[0], re.IGNORECASE), f"{pattern!r} is not in it: {ended}"


# ---- command line ----

@suite.test("--version: the version, status 0")
def version():
    ended = Ended("--version")
    assert ended.status == 0 and re.search(r"\d+\.\d+\.\d+", ended.stdout), ended


@suite.test("--help: names every option, status 0")
def help_text():
    ended = Ended("--help")
    assert ended.status == 0, ended
    for option in "--config", "--service", "--check-config", "--version", "--help":
        assert option in ended.stdout, f"{option} is not in {ended.stdout}"


@suite.each("bad command line {0}: usage and status 2", [
    (("--no-such-option",),), (("-x",),), (("argument",),), (("--config",),), (("--service",),),
    (("--service", ""),), (("--service", "user_svc.default"),), (("--service", "a..b"),), (("--service", ".a"),),
    (("--service", "user-svc.default:"),), (("--service", "user-svc.default:99999"),), (("--service", "a.b.c.d"),),
    (("--service", "user-svc.default", "--service", "-"),), (("--service", "a" * 64),),
    (("--service", "http://user-svc.default"),), (("--service", "user-svc.default rest"),),
])
def bad_flags(arguments):
    fresh()
    ended = Ended(*arguments)
    assert ended.status == 2, ended
    assert "usage" in ended.stderr.lower(), ended
    # what is wrong comes first, in words of its own
    bad = (arguments[-1] or arguments[0]).lstrip("-")[:40]
    assert any(bad in line for line in ended.lines() if "usage" not in line.lower()), ended


@suite.each("bad K8SHSVC_SERVICES {0!r}: usage and status 2", [
    ("user_svc.default",), ("user-svc.default a..b",), ("user-svc.default:99999",), (",",), ("a=b",)])
def bad_environment(services):
    fresh()
    ended = Ended(env={"K8SHSVC_SERVICES": services})
    assert ended.status == 2, ended
    assert "usage" in ended.stderr.lower() and "K8SHSVC_SERVICES" in ended.stderr, ended


@suite.each("--service {0} registers", [
    ("user-svc.default",), ("user-svc.default:8080",), ("user-svc.default:grpc",), ("user-svc.default:3000+",),
    ("user-svc.default.svc",), ("user-svc.default.svc.cluster.local",), ("User-Svc.Default",),
    ("kubernetes:///user-svc.default:8080",), ("kubernetes://default/user-svc:grpc",),
])
def service_flag(target):
    fresh()
    with lab.start_daemon(NAME, arguments=["--service", target]):
        assert lookup.addresses(NAME) == {POD}


@suite.test("--service twice, and K8SHSVC_SERVICES beside it")
def several_targets():
    fresh()
    with lab.start_daemon(NAME, NAME2, "third-svc.default", arguments=["--service", "user-svc.default",
                                                                     "--service", "third-svc.default"],
                          env={"K8SHSVC_SERVICES": "shop-svc.shop:80"}):
        assert lookup.addresses(NAME2) == {POD2}


@suite.each("K8SHSVC_SERVICES={0!r}", [
    ("user-svc.default shop-svc.shop",), ("  user-svc.default:8080   shop-svc.shop:grpc ",),
    ("user-svc.default\nshop-svc.shop\n",)])
def environment(services):
    fresh()
    with lab.start_daemon(NAME, NAME2, env={"K8SHSVC_SERVICES": services}):
        assert lookup.addresses(NAME) == {POD} and lookup.addresses(NAME2) == {POD2}


@suite.test("K8SHSVC_SERVICES empty: as if it were not set")
def environment_empty():
    fresh()
    daemon.configure(ONE_SERVICE)
    with lab.start_daemon(NAME, env={"K8SHSVC_SERVICES": ""}):
        pass


@suite.test("a bare name is completed by namespace =")
def bare_name():
    fresh()
    daemon.configure("[daemon]\nnamespace = shop\n")
    with lab.start_daemon(NAME2, env={"K8SHSVC_SERVICES": "shop-svc"}):
        pass


# ---- files ----

@suite.test("--config FILE, with conf.d beside it, in place of the main file")
def config_flag():
    fresh()
    daemon.configure("[service third-svc.default]\n")
    sandbox.write("/run/other/my.conf", ONE_SERVICE)
    sandbox.write("/run/other/conf.d/10.conf", "[service shop-svc.shop]\n")
    with lab.start_daemon(NAME, NAME2, arguments=["--config", "/run/other/my.conf"]):
        time.sleep(0.5)
        assert lookup.resolve("third-svc.default").error, "the main file is read, too"


@suite.test("main file, /etc conf.d and /run conf.d in this order: the later wins, key by key")
def merging():
    fresh()
    daemon.configure("[daemon]\nnamespace = default\n[service user-svc]\nalias = one\n[service shop-svc.shop]\n")
    sandbox.write(f"{sandbox.CONFIG_DIR}/conf.d/20.conf", "[service user-svc.default]\nalias = two\n")
    sandbox.write(f"{sandbox.CONFIG_DIR}/conf.d/10.conf", "[service user-svc.default]\nalias = early\n")
    sandbox.write(f"{sandbox.CONFIG_DIR}/conf.d/30.conf.off", "[service user-svc.default]\nalias = off\n")
    sandbox.write(f"{sandbox.RUNDIR}/conf.d/05.conf", "[service shop-svc.shop]\nalias = three\n")
    with lab.start_daemon(NAME, NAME2):
        assert lookup.addresses("two") == {POD} and lookup.addresses("three") == {POD2}
        for alias in "one", "early", "off":
            assert lookup.resolve(alias).error, f"{alias} is answered"


@suite.test("the longer path: a file of 10,000 lines with one bad key in it starts, and says which")
def long_file():
    fresh()
    daemon.configure("".join(f"[service s{i}.many]\n" for i in range(10000)) + ONE_SERVICE + "ansers = all\n")
    with lab.start_daemon(NAME) as running:
        running.wait_log(r"k8shsvc\.conf:10002: \[service user-svc\.default\] ansers: ")


def check_config(text):
    fresh()
    daemon.configure(text)
    return Ended("--check-config")


@suite.each("--check-config is content with {0}", [
    ("an empty file", ""),
    ("comments", "# nothing\n; and nothing\n"),
    ("one service", ONE_SERVICE),
    ("CRLF line ends", "[daemon]\r\nsource = dns\r\n[service user-svc.default]\r\n"),
    ("a byte order mark", "\ufeff[service user-svc.default]\n"),
    ("no newline at its end", "[service user-svc.default]"),
    ("every key of [daemon]", "[daemon]\nsource = dns\ncluster-domain = cluster.local\nnamespace = auto\n"
     "dns-servers =\ndns-transport = tcp\nrefresh-min = 1s\nrefresh-max = 5s\nquery-rate = 200\nmax-stale = 1h\n"
     "orphan-max = 30s\nmetrics-listen =\nallow-cidr =\nmax-table-size = 256M\nreverse = no\nlog-level = info\n"
     "kubeconfig =\napi-server =\nzone =\n"),
    ("every key of [service]", ONE_SERVICE + "port = 8080 grpc dns/udp 3000+\nanswers = 3\norder = random\n"
     "include = serving\nalias = user users.internal\nfamily = ipv4\nhosts = no\nendpoints =\nsource = dns\n"
     "refresh-min = 500ms\nrefresh-max = 10m\nmax-stale = 7d\n"),
    ("lists on indented lines and given twice", ONE_SERVICE + "alias = a1\n b1\n\tc1\nalias = d1\n"),
])
def clean(_, text):
    ended = check_config(text)
    assert ended.status == 0 and not ended.errors(), ended


def examples(path, begins, ends):
    """The texts of a page between lines that begin a literal block and one that ends it."""
    with open(f"{SOURCES}/{path}") as file:
        return re.findall(rf"^{begins}\n(.*?)^{ends}$", file.read(), re.MULTILINE | re.DOTALL)


@suite.test("--check-config is content with every example of k8shsvc.conf(5) and the README, and with the one that is installed")
def clean_examples():
    blocks = examples("packaging/man/k8shsvc.conf.5", r"\.Bd -literal[^\n]*", r"\.Ed") + examples("README.md", "```ini", "```")
    blocks = [b for b in blocks if b.startswith("[")]
    assert len(blocks) == 5, blocks
    with open(f"{SOURCES}/packaging/k8shsvc.conf") as file:
        blocks.append(file.read())
    for block in blocks:
        ended = check_config(block)
        assert ended.status == 0 and not ended.errors(), (block, ended)


@suite.test("every target that k8shsvcd(8) shows is one, and its commands' services and environment are accepted")
def shown_targets():
    fresh()
    blocks = examples("packaging/man/k8shsvcd.8", r"\.Bd -literal[^\n]*", r"\.Ed")
    targets = next(b for b in blocks if "kubernetes://" in b).split()
    assert len(targets) == 8, targets
    for target in targets:
        ended = Ended("--check-config", "--service", target)
        assert ended.status == 0 and not ended.errors(), (target, ended)
    commands = [b.strip() for b in blocks if "--service" in b or "K8SHSVC_SERVICES" in b]
    assert len(commands) == 2, commands
    for command in commands:
        environment, arguments = re.fullmatch(r'(?:K8SHSVC_SERVICES="(.*)" )?k8shsvcd(.*)', command).groups()
        ended = Ended("--check-config", *arguments.split(), env={"K8SHSVC_SERVICES": environment or ""})
        assert ended.status == 0 and not ended.errors(), (command, ended)


@suite.test("--check-config without any file is content")
def clean_nothing():
    fresh()
    assert Ended("--check-config").status == 0


SERVICE = r"\[service user-svc\.default\]"


@suite.each("error in the configuration: {0}", [
    ("unknown key", ONE_SERVICE + "ansers = all\n", 2, SERVICE, "ansers"),
    ("key of another section", "[daemon]\nanswers = all\n", 2, r"\[daemon\]", "answers"),
    ("unknown section", "[sevice user-svc.default]\n", 1, r"\[sevice user-svc\.default\]", None),
    ("section without a name", "[service]\n", 1, r"\[service\]", None),
    ("bad service name", "[service user_svc.default]\n", 1, r"\[service user_svc\.default\]", None),
    ("too many labels", "[service a.b.c]\n", 1, r"\[service a\.b\.c\]", None),
    ("key before any section", "source = dns\n", 1, None, "source"),
    ("answers = some", ONE_SERVICE + "answers = some\n", 2, SERVICE, "answers"),
    ("answers = 0", ONE_SERVICE + "answers = 0\n", 2, SERVICE, "answers"),
    ("answers = 5001", ONE_SERVICE + "answers = 5001\n", 2, SERVICE, "answers"),
    ("order", ONE_SERVICE + "order = roundrobin\n", 2, SERVICE, "order"),
    ("family", ONE_SERVICE + "family = ipv5\n", 2, SERVICE, "family"),
    ("port", ONE_SERVICE + "port = 70000\n", 2, SERVICE, "port"),
    ("inline comment", ONE_SERVICE + "answers = all # every\n", 2, SERVICE, "answers"),
    ("key given twice", ONE_SERVICE + "answers = all\nanswers = single\n", 3, SERVICE, "answers"),
    ("alias in the cluster domain", ONE_SERVICE + "alias = x.cluster.local\n", 2, SERVICE, "alias"),
    ("alias that ends in .svc", ONE_SERVICE + "alias = x.y.svc\n", 2, SERVICE, "alias"),
    ("alias localhost", ONE_SERVICE + "alias = localhost\n", 2, SERVICE, "alias"),
    ("alias that is a service", ONE_SERVICE + "alias = b.default\n[service b.default]\n", 2, SERVICE, "alias"),
    ("alias claimed twice", ONE_SERVICE + "alias = x\n[service b.default]\nalias = x\n", 4,
     r"\[service b\.default\]", "alias"),
    ("duration without a unit", "[daemon]\nrefresh-min = 5\n", 2, r"\[daemon\]", "refresh-min"),
    ("duration out of range", "[daemon]\nmax-stale = 8d\n", 2, r"\[daemon\]", "max-stale"),
    ("orphan-max out of range", "[daemon]\norphan-max = 10s\n", 2, r"\[daemon\]", "orphan-max"),
    ("query-rate", "[daemon]\nquery-rate = 0\n", 2, r"\[daemon\]", "query-rate"),
    ("source", "[daemon]\nsource = file\n", 2, r"\[daemon\]", "source"),
    ("dns-servers: a name", "[daemon]\ndns-servers = ns.example.test\n", 2, r"\[daemon\]", "dns-servers"),
    ("dns-servers: a port", "[daemon]\ndns-servers = 10.0.0.1:99999\n", 2, r"\[daemon\]", "dns-servers"),
    ("allow-cidr", "[daemon]\nallow-cidr = 10.0.0.0/33\n", 2, r"\[daemon\]", "allow-cidr"),
    ("log-level", "[daemon]\nlog-level = loud\n", 2, r"\[daemon\]", "log-level"),
    ("no bracket at the end", "[daemon\nsource = dns\n", 1, None, None),
    ("no equal sign", "[daemon]\nsource\n", 2, None, None),
    ("NUL byte", "[daemon]\nsource = dns\0\n", 2, None, None),
])
def config_error(_, text, line, section, key):
    ended = check_config(text)
    assert ended.status != 0, ended
    pattern = rf"^{re.escape(sandbox.CONFIG)}:{line}: "
    pattern += rf"{section} " if section and key else rf"{section}: " if section else ""
    pattern += rf"{key}: " if key else ""
    matching = [e for e in ended.errors() if re.search(pattern, e)]
    assert matching, f"no line like {pattern}: {ended}"
    assert "found " in matching[0] and ", expected " in matching[0], matching


@suite.test("--check-config of a file that is not there: status not 0, one line that names it")
def check_missing():
    fresh()
    ended = Ended("--check-config", "--config", "/etc/k8shsvc/missing.conf")
    assert ended.status not in (0, 2), ended
    assert_one_line(ended, r"/etc/k8shsvc/missing\.conf")


@suite.test("--check-config changes nothing: no table is made")
def check_makes_nothing():
    assert check_config(ONE_SERVICE).status == 0
    assert not os.path.exists(sandbox.TABLE)


@suite.test("all errors of a file are reported at once")
def all_errors():
    ended = check_config("[daemon]\nsource = file\nquery-rate = x\n" + ONE_SERVICE + "answers = some\norder = x\n")
    assert len(ended.errors()) >= 4, ended


@suite.test("a bad key costs that key: the service is served all the same")
def bad_key_costs_a_key():
    fresh()
    daemon.configure(ONE_SERVICE + "answers = some\nalias = user\n[sevice x]\n[service shop-svc.shop]\n")
    with lab.start_daemon(NAME, NAME2, "user") as running:
        assert re.search(r"k8shsvc\.conf:2: \[service user-svc\.default\] answers: ", running.log())


@suite.test("a file with a syntax error costs that file: conf.d is read all the same")
def syntax_error_costs_a_file():
    fresh()
    daemon.configure("[service user-svc.default\nnonsense\n")
    sandbox.write(f"{sandbox.CONFIG_DIR}/conf.d/10.conf", "[service shop-svc.shop]\n")
    with lab.start_daemon(NAME2) as running:
        assert re.search(r"k8shsvc\.conf:\d+: ", running.log())
        assert lookup.resolve(NAME).error


# ---- starts that must fail ----

@suite.test("a second daemon on the same directory: one line, status not 0, the first goes on")
def second_daemon():
    fresh()
    daemon.configure(ONE_SERVICE)
    with lab.start_daemon(NAME) as first:
        ended = Ended()
        assert ended.status not in (0, 2), ended
        assert_one_line(ended, re.escape(sandbox.RUNDIR))
        assert first.alive and lookup.addresses(NAME) == {POD}


@suite.test("no permission for the run directory: one line, status not 0")
def no_permission():
    fresh()
    daemon.configure(ONE_SERVICE)
    ended = Ended(user=sandbox.NOBODY)
    assert ended.status not in (0, 2), ended
    assert_one_line(ended, rf"{re.escape(sandbox.RUNDIR)}.*permission denied")
    assert not os.path.exists(sandbox.TABLE)


@suite.test("no run directory, and no permission to make it: one line, status not 0")
def no_permission_to_make():
    fresh()
    sandbox.remove_table()
    daemon.configure(ONE_SERVICE)
    ended = Ended(user=sandbox.NOBODY)
    assert ended.status not in (0, 2), ended
    assert_one_line(ended, re.escape(sandbox.RUNDIR))


@suite.test("no run directory: root's daemon makes it, 0755, and a table 0644")
def makes_directory():
    fresh()
    sandbox.remove_table()
    daemon.configure(ONE_SERVICE)
    old = os.umask(0o077)
    try:
        with lab.start_daemon(NAME):
            assert os.stat(sandbox.RUNDIR).st_mode & 0o7777 == 0o755
            assert os.stat(sandbox.TABLE).st_mode & 0o7777 == 0o644
            assert lookup.addresses(NAME, user=sandbox.NOBODY) == {POD}
    finally:
        os.umask(old)


@suite.each("a dns service, nothing to take over, and resolv.conf is {0}: one line, status not 0", [
    ("missing", lambda: None), ("a directory", lambda: os.mkdir("/etc/resolv.conf"))])
def no_server(_, make):
    fresh()
    daemon.configure(ONE_SERVICE)
    os.unlink("/etc/resolv.conf")
    make()
    try:
        sandbox.remove_table()
        ended = Ended()
        assert ended.status not in (0, 2), ended
        assert_one_line(ended, r"resolv\.conf.*dns-servers")
    finally:
        if os.path.isdir("/etc/resolv.conf"):
            os.rmdir("/etc/resolv.conf")


@suite.test("a file without a name server means localhost, as for glibc")
def localhost_server():
    fresh()
    daemon.configure(ONE_SERVICE)
    sandbox.write("/etc/resolv.conf", "search example.test\n")
    with Daemon() as running:
        running.wait_log("asking localhost")
        running.wait_log("ready: ")


@suite.test("no resolv.conf, but dns-servers =: it starts")
def own_server():
    fresh()
    os.unlink("/etc/resolv.conf")
    daemon.configure(f"[daemon]\ndns-servers = {sandbox.DNS_SERVER}\n" + ONE_SERVICE)
    with lab.start_daemon(NAME):
        pass


@suite.test("dns-servers = ADDR:PORT: the server is asked there")
def server_with_port():
    fresh()
    daemon.configure(f"[daemon]\ndns-servers = 10.96.0.10:5353\n{ONE_SERVICE}")
    running = Daemon()
    try:
        time.sleep(2)
        assert running.alive and lookup.resolve(NAME).error, "nobody listens on that port"
    finally:
        running.kill()


@suite.test("dns-transport = udp")
def udp():
    fresh()
    daemon.configure("[daemon]\ndns-transport = udp\n" + ONE_SERVICE)
    with lab.start_daemon(NAME):
        assert lookup.addresses(NAME) == {POD}


@suite.test("the first of two servers is dead: the second answers")
def second_server():
    fresh()
    daemon.configure(f"[daemon]\ndns-servers = 10.244.0.250 {sandbox.DNS_SERVER}\n" + ONE_SERVICE)
    with lab.start_daemon(NAME):
        assert lookup.addresses(NAME) == {POD}


@suite.test("addresses that can't be a pod's never reach the table")
def filtered():
    fresh()
    server.set_service("filter-svc.default", [POD, "127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1",
                                              "255.255.255.255", "::1", "fe80::1", "ff02::1", "::ffff:10.0.0.1",
                                              "fd00:10:244::10"])
    daemon.configure("[service filter-svc.default]\nanswers = all\n")
    with lab.start_daemon("filter-svc.default"):
        lab.wait_addresses("filter-svc.default", {POD, "fd00:10:244::10"})


@suite.test("source = static: no DNS server is needed")
def static_source():
    fresh()
    os.unlink("/etc/resolv.conf")
    daemon.configure(ONE_SERVICE + "source = static\nendpoints = 10.244.5.1 10.244.5.2 fd00:10:244::51\nanswers = all\n")
    with lab.start_daemon(NAME):
        assert lookup.addresses(NAME) == {"10.244.5.1", "10.244.5.2", "fd00:10:244::51"}


@suite.test("SIGTERM: status 0, the table stays and is answered from")
def sigterm():
    fresh()
    daemon.configure(ONE_SERVICE)
    with lab.start_daemon(NAME) as running:
        assert running.terminate() == 0, running.log()
        assert lookup.addresses(NAME) == {POD}


@suite.test("SIGINT (Ctrl-C in the foreground): status 0")
def sigint():
    fresh()
    daemon.configure(ONE_SERVICE)
    with lab.start_daemon(NAME) as running:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=20) == 0, running.log()


@suite.each("stderr is {0}: the daemon lives", [("closed",), ("full",), ("a pipe without a reader",)])
def stderr_gone(kind):
    fresh()
    daemon.configure(ONE_SERVICE + "ansers = all\n")
    if kind == "a pipe without a reader":
        reader, stderr = os.pipe()
        os.close(reader)
    else:
        stderr = os.open("/dev/full", os.O_WRONLY)
    closing = ["sh", "-c", 'exec "$0" 2>&-'] if kind == "closed" else []
    process = subprocess.Popen([*closing, sandbox.DAEMON], stderr=stderr)
    os.close(stderr)
    try:
        sandbox.wait_until(lambda: lab.answers(NAME), 20, "the table answers")
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None, f"the daemon ended: {process.returncode}"
    finally:
        process.kill()
        process.wait()


# ---- what surrounds it ----

def zombies(pid):
    """Children of a process that have ended and were not waited for."""
    found = []
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{other}/stat") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state == "Z" and int(parent) == pid:
            found.append(other)
    return found


@suite.test("as PID 1 of a container: what others leave behind is reaped")
def pid_1():
    fresh()
    daemon.configure(ONE_SERVICE)
    with lab.start_daemon(NAME, prefix=("unshare", "--pid", "--fork", "--kill-child")) as running:
        with open(f"/proc/{running.process.pid}/task/{running.process.pid}/children") as file:
            pid = int(file.read())
        for _ in range(20):
            sandbox.run("nsenter", "--target", str(pid), "--pid", "sh", "-c", "sleep 0.5 > /dev/null 2>&1 &")
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            assert file.read().split(), "nothing was left to it"
        time.sleep(1)
        assert not zombies(pid), zombies(pid)
        assert running.alive and lookup.addresses(NAME) == {POD}


@suite.each("a root without /dev{0}: it runs", [("", ""), (", and nothing open", "exec 0<&- 1>&- 2>&-; ")])
def no_dev(_, closing):
    fresh()
    daemon.configure(ONE_SERVICE)
    with lab.start_daemon(NAME, prefix=("unshare", "--mount", "sh", "-c", f'mount -t tmpfs tmpfs /dev; {closing}exec "$0"')) as running:
        assert lookup.addresses(NAME) == {POD}
        assert closing or "ready: " in running.log()
        for fd in range(3):
            assert "k8shsvc" not in os.readlink(f"/proc/{running.process.pid}/fd/{fd}")


@suite.each("{0}: one line, status not 0", [
    ("few descriptors", ("prlimit", "--nofile=6"), "Too many open files"),
    ("a limit for the size of files", ("prlimit", "--fsize=4096"), "File too large"),
])
def limits(_, prefix, pattern):
    fresh()
    sandbox.remove_table()
    daemon.configure(ONE_SERVICE)
    ended = Ended(prefix=prefix)
    assert ended.status == 1, ended
    assert_one_line(ended, pattern.lower())


@suite.test("the limit for the size of files is lowered: it goes on, and writes again when it can")
def limit_while_running():
    fresh()
    daemon.configure(ONE_SERVICE)
    with lab.start_daemon(NAME) as running:
        old = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        os.unlink(sandbox.TABLE)
        time.sleep(2.5)
        running.reload()
        time.sleep(0.5)
        assert running.alive, f"status {running.process.returncode}"
        assert not os.path.exists(sandbox.TABLE)
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, old)
        sandbox.wait_until(lambda: lab.answers(NAME), 20, "the table is written again")


def set_up():
    sandbox.nsswitch("k8shsvc")
    return lab.start_dns({"user-svc.default": ([POD], 1), "shop-svc.shop": ([POD2], 1),
                          "third-svc.default": ([POD2], 1)})


if __name__ == "__main__":
    sandbox.enter()
    server = lab.set_up(set_up)
    sys.exit(suite.run())
