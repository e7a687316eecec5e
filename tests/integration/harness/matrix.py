"""What programs get for a name in each state of the table, through every call and hosts line: the rules.

The rules are those of glibc for what the module says (status and h_errno); they are the same in all
versions from 2.31 to 2.43. The table is that of tests/contract/services.h, and behind it is a DNS server
that has other addresses for all of its names.
"""

import ctypes
import ipaddress
import os
import socket
import subprocess
from collections import namedtuple

from . import probe, sandbox, table, tap

DOMAIN = "svc.cluster.local"
DNS4, DNS6 = "192.0.2.1", "2001:db8::1"

# ---- the table ----


class Table:
    """contract-table: a table in every state, looked after in the background."""

    def __enter__(self):
        sandbox.make_rundir()
        self._process = subprocess.Popen([os.environ["K8SHSVC_TEST_TABLE"], sandbox.RUNDIR], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self._wait()
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        sandbox.remove_table()

    def _wait(self):
        assert self._process.stdout.readline() == "ready\n", "the table's program is gone"

    def tell(self, command):
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        self._wait()


def start_dns(*services):
    """dnsmasq: two addresses for each name of the table and more, a name for some addresses, nothing else."""
    known = [service for service, *_ in STATES] + list(services)
    hosts = [f"--host-record={service}.{DOMAIN},{DNS4},{DNS6}" for service in known]
    pointers = [f"--ptr-record={pointer},{DNS_POD}" for pointer in POINTERS]
    process = subprocess.Popen(["dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--local=/#/", "-u", "root",
                                f"--listen-address={sandbox.DNS_SERVER}", "--bind-interfaces", "--pid-file=",
                                "--log-facility=-", *hosts, *pointers], stderr=subprocess.DEVNULL)
    sandbox.wait_until(lambda: process.poll() is not None or _listens(), 20, "dnsmasq answers")
    assert process.poll() is None, "dnsmasq does not start"


def _listens():
    with socket.socket() as channel:
        return channel.connect_ex((sandbox.DNS_SERVER, 53)) == 0


# ---- states ----

# What the module says for one family: so many addresses, or status and h_errno.
Found = namedtuple("Found", "n4 n6")
NONE = "NOTFOUND, HOST_NOT_FOUND"
OTHER = "NOTFOUND, NO_DATA"
UNKNOWN = "UNAVAIL, NO_RECOVERY"
FOREIGN = "UNAVAIL, HOST_NOT_FOUND"

UNSPEC, INET, INET6 = int(socket.AF_UNSPEC), int(socket.AF_INET), int(socket.AF_INET6)


def _row(service, title, unspec, inet, inet6):
    return service, title, {UNSPEC: unspec, INET: inet, INET6: inet6}


# service, what it is, what the module says to each family
STATES = [
    _row("all-2-2.sweep", "fresh", Found(2, 2), Found(2, 0), Found(0, 2)),
    _row("single.sweep", "fresh, single", Found(1, 1), Found(1, 0), Found(0, 1)),
    _row("all-100-100.sweep", "fresh, 200 addresses", Found(100, 100), Found(100, 0), Found(0, 100)),
    _row("stale.sweep", "stale", Found(3, 3), Found(3, 0), Found(0, 3)),
    _row("all-0-0.sweep", "empty", NONE, NONE, NONE),
    _row("all-2-0.sweep", "without IPv6", Found(2, 0), Found(2, 0), OTHER),
    _row("all-0-2.sweep", "without IPv4", Found(0, 2), OTHER, Found(0, 2)),
    _row("half.sweep", "IPv6 never resolved", Found(3, 0), Found(3, 0), UNKNOWN),
    _row("none4.sweep", "without IPv4, IPv6 never resolved", UNKNOWN, NONE, UNKNOWN),
    _row("pending.sweep", "pending", UNKNOWN, UNKNOWN, UNKNOWN),
    _row("expired.sweep", "expired", UNKNOWN, UNKNOWN, UNKNOWN),
    _row("other.sweep", "not registered", FOREIGN, FOREIGN, FOREIGN),
    _row("pod-1.pods.sweep", "a pod", Found(1, 1), Found(1, 0), Found(0, 1)),
    _row("pod-9.pods.sweep", "a pod that is not there", NONE, NONE, NONE),
    _row("pod-1.some.sweep", "a pod, not all hosts known", FOREIGN, FOREIGN, FOREIGN),
    _row("pod-1.all-2-2.sweep", "a pod, hosts not known", FOREIGN, FOREIGN, FOREIGN),
]
UNUSABLE = {UNSPEC: UNKNOWN, INET: UNKNOWN, INET6: UNKNOWN}

# ---- hosts lines ----

ALONE, BEHIND, ENDS = "k8shsvc", "k8shsvc dns", "k8shsvc [NOTFOUND=return] dns"
LINES = (ALONE, BEHIND, ENDS)

# ---- requests: everything that programs call ----

CANON, ADDRCONFIG = int(socket.AI_CANONNAME), int(socket.AI_ADDRCONFIG)
STREAM = int(socket.SOCK_STREAM)


def _gai(family, flags=0):
    return lambda name: ("getaddrinfo", name, None, family, STREAM, 0, flags)


# title -> the family that the module is asked for, the query
REQUESTS = {
    "any": (UNSPEC, _gai(UNSPEC)),
    "any, canon": (UNSPEC, _gai(UNSPEC, CANON)),
    "any, addrconfig": (UNSPEC, _gai(UNSPEC, ADDRCONFIG)),
    "ipv4": (INET, _gai(INET)),
    "ipv4, canon": (INET, _gai(INET, CANON)),
    "ipv6": (INET6, _gai(INET6)),
    "ipv6, canon": (INET6, _gai(INET6, CANON)),
    "gethostbyname_ex": (INET, lambda name: ("gethostbyname_ex", name)),
    "gethostbyname": (INET, lambda name: ("gethostbyname", name)),
}


def _goes_on(said, hosts):
    return hosts == BEHIND or (hosts == ENDS and said in (UNKNOWN, FOREIGN))


# What getaddrinfo() makes of a failure of the last source.
_ERRORS = {NONE: "EAI_NONAME", OTHER: "EAI_NODATA", UNKNOWN: "EAI_NONAME", FOREIGN: "EAI_NONAME"}


def _error(request, said):
    if request == "gethostbyname":
        return "undef"
    # without AI_CANONNAME: the way of gethostbyname2_r(), where errno counts, and misleads
    if request in ("ipv4", "gethostbyname_ex") and said in (UNKNOWN, FOREIGN):
        return "EAI_NODATA"
    return _ERRORS[said]


# Through nscd's protocol these ask for both families, and glibc takes what it wants of the answer.
_OF_BOTH = ("ipv4, canon", "ipv6", "ipv6, canon")


def _through_cache(request, by_family):
    said, family = by_family[UNSPEC], REQUESTS[request][0]
    if request not in _OF_BOTH:
        return by_family[family]
    if not isinstance(said, Found):
        return said
    n = said.n4 if family == INET else said.n6
    return Found(said.n4 * (family == INET), said.n6 * (family == INET6)) if n else _NOT_OF_THE_FAMILY


# No source's word: the lookup has had an answer.
_NOT_OF_THE_FAMILY = ""


def expected(hosts, request, service, by_family, cached=False):
    """The cell of the matrix, as classify() would write it; cached: through nscd or nsncd."""
    family = REQUESTS[request][0]
    said = _through_cache(request, by_family) if cached else by_family[family]
    if said == _NOT_OF_THE_FAMILY:
        return "EAI_NONAME"
    if isinstance(said, Found):
        who, n4, n6 = "table", said.n4, said.n6
    elif _goes_on(said, hosts):
        who, n4, n6 = "dns", int(family != INET6), int(family != INET)
    else:
        return _error(request, said)
    named = "canon" in request or request.startswith("gethostbyname")
    return f"{who} {n4}+{n6}" + (f" {service}.{DOMAIN}" if named else "")


def classify(answer):
    """Whose addresses, how many of either family, and under which name if one was given; or the error."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer[0], tuple):
        canon, addresses = answer[0][3], [entry[4][0] for entry in answer]
    else:
        canon, addresses = answer[0], answer[-1]
    whose = {"dns" if a in (DNS4, DNS6) else "table" if a.startswith(("10.", "fd00:")) else a for a in addresses}
    twice = "" if len(set(addresses)) == len(addresses) else " twice"
    n6 = sum(":" in a for a in addresses)
    return f"{' and '.join(sorted(whose))} {len(addresses) - n6}+{n6}{twice}" + (f" {canon}" if canon else "")


def cells(*command, states=STATES):
    """{(service, request): what a program gets}, in one process by way of `command`."""
    keys = [(service, request) for service, *_ in states for request in REQUESTS]
    queries = [REQUESTS[request][1](f"{service}.{DOMAIN}") for service, request in keys]
    return dict(zip(keys, map(classify, probe.ask(queries, *command))))


def _is_error(cell):
    return " " not in cell


def differences(found, hosts, said=None, cached=False, states=STATES):
    """Where the cells are not as they must be; said: what the module says to all names alike."""
    wrong = []
    for service, title, by_family in states:
        for request in REQUESTS:
            cell, wanted = found[service, request], expected(hosts, request, service, said or by_family, cached)
            # not every error comes through a cache as it was
            if cell != wanted and not (cached and _is_error(cell) and _is_error(wanted)):
                wrong.append(f"{title}: {request}: {cell}, not {wanted}")
    return wrong


def lines(found):
    """The matrix for people."""
    short = {cell: cell.split(f" {service}.")[0] for (service, _), cell in found.items() if f" {service}." in cell}
    for service, title, _ in STATES:
        row = (f"{request}: {short.get(found[service, request], found[service, request])}" for request in REQUESTS)
        yield f"{title}: " + "; ".join(row)


# ---- addresses ----

# Pods of all-2-2.sweep, and what dns says they are.
POD4, POD6 = "10.0.192.1", "fd00:6::1"
DNS_POD = "pod.dns.test"
POINTERS = tuple(ipaddress.ip_address(pod).reverse_pointer for pod in (POD4, POD6))

_NUMERIC, _NAMED = int(socket.NI_NUMERICHOST), int(socket.NI_NAMEREQD)


def expect_reverse(hosts, *command):
    """getnameinfo() of the pods: the table tells no names unless it is asked to, dns does."""
    queries = [("getnameinfo", pod, flags) for pod in (POD4, POD6) for flags in (0, _NAMED, _NUMERIC)]
    wanted = [name for pod in (POD4, POD6)
              for name in ((DNS_POD, DNS_POD, pod) if _goes_on(FOREIGN, hosts) else (pod, "EAI_NONAME", pod))]
    found = [answer[0] if isinstance(answer, tuple) else answer for answer in probe.ask(queries, *command)]
    assert found == wanted, f"{found}, not {wanted}: {queries}"


def module_has_reverse():
    return hasattr(ctypes.CDLL(os.environ["K8SHSVC_TEST_MODULE"]), "_nss_k8shsvc_gethostbyaddr_r")


def pod_names(*command):
    """What getnameinfo() says of the pods."""
    answers = probe.ask([("getnameinfo", pod, _NAMED) for pod in (POD4, POD6)], *command)
    return [answer[0] if isinstance(answer, tuple) else answer for answer in answers]


POD_NAMES = [f"{pod.replace('.', '-').replace(':', '-')}.all-2-2.sweep.{DOMAIN}" for pod in (POD4, POD6)]

# ---- what is in the place of the table ----

_ASIDE = f"{sandbox.HOME}/table-aside"


def _nothing(_):
    pass


def put_aside(_=None):
    os.rename(sandbox.TABLE, _ASIDE)


def put_back(_=None):
    os.rename(_ASIDE, sandbox.TABLE)


def _silent(seconds):
    return lambda living: living.tell(f"silent {seconds}")


def _alive(living):
    living.tell("alive")


def _replaced(change):
    def before(_):
        put_aside()
        with open(_ASIDE, "rb") as file:
            sandbox.write(sandbox.TABLE, change(file.read()))
    return before


# Title -> before, after (both of the Table), what the module says then to all names
CONDITIONS = {
    "a living table": (_nothing, _nothing, None),
    "silent for 20 s": (_silent(20), _alive, None),
    "dead for 20 minutes": (_silent(1200), _alive, UNUSABLE),
    "no table": (put_aside, put_back, UNUSABLE),
    "an empty file": (_replaced(lambda _: b""), put_back, UNUSABLE),
    "half a file": (_replaced(lambda bytes: bytes[:len(bytes) // 8192 * 4096]), put_back, UNUSABLE),
    "random bytes": (_replaced(lambda bytes: os.urandom(len(bytes))), put_back, UNUSABLE),
    "another version": (_replaced(lambda bytes: table.with_field(bytes, 8, "<H", 2)), put_back, UNUSABLE),
}


def check(living, condition, hosts, *command):
    """The whole matrix, in one process by way of `command`, under one of the conditions."""
    before, after, said = CONDITIONS[condition]
    before(living)
    try:
        found = cells(*command)
    finally:
        after(living)
    if said is None:
        tap.comment("\n".join(lines(found)))
    expect(found, hosts, said)


def expect(found, hosts, said=None, cached=False):
    wrong = differences(found, hosts, said, cached)
    assert not wrong, "\n".join(wrong)


# ---- rotation ----

N = 25  # addresses of a family, of single.sweep and all-25-25.sweep


def by_getaddrinfo(service, n, *command):
    """The first addresses of so many lookups of one process."""
    query = ("getaddrinfo", f"{service}.{DOMAIN}", None, UNSPEC, STREAM, 0, 0)
    return {answer[0][4][0] for answer in probe.ask([query] * n, *command)}


def by_gethostbyname(service, n, *command):
    return {answer[2][0] for answer in probe.ask([("gethostbyname_ex", f"{service}.{DOMAIN}")] * n, *command)}


def expect_rotation(*command):
    """glibc sorts what getaddrinfo() gives, so that only one address of a family shows the rotation there."""
    for found in by_getaddrinfo("single.sweep", 4 * N, *command), by_gethostbyname("all-25-25.sweep", 4 * N, *command):
        assert len(found) == N, f"{len(found)} of {N} addresses: {sorted(found)}"
    fresh = {address for _ in range(20) for address in by_getaddrinfo("single.sweep", 1, *command)}
    assert len(fresh) > 5, f"20 processes got {sorted(fresh)}"


def expect_lone_rotation(*command):
    found = by_gethostbyname("single.sweep", 4 * N, *command)
    assert len(found) == N, f"{len(found)} of {N} addresses: {sorted(found)}"


def require_tools():
    for tool in "dnsmasq", "perl":
        if not sandbox.have(tool):
            tap.skip_all(f"{tool} is not installed")
