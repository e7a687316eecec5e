"""The SELinux module in Debian's policy, which is the reference policy as Fedora's is: what confined programs may do with the
table, with it and without it. The policy is linked and asked; no kernel has to obey it.

Debian 12's policy has no containers. What it lacks of container-selinux is declared here.
"""

import re

import machine
from harness import tap

PACKAGES = ["selinux-policy-default", "policycoreutils", "semodule-utils", "selinux-utils", "setools"]
POLICY = "/etc/selinux/default/policy/policy.33"
SUBSTITUTES = "/etc/selinux/default/contexts/files/file_contexts.subs_dist"
TYPE = "k8shsvc_runtime_t"
PATHS = ["/run/k8shsvc", "/run/k8shsvc/table.v1", "/run/k8shsvc/conf.d", "/var/run/k8shsvc", "/var/run/k8shsvc/table.v1"]
READERS = [("named_t",), ("httpd_t",), ("postfix_smtp_t",), ("nscd_t",), ("user_t",)]
READS_DIR = {"getattr", "search"}
READS_FILE = {"getattr", "open", "read", "map"}
# And the manual page's example.
LOCAL = """
(typeattribute container_domain)
(type container_t)
(roletype system_r container_t)
(typeattributeset domain container_t)
(typeattributeset container_domain container_t)
(typeattributeset k8shsvc_reader loadkeys_t)
"""

suite = tap.Suite()
machine.enter()
root = machine.Root("bookworm", *PACKAGES, cache="packages/selinux").mount()


def semodule(*arguments):
    """It links the whole policy, and loads it nowhere."""
    return root.run("semodule", "-n", *arguments)


def may(source, target, kind):
    """Under any setting of the booleans, by rules for the type and for its attributes."""
    rules = root.run("sesearch", "-A", "-s", source, "-t", target, "-c", kind, POLICY).stdout
    return set(" ".join(re.findall(r"^allow \S+ \S+:\w+ (?:{ )?([\w ]+?)(?: })?;", rules, re.M)).split())


def labels():
    """Of the paths; None: as what lies around them."""
    found = [line.split() for line in root.run("matchpathcon", *PATHS).stdout.splitlines()]
    assert [path for path, _ in found] == PATHS, found
    return {None if context == "<<none>>" else context for _, context in found}


@suite.each("without the module {0} finds the directory, and may not open a file in it", READERS)
def cannot_without(reader):
    assert labels() == {None}, labels()
    assert may(reader, "var_run_t", "dir") >= READS_DIR
    assert not may(reader, "var_run_t", "file") & {"open", "read"}, may(reader, "var_run_t", "file")


@suite.test("the policy links with the module, and the directory has its type, whichever path stands for the other")
def links():
    semodule("-X", "200", "-i", *root.put(f"{machine.SOURCE}/packaging/selinux/k8shsvc.cil"))
    assert labels() == {f"system_u:object_r:{TYPE}:s0"}, labels()
    substitutes = root.read(SUBSTITUTES)
    assert "\n/var/run /run\n" in substitutes, substitutes
    root.write(SUBSTITUTES, substitutes.replace("\n/var/run /run\n", "\n/run /var/run\n"))
    assert labels() == {f"system_u:object_r:{TYPE}:s0"}, labels()
    root.write(SUBSTITUTES, substitutes)


@suite.each("{0} may read and map the table, and nothing else", READERS)
def can_read(reader):
    assert may(reader, TYPE, "dir") == READS_DIR, may(reader, TYPE, "dir")
    assert may(reader, TYPE, "file") == READS_FILE, may(reader, TYPE, "file")
    assert "getattr" in may(reader, "tmpfs_t", "filesystem")


@suite.test("a domain that resolves no names gets nothing, and there are no other rules for the type")
def refuses_others():
    assert "loadkeys_t" not in root.run("seinfo", "-a", "nsswitch_domain", "-x", POLICY).stdout
    for kind, readers in ("dir", "getattr search"), ("file", "getattr map open read"):
        assert not may("loadkeys_t", TYPE, kind), may("loadkeys_t", TYPE, kind)
        rules = root.run("sesearch", "-A", "-t", TYPE, "-dt", "-c", kind, POLICY).stdout.strip()
        assert rules == f"allow k8shsvc_reader {TYPE}:{kind} {{ {readers} }};", rules


@suite.test("systemd, systemd-tmpfiles and unconfined programs make the directory; these give it its type, and write there")
def others_make_it():
    for maker in "init_t", "systemd_tmpfiles_t", "unconfined_t":
        assert may(maker, TYPE, "dir") >= {"create", "setattr", "relabelto", "rmdir"}, maker
    assert may("unconfined_t", TYPE, "file") >= {"create", "write", "map", "rename", "unlink"}
    transitions = root.run("sesearch", "-T", "-s", "unconfined_t", "-t", "var_run_t", "-c", "dir", POLICY).stdout
    assert f"type_transition unconfined_t var_run_t:dir {TYPE} k8shsvc;" in transitions, transitions


@suite.test("containers may read and map the table where the policy knows containers, and so may a domain that is added")
def more_can_read():
    root.write("/local.cil", LOCAL)
    semodule("-i", "/local.cil")
    for reader in "container_t", "loadkeys_t":
        assert may(reader, TYPE, "dir") == READS_DIR, may(reader, TYPE, "dir")
        assert may(reader, TYPE, "file") == READS_FILE, may(reader, TYPE, "file")
    semodule("-r", "local")


@suite.test("the policy links after a removal, and knows no such type")
def removes():
    semodule("-X", "200", "-r", "k8shsvc")
    assert labels() == {None}, labels()
    assert TYPE not in root.run("seinfo", "-t", POLICY).stdout


raise SystemExit(suite.run())
