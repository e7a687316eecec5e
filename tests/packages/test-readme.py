"""README.md's ways to install without a container: the commands as they stand there, in fresh Debian 12 roots.

What packaging/build makes in them is what tests/run --packages has made. Where a root is not the system that README.md
speaks of, the test changes a word of a command, and says why.
"""

import os
import shutil

import machine
from harness import readme, tap

# apt asks no question, and a root takes no more than it has to.
APT = 'APT::Get::Assume-Yes "true";\nAPT::Install-Recommends "false";\n'
# What a Fedora has from systemd-rpm-macros.
RPM_MACROS = "%_unitdir /usr/lib/systemd/system\n%_sysusersdir /usr/lib/sysusers.d\n%_tmpfilesdir /usr/lib/tmpfiles.d\n"
# Addresses that need no cluster, for README.md's service.
ADDRESSES = "source = static\nendpoints = 192.0.2.11 192.0.2.12\n"
LOOKUP = readme.block("Install", "getent")

suite = tap.Suite()
machine.enter()


class Checkout(machine.Root):
    """A root with a clone of the repository, where the commands are run; packaging/build has run in it already."""

    def __init__(self, kind):
        built = f"{machine.BUILT}/{kind}"
        if not os.path.isdir(built):
            raise tap.Skip(f"nothing is built: packaging/build {kind} {built}")
        super().__init__("bookworm", "systemd", "git", cache="packages/readme")
        self.mount()
        machine.call("git", "clone", "--quiet", "--no-hardlinks", f"file://{machine.SOURCE}", f"{self.path}/k8shsvc")
        shutil.copytree(built, f"{self.path}/k8shsvc/out")
        self.write("/etc/apt/apt.conf.d/test", APT)
        self.run("apt-get", "update", "-q")

    def sh(self, block):
        lines = [line for line in block.splitlines() if not line.startswith("packaging/build ")]
        return self.run("bash", "-euc", "\n".join(["cd /k8shsvc", *lines]))

    def serves(self):
        """Registers the service as README.md does, starts the daemon with its command by hand, and asks as it does."""
        self.write("/etc/k8shsvc/k8shsvc.conf", readme.block("Install", "user-svc", "ini") + ADDRESSES)
        by_system, by_hand, _ = [line.split("#")[0].strip() for line in readme.block("Install", "systemctl").splitlines()]
        # There is no systemd that could start it; the test of the booted root does.
        self.sh(by_system.replace(" --now", ""))
        daemon = self.start(by_hand)
        try:
            machine.wait_until(lambda: self.run("k8shsvcctl", "status", check=False).returncode == 0, 10, "it serves")
            found = {line.split()[0] for line in self.sh(LOOKUP).stdout.splitlines()}
        finally:
            daemon.terminate()
            daemon.wait()
        # One pod a call: the example says "answers = single".
        assert len(found) == 1 and found < {"192.0.2.11", "192.0.2.12"}, found
        assert self.run("systemctl", "is-enabled", "k8shsvcd").stdout == "enabled\n"


@suite.test("Debian packages")
def debian():
    root = Checkout("deb")
    root.sh(readme.block("Install", "install ./out/k8shsvc_"))
    root.serves()


@suite.test("by hand; and the source rpm is rebuilt where the build's needs are")
def by_hand():
    root = Checkout("rpm")
    root.sh(readme.block("Install", "meson install"))
    os.mkdir(f"{root.path}/etc/k8shsvc")
    root.serves()
    root.sh("/usr/share/k8shsvc/nsswitch remove && ninja -C build uninstall")
    assert root.hosts_line() == "hosts:          files dns", root.hosts_line()
    found = root.run("find", "/usr", "/etc", "-iname", "*k8shsvc*", "!", "-path", "/etc/k8shsvc*").stdout
    assert found.split() == ["/etc/systemd/system/multi-user.target.wants/k8shsvcd.service"], found

    root.run("apt-get", "install", "rpm")
    root.write("/root/.rpmmacros", RPM_MACROS)
    # What it needs has been installed by apt, which rpm knows nothing of. Nor is there a dnf.
    block = readme.block("Install", "rpmbuild").replace("rpmbuild --rebuild", "rpmbuild --nodeps --rebuild")
    block = block.replace("dnf builddep", "rpm -qp --requires")
    root.sh(block.replace("dnf install", "rpm --root / --dbpath /var/lib/rpm -i --nodeps"))
    installed = root.run("rpm", "--root", "/", "--dbpath", "/var/lib/rpm", "-qa", "--qf", "%{name}\\n").stdout.split()
    assert sorted(installed) == ["k8shsvc", "k8shsvc-selinux", "libnss-k8shsvc"], installed


raise SystemExit(suite.run())
