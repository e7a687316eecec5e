"""Unmodified programs look the service up, connect, and reach all of its pods."""

import sys

from harness import daemon, lab, pods, sandbox, stats, tap

suite = tap.Suite()

EIGHT = lab.pods(10, 8)
SIX = lab.pods(10, 4, six=True)
URL = f"http://user-svc.default.svc.cluster.local:{pods.PORT}/"
URL6 = f"http://six-svc.default.svc.cluster.local:{pods.PORT}/"
REQUESTS = 200

PYTHON = """
import sys, urllib.request
for i in range(int(sys.argv[2])):
    print(urllib.request.urlopen(sys.argv[1]).read().decode().strip())
"""

# Each request on a connection of its own.
NODE_HTTP = """
const http = require("http");
const get = () => new Promise((done, fail) => http.get(process.argv[1], { agent: false }, (response) => {
    let body = "";
    response.on("data", (data) => body += data);
    response.on("end", () => done(body.trim()));
}).on("error", fail));
(async () => { for (let i = 0; i < process.argv[2]; i++) console.log(await get()); })();
"""

NODE_LOOKUP = """
const dns = require("dns").promises;
(async () => {
    for (let i = 0; i < process.argv[2]; i++) console.log((await dns.lookup(process.argv[1])).address);
})();
"""

PERL = """
use IO::Socket::INET;
for (1 .. $ARGV[0]) {
    my $s = IO::Socket::INET->new(PeerAddr => "user-svc.default", PeerPort => 8080) or die "connect: $@";
    print $s->peerhost, "\\n";
}
"""

SHELL = """
for i in $(seq "$1"); do
    exec 3<>/dev/tcp/user-svc.default/8080 || exit 1
    printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3
    tail -n 1 <&3
done
"""


def reached(*command):
    """The addresses that a program prints, one for each connection that it made."""
    program = command[0]
    if not sandbox.have(program):
        raise tap.Skip(f"{program} is not installed")
    return sandbox.run(*command).stdout.split()


@suite.test("curl, a process for each request")
def curl():
    draws = [reached("curl", "-sS", "--noproxy", "*", URL)[0] for _ in range(REQUESTS)]
    stats.assert_even(draws, EIGHT)


@suite.test("curl -6 to a service with IPv6 addresses")
def curl_ipv6():
    draws = [reached("curl", "-sS", "--noproxy", "*", "-6", URL6)[0] for _ in range(REQUESTS // 2)]
    stats.assert_even(draws, SIX)


@suite.test("curl -v shows the address that it connects to")
def curl_verbose():
    if not sandbox.have("curl"):
        raise tap.Skip("curl is not installed")
    result = sandbox.run("curl", "-sS", "-v", "--noproxy", "*", URL)
    assert f"({result.stdout.strip()}) port {pods.PORT}" in result.stderr, result.stderr


@suite.test("python3 urllib")
def python():
    stats.assert_even(reached(sys.executable, "-c", PYTHON, URL, str(REQUESTS)), EIGHT)


@suite.test("node http.get")
def node_http():
    stats.assert_even(reached("node", "-e", NODE_HTTP, URL, str(REQUESTS)), EIGHT)


@suite.test("node dns.lookup")
def node_lookup():
    stats.assert_even(reached("node", "-e", NODE_LOOKUP, "user-svc.default", str(REQUESTS)), EIGHT)


@suite.test("perl IO::Socket::INET (gethostbyname)")
def perl():
    stats.assert_even(reached("perl", "-e", PERL, str(REQUESTS)), EIGHT)


@suite.test("bash /dev/tcp")
def bash():
    stats.assert_even(reached("bash", "-c", SHELL, "bash", str(REQUESTS)), EIGHT)


@suite.test("curl as another user")
def as_nobody():
    if not sandbox.have("curl"):
        raise tap.Skip("curl is not installed")
    result = sandbox.run("curl", "-sS", "--noproxy", "*", URL, user=sandbox.NOBODY)
    assert result.stdout.strip() in EIGHT


def set_up():
    sandbox.nsswitch("k8shsvc")
    sandbox.add_pod_addresses(EIGHT + SIX)
    pods.start()
    lab.start_dns({"user-svc.default": (EIGHT, 5), "six-svc.default": (SIX, 5)})
    daemon.configure("[daemon]\nsource = dns\n[service user-svc.default]\nanswers = single\n"
                     "[service six-svc.default]\nanswers = single\n")
    return lab.start_daemon("user-svc.default", "six-svc.default")


if __name__ == "__main__":
    sandbox.enter()
    with lab.set_up(set_up):
        sys.exit(suite.run())
