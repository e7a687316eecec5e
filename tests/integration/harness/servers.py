"""Real DNS servers as they stand in clusters and on nodes, in front of knot or with a zone of their own.

Each has start(), stop() and an address; `set_service` changes what it says, wherever that comes from.
"""

import os
import subprocess

from . import dns, sandbox

COREDNS, DNSMASQ, UNBOUND = "10.96.0.21", "10.96.0.22", "10.96.0.23"
_BUILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build-coredns")


def find_coredns():
    """Builds it where need be: (program, None) or (None, why not). To be called outside of the sandbox."""
    result = subprocess.run([_BUILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode == 0:
        return result.stdout.strip(), None
    return None, (result.stderr.strip().splitlines() or ["it can't be built"])[-1]


class Process:
    """A server in the foreground, that is there once it answers for the cluster's zone."""

    name = ""

    def __init__(self, address, command):
        self.address, self.command = address, command
        self.home = f"{sandbox.HOME}/{self.name}"
        self._process = None
        os.makedirs(self.home, exist_ok=True)

    def start(self):
        with open(f"{self.home}/log", "ab") as log:
            self._process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        sandbox.wait_until(lambda: dns.answers(self.address, dns.ZONE, with_soa=False) or self._process.poll() is not None, 30,
                           f"{self.name} answers")
        assert self._process.poll() is None, f"{self.name} ended:\n{self.log()}"
        return self

    def stop(self):
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self):
        with open(f"{self.home}/log", errors="replace") as file:
            return file.read()


class _InFrontOfKnot(Process):
    def __init__(self, address, command, knot):
        super().__init__(address, command)
        self._knot = knot

    def set_service(self, service, addresses, ttl=1):
        self._knot.set_service(service, addresses, ttl)


class CoreDNSFile(Process):
    """CoreDNS with the zone in a file, and answers in another order each time, as in clusters."""

    name = "coredns-file"

    def __init__(self, program, services, address=COREDNS):
        super().__init__(address, [program, "-conf", f"{sandbox.HOME}/{self.name}/Corefile", "-quiet"])
        self._services, self._serial = dict(services), 1
        sandbox.write(f"{self.home}/Corefile", f"""\
{dns.ZONE}:53 {{
    bind {address}
    file {self.home}/zone {{
        reload 500ms
    }}
    loadbalance
    errors
}}
""")
        self._write()

    def _write(self):
        records = {dns.service_name(s): (ttl, {("AAAA" if ":" in a else "A", a) for a in addresses})
                   for s, (addresses, ttl) in self._services.items()}
        sandbox.write(f"{self.home}/zone", dns.zone_file(dns.ZONE, records, self._serial))

    def set_service(self, service, addresses, ttl=1):
        self._services[service] = (addresses, ttl)
        self._serial += 1
        self._write()


class CoreDNSHosts(Process):
    """CoreDNS with a hosts file. It has no SOA: it can't say that there is no such name."""

    name = "coredns-hosts"

    def __init__(self, program, services, address=COREDNS):
        super().__init__(address, [program, "-conf", f"{sandbox.HOME}/{self.name}/Corefile", "-quiet"])
        self._services = {service: addresses for service, (addresses, _) in services.items()}
        sandbox.write(f"{self.home}/Corefile", f"""\
.:53 {{
    bind {address}
    hosts {self.home}/hosts {{
        ttl 1
        reload 500ms
    }}
    loadbalance
    errors
}}
""")
        self._write()

    def _write(self):
        lines = [f"{sandbox.DNS_SERVER} {dns.ZONE}\n"]
        lines += [f"{a} {dns.service_name(s).rstrip('.')}\n" for s, addresses in self._services.items() for a in addresses]
        sandbox.write(f"{self.home}/hosts", "".join(lines))

    def set_service(self, service, addresses, ttl=1):
        self._services[service] = addresses
        self._write()


class CoreDNSCache(_InFrontOfKnot):
    """CoreDNS as a cache on the node, in front of the cluster's server: NodeLocal DNSCache's Corefile for the cluster."""

    name = "coredns-cache"

    def __init__(self, program, knot, address=COREDNS):
        super().__init__(address, [program, "-conf", f"{sandbox.HOME}/{self.name}/Corefile", "-quiet"], knot)
        sandbox.write(f"{self.home}/Corefile", f"""\
{dns.ZONE}:53 {{
    errors
    cache {{
        success 9984 30
        denial 9984 5
    }}
    reload
    loop
    bind {address}
    forward . {knot.address} {{
        force_tcp
    }}
}}
""")


class Dnsmasq(_InFrontOfKnot):
    name = "dnsmasq"

    def __init__(self, knot, address=DNSMASQ):
        super().__init__(address, [
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=",
            "--user=root", f"--listen-address={address}", "--bind-interfaces", f"--server=/{dns.ZONE}/{knot.address}"], knot)


class Unbound(_InFrontOfKnot):
    name = "unbound"

    def __init__(self, knot, address=UNBOUND):
        super().__init__(address, ["unbound", "-d", "-p", "-c", f"{sandbox.HOME}/{self.name}/unbound.conf"], knot)
        sandbox.write(f"{self.home}/unbound.conf", f"""\
server:
    interface: {address}
    access-control: 0.0.0.0/0 allow
    do-not-query-localhost: no
    do-ip6: no
    module-config: "iterator"
    chroot: ""
    username: ""
    pidfile: ""
    directory: "{self.home}"
    use-syslog: no
    num-threads: 1
    infra-host-ttl: 1
    local-zone: "{dns.ZONE}" transparent
stub-zone:
    name: "{dns.ZONE}"
    stub-addr: {knot.address}
    stub-no-cache: no
remote-control:
    control-enable: no
""")
