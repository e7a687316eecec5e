"""The rpms, installed by rpm --root into a Debian root, whose libc loads the module as any other: what the scriptlets make of
the hosts line, without authselect and with a stand-in for it."""

import os

import machine
from harness import tap

FEDORA = "hosts:      files myhostname resolve [!UNAVAIL=return] dns"
FEDORA_WITH = "hosts:      files k8shsvc myhostname resolve [!UNAVAIL=return] dns"
NAMES = ["k8shsvc", "libnss-k8shsvc", "libk8shsvc0", "libk8shsvc-devel", "k8shsvc-selinux"]
# Makes nsswitch.conf of user-nsswitch.conf, as authselect does with what its profile leaves open.
AUTHSELECT = """#!/bin/sh
[ "$1" != apply-changes ] || cp /etc/authselect/user-nsswitch.conf /etc/authselect/nsswitch.conf
"""
# Records its call, and fails as semodule does where there is no policy.
RECORDER = """#!/bin/sh
echo "${0##*/} $*" >>/calls
exit 1
"""

suite = tap.Suite()
machine.enter()
rpms = [file for file in machine.built("*.rpm") if not file.endswith(".src.rpm")]
if not rpms:
    tap.skip_all("the rpms are not built: packaging/build rpm build/packages/rpm")


class Root(machine.Root):
    def rpm(self, *arguments):
        """No scriptlet of it may fail. It needs --nodeps: this root has no rpm that could provide a libc."""
        result = machine.call("rpm", "--root", self.path, "--dbpath", "/var/lib/rpm", *arguments)
        assert "scriptlet failed" not in result.stderr, result.stderr
        return result

    def put_authselect(self):
        os.mkdir(f"{self.path}/etc/authselect")
        for name in "user-nsswitch.conf", "nsswitch.conf":
            self.write(f"/etc/authselect/{name}", FEDORA + "\n")
        os.remove(f"{self.path}/etc/nsswitch.conf")
        os.symlink("/etc/authselect/nsswitch.conf", f"{self.path}/etc/nsswitch.conf")
        self.write("/usr/bin/authselect", AUTHSELECT)
        os.chmod(f"{self.path}/usr/bin/authselect", 0o755)

    def hosts(self, name="nsswitch.conf"):
        text = machine.call("chroot", self.path, "cat", f"/etc/{name}").stdout
        return next(line for line in text.splitlines() if line.startswith("hosts:"))


root = Root("bookworm", "nscd").mount()


@suite.test("an installation adds k8shsvc to the hosts line, and programs load the module")
def installs():
    root.edit_hosts_line(FEDORA)
    root.rpm("-i", "--nodeps", *rpms)
    assert root.hosts() == FEDORA_WITH, root.hosts()
    loaded = root.run("sh", "-c", "LD_LIBRARY_PATH=/usr/lib64 LD_DEBUG=libs getent hosts web.shop 2>&1 | grep calling.init")
    assert "/usr/lib64/libnss_k8shsvc.so.2" in loaded.stdout, loaded.stdout
    damaged = root.rpm("-V", "--nodeps", *NAMES).stdout
    assert not damaged, damaged


@suite.test("an upgrade keeps what the administrator wrote")
def upgrades():
    for line in FEDORA, "hosts: k8shsvc [NOTFOUND=return] files dns":
        root.edit_hosts_line(line)
        root.write("/etc/k8shsvc/k8shsvc.conf", "[service web.shop]\n")
        root.rpm("-U", "--nodeps", "--replacepkgs", *rpms)
        assert root.hosts() == line, root.hosts()
        assert root.read("/etc/k8shsvc/k8shsvc.conf") == "[service web.shop]\n"


@suite.test("a removal takes the name out, and leaves the edited configuration as .rpmsave")
def removes():
    root.edit_hosts_line(FEDORA_WITH)
    root.rpm("-e", *NAMES)
    assert root.hosts() == FEDORA, root.hosts()
    found = root.run("find", "/etc", "/usr", "-iname", "*k8shsvc*").stdout.split()
    assert found == ["/etc/k8shsvc", "/etc/k8shsvc/k8shsvc.conf.rpmsave"], found


@suite.test("with authselect: user-nsswitch.conf is edited and applied, and taken back by the removal")
def obeys_authselect():
    root.put_authselect()
    module = [file for file in rpms if "/libnss-" in file]
    root.rpm("-i", "--nodeps", *module)
    assert root.hosts("authselect/user-nsswitch.conf") == FEDORA_WITH
    assert root.hosts() == FEDORA_WITH, root.hosts()
    root.rpm("-e", "libnss-k8shsvc")
    assert root.hosts("authselect/user-nsswitch.conf") == FEDORA
    assert root.hosts() == FEDORA, root.hosts()


@suite.test("the policy module goes into the policy and the directory gets its label; a removal takes both back")
def loads_the_policy():
    for name in "semodule", "restorecon":
        root.write(f"/usr/sbin/{name}", RECORDER)
        os.chmod(f"{root.path}/usr/sbin/{name}", 0o755)
    module = [file for file in rpms if "/k8shsvc-selinux" in file]
    added = "semodule -X 200 -i /usr/share/selinux/packages/k8shsvc.cil\nrestorecon -R -i /run/k8shsvc\n"
    removed = "semodule -X 200 -r k8shsvc\nrestorecon -R -i /run/k8shsvc\n"
    for command, calls in [(["-i", "--nodeps", *module], added), (["-U", "--nodeps", "--replacepkgs", *module], added),
                           (["-e", "k8shsvc-selinux"], removed)]:
        root.write("/calls", "")
        root.rpm(*command)
        assert root.read("/calls") == calls, f"{command}: {root.read('/calls')}"


raise SystemExit(suite.run())
