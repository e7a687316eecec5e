"""The commands of README.md, run as they stand there, against the control plane."""

import os

from harness import readme, sandbox
from harness.readme import SOURCE

from . import plane

# A source tree that may be written to: what a command makes does not land in ours.
TREE = f"{sandbox.HOME}/source"
_TOOLS = f"{sandbox.HOME}/tools"


def commands(heading):
    """All of a section's commands."""
    return "".join(readme.blocks(heading))


class Shell:
    """Where kubectl and helm are installed and talk to the control plane."""

    def __init__(self, **tools):
        os.makedirs(TREE)
        os.makedirs(_TOOLS)
        for name in os.listdir(SOURCE):
            os.symlink(f"{SOURCE}/{name}", f"{TREE}/{name}")
        for name, path in tools.items():
            os.symlink(path, f"{_TOOLS}/{name}")
        self._env = {**os.environ, "PATH": f"{_TOOLS}:{os.environ['PATH']}", "KUBECONFIG": plane.ADMIN,
                     "KUBECACHEDIR": f"{sandbox.HOME}/kubectl"}
        for kind in "CACHE", "CONFIG", "DATA":
            self._env[f"HELM_{kind}_HOME"] = f"{sandbox.HOME}/helm"

    def run(self, script, **options):
        """Returns what it prints; raises where one of its commands fails, unless check=False."""
        return sandbox.run("bash", "-euc", script, cwd=TREE, env=self._env, **options)
