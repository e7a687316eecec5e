"""A kubelet for one container: kwok's pods run nothing, and this runs one of them, with the daemon that was built.

Environment, volumes, mounts, user, capabilities, root file system and probes are those of the pod, as the API server
has it. The image is this machine.
"""

import os
import re
import shutil

from harness import daemon, sandbox

from . import plane
from .client import collection

VOLUMES = f"{sandbox.HOME}/volumes"
_ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
# Where an image has them.
_PROGRAMS = {"/usr/sbin/k8shsvcd": sandbox.DAEMON, "/usr/bin/k8shsvcctl": sandbox.CTL}


def _field(pod, path):
    """Of the downward API; what the pod lacks is empty."""
    label = re.fullmatch(r"metadata\.labels\['(.+)'\]", path)
    if label:
        return pod["metadata"]["labels"].get(label.group(1), "")
    return {"spec.nodeName": pod["spec"]["nodeName"]}[path]


class Container:
    def __init__(self, client, pod, name):
        self._client, self._pod = client, pod
        spec = pod["spec"]
        self._spec = next(c for c in spec["containers"] + spec.get("initContainers", []) if c["name"] == name)
        self._volumes = {volume["name"]: self._make_volume(volume) for volume in spec["volumes"]}
        self.daemon = None

    # ---- what it finds ----

    def _make_volume(self, volume):
        if "hostPath" in volume:
            path = volume["hostPath"]["path"]
            assert volume["hostPath"]["type"] == "DirectoryOrCreate", volume
            os.makedirs(path, mode=0o755, exist_ok=True)
            return path
        path = f"{VOLUMES}/{volume['name']}"
        if "emptyDir" in volume:
            os.makedirs(path, exist_ok=True)
            sandbox.run("mount", "-t", "tmpfs", "-o", "mode=0777", "tmpfs", path)
            return path
        self._write_config(path, volume["configMap"]["name"])
        return path

    def _write_config(self, path, name):
        """As the kubelet does it: links to what one rename puts in the place of what was there."""
        namespace = self._pod["metadata"]["namespace"]
        files = self._client.get(f"{collection('v1', 'ConfigMap', namespace)}/{name}")["data"]
        content = f"..{len(os.listdir(path)) if os.path.isdir(path) else 0}"
        for key, text in files.items():
            sandbox.write(f"{path}/{content}/{key}", text)
            if not os.path.lexists(f"{path}/{key}"):
                os.symlink(f"..data/{key}", f"{path}/{key}")
        os.symlink(content, f"{path}/..data_tmp")
        os.rename(f"{path}/..data_tmp", f"{path}/..data")

    def volume(self, name):
        """Where it is, outside of the container."""
        return self._volumes[name]

    def sync(self):
        """The ConfigMaps as they are now."""
        for volume in self._pod["spec"]["volumes"]:
            if "configMap" in volume:
                self._write_config(self._volumes[volume["name"]], volume["configMap"]["name"])

    def _environment(self):
        env = {"KUBERNETES_SERVICE_HOST": plane.SERVICE, "KUBERNETES_SERVICE_PORT": str(plane.API[1])}
        for variable in self._spec.get("env", []):
            field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            env[variable["name"]] = _field(self._pod, field) if field else variable["value"]
        return env

    def _mount_token(self):
        """Of its service account, where the pod asks for it."""
        shutil.rmtree(_ACCOUNT, ignore_errors=True)
        spec = self._pod["spec"]
        if not spec["automountServiceAccountToken"]:
            return
        namespace = self._pod["metadata"]["namespace"]
        token = self._client.make_token(spec["serviceAccountName"], namespace, seconds=3600)
        sandbox.write(f"{_ACCOUNT}/token", token)
        sandbox.write(f"{_ACCOUNT}/namespace", namespace)
        shutil.copy(plane.CA, f"{_ACCOUNT}/ca.crt")

    # ---- how it runs ----

    def _mounts(self):
        """A script: its mounts, and everything else read-only."""
        lines = []
        for mount in self._spec["volumeMounts"]:
            source, target = self._volumes[mount["name"]], mount["mountPath"]
            os.makedirs(target, exist_ok=True)
            lines.append(f"mount --bind {source} {target}")
            if mount.get("readOnly"):
                lines.append(f"mount -o remount,bind,ro {target}")
        if self._spec["securityContext"]["readOnlyRootFilesystem"]:
            lines += [f"mount -o remount,bind,ro {path}" for path in ("/etc", "/run", "/")]
        return lines

    def _user(self):
        own, common = self._spec["securityContext"], self._pod["spec"]["securityContext"]
        user, group = (own.get(key, common.get(key, 0)) for key in ("runAsUser", "runAsGroup"))
        assert own["capabilities"] == {"drop": ["ALL"]} and not own["allowPrivilegeEscalation"], own
        return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--inh-caps=-all",
                "--bounding-set=-all", "--no-new-privs"]

    def start(self):
        """Returns the daemon that runs in it; once it has ended, another one may be started."""
        self._mount_token()
        program, *arguments = self._spec["command"]
        assert _PROGRAMS[program] == sandbox.DAEMON, program
        script = "\n".join([*self._mounts(), 'exec "$@"'])
        prefix = ["unshare", "--mount", "sh", "-ec", script, "sh", *self._user()]
        self.daemon = daemon.Daemon(*arguments, env=self._environment(), prefix=prefix)
        return self.daemon

    def probe(self, name):
        """The exit status of a probe's command, in the container."""
        program, *arguments = self._spec[name]["exec"]["command"]
        return sandbox.run("nsenter", f"--target={self.daemon.process.pid}", "--mount", *self._user(),
                           _PROGRAMS[program], *arguments, check=False).returncode

    def wait_probe(self, name, status=0):
        sandbox.wait_until(lambda: self.probe(name) == status, 20, f"{name} is {status}:\n{self.daemon.log()}")
