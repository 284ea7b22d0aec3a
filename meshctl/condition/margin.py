"""The failure margin: who may fail, and why somebody may not. Pure functions of facts.

`stakes(topology, up, conditions)` makes the facts of what the layers say; `may_fail(facts, "node1")` is the question,
an empty answer means yes. Planned absences ask the same question before they take a host away.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from meshctl.roles.condition import Condition, PlacementGroup, Quorum
from meshctl.topology import Topology
from meshctl.topology.connectivity import parts


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the margin depends on."""

    topology: Topology
    up: frozenset[str]
    """The hosts that answer."""
    dead_cables: frozenset[int] = frozenset()
    """Indexes into the topology's cables."""
    quorums: tuple[Quorum, ...] = ()
    placement: tuple[PlacementGroup, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)
    """By layer: why it can't say what it survives."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something may not fail."""

    about: str
    """A quorum's name, "Ceph's data", "the mesh", or a layer that doesn't answer."""
    text: str

    def __str__(self) -> str:
        return f"{self.about}: {self.text}"


def stakes(topology: Topology, up: Collection[str], conditions: Mapping[str, Condition]) -> Facts:
    """The facts in what the layers say, by layer."""
    return Facts(
        topology,
        frozenset(up),
        frozenset(cable for condition in conditions.values() for cable in condition.dead_cables),
        tuple(quorum for condition in conditions.values() for quorum in condition.quorums),
        tuple(group for condition in conditions.values() for group in condition.placement),
        {layer: condition.unknown for layer, condition in conditions.items() if condition.unknown},
    )


def may_fail(facts: Facts, *nodes: str) -> list[Reason]:
    """Why these hosts may not fail, all of them together; nothing means that the cluster goes on without them.

    "Goes on" means: every quorum keeps its majority, every placement group keeps serving and keeps a whole copy, and
    the remaining hosts reach each other. What isn't known counts as a reason. Leaders are none: they move.
    """
    gone = frozenset(nodes)
    return [
        *(Reason(layer, f"nobody knows what it survives: {why}") for layer, why in facts.unknown.items()),
        *(reason for quorum in facts.quorums if (reason := _quorum(quorum, gone))),
        *_placement(facts.placement, gone),
        *_links(facts, gone, frozenset()),
    ]


def cable_may_fail(facts: Facts, cable: int) -> list[Reason]:
    """Why this cable of the topology may not fail: the hosts that lose touch."""
    return list(_links(facts, frozenset(), frozenset({cable})))


def margin(facts: Facts) -> int:
    """How many hosts may fail, whichever they are."""
    names = sorted(facts.up)
    for count in range(1, len(names) + 1):
        if any(may_fail(facts, *some) for some in combinations(names, count)):
            return count - 1
    return len(names)


def _quorum(quorum: Quorum, gone: Collection[str]) -> Reason | None:
    alive = quorum.alive & quorum.voters
    left = alive - frozenset(gone)
    if len(left) >= quorum.needed:
        return None
    if not quorum.holds:
        text = f"no majority even now, {len(alive)} of {len(quorum.voters)} voters are alive"
        return Reason(quorum.name, text)
    if left == alive:
        return None
    text = f"{len(left)} of {len(quorum.voters)} voters would be left, {quorum.needed} are needed"
    return Reason(quorum.name, text)


def _placement(groups: Collection[PlacementGroup], gone: Collection[str]) -> Iterator[Reason]:
    lost, stopped, already = [], [], []
    for group in groups:
        copies = Counter(group.hosts)
        there = sum(copies[host] for host in gone)
        left = len(group.hosts) - there
        if len(group.hosts) < group.min_size:
            already.append(group.id)
        elif there and left - group.behind <= 0:
            lost.append(group.id)
        elif there and left < group.min_size:
            stopped.append(group.id)
    yield from _about(already, "no copies enough to serve even now")
    yield from _about(lost, "the last whole copy may be there")
    yield from _about(stopped, "too few copies would be left to serve")


def _about(groups: list[str], what: str) -> Iterator[Reason]:
    if groups:
        more = f" and {len(groups) - 3} more" if len(groups) > 3 else ""  # noqa: PLR2004  (three show the pattern)
        noun = "placement group" if len(groups) == 1 else "placement groups"
        yield Reason("Ceph's data", f"{what}: {noun} {', '.join(groups[:3])}{more}")


def _links(facts: Facts, gone: frozenset[str], cut: frozenset[int]) -> Iterator[Reason]:
    down = frozenset(node.name for node in facts.topology.nodes) - facts.up
    before = parts(facts.topology, without_nodes=down, without_cables=facts.dead_cables)
    after = parts(facts.topology, without_nodes=down | gone, without_cables=facts.dead_cables | cut)
    if len(before) > 1:
        yield Reason("the mesh", f"in pieces even now: {_list(before)}")
    elif len(after) > 1:
        yield Reason("the mesh", f"it would fall apart: {_list(after)}")


def _list(pieces: Collection[set[str]]) -> str:
    return " | ".join(", ".join(sorted(piece)) for piece in pieces)
