"""A lookup makes no system call: strace counts those of half a million and more.

    lookup-syscalls.py BENCH-LOOKUP

In the steady state none at all; while the table is replaced ten times a second, or its daemon has been
silent for 15 s, at most one look at the path a second. The program marks where its lookups begin and end
by getppid().
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIP = 77
MSEC = 2500
# openat and newfstatat of the directory; the file; map, madvise, unmap; see lib/read/map.c
LOOK = {"openat", "statx", "fstatfs", "mmap", "munmap", "madvise", "close"}


def calls(program, phase):
    """Names of the system calls between the marks, in order."""
    with tempfile.NamedTemporaryFile(mode="r") as log:
        run = subprocess.run(["strace", "-o", log.name, program, "--spin", str(MSEC), phase],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        lines = log.read().splitlines()
    if run.returncode in (SKIP, 127) or "ptrace" in run.stderr or not lines:
        print(run.stderr, end="")
        sys.exit(SKIP)
    print(f"{phase}: {run.stdout.strip()}")
    if run.returncode != 0:
        sys.exit(f"{phase}: {run.stderr}")
    names = [m.group(1) for m in (re.match(r"(\w+)\(", line) for line in lines) if m]
    marks = [i for i, name in enumerate(names) if name == "getppid"]
    if len(marks) != 2:
        sys.exit(f"{phase}: no marks")
    return names[marks[0] + 1:marks[1]]


def main():
    if not shutil.which("strace") or os.geteuid() != 0:
        print("needs strace and root")
        sys.exit(SKIP)
    failed = False
    for phase, n_looks in (("steady", 0), ("replaced", MSEC // 1000 + 1), ("silent", MSEC // 1000 + 1)):
        seen = calls(sys.argv[1], phase)
        # a look opens the directory, then the table
        looks, others = seen.count("openat") / 2, sorted(set(seen) - LOOK)
        good = not others and looks <= n_looks and (n_looks > 0 or not seen) and (n_looks == 0 or looks >= 1)
        print(f"{'ok' if good else 'NOT OK'}: {phase}: {len(seen)} system calls, {looks:g} looks at the path,"
              f" at most {n_looks}{', others: ' + ' '.join(others) if others else ''}")
        failed = failed or not good
    sys.exit(1 if failed else 0)


main()
