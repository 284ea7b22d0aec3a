"""Adjacencies, BFD and routes now, and what OSPF is told to avoid."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.condition import Condition, Disease, Finding, Part, State, judged, nobody, split, told
from meshctl.roles.parsing import parser, understand
from meshctl.topology import Node, Port, Topology

from . import parse
from .judge import ROUTES
from .judge import Look as Routing
from .judge import judge as judge_routing

SHOWN = ("show ip ospf neighbor json", "show bfd peers json", "show ip ospf json", "show ip ospf interface json")
ASK = ("vtysh", *(word for show in SHOWN for word in ("-c", show)))

UNEQUAL_MTU = Disease(
    "unequal-mtu", "Two ends of a cable have different MTUs: OSPF never gets past ExStart, and the cable stays unused."
)
DUPLICATE_ROUTER_ID = Disease(
    "duplicate-router-id", "Two hosts call themselves the same in OSPF: routes to both come and go."
)
TRAFFIC_KEPT_AWAY = Disease(
    "traffic-kept-away", "OSPF still avoids a host or cable, by max-metric or a raised cost that was never taken back."
)
DISEASES = (UNEQUAL_MTU, DUPLICATE_ROUTER_ID, TRAFFIC_KEPT_AWAY)
_STUCK = frozenset({"ExStart", "Exchange"})


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface as OSPF uses it."""

    mtu: int
    cost: int
    bandwidth: int
    """Mbit/s, from which an unset cost follows (reference 100 Gbit/s)."""


@dataclass(frozen=True, slots=True)
class Ospf:
    """ospfd itself."""

    router: str
    max_metric: bool
    interfaces: Mapping[str, Interface]


@dataclass(frozen=True, slots=True)
class Look:
    """One host; `ospf` is None when ospfd doesn't answer."""

    routing: Routing
    ospf: Ospf | None


async def condition(cluster: Cluster) -> Condition:
    """Two commands per host."""
    answers, silent = split(await cluster.each(lambda _node, host: told(_look(host))))
    return judge(cluster.topology, answers, silent) if answers else nobody(silent)


async def _look(host: Host) -> Look:
    sessions, routes = await asyncio.gather(host.query(ASK, ok=None), host.query(ROUTES))
    adjacencies, bfd, ospf = understand(host.name, ASK, documents, sessions.stdout)
    return Look(Routing(adjacencies, bfd, understand(host.name, ROUTES, parse.routes, routes.stdout)), ospf)


@parser
def documents(text: str) -> tuple[tuple[parse.Adjacency, ...] | None, tuple[parse.BfdPeer, ...] | None, Ospf | None]:
    """The answers to `SHOWN`; None for those of a daemon that doesn't run, which leaves no JSON behind."""
    found: dict[str, Any] = {}
    for value in _values(text):
        if isinstance(value, list):
            found["bfd"] = value
        else:
            found |= {key: value for key in ("neighbors", "routerId", "interfaces") if key in value}
    adjacencies = parse.adjacencies(json.dumps(found["neighbors"])) if "neighbors" in found else None
    bfd = parse.bfd_peers(json.dumps(found["bfd"])) if "bfd" in found else None
    ospf = _ospf(found["routerId"], found.get("interfaces", {})) if "routerId" in found else None
    return adjacencies, bfd, ospf


def _values(text: str) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), 0
    while (start := min((place for c in "{[" if (place := text.find(c, at)) >= 0), default=-1)) >= 0:
        value, at = decoder.raw_decode(text, start)
        yield value


def _ospf(told_: Any, interfaces: Any) -> Ospf:
    return Ospf(
        str(told_["routerId"]),
        any(area.get("originStubMaxDistRouterLsa", False) for area in told_["areas"].values()),
        {
            name: Interface(one["mtuBytes"], one["cost"], one["bandwidthMbit"])
            for name, one in interfaces.get("interfaces", {}).items()
        },
    )


def judge(topology: Topology, looks: Mapping[str, Look], silent: Mapping[str, Part]) -> Condition:
    """What the answers mean. OSPF is broken where a host that can be asked has no neighbour left."""
    nodes = {node.name: node for node in topology.nodes}
    problems = [
        problem for name, look in looks.items() for problem in judge_routing(topology, nodes[name], look.routing)
    ]
    full = {name: _full(look) for name, look in looks.items()}
    wanted = sum(len(node.ports) for node in topology.nodes)
    lonely = [name for name, count in full.items() if not count and nodes[name].ports]
    state = State.BROKEN if lonely else State.DEGRADED if problems or silent else State.HEALTHY
    return Condition(
        state,
        f"{sum(full.values())} of {wanted} adjacencies Full" + (f"; none on {', '.join(lonely)}" if lonely else ""),
        nodes={**judged(looks, problems, {name: _neighbours(count) for name, count in full.items()}), **silent},
        findings=tuple(diagnose(topology, looks)),
        problems=tuple(problems),
    )


def _neighbours(count: int) -> str:
    return f"{count} neighbour{'' if count == 1 else 's'}"


def _full(look: Look) -> int:
    return sum(adjacency.state == "Full" for adjacency in look.routing.adjacencies or ())


def diagnose(topology: Topology, looks: Mapping[str, Look]) -> Iterator[Finding]:
    """The diseases of this layer."""
    for node in topology.nodes:
        look = looks.get(node.name)
        if look and look.ospf:
            yield from _unequal(topology, node, looks)
            yield from _identity(node, look.ospf)
            yield from _avoided(node, look.ospf)


def _unequal(topology: Topology, node: Node, looks: Mapping[str, Look]) -> Iterator[Finding]:
    """Said once per cable, by the end with the smaller MTU, where both can be asked."""
    for port in node.ports:
        mine, other = _mtu(looks, node.name, port.nic), _mtu(looks, port.peer, port.peer_nic)
        if mine and other and mine < other:
            state = _state(looks[node.name], port) or "no neighbour"
            stuck = "is stuck" if state in _STUCK else "will be stuck in ExStart from its next start"
            yield Finding(
                UNEQUAL_MTU.name,
                node.name,
                f"{node.name}:{port.nic} has MTU {mine}, {port.peer}:{port.peer_nic} has {other}; "
                f"the adjacency is {state} and {stuck}",
                f"`meshctl bootstrap {topology.source}` gives both ends {port.mtu}; what else sets it on {node.name}?",
                f"ip link show {port.nic}; vtysh -c 'show ip ospf neighbor'",
            )


def _mtu(looks: Mapping[str, Look], host: str, nic: str) -> int | None:
    ospf = looks[host].ospf if host in looks else None
    return ospf.interfaces[nic].mtu if ospf and nic in ospf.interfaces else None


def _state(look: Look, port: Port) -> str:
    states = [a.state for a in look.routing.adjacencies or () if a.address == str(port.peer_address.ip)]
    return states[0] if states else ""


def _identity(node: Node, ospf: Ospf) -> Iterator[Finding]:
    if ospf.router != str(node.loopback):
        yield Finding(
            DUPLICATE_ROUTER_ID.name,
            node.name,
            f"its OSPF router id is {ospf.router}, which isn't its loopback {node.loopback}",
            "`meshctl bootstrap` writes frr.conf again; then `systemctl restart frr` there: ospfd keeps its id.",
            "vtysh -c 'show ip ospf' | grep 'Router ID'",
        )


def _avoided(node: Node, ospf: Ospf) -> Iterator[Finding]:
    dear = [nic for nic, cost in _dear(node, ospf).items() if cost]
    if ospf.max_metric or dear:
        what = "max-metric router-lsa" if ospf.max_metric else f"a raised cost on {', '.join(dear)}"
        yield Finding(
            TRAFFIC_KEPT_AWAY.name,
            node.name,
            f"ospfd has {what}",
            "`meshctl bootstrap` takes it back: it reloads the configuration of the topology.",
            "vtysh -c 'show ip ospf' -c 'show ip ospf interface'",
            leftover=True,
        )


def _dear(node: Node, ospf: Ospf) -> dict[str, bool]:
    """By NIC, whether its cost is higher than the topology's, or than what follows from its speed."""
    seen = {port.nic: (port, ospf.interfaces.get(port.nic)) for port in node.ports}
    return {
        nic: found is not None and found.cost > (port.cost or max(1, 100_000 // max(1, found.bandwidth)))
        for nic, (port, found) in seen.items()
    }
