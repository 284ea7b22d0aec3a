"""Hosts on one switch: what a real ospfd (10.3, point-to-multipoint) says of two neighbours on one NIC."""

from dataclasses import replace
from pathlib import Path

from meshctl.roles.frr import parse
from meshctl.roles.frr.judge import Look, judge
from meshctl.roles.frr.ospf import Ospf
from meshctl.roles.frr.parse import Adjacency, BfdPeer, Route
from tests.roles import golden

MESH = golden.topology("switched")
NODE1 = MESH.node("node1")
ANSWERS = parse.answers((Path(__file__).parent / "data/switched-node1.txt").read_text())
ADJACENCIES = (
    Adjacency("10.50.7.2", "192.168.17.2", "eth1", "Full"),
    Adjacency("10.50.7.3", "192.168.17.3", "eth1", "Full"),
)
BFD = tuple(BfdPeer(f"192.168.17.{n}", "eth1", "up") for n in (2, 3))
ROUTES = tuple(Route(f"10.50.7.{n}", "ospf", "10.50.7.1") for n in (2, 3))
HEALTHY = Look({"OSPF": ADJACENCIES}, BFD, ROUTES)


def said(look: Look) -> list[str]:
    return [problem.what for problem in judge(MESH, NODE1, look)]


def test_every_other_host_is_a_full_neighbour_on_the_same_nic() -> None:
    assert Ospf().adjacencies(ANSWERS) == ADJACENCIES
    assert said(HEALTHY) == []


def test_the_pair_that_does_not_hear_each_other_is_named() -> None:
    """Traffic goes over a third host then, and a ping to the neighbour's address, too."""
    assert said(replace(HEALTHY, adjacencies={"OSPF": ADJACENCIES[:1]}, bfd=BFD[:1])) == [
        "OSPF adjacency with node3 on eth1",
        "BFD session with node3 on eth1",
    ]


def test_nic_is_configured_once() -> None:
    conf = (Path(__file__).parent / "golden/switched/node1.txt").read_text()
    assert conf.count("interface eth1\n ip ospf") == 1
    assert conf.count(" peer 192.168.17.") == 2
