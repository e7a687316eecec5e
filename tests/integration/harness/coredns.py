"""CoreDNS, the DNS server of Kubernetes clusters, with zones from files.

What is in none of its zones does not exist: a cluster's server asks the world's, which says so.
"""

import socket
import subprocess

from . import outside, sandbox, tap

_COREFILE = """\
{zones}
.:53 {{
    bind {address}
    template ANY ANY . {{
        rcode NXDOMAIN
        authority ". 60 IN SOA ns.test. hostmaster.test. 1 60 60 60 60"
    }}
}}
"""
_ZONE = """\
{name}:53 {{
    bind {address}
    file {home}/{name}.zone
}}
"""
_HEAD = """\
$ORIGIN {name}.
@ 5 IN SOA ns.dns hostmaster 1 7200 1800 86400 5
@ 5 IN NS ns.dns
ns.dns 5 IN A {address}
"""


def program():
    """Builds it when that has not been done yet: to be called before sandbox.enter(), too."""
    path = outside.made_by("build-coredns")
    if not path:
        tap.skip_all("CoreDNS can't be built here")
    return path


class Server:
    def __init__(self, zones, address=sandbox.DNS_SERVER, home=f"{sandbox.HOME}/coredns"):
        """zones: {"cluster.local": "lines of a zone file, without SOA and NS"}"""
        self.address = address
        self._process = None
        self._home = home
        for name, lines in zones.items():
            sandbox.write(f"{home}/{name}.zone", _HEAD.format(name=name, address=address) + lines)
        stanzas = "".join(_ZONE.format(name=name, address=address, home=home) for name in zones)
        sandbox.write(f"{home}/Corefile", _COREFILE.format(zones=stanzas, address=address))

    def start(self):
        with open(f"{self._home}/log", "ab") as log:
            self._process = subprocess.Popen([program(), "-conf", f"{self._home}/Corefile"], stdout=log, stderr=log,
                                             stdin=subprocess.DEVNULL)
        sandbox.wait_until(self._listens, 60, "CoreDNS answers")
        return self

    def stop(self):
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self):
        assert self._process.poll() is None, "CoreDNS ended; see its log"
        with socket.socket() as channel:
            return channel.connect_ex((self.address, 53)) == 0
