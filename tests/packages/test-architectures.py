"""Packages of other architectures: i386 beside this machine's in one root, and arm64, whose programs qemu-user runs."""

import os

import machine
from harness import readme, tap

DEFAULT = "hosts:          files dns"
WITH = "hosts:          files k8shsvc dns"
MODULE = "libnss-k8shsvc"
STATIC = "[service web.shop]\nsource = static\nendpoints = 192.0.2.11 192.0.2.12\nanswers = all\n"
ADDRESSES = ["192.0.2.11", "192.0.2.12"]
LIBRARIES = ["libc6", "libc-ares2", "libcurl4", "libjansson4", "libmicrohttpd12", "libsystemd0", "libyaml-0-2"]
MACHINES = {"i386": "Intel 80386", "arm64": "AArch64"}
# What starts a program; this machine runs i386 by itself.
RUNNERS = {"amd64": [], "i386": [], "arm64": ["qemu-aarch64"]}

suite = tap.Suite()
machine.enter()
if machine.ARCHITECTURE != "amd64":
    tap.skip_all("an amd64 machine is needed")
debs = {architecture: machine.built("*.deb", architecture) for architecture in RUNNERS}
if not all(debs.values()):
    tap.skip_all("the packages are not built: packaging/build deb build/packages/deb arm64 i386")


class Root(machine.Root):
    """A root with another architecture. Its unmodified program is getent, unpacked beside that of this machine."""

    def __init__(self, architecture):
        libraries = [f"{library}:{architecture}" for library in LIBRARIES]
        super().__init__("bookworm", "systemd", "qemu-user", "binutils", *LIBRARIES, *libraries,
                         cache=f"packages/beside-{architecture}")
        self.mount()
        self.run("apt-get", "update", "-q")
        self.run("sh", "-c", f"apt-get download -q libc-bin:{architecture} && dpkg -x libc-bin_*.deb /{architecture}")
        self.write("/static.conf", STATIC)

    def start_daemon(self, architecture, program="/usr/sbin/k8shsvcd"):
        self.run("cp", "/static.conf", "/etc/k8shsvc/conf.d/")
        process = self.start("setpriv", "--reuid=k8shsvc", "--regid=k8shsvc", "--clear-groups", *RUNNERS[architecture],
                             program)
        machine.wait_until(lambda: os.path.exists(f"{self.path}/run/k8shsvc/table.v1"), 30, "the daemon serves")
        return process

    def stop(self, process):
        """The table goes along: what is found next is another daemon's."""
        process.kill()
        process.wait()
        self.run("rm", "/run/k8shsvc/table.v1")

    def addresses(self, architecture, database="ahosts"):
        getent = f"/{architecture}/usr/bin/getent" if architecture != machine.ARCHITECTURE else "/usr/bin/getent"
        said = self.run(*RUNNERS[architecture], getent, database, "web.shop").stdout
        return sorted({line.split()[0] for line in said.splitlines()})

    def expect_answers(self, *architectures):
        for architecture in architectures:
            for database in "ahosts", "hosts":
                found = self.addresses(architecture, database)
                assert found == ADDRESSES, f"{architecture}, {database}: {found}"

    def module(self, architecture):
        return machine.built(f"{MODULE}_*.deb", architecture)

    def remove(self, *names, purge=False):
        self.run("apt-get", "purge" if purge else "remove", "-q", "-y", *names)


roots = {}


def root_of(architecture):
    if architecture not in roots:
        roots[architecture] = Root(architecture)
    return roots[architecture]


@suite.each("{0}: programs and libraries of the packages are of that architecture, and built as this machine's are", [
    ("i386",), ("arm64",)])
def is_foreign(architecture):
    tree = f"{os.environ[machine.INSIDE]}/{architecture}"
    names = set()
    for deb in debs[architecture]:
        machine.call("dpkg", "-x", deb, tree)
        names.add(os.path.basename(deb).split("_")[0])
    assert names == {"k8shsvc", MODULE, "libk8shsvc0", "libk8shsvc-dev"}, names
    n = 0
    for directory, _, files in os.walk(tree):
        for file in (f"{directory}/{name}" for name in files):
            with open(file, "rb") as content:
                if os.path.islink(file) or content.read(4) != b"\x7fELF":
                    continue
            header = machine.call("readelf", "-h", file).stdout
            assert MACHINES[architecture] in header, f"{file}: {header}"
            tap.comment(f"{os.path.getsize(file)} bytes: {os.path.basename(file)}")
            n += 1
    assert n == 4, f"{n} files"
    # The tools of this machine know its own family only; test-emulated.py has those for arm64.
    if architecture == "i386":
        libraries = f"{tree}/usr/lib/i386-linux-gnu"
        machine.call("bash", f"{machine.SOURCE}/tests/lint/elf.sh", f"{libraries}/libnss_k8shsvc.so.2",
                     f"{machine.SOURCE}/nss/nss-k8shsvc.sym", f"{libraries}/libk8shsvc.so.0",
                     f"{machine.SOURCE}/lib/libk8shsvc.sym")


# ---- i386 beside amd64 ----


@suite.test("i386: apt installs both modules together, and the hosts line has k8shsvc once")
def installs_both():
    root = root_of("i386")
    root.install([*(deb for deb in debs["amd64"] if "/python3-" not in deb), *root.module("i386"),
                  *machine.built("libk8shsvc0_*.deb", "i386")])
    assert root.hosts_line() == WITH, root.hosts_line()
    broken = root.run("dpkg", "--verify").stdout
    assert "k8shsvc" not in broken, broken


@suite.test("i386: the 32-bit and the 64-bit getent get the addresses of a 64-bit daemon")
def answers_both():
    root = root_of("i386")
    daemon = root.start_daemon("amd64")
    root.expect_answers("amd64", "i386")
    root.stop(daemon)


@suite.test("i386: they get those of a 32-bit daemon, too")
def daemon_is_32_bit():
    root = root_of("i386")
    file, = root.put(*machine.built("k8shsvc_*.deb", "i386"))
    root.run("dpkg", "-x", file, "/i386")
    daemon = root.start_daemon("i386", "/i386/usr/sbin/k8shsvcd")
    root.expect_answers("amd64", "i386")
    assert "web.shop" in root.run("/i386/usr/bin/k8shsvcctl", "list").stdout
    root.stop(daemon)


@suite.each("i386: a removal of {0} leaves the hosts line, that of {1}, the last, takes the name out", [
    ("i386", "amd64"), ("amd64", "i386")])
def last_takes_it_along(first, last):
    root = root_of("i386")
    root.install([*root.module("amd64"), *root.module("i386")])
    assert root.hosts_line() == WITH, root.hosts_line()
    root.remove(f"{MODULE}:{first}")
    assert root.hosts_line() == WITH, root.hosts_line()
    root.remove(f"{MODULE}:{last}")
    assert root.hosts_line() == DEFAULT, root.hosts_line()
    assert not os.path.exists(f"{root.path}/var/lib/k8shsvc")


@suite.each("i386: beside {0}, an installation of {1} leaves out what the administrator has taken out", [
    ("amd64", "i386"), ("i386", "amd64")])
def second_obeys(first, second):
    root = root_of("i386")
    root.install(root.module(first))
    assert root.hosts_line() == WITH, root.hosts_line()
    root.edit_hosts_line(DEFAULT)
    root.install(root.module(second))
    assert root.hosts_line() == DEFAULT, root.hosts_line()
    root.remove(f"{MODULE}:{first}")
    root.install(root.module(first))
    assert root.hosts_line() == DEFAULT, root.hosts_line()
    root.edit_hosts_line(WITH)
    root.remove(f"{MODULE}:amd64", f"{MODULE}:i386", purge=True)
    assert root.hosts_line() == DEFAULT, root.hosts_line()


@suite.test("i386: README.md's commands")
def readme_commands():
    root = root_of("i386")
    root.put(*root.module("amd64"), *root.module("i386"))
    root.run("mv", "/packages", "/out")
    root.write("/etc/apt/apt.conf.d/test", 'APT::Get::Assume-Yes "true";\n')
    build, commands = readme.block("Install", "--add-architecture").split("\n", 1)
    assert build == "packaging/build deb out i386", build
    root.run("sh", "-ec", commands)
    assert root.hosts_line() == WITH, root.hosts_line()


# ---- arm64 ----


@suite.test("arm64: apt installs daemon and module beside an amd64 module; daemon and tool run")
def installs_arm64():
    root = root_of("arm64")
    root.install([*debs["arm64"], *root.module("amd64")])
    assert root.hosts_line() == WITH, root.hosts_line()
    root.run("qemu-aarch64", "/usr/sbin/k8shsvcd", "--check-config")


@suite.test("arm64: the arm64 and the amd64 getent get the addresses of an arm64 daemon")
def answers_arm64():
    root = root_of("arm64")
    daemon = root.start_daemon("arm64")
    root.expect_answers("arm64", "amd64")
    for command in ("list",), ("resolve", "web.shop"):
        said = root.run("qemu-aarch64", "/usr/bin/k8shsvcctl", *command).stdout
        assert "web.shop" in said or ADDRESSES[0] in said, said
    root.stop(daemon)


raise SystemExit(suite.run())
