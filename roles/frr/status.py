"""Adjacencies, BFD and routes now, and what OSPF is told to avoid."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.condition import Condition, Disease, Finding, Part, State, judged, nobody, split, told
from meshctl.roles.parsing import understand
from meshctl.topology import Node, Port, Topology

from . import key, parse, static, vty
from .igp import Igp, Interface, Speaker
from .igps import speaking
from .judge import Look as Routing
from .judge import judge as judge_routing
from .judge import routes_asked
from .role import PEERS, peers

UNEQUAL_MTU = Disease(
    "unequal-mtu", "Two ends of a cable have different MTUs: OSPF never gets past ExStart, and the cable stays unused."
)
DUPLICATE_ROUTER_ID = Disease(
    "duplicate-router-id", "Two hosts call themselves the same in OSPF: routes to both come and go."
)
TRAFFIC_KEPT_AWAY = Disease(
    "traffic-kept-away", "OSPF still avoids a host or cable, by max-metric or a raised cost that was never taken back."
)
OTHER_KEY = Disease(
    "other-routing-key",
    "A host signs OSPF's packets with another key than the others, which drop them: no routes.",
)
DISEASES = (UNEQUAL_MTU, DUPLICATE_ROUTER_ID, TRAFFIC_KEPT_AWAY, OTHER_KEY)
_STUCK = frozenset({"ExStart", "Exchange"})


@dataclass(frozen=True, slots=True)
class Look:
    """One host; `speakers` has None for a daemon that doesn't answer, by the protocol's label."""

    routing: Routing
    speakers: Mapping[str, Speaker | None] = field(default_factory=dict)


async def condition(cluster: Cluster) -> Condition:
    """Two commands per host, and one more where packets are signed."""
    topology = cluster.topology
    if not speaking(topology):
        return await _static(cluster)
    answers, silent = split(await cluster.each(lambda _node, host: told(_look(topology, host))))
    if not answers:
        return nobody(silent)
    return judge(topology, answers, silent, await _keys(cluster, answers))


async def _static(cluster: Cluster) -> Condition:
    asking = cluster.each(lambda node, host: told(static.problems(cluster.topology, node, host)))
    found, silent = split(await asking)
    if not found:
        return nobody(silent)
    problems = tuple(problem for own in found.values() for problem in own)
    return Condition(
        State.DEGRADED if problems or silent else State.HEALTHY,
        f"static routes, {len(problems)} faults" if problems else "static routes",
        nodes={**judged(found, problems, {}), **silent},
        problems=problems,
    )


async def _keys(cluster: Cluster, answers: Mapping[str, Look]) -> Mapping[str, tuple[str, ...]]:
    if not cluster.topology.ospf.signed:
        return {}
    return await key.strangers({name: cluster.hosts[name] for name in answers})


def asked(topology: Topology) -> Sequence[str]:
    """What vtysh is asked."""
    igps = speaking(topology)
    shows = [*(igp.neighbours for igp in igps), PEERS, *(show for igp in igps for show in igp.details)]
    return vty.asking(*shows)


async def _look(topology: Topology, host: Host) -> Look:
    sessions, *routes = await asyncio.gather(
        host.query(asked(topology), ok=None), *(host.query(argv) for argv in routes_asked(topology))
    )
    found = [understand(host.name, told.argv, parse.routes, told.stdout) for told in routes]
    return look(topology, parse.answers(sessions.stdout), tuple(route for routes in found for route in routes))


def look(topology: Topology, answers: Sequence[object], routes: tuple[parse.Route, ...]) -> Look:
    """What vtysh's answers mean."""
    igps = speaking(topology)
    speakers = {igp.label: igp.speaker(answers) for igp in igps}
    adjacencies = {igp.label: igp.adjacencies(answers) for igp in igps}
    interfaces = {label: speaker.interfaces for label, speaker in speakers.items() if speaker}
    return Look(Routing(adjacencies, peers(answers), routes, interfaces), speakers)


def judge(
    topology: Topology, looks: Mapping[str, Look], silent: Mapping[str, Part], keys: Mapping[str, tuple[str, ...]]
) -> Condition:
    """What the answers mean. Routing is broken where a host that can be asked has no neighbour left.

    `keys`: the hosts that sign with another key, and those that they differ from.
    """
    nodes = {node.name: node for node in topology.nodes}
    problems = [
        problem for name, look in looks.items() for problem in judge_routing(topology, nodes[name], look.routing)
    ]
    igps = speaking(topology)
    full = {name: sum(_full(igp, look) for igp in igps) for name, look in looks.items()}
    wanted = len(igps) * sum(len(node.ports) for node in topology.nodes)
    lonely = [name for name, count in full.items() if not count and nodes[name].ports]
    state = State.BROKEN if lonely else State.DEGRADED if problems or silent else State.HEALTHY
    return Condition(
        state,
        f"{sum(full.values())} of {wanted} adjacencies {igps[0].up}"
        + (f"; none on {', '.join(lonely)}" if lonely else ""),
        nodes={**judged(looks, problems, {name: _neighbours(count) for name, count in full.items()}), **silent},
        findings=(*diagnose(topology, looks), *(_other_key(topology, name, same) for name, same in keys.items())),
        problems=tuple(problems),
    )


def _neighbours(count: int) -> str:
    return f"{count} neighbour{'' if count == 1 else 's'}"


def _full(igp: Igp, look: Look) -> int:
    return sum(adjacency.state == igp.up for adjacency in look.routing.adjacencies.get(igp.label) or ())


def diagnose(topology: Topology, looks: Mapping[str, Look]) -> Iterator[Finding]:
    """The diseases of this layer."""
    for igp in speaking(topology):
        for node in topology.nodes:
            speaker = looks[node.name].speakers.get(igp.label) if node.name in looks else None
            if speaker:
                yield from _unequal(topology, igp, node, looks)
                yield from _identity(topology, igp, node, speaker)
                yield from _avoided(igp, node, speaker)


def _other_key(topology: Topology, host: str, same: tuple[str, ...]) -> Finding:
    return Finding(
        OTHER_KEY.name,
        host,
        f"its key is another one than that of {', '.join(same)}",
        f"`meshctl bootstrap {topology.source}` gives every host the key in the operator's state folder.",
        "vtysh -c 'show running-config' | sed -n 's/^ *key-string //p' | sha256sum",
    )


def _unequal(topology: Topology, igp: Igp, node: Node, looks: Mapping[str, Look]) -> Iterator[Finding]:
    """Said once per cable, by the end with the smaller MTU, where both can be asked."""
    for port in node.ports:
        mine, other = _mtu(looks, igp, node.name, port.nic), _mtu(looks, igp, port.peer, port.peer_nic)
        if mine and other and mine < other:
            state = _state(looks[node.name], igp, port) or "no neighbour"
            stuck = "is stuck" if state in _STUCK else "will be stuck in ExStart from its next start"
            yield Finding(
                UNEQUAL_MTU.name,
                node.name,
                f"{node.name}:{port.nic} has MTU {mine}, {port.peer}:{port.peer_nic} has {other}; "
                f"the adjacency is {state} and {stuck}",
                f"`meshctl bootstrap {topology.source}` gives both ends {port.mtu}; what else sets it on {node.name}?",
                f"ip link show {port.nic}; vtysh -c '{igp.neighbours.removesuffix(' json')}'",
            )


def _mtu(looks: Mapping[str, Look], igp: Igp, host: str, nic: str) -> int | None:
    speaker = looks[host].speakers.get(igp.label) if host in looks else None
    return speaker.interfaces[nic].mtu if speaker and nic in speaker.interfaces else None


def _state(look: Look, igp: Igp, port: Port) -> str:
    seen = look.routing.adjacencies.get(igp.label) or ()
    states = [a.state for a in seen if (a.nic, a.address) == (port.nic, igp.address(port))]
    return states[0] if states else ""


def _identity(topology: Topology, igp: Igp, node: Node, speaker: Speaker) -> Iterator[Finding]:
    routers = igp.routers(topology, node)
    if speaker.router not in routers:
        yield Finding(
            DUPLICATE_ROUTER_ID.name,
            node.name,
            f"its {igp.label} router id is {speaker.router}, which isn't its own, {min(routers)}",
            "`meshctl bootstrap` writes frr.conf again; then `systemctl restart frr` there: the daemon keeps its id.",
            f"vtysh -c '{igp.details[0].removesuffix(' json')}'",
        )


def _avoided(igp: Igp, node: Node, speaker: Speaker) -> Iterator[Finding]:
    dear = [nic for nic, cost in _dear(node, speaker).items() if cost]
    if speaker.avoided or dear:
        what = f"`{igp.avoid}`" if speaker.avoided else f"a raised cost on {', '.join(dear)}"
        yield Finding(
            TRAFFIC_KEPT_AWAY.name,
            node.name,
            f"{igp.daemon} has {what}",
            "`meshctl bootstrap` takes it back: it reloads the configuration of the topology.",
            f"vtysh {' '.join(f'-c {show!r}' for show in igp.details)}",
            leftover=True,
        )


def _dear(node: Node, speaker: Speaker) -> dict[str, bool]:
    """By NIC, whether its cost is higher than the topology's, or than what follows from its speed."""
    seen = {port.nic: (port, speaker.interfaces.get(port.nic)) for port in node.ports}
    return {nic: found is not None and found.cost > (port.cost or usual(found)) for nic, (port, found) in seen.items()}


def usual(interface: Interface) -> int:
    """The cost that follows from the speed; where that isn't told, what is not raised."""
    return interface.cost if interface.bandwidth is None else max(1, 100_000 // max(1, interface.bandwidth))
