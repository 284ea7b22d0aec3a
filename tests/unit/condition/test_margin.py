"""Who may fail: from facts alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.condition.margin import Facts, cable_may_fail, margin, may_fail, stakes
from meshctl.roles.condition import Condition, PlacementGroup, Quorum, State
from meshctl.topology import load

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
TRIANGLE, RING, FIVE = (load(TOPOLOGIES / f"{name}.yaml") for name in ("triangle", "ring", "five"))
THREE = frozenset({"node1", "node2", "node3"})
MONS = Quorum("Ceph's monitors", THREE, THREE, "node1")
PG = PlacementGroup("2.1f", ("node1", "node2", "node3"), min_size=2)
HEALTHY = Facts(TRIANGLE, THREE, quorums=(MONS,), placement=(PG,))


def why(facts: Facts, *nodes: str) -> list[str]:
    return [str(reason) for reason in may_fail(facts, *nodes)]


def test_any_one_of_three_healthy_hosts_may_fail_and_no_two() -> None:
    assert [why(HEALTHY, name) for name in sorted(THREE)] == [[], [], []]
    assert why(HEALTHY, "node1", "node2") == [
        "Ceph's monitors: 1 of 3 voters would be left, 2 are needed",
        "Ceph's data: too few copies would be left to serve: placement group 2.1f",
    ]
    assert margin(HEALTHY) == 1


def test_a_voter_that_is_away_already() -> None:
    facts = replace(HEALTHY, quorums=(replace(MONS, alive=frozenset({"node1", "node2"})),))
    assert why(facts, "node1") == ["Ceph's monitors: 1 of 3 voters would be left, 2 are needed"]
    assert why(facts, "node3") == []
    assert margin(facts) == 0


def test_a_stale_voter_counts_and_is_never_alive() -> None:
    raft = Quorum("OVN's southbound database", THREE | {"10.50.1.9:6644"}, THREE)
    assert why(replace(HEALTHY, quorums=(raft,)), "node2") == [
        "OVN's southbound database: 2 of 4 voters would be left, 3 are needed"
    ]


def test_without_a_majority_nobody_else_may_go() -> None:
    facts = replace(HEALTHY, quorums=(replace(MONS, alive=frozenset({"node2"})),))
    assert why(facts, "node2") == ["Ceph's monitors: no majority even now, 1 of 3 voters are alive"]


@pytest.mark.parametrize(
    ("group", "node1", "node3"),
    [
        (replace(PG, hosts=("node1", "node2")), "too few copies would be left to serve", ""),
        (replace(PG, hosts=("node1", "node1", "node2")), "too few copies would be left to serve", ""),
        (replace(PG, hosts=("node1",)), "no copies enough to serve even now", "no copies enough to serve even now"),
        (replace(PG, hosts=("node1",), min_size=1), "the last whole copy may be there", ""),
        (replace(PG, hosts=("node1", "node2"), min_size=1), "", ""),
        (replace(PG, hosts=("node1", "node2"), min_size=1, behind=True), "the last whole copy may be there", ""),
        (replace(PG, behind=True), "", ""),
    ],
)
def test_copies(group: PlacementGroup, node1: str, node3: str) -> None:
    for name, expected in (("node1", node1), ("node3", node3)):
        facts = replace(HEALTHY, placement=(group,))
        assert why(facts, name) == ([f"Ceph's data: {expected}: placement group 2.1f"] if expected else [])


def test_many_groups_are_counted() -> None:
    groups = tuple(PlacementGroup(f"2.{n}", ("node1", "node2"), 2) for n in range(9))
    assert why(replace(HEALTHY, placement=groups), "node1") == [
        "Ceph's data: too few copies would be left to serve: placement groups 2.0, 2.1, 2.2 and 6 more"
    ]


def test_cables_of_a_triangle() -> None:
    assert [cable_may_fail(HEALTHY, cable) for cable in range(3)] == [[], [], []]
    cut = replace(HEALTHY, dead_cables=frozenset({0}))  # node1 <-> node2
    assert why(cut, "node3") == ["the mesh: it would fall apart: node1 | node2"]
    assert why(cut, "node1") == []
    assert [bool(cable_may_fail(cut, cable)) for cable in range(3)] == [False, True, True]
    apart = replace(HEALTHY, dead_cables=frozenset({0, 1}))
    assert why(apart, "node1") == ["the mesh: in pieces even now: node1, node3 | node2"]


def test_a_ring_with_a_host_down() -> None:
    names = [node.name for node in RING.nodes]
    whole = Facts(RING, frozenset(names))
    assert [why(whole, name) for name in names] == [[]] * 4
    down = replace(whole, up=frozenset(names[1:]))
    assert [bool(why(down, name)) for name in names] == [False, False, True, False]


def test_what_nobody_knows_is_a_reason() -> None:
    conditions = {"ceph_health": Condition(State.BROKEN, "no answer", unknown="no monitor has a quorum")}
    facts = stakes(TRIANGLE, THREE, conditions)
    assert why(facts, "node1") == ["ceph_health: nobody knows what it survives: no monitor has a quorum"]


def test_five_hosts_survive_two() -> None:
    five = frozenset(node.name for node in FIVE.nodes)
    facts = Facts(FIVE, five, quorums=(Quorum("Ceph's monitors", five, five),))
    assert margin(facts) == 2
