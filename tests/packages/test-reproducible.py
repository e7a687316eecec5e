"""A second build of the same commit makes the same files, byte by byte, whatever lies around it in the checkout."""

import filecmp
import os
import tempfile

import machine
from harness import tap

# These name the time of the build.
DATED = (".buildinfo", ".changes")

suite = tap.Suite()
machine.enter()


def dirty_checkout():
    """With an edit that is not committed in each file that a build reads from packaging/."""
    checkout = tempfile.mkdtemp(dir=os.environ[machine.INSIDE])
    machine.call("git", "clone", "--quiet", f"file://{machine.SOURCE}", checkout)
    for path in "rpm/k8shsvc.spec", "debian/control", "nsswitch", "image/add-to-image", "image/Containerfile", "sbom":
        with open(f"{checkout}/packaging/{path}", "a") as file:
            file.write("# not committed\n")
    return checkout


@suite.each("packaging/build {0}", [("deb",), ("rpm",), ("image",)])
def same(kind):
    first = f"{machine.BUILT}/{kind}"
    if not os.path.isdir(first):
        raise tap.Skip(f"nothing is built: packaging/build {kind} {first}")
    again = tempfile.mkdtemp(dir=os.environ[machine.INSIDE])
    others = [file.rsplit("_", 1)[1].split(".")[0] for file in os.listdir(first) if file.endswith(".changes")]
    said = machine.call(f"{dirty_checkout()}/packaging/build", kind, again, *others).stdout
    assert "what is not committed is not built" in said, said
    names = sorted(os.listdir(again))
    assert names and names == sorted(os.listdir(first)), names
    differ = [name for name in names if not name.endswith(DATED)
              and not filecmp.cmp(f"{first}/{name}", f"{again}/{name}", shallow=False)]
    assert not differ, differ


@suite.test("packaging/build refuses an architecture that it does not know, before it builds anything")
def refuses():
    out = f"{os.environ[machine.INSIDE]}/none"
    result = machine.call(f"{machine.SOURCE}/packaging/build", "deb", out, "amd46", check=False)
    assert result.returncode == 1 and "amd46" in result.stderr and not os.path.exists(out), result


raise SystemExit(suite.run())
