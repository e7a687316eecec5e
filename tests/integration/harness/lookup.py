"""Lookups by glibc, each in a process of its own, as all programs make them.

Nothing is looked up in the test's own process: before glibc 2.33 a process read nsswitch.conf once.
"""

from collections import namedtuple

from . import sandbox

# error is "" or the name of getaddrinfo's error; addresses are in the order that the program sees
Answer = namedtuple("Answer", "error canon addresses")

# A lookup that takes so many seconds is one that never ends.
HANGS = 60

_FAMILY = {"any": "0", "ipv4": "4", "ipv6": "6"}


def _parse(line):
    if line.startswith("!"):
        return Answer(line[1:].strip(), "", ())
    canon, *addresses = line.split()
    return Answer("", "" if canon == "-" else canon, tuple(addresses))


def resolve_many(names, family="any", count=1, call="getaddrinfo", canon=False, addrconfig=False, user=None):
    """Looks names up in one new process: an Answer for each name and time."""
    command = [sandbox.RESOLVE, "-f", _FAMILY[family], "-n", str(count), "-m", call]
    command += ["-c"] * canon + ["-a"] * addrconfig + ["--", *names]
    result = sandbox.run(*command, check=False, user=user, timeout=HANGS)
    assert result.returncode >= 0, f"{' '.join(command)}: killed by signal {-result.returncode}"
    assert result.returncode == 0, f"{' '.join(command)}: {result.stderr}"
    answers = [_parse(line) for line in result.stdout.splitlines()]
    assert len(answers) == len(names) * count, f"{' '.join(command)}: {result.stdout}"
    return answers


def resolve(name, **options):
    return resolve_many([name], **options)[0]


def addresses(name, **options):
    """The set of addresses of a name; empty where there are none, whatever the reason."""
    return set(resolve(name, **options).addresses)


def getent(database, name):
    """The addresses that `getent DATABASE NAME` prints, in order, and its first line."""
    result = sandbox.run("getent", database, name, check=False, timeout=HANGS)
    assert result.returncode in (0, 2), f"getent {database} {name}: {result}"
    lines = result.stdout.splitlines()
    # ahosts prints each address once for each socket type
    unique = dict.fromkeys(line.split()[0] for line in lines)
    return list(unique), lines[0].split() if lines else []
