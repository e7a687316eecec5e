"""What may befall a process that looks up through glibc: tests/contract/faults.c, in a sandbox of its own."""

import os
import sys

from harness import sandbox

if __name__ == "__main__":
    sandbox.enter()
    sandbox.nsswitch("k8shsvc")
    sandbox.make_rundir()
    program = f"{sandbox.BIN}/contract-faults"
    sandbox.install(program, os.environ["K8SHSVC_TEST_FAULTS"])
    os.execv(program, [program, os.environ["K8SHSVC_TEST_TABLE"], *sys.argv[1:]])
