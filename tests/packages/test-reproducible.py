"""A second build of the same commit makes the same files, byte by byte."""

import filecmp
import os
import tempfile

import machine
from harness import tap

# These name the time of the build.
DATED = (".buildinfo", ".changes")

suite = tap.Suite()
machine.enter()


@suite.each("packaging/build {0}", [("deb",), ("rpm",), ("image",)])
def same(kind):
    first = f"{machine.BUILT}/{kind}"
    if not os.path.isdir(first):
        raise tap.Skip(f"nothing is built: packaging/build {kind} {first}")
    again = tempfile.mkdtemp(dir=os.environ[machine.INSIDE])
    others = [file.rsplit("_", 1)[1].split(".")[0] for file in os.listdir(first) if file.endswith(".changes")]
    machine.call(f"{machine.SOURCE}/packaging/build", kind, again, *others)
    names = sorted(os.listdir(again))
    assert names and names == sorted(os.listdir(first)), names
    differ = [name for name in names if not name.endswith(DATED)
              and not filecmp.cmp(f"{first}/{name}", f"{again}/{name}", shallow=False)]
    assert not differ, differ


raise SystemExit(suite.run())
