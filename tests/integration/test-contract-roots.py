"""The module as it was built here, in other releases of Debian, and behind nscd and nsncd.

What programs get for each state of the table, in every release alike: harness/matrix.py. With roots made
by tests/build-root, which takes the network once.
"""

import sys

from harness import lab, matrix, probe, roots, sandbox, tap

suite = tap.Suite()


def root_of(release):
    if release not in placed:
        raise tap.Skip(f"there is no root of {release}")
    return placed[release]


@suite.each("{0}: {1}: hosts: {2}", [(release, condition, hosts) for release in roots.RELEASES
                                     for condition in matrix.CONDITIONS for hosts in matrix.LINES])
def states(release, condition, hosts):
    root = root_of(release)
    root.configure(hosts)
    matrix.check(living, condition, hosts, *root.command())


@suite.each("{0}: no run directory: hosts: {1}", [(release, hosts) for release in roots.RELEASES for hosts in matrix.LINES])
def no_directory(release, hosts):
    root = root_of(release)
    root.configure(hosts)
    root.hide_table()
    try:
        found = matrix.cells(*root.command())
    finally:
        root.show_table()
    matrix.expect(found, hosts, matrix.UNUSABLE)


@suite.each("{0}: every address has its turn, in one process and in many", [(release,) for release in roots.RELEASES])
def rotation(release):
    root = root_of(release)
    root.configure(matrix.BEHIND)
    matrix.expect_rotation(*root.command())
    matrix.expect_lone_rotation(*root.command())


# ---- reverse lookups ----

@suite.each("{0}: getnameinfo: dns is asked", [(release,) for release in roots.RELEASES])
def reverse(release):
    root = root_of(release)
    root.configure(matrix.BEHIND)
    matrix.expect_reverse(matrix.BEHIND, *root.command())


@suite.each("{0}: getnameinfo: a numeric address where nobody has a name", [(release,) for release in roots.RELEASES])
def reverse_alone(release):
    if not matrix.module_has_reverse():
        raise tap.Skip("the module exports no reverse lookups")
    root = root_of(release)
    root.configure(matrix.ALONE)
    matrix.expect_reverse(matrix.ALONE, *root.command())


# ---- behind a cache ----

CACHES = {"nscd": ("bookworm", "nscd", "-F"), "nsncd": ("trixie", "/usr/libexec/nsncd")}


def cache_in(name):
    release, *command = CACHES[name]
    root = root_of(release)
    return root, roots.Cache(root, *command)


@suite.each("{0}: hosts: {1}", [(cache, hosts) for cache in CACHES for hosts in matrix.LINES])
def behind_cache(name, hosts):
    root, cache = cache_in(name)
    root.configure(hosts)
    with cache:
        for _ in range(2):
            matrix.expect(matrix.cells(*root.client()), hosts, cached=True)
        assert cache.alive


@suite.each("{0}: every address has its turn: nothing is cached", [(cache,) for cache in CACHES])
def rotation_behind_cache(name):
    root, cache = cache_in(name)
    root.configure(matrix.BEHIND)
    with cache:
        matrix.expect_rotation(*root.client())
        if name != "nscd":
            matrix.expect_lone_rotation(*root.client())
        assert cache.alive


@suite.test("nscd: a lone IPv4 address is kept until nscd tidies up (15 s), not for an hour")
def lone_address_behind_nscd():
    """nscd's gethostbyname cache keeps what has one address, and looks at the ttl (0) only when it tidies up."""
    root, cache = cache_in("nscd")
    root.configure(matrix.BEHIND)
    with cache:
        first = matrix.by_gethostbyname("single.sweep", 10, *root.client())
        sandbox.wait_until(lambda: matrix.by_gethostbyname("single.sweep", 10, *root.client()) != first, 120,
                           "the next address has its turn")
        assert cache.alive


@suite.each("{0}: a table that comes, goes silent, is replaced and goes, under the running cache",
            [(cache,) for cache in CACHES])
def table_under_cache(name):
    root, cache = cache_in(name)
    root.configure(matrix.BEHIND)
    name = f"all-2-2.sweep.{matrix.DOMAIN}"

    def answers():
        found = probe.ask([("getaddrinfo", name, None, matrix.UNSPEC, matrix.STREAM, 0, 0)], *root.client())
        return matrix.classify(found[0])

    matrix.put_aside()
    with cache:
        try:
            assert answers() == "dns 1+1"
        finally:
            matrix.put_back()
        sandbox.wait_until(lambda: answers() == "table 2+2", 20, "the table is found")
        living.tell("renew")
        assert answers() == "table 2+2"
        try:
            living.tell("silent 1200")
            sandbox.wait_until(lambda: answers() == "dns 1+1", 20, "the table is given up")
        finally:
            living.tell("alive")
        sandbox.wait_until(lambda: answers() == "table 2+2", 20, "the table is trusted again")
        assert cache.alive


@suite.each("{0}: getnameinfo", [(cache,) for cache in CACHES])
def reverse_behind_cache(name):
    root, cache = cache_in(name)
    root.configure(matrix.BEHIND)
    with cache:
        matrix.expect_reverse(matrix.BEHIND, *root.client())
        assert cache.alive


# ---- with an index from addresses to services, from here on ----

@suite.each("{0}: getnameinfo with reverse = yes: the pod's name", [(release,) for release in roots.RELEASES])
def reverse_of_pods(release):
    if not matrix.module_has_reverse():
        raise tap.Skip("the module exports no reverse lookups")
    root = root_of(release)
    living.tell("reverse")
    for hosts in matrix.LINES:
        root.configure(hosts)
        assert matrix.pod_names(*root.command()) == matrix.POD_NAMES


def set_up():
    matrix.start_dns()
    sandbox.make_rundir()
    for release in roots.RELEASES:
        if roots.made(release):
            placed[release] = roots.Root(release)
            tap.comment(f"{release}: glibc {placed[release].glibc()}")


placed = {}

if __name__ == "__main__":
    for name in roots.RELEASES:
        roots.made(name)
    sandbox.enter()
    matrix.require_tools()
    lab.set_up(set_up)
    with matrix.Table() as living:
        sys.exit(suite.run())
