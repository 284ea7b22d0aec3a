"""What is wrong with a host's routing, seen from what it says. Pure functions."""

from collections.abc import Iterator
from dataclasses import dataclass

from meshctl.roles.base import Problem
from meshctl.topology import Node, Port, Topology

from .parse import Adjacency, BfdPeer, Route

ROUTES = ("ip", "-j", "-4", "route", "show")


@dataclass(frozen=True, slots=True)
class Look:
    """What the gate found on a host; None where nobody answered."""

    adjacencies: tuple[Adjacency, ...] | None
    bfd: tuple[BfdPeer, ...] | None
    routes: tuple[Route, ...] | None


def judge(topology: Topology, node: Node, look: Look) -> Iterator[Problem]:
    """Every fault of one host: adjacencies, BFD sessions, kernel routes."""
    if look.adjacencies is None:
        yield _mute(node, "ospfd", "vtysh -c 'show ip ospf neighbor json'")
    else:
        yield from _adjacencies(topology, node, look.adjacencies)
    if look.bfd is None and topology.bfd.enabled:
        yield _mute(node, "bfdd", "vtysh -c 'show bfd peers json'")
    elif look.bfd is not None and topology.bfd.enabled:
        yield from _bfd(node, look.bfd)
    if look.routes is None:
        yield _mute(node, "the kernel's routing table", " ".join(ROUTES))
    else:
        yield from _routes(topology, node, look.routes)


def unreachable(topology: Topology, node: Node, address: str) -> Problem:
    """A loopback that doesn't answer although there is a route to it."""
    other = next(n.name for n in topology.nodes if str(n.loopback) == address)
    return Problem(
        node.name,
        f"{other}'s loopback does not answer",
        expected=f"{address} answers pings from {node.loopback}",
        seen="no answer within 1 s",
        command=f"ping -I {node.loopback} {address}",
        advice="Routes are there: look for a firewall, or a cable that passes in one direction only.",
    )


def _mute(node: Node, who: str, command: str) -> Problem:
    return Problem(
        node.name,
        f"{who} does not answer",
        expected="an answer in JSON",
        seen="something else",
        command=command,
        advice="Read `systemctl status frr` and `journalctl -u frr`.",
    )


def _adjacencies(topology: Topology, node: Node, seen: tuple[Adjacency, ...]) -> Iterator[Problem]:
    # Parallel cables lead to the same router, so that only NIC and address tell two adjacencies apart.
    by_end = {(a.nic, a.address): a for a in seen}
    for port in node.ports:
        adjacency = by_end.pop((port.nic, str(port.peer_address.ip)), None)
        router = str(topology.node(port.peer).loopback)
        if not adjacency or adjacency.router != router or adjacency.state != "Full":
            yield _bad_adjacency(node, port, router, adjacency)
    for stray in by_end.values():
        yield _stray(node, stray)


def _bad_adjacency(node: Node, port: Port, router: str, seen: Adjacency | None) -> Problem:
    if seen is None:
        state = "no neighbour"
        advice = f"Check the cable, then hello and dead intervals and area on both ends ({port.peer}:{port.peer_nic})."
    elif seen.router != router:
        state = f"router {seen.router}, {seen.state}"
        advice = f"Another host sits where {port.peer} should be, or {port.peer} has another router id."
    else:
        state, advice = seen.state, "ExStart or Exchange that lasts means unequal MTUs: compare both ends."
    return Problem(
        node.name,
        f"OSPF adjacency with {port.peer} on {port.nic}",
        expected=f"router {router} at {port.peer_address.ip}, Full",
        seen=state,
        command="vtysh -c 'show ip ospf neighbor'",
        advice=f"{advice} `journalctl -u frr` names the reason.",
    )


def _stray(node: Node, seen: Adjacency) -> Problem:
    return Problem(
        node.name,
        f"unexpected OSPF neighbour on {seen.nic}",
        expected="only the neighbours of the topology",
        seen=f"router {seen.router} at {seen.address}, {seen.state}",
        command="vtysh -c 'show ip ospf neighbor'",
        advice="Find out who speaks OSPF there, or add its cable to the topology.",
    )


def _bfd(node: Node, seen: tuple[BfdPeer, ...]) -> Iterator[Problem]:
    status = {(peer.nic, peer.address): peer.status for peer in seen}
    for port in node.ports:
        found = status.get((port.nic, str(port.peer_address.ip)), "no session")
        if found != "up":
            yield Problem(
                node.name,
                f"BFD session with {port.peer} on {port.nic}",
                expected="up",
                seen=found,
                command="vtysh -c 'show bfd peers'",
                advice="BFD needs UDP port 3784 in both directions.",
            )


def _routes(topology: Topology, node: Node, seen: tuple[Route, ...]) -> Iterator[Problem]:
    # From the kernel, not from vtysh: FRR goes on showing routes that somebody else has deleted.
    by_destination = {route.destination: route for route in seen if route.protocol in {"ospf", "188"}}
    for other in topology.nodes:
        route = by_destination.get(str(other.loopback))
        if other.name != node.name and (route is None or route.source != str(node.loopback)):
            yield _bad_route(node, other, route)


def _bad_route(node: Node, other: Node, route: Route | None) -> Problem:
    if route is None:
        seen = "no OSPF route"
        advice = f"Is {other.name} advertising its loopback? `vtysh -c 'show ip ospf database'` shows it."
    else:
        seen = f"a route with source {route.source or 'of the link'}"
        advice = "`systemctl restart frr` on this host gives its routes the source again."
    return Problem(
        node.name,
        f"kernel route to {other.name}",
        expected=f"{other.loopback} by OSPF with source {node.loopback}",
        seen=seen,
        command=f"ip route show {other.loopback}",
        advice=advice,
    )
