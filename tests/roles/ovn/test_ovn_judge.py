from dataclasses import replace

import pytest

from meshctl.roles.ovn.databases import databases
from meshctl.roles.ovn.judge import Look, judge
from meshctl.roles.ovn.parse import Chassis, ClusterStatus
from meshctl.topology import Topology
from tests.roles import golden

MESH = golden.topology("triangle")


def healthy(mesh: Topology = MESH) -> dict[str, Look]:
    first = mesh.nodes[0].name
    looks = {}
    for node in mesh.nodes:
        servers = {
            db.letter: ClusterStatus(
                f"cluster-{db.letter}",
                "cluster member",
                "leader" if node.name == first else "follower",
                "self" if node.name == first else "1cae",
                frozenset(db.raft(other) for other in mesh.nodes),
            )
            for db in databases(mesh)
        }
        looks[node.name] = Look(servers, "active" if node.name == first else "standby", "connected")
    return looks


def all_chassis(mesh: Topology = MESH) -> tuple[Chassis, ...]:
    return tuple(Chassis(node.name, frozenset({("geneve", str(node.loopback))})) for node in mesh.nodes)


def change(looks: dict[str, Look], node: str, **values: object) -> dict[str, Look]:
    """Change the northbound server as one host sees it."""
    look = looks[node]
    status = look.servers["nb"]
    assert status
    return looks | {node: replace(look, servers={**look.servers, "nb": replace(status, **values)})}  # type: ignore[arg-type]


def seen(looks: dict[str, Look]) -> list[tuple[str, str, str]]:
    return [(p.host, p.what, p.seen) for p in judge(MESH, looks, all_chassis())]


@pytest.mark.parametrize("name", ["triangle", "five", "ring", "dual"])
def test_healthy(name: str) -> None:
    mesh = golden.topology(name)
    assert list(judge(mesh, healthy(mesh), all_chassis(mesh))) == []


def test_dead_server() -> None:
    looks = healthy()
    look = looks["node2"]
    looks["node2"] = replace(look, servers={**look.servers, "nb": None})
    assert seen(looks) == [("node2", "OVN_Northbound server", "no answer")]


def test_server_that_waits_to_be_let_in() -> None:
    looks = change(healthy(), "node3", status="joining cluster", leader="unknown")
    assert seen(looks) == [("node3", "OVN_Northbound server", "joining cluster, leader unknown")]


def test_server_without_a_majority() -> None:
    looks = change(healthy(), "node3", role="candidate", leader="unknown")
    assert seen(looks) == [("node3", "OVN_Northbound server", "cluster member, leader unknown")]


def test_voter_too_few_and_voter_without_tls() -> None:
    for servers in (
        {"ssl:10.50.1.1:6643", "ssl:10.50.1.2:6643"},
        {"ssl:10.50.1.1:6643", "ssl:10.50.1.2:6643", "tcp:10.50.1.3:6643"},
    ):
        looks = change(healthy(), "node1", servers=frozenset(servers))
        assert seen(looks) == [("node1", "OVN_Northbound server", ", ".join(sorted(servers)))]


def test_two_clusters_and_two_leaders() -> None:
    looks = change(healthy(), "node3", cluster="another", role="leader", leader="self")
    assert seen(looks) == [("node1", "OVN_Northbound cluster", "leaders: node1, node3; clusters: another, cluster-nb")]


def test_northd() -> None:
    looks = healthy()
    looks["node2"] = replace(looks["node2"], northd="active")
    assert seen(looks) == [("node1", "ovn-northd", "node1, node2")]
    looks["node1"] = replace(looks["node1"], northd="")
    assert seen(looks) == [("node1", "ovn-northd", "no answer")]
    looks["node2"] = replace(looks["node2"], northd="standby")
    assert seen(looks) == [("node1", "ovn-northd", "no answer"), ("node1", "ovn-northd", "none")]


def test_controller() -> None:
    looks = healthy()
    looks["node2"] = replace(looks["node2"], controller="not connected")
    assert seen(looks) == [("node2", "ovn-controller", "not connected")]


@pytest.mark.parametrize(
    ("ends", "found"),
    [
        ([("node1", "10.50.1.1"), ("node3", "10.50.1.3")], ("node2", "not registered")),
        ([("node1", "10.50.1.1"), ("node2", "10.9.9.9"), ("node3", "10.50.1.3")], ("node2", "geneve 10.9.9.9")),
        (
            [("node1", "10.50.1.1"), ("node2", "10.50.1.2"), ("node3", "10.50.1.3"), ("0d62", "10.50.1.3")],
            ("node1", "'0d62', too"),
        ),
    ],
)
def test_chassis(ends: list[tuple[str, str]], found: tuple[str, str]) -> None:
    rows = tuple(Chassis(name, frozenset({("geneve", address)})) for name, address in ends)
    assert [(p.host, p.seen) for p in judge(MESH, healthy(), rows)] == [found]
