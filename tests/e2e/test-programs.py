"""The programs in whose place this stands, with their own libraries, on a control plane with pods that answer.

    test-programs.py dns|kubernetes [REGULAR EXPRESSION]
"""

import collections
import sys

from cluster import plane, residents, source
from cluster.churn import Workload
from harness import lab, sandbox, tap
from harness.api import Api

NAME = sys.argv[1]
PORTS = (("micro", 8080), ("grpc", 9090))
GREETER, NUMBERED, BALANCED = "greeter.shop", "service-b.k8s-example2", "balanced.shop"
SECTIONS = {
    GREETER: "",
    NUMBERED: "port = 3000+\n",
    BALANCED: "answers = all\n",
}
# gRPC's own resolver does not look a name up again within 30 s.
GRPC_PATIENCE = 40

suite = tap.Suite()


class Scene:
    def __init__(self):
        self.plane = plane.Plane().start()
        client = self.plane.client
        self.residents = residents.Residents(client)
        self.greeter = Workload(client, "Deployment", "greeter", "shop")
        self.balanced = Workload(client, "Deployment", "balanced", "shop")
        self.numbered = Workload(client, "StatefulSet", "service-b", "k8s-example2")
        for workload in self.greeter, self.balanced:
            workload.create(3, ports=PORTS)
        self.numbered.create(3, ports=(("base", 3000),))
        self.residents.wait()
        sandbox.nsswitch("files k8shsvc dns")
        self.source = source.make(NAME, self.plane, SECTIONS)
        self.daemon = self.source.start_daemon(SECTIONS)
        self.api = Api()
        self.wait_known()

    def wait_known(self):
        """Until the table has what the API has."""
        for workload, name in (self.greeter, GREETER), (self.balanced, BALANCED), (self.numbered, NUMBERED):
            self.residents.wait()
            sandbox.wait_until(lambda w=workload, n=name: set(self.api.lookup(n, "ipv4")) == w.addresses(),
                               self.source.empty_bound + 5, f"the table has the pods of {name}")


def spread(answers):
    return dict(collections.Counter(answers))


def micro_client(*arguments):
    return residents.Conversation(residents.program("micro-client"), *arguments)


def grpc_client(*arguments):
    return residents.Conversation(residents.program("grpc-client"), *arguments)


# ---- go-micro ----

@suite.test("go-micro with --selector=static reaches a service by its name, and all of its pods")
def micro_static():
    with micro_client("--selector=static") as client:
        answers = spread(client.ask(f"{GREETER} 60"))
    tap.comment(answers)
    assert set(answers) == scene.greeter.addresses(), answers
    assert max(answers.values()) <= 26, answers


@suite.test("go-micro: 60 programs, one call each, are spread over all pods")
def micro_processes():
    answers = []
    for _ in range(60):
        with micro_client("--selector=static") as client:
            answers += client.ask(f"{GREETER} 1")
    tap.comment(spread(answers))
    assert set(answers) == scene.greeter.addresses(), spread(answers)
    assert max(spread(answers).values()) <= 40, spread(answers)


@suite.test("go-micro: a program that goes on reaches the new pods after a rolling update")
def micro_rolls():
    with micro_client("--selector=static") as client:
        tap.comment(spread(client.ask(f"{GREETER} 60")))
        scene.greeter.roll()
        scene.wait_known()
        tap.comment(spread(client.ask(f"{GREETER} 60")))  # some by connections that it has kept, to pods that are gone
        answers = spread(client.ask(f"{GREETER} 60"))
    tap.comment(answers)
    assert set(answers) == scene.greeter.addresses(), answers


# ---- ports by ordinal ----

def numbered():
    """{host name: address}"""
    return {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in scene.numbered.pods()}


def expect_numbered():
    wanted = {address: 3000 + int(name.rsplit("-", 1)[1]) for name, address in numbered().items()}
    sandbox.wait_until(lambda: scene.api.lookup(f"{NUMBERED}:3000+", "ipv4") == wanted, scene.source.empty_bound + 5,
                       f"{NUMBERED} is {wanted}")
    tap.comment(wanted)


@suite.test("base 3000: ip:3000, ip:3001 and ip:3002 of a StatefulSet")
def numbered_three():
    expect_numbered()
    assert sorted(scene.api.lookup(f"{NUMBERED}:3000+").values()) == [3000, 3001, 3002]


@suite.test("base 3000: right again after a scale to 5")
def numbered_five():
    scene.numbered.scale(5)
    expect_numbered()
    assert sorted(scene.api.lookup(f"{NUMBERED}:3000+").values()) == [3000, 3001, 3002, 3003, 3004]


@suite.test("base 3000: right again when a pod has got a new address")
def numbered_moved():
    before = numbered()
    while numbered() == before:  # kwok gives addresses of late pods to new ones
        scene.numbered.delete_pod(scene.numbered.pods()[0])
        scene.numbered.wait_settled()
    expect_numbered()


# ---- gRPC ----

@suite.test("gRPC: ten calls over one channel dialled by name are answered by one pod")
def grpc_first():
    with grpc_client(f"dns:///{GREETER}:9090") as client:
        answers = spread(client.ask("10"))
    tap.comment(answers)
    assert len(answers) == 1 and set(answers) <= scene.greeter.addresses(), answers


@suite.test("gRPC: thirty programs are answered by all pods")
def grpc_many():
    answers = []
    for _ in range(30):
        with grpc_client(f"dns:///{GREETER}:9090") as client:
            answers += client.ask("1")
    tap.comment(spread(answers))
    assert set(answers) == scene.greeter.addresses(), spread(answers)


@suite.test("gRPC: round_robin and answers = all: from all pods, evenly")
def grpc_round_robin():
    with grpc_client(f"dns:///{BALANCED}:9090", "round_robin") as client:
        wait_for_pods(client, scene.balanced.addresses())
        answers = spread(client.ask("30"))
    tap.comment(answers)
    assert set(answers.values()) == {10}, answers


def wait_for_pods(client, addresses, patience=GRPC_PATIENCE):
    """Until the channel's calls are answered by exactly these."""
    sandbox.wait_until(lambda: set(client.ask("30")) == addresses, patience, f"calls are answered by {sorted(addresses)}")


@suite.test("gRPC: a channel does not look the name up again after a scale-up, and does when its pods go")
def grpc_changes():
    with grpc_client(f"dns:///{BALANCED}:9090", "round_robin") as client:
        old = scene.balanced.addresses()
        wait_for_pods(client, old)
        scene.balanced.scale(5)
        scene.wait_known()
        assert set(client.ask("30")) == old, "the new pods are reached at once: gRPC has learnt to ask again"
        scene.balanced.roll()
        scene.wait_known()
        wait_for_pods(client, scene.balanced.addresses())


if __name__ == "__main__":
    plane.programs()
    residents.program("pods")
    sandbox.enter()
    del sys.argv[1]
    scene = lab.set_up(Scene)
    with scene.daemon:
        sys.exit(suite.run())
