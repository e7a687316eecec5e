"""What a test needs from outside of its sandbox, since making it takes the network or time.

Called before sandbox.enter(): there, and again inside, where the path is known by then.
"""

import os
import subprocess

from . import tap

_TESTS = os.path.join(os.path.dirname(__file__), "..", "..")


def made_by(script, *arguments):
    """The path that tests/SCRIPT prints; None where it can't be made here (status 77)."""
    key = "K8SHSVC_TEST_" + "_".join([script, *arguments]).upper().translate(str.maketrans("-/", "__"))
    if key not in os.environ:
        result = subprocess.run([os.path.join(_TESTS, script), *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        if result.returncode not in (0, 77):
            tap.bail_out(f"tests/{script}: status {result.returncode}: {result.stderr}")
        if result.returncode == 77:
            tap.comment(result.stderr)
        os.environ[key] = result.stdout.strip()
    return os.environ[key] or None
