"""The Debian packages, in fresh roots of the releases that they are for: from the first installation to the purge."""

import hashlib
import json
import os

import machine
from harness import tap

# As the roots of tests/integration are made.
RELEASES = {"bookworm": ("nscd",), "trixie": ("nsncd",)}
LOOKUPS = "packaging/debian/tests/lookup"
DEFAULT = "hosts:          files dns"
WITH = "hosts:          files k8shsvc dns"
NAMES = ["k8shsvc", "libnss-k8shsvc", "libk8shsvc0", "libk8shsvc-dev", "python3-k8shsvc"]
STATIC = "[service web.shop]\nsource = static\nendpoints = 192.0.2.11 192.0.2.12\n"

# Says what has failed; ends when it can write no more.
LOOP = """
while :; do
        getent hosts web.shop >/dev/null && echo ok || echo FAILED
done
"""

suite = tap.Suite()
machine.enter()
debs = machine.built("*.deb")
if not debs:
    tap.skip_all("the packages are not built: packaging/build deb build/packages/deb")
placed = {}


def root_of(release):
    if release not in placed:
        placed[release] = machine.Root(release, *RELEASES[release]).mount()
        placed[release].run("apt-get", "update", "-q")
    return placed[release]


def daemon(root):
    """As the unit runs it, but for the sandbox."""
    process = root.start("setpriv", "--reuid=k8shsvc", "--regid=k8shsvc", "--clear-groups", "k8shsvcd")
    machine.wait_until(lambda: root.run("k8shsvcctl", "status", check=False).returncode == 0, 10, "the daemon serves")
    return process


def stop(process):
    process.kill()
    process.wait()


for release in RELEASES:

    @suite.each("{0}: apt installs all packages, and the hosts line has k8shsvc behind files", [(release,)])
    def installs(release):
        root = root_of(release)
        assert root.hosts_line() == DEFAULT, root.hosts_line()
        root.install(debs)
        assert root.hosts_line() == WITH, root.hosts_line()
        assert root.run("stat", "-c", "%U %G %a", "/run/k8shsvc").stdout == "k8shsvc k8shsvc 755\n"
        assert root.run("k8shsvcd", "--check-config").returncode == 0
        assert not os.path.exists(f"{root.path}/var/lib/k8shsvc")
        broken = root.run("dpkg", "--verify", *NAMES).stdout
        assert not broken, broken

    @suite.each("{0}: the daemon serves, getent and python3 get the addresses (the autopkgtest)", [(release,)])
    def serves(release):
        root = root_of(release)
        script, = root.put(f"{machine.SOURCE}/{LOOKUPS}")
        root.run("sh", script)
        root.run("python3", "-c", "import k8shsvc")

    @suite.each("{0}: an upgrade under a lookup loop: no lookup fails", [(release,)])
    def upgrades(release):
        root = root_of(release)
        root.install(machine.older(debs, "0.0.9-1"), "--allow-downgrades")
        root.write("/etc/k8shsvc/conf.d/web.conf", STATIC)
        process = daemon(root)
        loop = root.start("sh", "-c", LOOP)
        try:
            root.install(debs)
            version = root.run("dpkg-query", "-W", "-f", "${Version} ", *NAMES).stdout
            assert "0.0.9" not in version, version
        finally:
            loop.kill()
            stop(process)
        outcomes = loop.communicate()[0].split()
        assert len(outcomes) > 50 and set(outcomes) == {"ok"}, f"{len(outcomes)} lookups: {set(outcomes)}"
        assert root.hosts_line() == WITH, root.hosts_line()

    @suite.each("{0}: an upgrade keeps what the administrator wrote: {1}", [
        (release, "hosts: files dns"), (release, "hosts: k8shsvc [NOTFOUND=return] files dns")])
    def keeps_edits(release, line):
        root = root_of(release)
        root.edit_hosts_line(line)
        root.write("/etc/k8shsvc/k8shsvc.conf", STATIC)
        root.run("apt-get", "install", "-q", "-y", "--reinstall", *root.put(*debs))
        root.install(machine.older(debs, "0.0.9-1"), "--allow-downgrades", "-o", "Dpkg::Options::=--force-confold")
        root.install(debs, "-o", "Dpkg::Options::=--force-confold")
        assert root.hosts_line() == line, root.hosts_line()
        assert root.read("/etc/k8shsvc/k8shsvc.conf") == STATIC

    @suite.each("{0}: a removal takes the name out, a new installation adds it", [(release,)])
    def returns(release):
        root = root_of(release)
        root.edit_hosts_line(WITH)
        root.run("apt-get", "remove", "-q", "-y", "libnss-k8shsvc")
        assert root.hosts_line() == DEFAULT, root.hosts_line()
        root.install(debs)
        assert root.hosts_line() == WITH, root.hosts_line()

    @suite.each("{0}: where the hosts line cannot be edited, apt installs and says so", [(release,)])
    def says_so(release):
        root = root_of(release)
        root.run("apt-get", "remove", "-q", "-y", "libnss-k8shsvc")
        conf = f"{root.path}/etc/nsswitch.conf"
        machine.call("mount", "--bind", conf, conf)
        try:
            said = root.install(debs)
        finally:
            machine.call("umount", conf)
        assert "hosts line by hand" in said.stdout + said.stderr, said
        assert root.hosts_line() == DEFAULT, root.hosts_line()

    @suite.each("{0}: a purge leaves nothing but the locked system user", [(release,)])
    def purges(release):
        root = root_of(release)
        stop(daemon(root))
        assert os.path.exists(f"{root.path}/run/k8shsvc/table.v1")
        root.run("apt-get", "purge", "-q", "-y", *NAMES)
        found = root.run("find", "/etc", "/usr", "/lib", "/run", "/var", "-iname", "*k8shsvc*").stdout
        assert not found, found
        found = root.run("grep", "-rl", "k8shsvc", "/etc", check=False).stdout.split()
        assert not [file for file in found if os.path.basename(file).strip("-") not in ("passwd", "group", "shadow",
                                                                                        "gshadow")], found
        assert root.run("grep", "^k8shsvc:", "/etc/shadow").stdout.split(":")[1].startswith("!")

    @suite.each("{0}: a purge leaves the table of another daemon, and does not fail on what is mounted{1}",
                [(release, ""), (release, ", also where the system user is gone")])
    def leaves_others(release, gone):
        root = root_of(release)
        root.install(machine.built("k8shsvc_*.deb"))
        conf, table = f"{root.path}/etc/k8shsvc/conf.d", f"{root.path}/run/k8shsvc/table.v1"
        machine.call("mount", "-t", "tmpfs", "tmpfs", conf)
        root.write("/run/k8shsvc/table.v1", "a DaemonSet's, which runs as root\n")
        if gone:
            root.run("userdel", "k8shsvc")
        try:
            root.run("apt-get", "purge", "-q", "-y", "k8shsvc")
        finally:
            machine.call("umount", conf)
        assert os.path.exists(table) and not os.path.exists(f"{root.path}/etc/k8shsvc/k8shsvc.conf")
        os.remove(table)

    @suite.each("{0}: a script that is missing fails neither the installation nor the removal, which say what to do", [(release,)])
    def misses_script(release):
        root = root_of(release)
        module = machine.built("libnss-k8shsvc_*.deb")
        said = root.install(module, "-o", "Dpkg::Options::=--path-exclude=/usr/share/k8shsvc/*")
        assert "Add k8shsvc to the hosts line" in said.stderr + said.stdout and root.hosts_line() == DEFAULT, said
        said = root.run("apt-get", "remove", "-q", "-y", "libnss-k8shsvc")
        assert "Take k8shsvc out of the hosts line" in said.stderr + said.stdout, said


@suite.test("the SBOM has every package with its checksum, and the libraries with their versions")
def has_sbom():
    # Those of other architectures name them.
    path = min(machine.built("*.spdx.json"), key=len)
    with open(path) as file:
        document = json.load(file)
    found = {each.get("packageFileName", each["name"]): each for each in document["packages"]}
    for deb in debs:
        with open(deb, "rb") as file:
            checksum = hashlib.sha256(file.read()).hexdigest()
        assert found[os.path.basename(deb)]["checksums"][0]["checksumValue"] == checksum
    assert found["libc-ares2"]["versionInfo"].startswith("1.18")
    known = {each["SPDXID"] for each in document["packages"]} | {document["SPDXID"]}
    assert {end for each in document["relationships"] for end in (each["spdxElementId"], each["relatedSpdxElement"])} <= known


@suite.test("the module of the package is what tests/lint/elf.sh demands, 48 KiB at most")
def is_small():
    file, = machine.built("libnss-k8shsvc_*.deb")
    library, = machine.built("libk8shsvc0_*.deb")
    tree = os.environ[machine.INSIDE] + "/tree"
    machine.call("dpkg", "-x", file, tree)
    machine.call("dpkg", "-x", library, tree)
    directory, = machine.glob.glob(f"{tree}/usr/lib/*-linux-gnu*")
    machine.call("bash", f"{machine.SOURCE}/tests/lint/elf.sh", f"{directory}/libnss_k8shsvc.so.2",
                 f"{machine.SOURCE}/nss/nss-k8shsvc.sym", f"{directory}/libk8shsvc.so.0",
                 f"{machine.SOURCE}/lib/libk8shsvc.sym", "49152")


@suite.test("a program is built with libk8shsvc-dev (the autopkgtest)")
def builds():
    root = machine.Root("bookworm", "gcc", "libc6-dev", "pkg-config", cache="packages/compiler").mount()
    root.run("dpkg", "-i", *root.put(*machine.built("libk8shsvc*.deb")))
    script, = root.put(f"{machine.SOURCE}/packaging/debian/tests/library")
    root.run("sh", script)


raise SystemExit(suite.run())
