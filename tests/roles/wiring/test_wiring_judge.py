"""What NICs heard, and what is said about it."""

from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.roles.base import Problem
from meshctl.roles.probing import Ear, ears, end
from meshctl.roles.segments import Kind, segments
from meshctl.roles.wiring.judge import problems
from meshctl.topology import End, Topology, load

TRIANGLE = Path(__file__).parents[3] / "topologies/triangle.yaml"
MESH = [end(f"node{i}:eth{j}") for i in (1, 2, 3) for j in (1, 2)]
_NONE: frozenset[End] = frozenset()
RIGHT = ["node1:eth1 node2:eth2", "node2:eth1 node3:eth2", "node3:eth1 node1:eth2"]


def wired(*cables: str, way: str = "direct", carriers: bool = False, one_way: str = "") -> dict[End, Ear]:
    """What the NICs of three hosts hear; a cable with more than two ends is a switch, `one_way` hears nothing."""
    found = {one: Ear("02:00:00:00:00:01", was_up=False, carrier=carriers) for one in MESH}
    for cable in cables:
        together = [end(text) for text in cable.split()]
        for one in together:
            others = frozenset(together) - {one} if len(together) > 1 else frozenset(together)
            heard = _NONE if str(one) == one_way else others
            direct, bridged = (heard, _NONE) if way == "direct" else (_NONE, heard)
            found[one] = Ear("02:00:00:00:00:01", was_up=False, carrier=True, direct=direct, bridged=bridged)
    return found


def judged(heard: dict[End, Ear], topology: Topology | None = None) -> list[Problem]:
    return problems(topology or load(TRIANGLE), heard)


def said(heard: dict[End, Ear]) -> list[str]:
    return [problem.what for problem in judged(heard)]


def test_right_cables_are_no_problem() -> None:
    assert judged(wired(*RIGHT)) == []


def test_two_plugs_exchanged_on_one_host() -> None:
    one, two = judged(wired(RIGHT[0], "node2:eth1 node3:eth1", "node3:eth2 node1:eth2"))
    assert one.what == "node1:eth2 is plugged into node3:eth2, the topology expects node3:eth1"
    assert two.what == "node2:eth1 is plugged into node3:eth1, the topology expects node3:eth2"
    assert two.advice.splitlines() == [
        "On node3, move this plug from eth1 to eth2, or correct the topology:",
        "cables:",
        "- node2:eth1 <-> node3:eth1    # instead of node2:eth1 <-> node3:eth2",
    ]
    assert two.final


def test_a_plug_in_a_nic_that_the_topology_does_not_name() -> None:
    one, two = judged(wired(*RIGHT[:2], "node3:eth7 node1:eth2"))
    assert one.what == "node1:eth2 is plugged into node3:eth7, the topology expects node3:eth1"
    assert two.what == "node3:eth1 has no link, the topology expects node1:eth2"


def test_two_plugs_exchanged_are_told_from_the_other_hosts() -> None:
    one, two = said(wired("node1:eth1 node3:eth1", "node2:eth2 node1:eth2", RIGHT[1]))
    assert one == "node3:eth1 is plugged into node1:eth1, the topology expects node1:eth2"
    assert two == "node2:eth2 is plugged into node1:eth2, the topology expects node1:eth1"


def test_a_cable_to_the_wrong_host() -> None:
    one, two = judged(wired("node1:eth1 node3:eth7", *RIGHT[1:]))
    assert one.what == "node1:eth1 is plugged into node3:eth7, the topology expects node2:eth2"
    assert one.advice.startswith("Move this plug from node3:eth7 to node2:eth2, or")
    assert two.what == "node2:eth2 has no link, the topology expects node1:eth1"


def test_a_missing_cable() -> None:
    [problem] = judged(wired(*RIGHT[:2]))
    assert problem.what == "the cable node1:eth2 <-> node3:eth1 is missing"
    assert problem.seen == "node1:eth2 has no link; node3:eth1 has no link"


def test_a_silent_cable() -> None:
    [problem] = judged(wired(*RIGHT[:2], carriers=True))
    assert problem.what == "nothing gets through the cable node1:eth2 <-> node3:eth1"


def test_a_loop() -> None:
    loop, *loose = said(wired("node1:eth1 node1:eth2", RIGHT[1]))
    assert loop == "node1:eth1 and node1:eth2 are plugged into each other: a loop"
    assert loose == [
        "node2:eth2 has no link, the topology expects node1:eth1",
        "node3:eth1 has no link, the topology expects node1:eth2",
    ]


def test_a_loopback_plug() -> None:
    assert said(wired("node1:eth1", *RIGHT[1:]))[0] == "node1:eth1 hears itself"


def test_one_direction() -> None:
    [problem] = judged(wired(*RIGHT, one_way="node1:eth1"))
    assert problem.what == (
        "the cable node1:eth1 <-> node2:eth2 works in one direction only, from node1:eth1 to node2:eth2"
    )
    assert (problem.host, problem.seen) == ("node2", "node2:eth2 hears node1:eth1, node1:eth1 does not hear node2:eth2")


def test_the_other_direction_of_the_same_cable() -> None:
    assert said(wired(*RIGHT, one_way="node2:eth2")) == [
        "the cable node1:eth1 <-> node2:eth2 works in one direction only, from node2:eth2 to node1:eth1"
    ]


def test_a_switch_with_others_in_it() -> None:
    one, loose = said(wired("node1:eth1 node2:eth2 node3:eth1", RIGHT[1]))
    assert one == "node1:eth1, node2:eth2 and node3:eth1 are plugged into the same switch"
    assert loose == "node1:eth2 has no link, the topology expects node3:eth1"


def test_a_switch_instead_of_a_cable_unless_the_topology_says_so() -> None:
    heard = wired(*RIGHT[1:]) | {one: ear for one, ear in wired(RIGHT[0], way="bridged").items() if ear.heard}
    [problem] = judged(heard)
    assert problem.what == "node1:eth1 and node2:eth2 are plugged into a switch instead of each other"
    topology = load(TRIANGLE)
    first, *others = topology.cables
    assert judged(heard, replace(topology, cables=(replace(first, switch=True), *others))) == []


def test_the_management_network_is_nobodys_business() -> None:
    management = wired("node1:eth0 node2:eth0 node3:eth0", way="bridged")
    assert judged(wired(*RIGHT) | {one: ear for one, ear in management.items() if ear.heard}) == []


def test_a_mesh_nic_in_the_management_switch() -> None:
    heard = wired("node1:eth0 node2:eth0 node3:eth0 node2:eth1", *(RIGHT[0], RIGHT[2]))
    assert said(heard)[0] == "node1:eth0, node2:eth0, node2:eth1 and node3:eth0 are plugged into the same switch"


def test_what_the_probe_prints() -> None:
    text = (
        "missing eth9\nnic eth1 02:00:00:00:00:01 down 1 1000\nheard eth1 node2:eth2 direct\n"
        "heard eth1 node3:eth1 bridged\nnic eth2 02:00:00:00:00:02 up 0 0\n"
    )
    assert ears(text) == {
        "eth1": Ear(
            "02:00:00:00:00:01", False, True, 1000, frozenset({end("node2:eth2")}), frozenset({end("node3:eth1")})
        ),
        "eth2": Ear("02:00:00:00:00:02", True, False),
    }


@pytest.mark.parametrize("text", ["nic eth1", "heard eth1 node2 direct", "heard eth1 a:b sideways", "x"])
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (the contract of parsers)
        ears(text)


def test_segments_tell_kinds() -> None:
    heard = wired("node1:eth1 node2:eth2", "node3:eth1 node3:eth2")
    assert [(segment.kind, len(segment.ends)) for segment in segments(heard)] == [(Kind.CABLE, 2), (Kind.LOOP, 2)]


BONDED = load(TRIANGLE.parent / "bonded.yaml")
STRANDS = [f"{a} {b}" for cable in BONDED.cables for a, b in cable.strands]


def test_every_strand_of_a_bond_is_where_it_should_be() -> None:
    assert judged(bonded(*STRANDS), BONDED) == []


def bonded(*cables: str) -> dict[End, Ear]:
    nobody = {
        End(node.name, plug.nic): Ear("02:00:00:00:00:01", was_up=False, carrier=False)
        for node in BONDED.nodes
        for plug in node.plugs
    }
    return nobody | {one: ear for one, ear in wired(*cables).items() if ear.heard}


def test_strands_exchanged_between_two_bonds() -> None:
    one, two = (STRANDS[1].split(), STRANDS[2].split())
    crossed = [STRANDS[0], f"{one[0]} {two[1]}", f"{two[0]} {one[1]}", *STRANDS[3:]]
    first, second = judged(bonded(*crossed), BONDED)
    assert first.what == "node1:eth2 is plugged into node3:eth1, the topology expects node2:eth2"
    assert "bond: {strands: [eth2 <-> eth1]}    # instead of node1:eth2 <-> node2:eth2" in first.advice
    assert second.what.startswith("node2:eth")


def test_a_strand_that_is_missing_is_named_and_not_the_bond() -> None:
    [problem] = judged(bonded(*STRANDS[:-1]), BONDED)
    assert problem.what == "the cable node1:eth4 <-> node3:eth4 is missing"


VLANS = load(TRIANGLE.parent / "vlans.yaml")
ON_SWITCH = "node1:eth1 node2:eth1 node3:eth1"


def switched(*switches: str) -> dict[End, Ear]:
    nobody = {End(node.name, "eth1"): Ear("02:00:00:00:00:01", was_up=False, carrier=True) for node in VLANS.nodes}
    return nobody | {one: ear for one, ear in wired(*switches, way="bridged").items() if ear.heard}


def test_nics_that_lead_to_many_are_on_one_switch() -> None:
    assert judged(switched(ON_SWITCH), VLANS) == []


def test_others_may_be_on_that_switch() -> None:
    """The management network, for one."""
    assert judged(switched(f"{ON_SWITCH} node1:eth0 node2:eth0"), VLANS) == []


def test_host_that_is_missing_on_the_switch_is_named_once() -> None:
    [problem] = judged(switched("node1:eth1 node2:eth1"), VLANS)
    assert problem.what.startswith("node3:eth1 has link but hears none of these hosts, the topology expects")


def test_two_switches_instead_of_one() -> None:
    [problem] = judged(switched("node1:eth1 node2:eth1", "node3:eth1 node3:eth9"), VLANS)
    assert (problem.host, problem.seen) == ("node3", "node3:eth1 <-> node3:eth9")
    assert problem.expected == "node3:eth1 <-> the switch of node1:eth1 and node2:eth1"


def test_nobody_on_the_switch() -> None:
    said_of = [problem.what for problem in judged(switched(), VLANS)]
    assert said_of[0] == "nothing gets through the cable node1:eth1 <-> node2:eth1"
