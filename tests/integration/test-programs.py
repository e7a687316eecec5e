"""Unmodified programs look a service up, connect, and arrive at its pods: the table of programs in README.md.

The daemon asks one DNS server. What the programs have in resolv.conf is another one, where every service
has the address of a decoy: a program that arrives at pods has asked the module, whatever it says of
itself, and one that arrives at the decoy has a resolver of its own. README.md must say of each program
what was seen here. K8SHSVC_TEST_PROGRAMS names a file that gets the results as JSON.
"""

import collections
import json
import os
import shutil
import subprocess
import sys

from harness import daemon, dns, lab, pods, sandbox, stats, tap

suite = tap.Suite()

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SOURCES = f"{HERE}/programs"
CACHE = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")) + "/k8shsvc"

EIGHT = lab.pods(10, 8)
SIX = lab.pods(10, 4, six=True)
DECOYS = ["10.244.9.9", "fd00:10:244:9::9"]
DECOY_DNS = "10.96.0.11"
USER, USER6 = "user-svc.default.svc.cluster.local", "six-svc.default.svc.cluster.local"
PORT, CLOSING_PORT = str(pods.PORT), str(pods.CLOSING_PORT)
URL, URL6 = f"http://{USER}:{PORT}/", f"http://{USER6}:{PORT}/"

# Connections of one process, and programs where each makes one.
MANY, PROGRAMS = 120, 40

# Where toolchains are that did not come with the distribution.
os.environ["PATH"] += ":/usr/local/go/bin:" + os.path.expanduser("~/.cargo/bin")
LIB32 = f"{sandbox.HOME}/lib32"

# Per row of README.md's table: per way to connect, what was seen.
results = {}


def readme():
    """{row: "yes" or "no"} of the first table in README.md's section on programs."""
    with open(f"{ROOT}/README.md") as file:
        section = file.read().split("\n## Which programs are reached\n")[1].split("\n## ")[0]
    table = section.split("\n| program |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {cells[0]: cells[1].split()[0].rstrip(";,:") for cells in rows}


def need(*programs):
    for program in programs:
        if not sandbox.have(program):
            raise tap.Skip(f"{program} is not installed")


def reached(row, way, arrived, expected, even):
    """Notes where connections have arrived; it must be what README.md says."""
    counts = collections.Counter(arrived)
    foreign = set(counts) - set(expected) - set(DECOYS)
    assert not foreign, f"connections to {foreign}"
    assert set(counts) <= set(expected) or set(counts) <= set(DECOYS), f"pods and decoys: {counts}"
    outcome = "yes" if set(counts) <= set(expected) else "no"
    results[row][way] = {"reached": outcome, "connections": len(arrived), "addresses": len(counts)}
    tap.comment(f"reached: {outcome}; {len(arrived)} connections to {len(counts)} addresses")
    said = readme().get(row)
    assert outcome == said, f"README.md says {said!r} of {row}"
    if outcome == "yes" and even:
        stats.assert_even(arrived, expected)


def connects(row, way, *programs, expected=tuple(EIGHT), even=True):
    """Decorator: a test that makes connections and returns how many; with the programs that it needs."""
    results.setdefault(row, {})

    def register(function):
        @suite.test(f"{row}: {way}" if way != row else row)
        def test():
            before = len(pods.accepted())
            try:
                need(*programs)
                n = function()
            except tap.Skip as reason:
                results[row][way] = {"skipped": str(reason)}
                raise
            arrived = sandbox.wait_until(lambda: len(pods.accepted()) - before >= n and pods.accepted()[before:], 20,
                                         f"{n} connections of {way} arrive")
            reached(row, way, arrived, expected, even)
        return function
    return register


def script(*command, count=MANY, name=USER):
    """A program that makes so many connections."""
    sandbox.run(*command, name, PORT, str(count))
    return count


def repeat(*command, count=PROGRAMS, status=0, **options):
    """So many programs that make one connection each."""
    for _ in range(count):
        result = sandbox.run(*command, check=False, **options)
        assert result.returncode == status, f"{' '.join(command)}: status {result.returncode}: {result.stderr}"
    return count


def build(output, *command, **options):
    """Compiles a program into the sandbox; a compiler that can't is none."""
    target = f"{sandbox.BIN}/{output}"
    result = sandbox.run(*command, "-o", target, check=False, **options)
    if result.returncode != 0:
        raise tap.Skip(f"{' '.join(command)}: {result.stderr.strip().splitlines()[-1:]}")
    return target


def build_c(output, *compiler):
    return build(output, *compiler, "-O2", "-Wall", "-Wextra", f"{SOURCES}/connect.c")


# ---- C ----

C = "C: `getaddrinfo()`, `gethostbyname()`"
STATIC = "the same, linked statically"
SETUID = "the same, setuid"
M32 = "the same, 32-bit on a 64-bit machine"


def c_program(program, *options):
    sandbox.run(program, "-n", str(MANY), *options, USER, PORT)
    return MANY


@connects(C, "getaddrinfo()", "gcc")
def c_getaddrinfo():
    return c_program(build_c("connect", "gcc"))


@connects(C, "gethostbyname()", "gcc")
def c_gethostbyname():
    return c_program(build_c("connect", "gcc"), "-h")


@connects(STATIC, "gcc -static", "gcc")
def c_static():
    return c_program(build_c("connect-static", "gcc", "-static"))


@suite.test("a bare name in a static program, which shares no search list with the module, is DNS's; `S.N` is ours")
def c_static_bare():
    need("gcc")
    program = build_c("connect-static", "gcc", "-static")
    for name, expected in ("user-svc", DECOYS), ("user-svc.default", EIGHT):
        before = len(pods.accepted())
        sandbox.run(program, "-n", "4", name, PORT)
        arrived = sandbox.wait_until(lambda: len(pods.accepted()) - before >= 4 and pods.accepted()[before:], 20, name)
        assert set(arrived) <= set(expected), f"{name}: {arrived}"


@connects(SETUID, "another user's program", "gcc")
def c_setuid():
    program = build_c("connect-setuid", "gcc")
    os.chown(program, 1, 1)
    os.chmod(program, 0o4755)
    result = sandbox.run(program, "-n", str(MANY), USER, PORT, user=sandbox.NOBODY)
    assert result.stdout == "secure\n", "the program did not run with its owner's privileges"
    return MANY


@connects(M32, "gcc -m32", "gcc", "meson", "ninja")
def c_32_bit():
    # gcc-12-multilib lacks the links to the kernel's headers that gcc-multilib has
    compiler = ["gcc", "-m32", f"-idirafter/usr/include/{os.uname().machine}-linux-gnu"]
    program = build_c("connect-32", *compiler)
    module = f"{sandbox.HOME}/build-32"
    sandbox.run("meson", "setup", module, ROOT, "-Ddaemon=false", "-Dtests=false", f"-Drundir={sandbox.RUNDIR}",
                env=dict(os.environ, CC=" ".join(compiler)))
    sandbox.run("ninja", "-C", module, "nss/libnss_k8shsvc.so.2")
    os.makedirs(LIB32)
    shutil.copy(f"{module}/nss/libnss_k8shsvc.so.2", LIB32)
    sandbox.write("/etc/ld.so.conf.d/000-k8shsvc-test-32.conf", LIB32 + "\n")
    sandbox.run("ldconfig")
    for file in program, f"{LIB32}/libnss_k8shsvc.so.2":
        with open(file, "rb") as elf:
            assert elf.read(5) == b"\x7fELF\x01", f"{file} is no 32-bit program"
    return c_program(program)


@connects("Alpine and other musl systems", "musl-gcc", "musl-gcc")
def musl():
    return c_program(build_c("connect-musl", "musl-gcc", "-static"))


# ---- tools ----

TOOLS = "curl, wget, ssh, git, psql, bash"


@connects(TOOLS, "curl", "curl")
def curl():
    return repeat("curl", "-sS", "--noproxy", "*", URL, count=MANY)


@connects(TOOLS, "curl -6", "curl", expected=tuple(SIX))
def curl_ipv6():
    return repeat("curl", "-sS", "--noproxy", "*", "-6", URL6)


@connects(TOOLS, "curl of another user", "curl")
def curl_as_nobody():
    return repeat("curl", "-sS", "--noproxy", "*", URL, user=sandbox.NOBODY)


@connects(TOOLS, "wget", "wget")
def wget():
    return repeat("wget", "-q", "--no-proxy", "-O", "/dev/null", URL)


# The pods speak none of these protocols: they hang up, and the program says so.
@connects(TOOLS, "ssh", "ssh")
def ssh():
    return repeat("ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-p", CLOSING_PORT, USER, "true", status=255)


@connects(TOOLS, "git", "git")
def git():
    return repeat("git", "ls-remote", f"git://{USER}:{CLOSING_PORT}/repository", status=128)


@connects(TOOLS, "psql", "psql")
def psql():
    return repeat("psql", "-h", USER, "-p", CLOSING_PORT, "-U", "user", "-w", "-c", "select 1", "database", status=2)


@connects(TOOLS, "bash, /dev/tcp", "bash")
def bash():
    return script("bash", f"{SOURCES}/connect.sh")


# ---- interpreters and virtual machines ----

SCRIPTS = "Perl, Ruby, PHP"
PYTHON = "Python: socket, http.client, asyncio"
NODE = "Node.js: `dns.lookup()`, http, fetch"
JAVA = "Java"


@connects(SCRIPTS, "Perl", "perl")
def perl():
    return script("perl", f"{SOURCES}/connect.pl")


@connects(SCRIPTS, "Ruby", "ruby")
def ruby():
    return script("ruby", f"{SOURCES}/connect.rb")


@connects(SCRIPTS, "PHP", "php")
def php():
    return script("php", f"{SOURCES}/connect.php")


@connects(PYTHON, "socket")
def python_socket():
    return script(sys.executable, f"{SOURCES}/connect.py", "socket")


@connects(PYTHON, "http.client")
def python_http():
    return script(sys.executable, f"{SOURCES}/connect.py", "http")


@connects(PYTHON, "asyncio")
def python_asyncio():
    return script(sys.executable, f"{SOURCES}/connect.py", "asyncio", count=PROGRAMS)


@connects(NODE, "dns.lookup()", "node")
def node_lookup():
    return script("node", f"{SOURCES}/connect.js", "lookup")


@connects(NODE, "http", "node")
def node_http():
    return script("node", f"{SOURCES}/connect.js", "http")


@connects(NODE, "fetch", "node")
def node_fetch():
    return script("node", f"{SOURCES}/connect.js", "fetch")


@connects("Node.js: `dns.resolve()`", "dns.resolve4()", "node")
def node_resolve():
    return script("node", f"{SOURCES}/connect.js", "resolve", count=PROGRAMS)


def java(count, *options):
    # small and quick rather than fast in the long run
    sandbox.run("java", "-Xmx64m", "-XX:TieredStopAtLevel=1", *options, f"{SOURCES}/Connect.java", USER, PORT, str(count))
    return 2 * count


@connects(JAVA, "InetAddress.getAllByName(), Socket", "java")
def java_sockets():
    return java(MANY // 2, "-Dsun.net.inetaddr.ttl=0")


@connects(JAVA, "with the cache that it has by default", "java", even=False)
def java_cached():
    before = len(pods.accepted())
    n = java(10)
    sandbox.wait_until(lambda: len(pods.accepted()) >= before + n, 20, "the connections arrive")
    assert len(set(pods.accepted()[before:])) == 1, "README.md says that it keeps its first answer"
    return n


# ---- compiled languages ----

def go(cgo, count):
    environment = dict(os.environ, CGO_ENABLED=cgo, GOCACHE=f"{CACHE}/go-build", GOTOOLCHAIN="local", GOFLAGS="",
                       GO111MODULE="off")
    target = f"{sandbox.BIN}/connect-go-{cgo}"
    sandbox.run("go", "build", "-o", target, f"{SOURCES}/connect.go", env=environment)
    return script(target, count=count)


@connects("Go, with cgo", "net.Dial()", "go", "gcc")
def go_with_cgo():
    return go("1", MANY)


@connects("Go, `CGO_ENABLED=0`", "net.Dial()", "go")
def go_without_cgo():
    return go("0", PROGRAMS)


@connects("Rust std", "TcpStream::connect()", "rustc")
def rust():
    return script(build("connect-rust", "rustc", "-O", f"{SOURCES}/connect.rs"))


# ---- nginx ----

NGINX = """
daemon off;
master_process off;
user root;
pid {home}/pid;
error_log {home}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {home}/client;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    {http}
    server {{
        listen 127.0.0.1:8081;
        location / {{ {location} }}
    }}
}}
"""


def nginx(http, location, requests):
    home = f"{sandbox.HOME}/nginx"
    os.makedirs(home, exist_ok=True)
    sandbox.write(f"{home}/nginx.conf", NGINX.format(home=home, http=http, location=location))
    with subprocess.Popen(["nginx", "-p", home, "-e", f"{home}/error.log", "-c", f"{home}/nginx.conf"]) as server:
        try:
            sandbox.wait_until(lambda: sandbox.run("curl", "-sf", "--noproxy", "*", "http://127.0.0.1:8081/",
                                                   check=False).returncode == 0, 20, "nginx serves")
            repeat("curl", "-sSf", "--noproxy", "*", "http://127.0.0.1:8081/", count=requests - 1)
        finally:
            server.terminate()
    return requests


# One address of a load may get all requests, or each its share: that is nginx's own.
@connects("nginx: names in the configuration", "proxy_pass", "nginx", "curl", even=False)
def nginx_at_load():
    return sum(nginx("", f"proxy_pass {URL};", 4) for _ in range(5))


@connects("nginx: `resolver`", "resolver", "nginx", "curl")
def nginx_resolver():
    return nginx(f"resolver {DECOY_DNS} ipv6=off;", f'set $pods "{USER}"; proxy_pass http://$pods:{PORT}/;', 4)


# ---- what README.md says ----

@suite.test("README.md's table has these programs and no others")
def complete():
    # What can't be tried on this machine has a row, too.
    here, said = list(results), list(readme())
    assert here == said, f"only here: {set(here) - set(said)}; only there: {set(said) - set(here)}; else in another order"
    for row, ways in results.items():
        for way, result in ways.items():
            tap.comment(f"{row}: {way}: {result.get('reached') or 'not tried: ' + result['skipped']}")


def save():
    if "K8SHSVC_TEST_PROGRAMS" not in os.environ:
        return
    with open(os.environ["K8SHSVC_TEST_PROGRAMS"], "w") as file:
        json.dump(results, file, indent=2)


def set_up():
    sandbox.nsswitch("k8shsvc")
    sandbox.add_pod_addresses(EIGHT + SIX + DECOYS + [DECOY_DNS])
    pods.start()
    lab.start_dns({"user-svc.default": (EIGHT, 5), "six-svc.default": (SIX, 5)})
    decoy = dns.Server(DECOY_DNS, f"{sandbox.HOME}/knot-decoy")
    for name in "user-svc.default", "six-svc.default":
        decoy.set_service(name, DECOYS, 5)
    decoy.start()
    sandbox.resolv_conf("default.svc.cluster.local svc.cluster.local cluster.local", [DECOY_DNS], "ndots:5 timeout:1 attempts:2")
    daemon.configure(f"[daemon]\nsource = dns\ndns-servers = {sandbox.DNS_SERVER}\n"
                     "[service user-svc.default]\n[service six-svc.default]\n")
    started = lab.start_daemon(USER, USER6)
    sandbox.nsswitch("files k8shsvc dns")
    return started


if __name__ == "__main__":
    sandbox.enter()
    with lab.set_up(set_up):
        status = suite.run()
        save()
        sys.exit(status)
