"""What programs get from this machine's glibc in each state of the table.

The rules are in harness/matrix.py; test-contract-roots.py (suite slow) holds other releases to them, and
test-contract-daemon.py tables of the daemon's own.
"""

import sys

from harness import lab, matrix, sandbox, tap

suite = tap.Suite()

@suite.each("{0}: hosts: {1}", [("a living table", hosts) for hosts in matrix.LINES] +
            [(condition, matrix.BEHIND) for condition in list(matrix.CONDITIONS)[1:]] +
            [("dead for 20 minutes", matrix.ALONE), ("dead for 20 minutes", matrix.ENDS), ("no table", matrix.ENDS)])
def states(condition, hosts):
    sandbox.nsswitch(hosts)
    with matrix.Table() as living:
        matrix.check(living, condition, hosts)


@suite.test("every address has its turn, in one process and in many")
def rotation():
    sandbox.nsswitch(matrix.BEHIND)
    with matrix.Table():
        matrix.expect_rotation()
        matrix.expect_lone_rotation()


@suite.test("getnameinfo: dns is asked")
def reverse():
    sandbox.nsswitch(matrix.BEHIND)
    with matrix.Table():
        matrix.expect_reverse(matrix.BEHIND)


def require_reverse():
    if not matrix.module_has_reverse():
        raise tap.Skip("the module exports no reverse lookups")


@suite.test("getnameinfo: a numeric address where nobody has a name")
def reverse_alone():
    require_reverse()
    sandbox.nsswitch(matrix.ALONE)
    with matrix.Table():
        matrix.expect_reverse(matrix.ALONE)


@suite.test("getnameinfo with reverse = yes: the pod's name")
def reverse_of_pods():
    require_reverse()
    with matrix.Table() as living:
        living.tell("reverse")
        for hosts in matrix.LINES:
            sandbox.nsswitch(hosts)
            assert matrix.pod_names() == matrix.POD_NAMES


if __name__ == "__main__":
    sandbox.enter()
    matrix.require_tools()
    lab.set_up(matrix.start_dns)
    sys.exit(suite.run())
