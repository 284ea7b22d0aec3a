"""Whether the cables carry anything now, and every host has its addresses."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles import deadman
from meshctl.roles.base import Problem
from meshctl.roles.condition import Condition, Disease, Finding, Part, State, judged, nobody, split, told
from meshctl.roles.parsing import understand
from meshctl.topology import Node, Topology
from meshctl.topology.connectivity import parts

from . import bonds
from .bonds import Bond
from .cables import HEADERS, SMALL, Way, check
from .parse import Link, links
from .role import LOOK

UNCONFIRMED = Disease(
    "unconfirmed-network-change", "A host waits for a network change to be confirmed, and will take it back."
)
DISEASES = (UNCONFIRMED,)


@dataclass(frozen=True, slots=True)
class Look:
    """One host: its links, and by cable whether the other end answers: to a small packet, and to one of full size."""

    links: Mapping[str, Link]
    answers: Mapping[int, tuple[bool, bool]]
    unconfirmed: bool = False
    bonds: Mapping[str, Bond] = field(default_factory=dict)


async def condition(cluster: Cluster) -> Condition:
    """Ask over every cable from both ends, with small packets and with ones of the cable's MTU."""
    topology = cluster.topology
    answers, silent = split(await cluster.each(lambda node, host: told(_look(topology, node, host))))
    return judge(topology, answers, silent) if answers else nobody(silent)


async def _look(topology: Topology, node: Node, host: Host) -> Look:
    ways = [Way(topology.cables[port.cable], node, port) for port in node.ports]
    asking = [_answers(host, way.ping(size)) for way in ways for size in (SMALL, way.size)]
    shown, unconfirmed, found, pings = await asyncio.gather(
        host.query(LOOK), deadman.unconfirmed(host), bonds.ask(node, host), asyncio.gather(*asking)
    )
    answers = {way.port.cable: (pings[2 * n], pings[2 * n + 1]) for n, way in enumerate(ways)}
    return Look(understand(host.name, LOOK, links, shown.stdout), answers, unconfirmed, found)


async def _answers(host: Host, argv: list[str]) -> bool:
    return (await host.query(argv, ok=None)).ok


def judge(topology: Topology, looks: Mapping[str, Look], silent: Mapping[str, Part]) -> Condition:
    """What the answers mean."""
    nodes = {node.name: node for node in topology.nodes}
    problems = [problem for name, look in looks.items() for problem in check(nodes[name], look.links)]
    every = {name: look.links for name, look in looks.items()}
    problems += [one for name, look in looks.items() for one in bonds.check(topology, nodes[name], look.bonds, every)]
    dead, narrow = _cables(topology, looks)
    problems += [_problem(topology, looks, cable, narrow=cable in narrow) for cable in sorted(dead | narrow)]
    pieces = [piece for piece in parts(topology, without_cables=dead) if piece & looks.keys()]
    count, whole = len(topology.cables), len(topology.cables) - len(dead | narrow)
    details = {name: f"{sum(full for _, full in look.answers.values())} cables" for name, look in looks.items()}
    return Condition(
        State.BROKEN if len(pieces) > 1 else State.DEGRADED if problems else State.HEALTHY,
        f"{whole} of {count} cables carry their MTU"
        + _names(topology, dead, "dead")
        + _names(topology, narrow, "too narrow"),
        nodes={**judged(looks, problems, details), **silent},
        findings=tuple(_unconfirmed(name) for name, look in looks.items() if look.unconfirmed),
        dead_cables=frozenset(dead),
        problems=tuple(problems),
    )


def _cables(topology: Topology, looks: Mapping[str, Look]) -> tuple[set[int], set[int]]:
    """Those over which nobody who can be asked gets an answer, and those that only small packets pass."""
    dead, narrow = set(), set()
    for cable in range(len(topology.cables)):
        answers = [look.answers[cable] for look in looks.values() if cable in look.answers]
        if answers and not any(small for small, _ in answers):
            dead.add(cable)
        elif not all(full for _, full in answers):
            narrow.add(cable)
    return dead, narrow


def _problem(topology: Topology, looks: Mapping[str, Look], index: int, *, narrow: bool) -> Problem:
    cable = topology.cables[index]
    host = next(name for name, look in looks.items() if index in look.answers)
    node = topology.node(host)
    port = next(port for port in node.ports if port.cable == index)
    return Problem(
        host,
        f"{cable} does not carry its MTU both ways" if narrow else f"no answer over {cable}",
        f"an answer of {cable.mtu} bytes from {port.peer_address.ip}",
        "only smaller packets pass, or only one way" if narrow else "silence",
        " ".join(Way(cable, node, port).ping(cable.mtu - HEADERS)),
        "Compare both ends' MTU (`ip link`)." if narrow else f"Is the cable in, and is {port.peer} on?",
    )


def _names(topology: Topology, cables: set[int], what: str) -> str:
    return f"; {what}: {', '.join(str(topology.cables[cable]) for cable in sorted(cables))}" if cables else ""


def _unconfirmed(host: str) -> Finding:
    return Finding(
        UNCONFIRMED.name,
        host,
        f"{deadman.PENDING} is there",
        "Wait 15 s, the host takes the change back by itself; else `meshctl bootstrap` does.",
        f"cat {deadman.PENDING}",
        leftover=True,
    )
