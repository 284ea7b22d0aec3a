"""What FRR says of itself, while one end of a cable has another MTU (real output), and what is made of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.roles.condition import Part, State
from meshctl.roles.frr import parse, status
from meshctl.roles.frr.igp import Interface, Speaker
from meshctl.roles.frr.judge import Look as Routing
from meshctl.roles.frr.parse import Adjacency
from meshctl.roles.frr.status import Look, diagnose, judge
from tests.roles import golden

DATA = Path(__file__).parent / "data"
MESH = golden.topology("triangle")


def captured(node: str) -> Look:
    return status.look(MESH, parse.answers((DATA / f"status-exstart-{node}.txt").read_text()), ())


def look(name: str, **changes: object) -> Look:
    """A healthy host, as ospfd has it."""
    node = MESH.node(name)
    full = tuple(Adjacency(str(MESH.node(p.peer).loopback), str(p.peer_address.ip), p.nic, "Full") for p in node.ports)
    ospf = Speaker(str(node.loopback), False, {port.nic: Interface(10, port.mtu, 10_000) for port in node.ports})
    return Look(Routing({"OSPF": full}, (), ()), {"OSPF": replace(ospf, **changes)})  # type: ignore[arg-type]


def test_captured_output_is_understood() -> None:
    ospf = captured("node1").speakers["OSPF"]
    assert ospf is not None
    assert (ospf.router, ospf.avoided) == ("10.50.1.1", False)
    assert ospf.interfaces["eth1"] == Interface(10, 1400, 10_000)
    assert ospf.interfaces["eth2"] == Interface(10, 1500, 10_000)


@pytest.mark.parametrize("text", ["", "ospfd is not running\n", "[]\n"])
def test_daemons_that_do_not_run_leave_nothing(text: str) -> None:
    found = status.look(MESH, parse.answers(text), ())
    assert (found.routing.adjacencies, found.speakers) == ({"OSPF": None}, {"OSPF": None})


def test_unequal_mtu_is_said_once_by_the_smaller_end() -> None:
    looks = {"node1": captured("node1"), "node2": captured("node2"), "node3": look("node3")}
    assert [(one.disease, one.host, one.evidence) for one in diagnose(MESH, looks)] == [
        (
            "unequal-mtu",
            "node1",
            "node1:eth1 has MTU 1400, node2:eth2 has 1500; the adjacency is ExStart and is stuck",
        )
    ]


def test_a_healthy_mesh_has_none() -> None:
    looks = {name: look(name) for name in ("node1", "node2", "node3")}
    assert list(diagnose(MESH, looks)) == []


def test_a_router_id_of_another_host() -> None:
    looks = {"node1": look("node1"), "node3": look("node3", router="10.50.1.1")}
    assert [(one.disease, one.host) for one in diagnose(MESH, looks)] == [("duplicate-router-id", "node3")]


def test_what_ospf_avoids() -> None:
    dear = {"eth1": Interface(10, 1500, 10_000), "eth2": Interface(5000, 1500, 10_000)}
    looks = {"node1": look("node1", interfaces=dear), "node2": look("node2", avoided=True)}
    found = list(diagnose(MESH, looks))
    assert [(one.disease, one.host, one.evidence) for one in found] == [
        ("traffic-kept-away", "node1", "ospfd has a raised cost on eth2"),
        ("traffic-kept-away", "node2", "ospfd has `max-metric router-lsa administrative`"),
    ]
    assert all(one.leftover for one in found)


def test_a_host_without_any_neighbour_breaks_the_layer() -> None:
    silent = {"node3": Part(State.BROKEN, "host unreachable")}
    lonely = Look(Routing({"OSPF": ()}, (), ()))
    found = judge(MESH, {"node1": look("node1"), "node2": lonely}, silent, {})
    assert found.state is State.BROKEN
    assert found.detail == "2 of 6 adjacencies Full; none on node2"
    assert found.nodes["node3"] == silent["node3"]
