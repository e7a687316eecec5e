"""The usual scene of a test: the sandbox, a DNS server with services, and the daemon that follows it."""

import traceback

from . import daemon, dns, lookup, sandbox, tap


def pods(first, count, six=False):
    """Addresses of so many pods, counted from 10.244.0.FIRST or fd00:10:244::FIRST."""
    if six:
        return [f"fd00:10:244::{i:x}" for i in range(first, first + count)]
    return [f"10.244.{i // 256}.{i % 256}" for i in range(first, first + count)]


def answers(*names):
    """Whether the table answers for each of the names."""
    return all(not a.error for a in lookup.resolve_many(names))


def start_daemon(*names, arguments=(), **options):
    """Starts a daemon and waits until it answers for the names (nsswitch.conf must ask k8shsvc alone)."""
    started = daemon.Daemon(*arguments, **options)
    try:
        sandbox.wait_until(lambda: answers(*names) or not started.alive, 20, f"the table answers for {names}")
        assert started.alive, f"the daemon ended:\n{started.log()}"
    except AssertionError:
        tap.comment(started.log())
        started.kill()
        raise
    return started


def wait_addresses(name, addresses):
    """Waits for exactly these: after a start one family may be known before the other."""
    sandbox.wait_until(lambda: lookup.addresses(name) == set(addresses), 20, f"{name} is {sorted(addresses)}")


def set_up(function):
    """Runs what a test program needs before its tests; the program ends where that fails."""
    try:
        return function()
    except Exception as error:
        tap.comment(traceback.format_exc())
        tap.bail_out(f"set-up: {error}")


def start_dns(services):
    """Starts a server that has these services: {"user.default": (addresses, ttl)}."""
    server = dns.Server()
    for service, (addresses, ttl) in services.items():
        server.set_service(service, addresses, ttl)
    return server.start()
