"""What is wrong with a host's routing, seen from what it says. Pure functions."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from meshctl.roles.base import Problem
from meshctl.topology import Node, Port, Topology

from .igp import Igp, Interface
from .igps import speaking
from .parse import Adjacency, BfdPeer, Route

ROUTES = ("ip", "-j", "-4", "route", "show")
ROUTES6 = ("ip", "-j", "-6", "route", "show")
LINK_LOCAL = "fe80:"


@dataclass(frozen=True, slots=True)
class Look:
    """What the gate found on a host; None, or nothing, where nobody answered."""

    adjacencies: Mapping[str, tuple[Adjacency, ...] | None]
    """By the protocol's label."""
    bfd: tuple[BfdPeer, ...] | None
    routes: tuple[Route, ...] | None
    interfaces: Mapping[str, Mapping[str, Interface]] = field(default_factory=dict)
    """By the protocol's label, as far as it was asked."""


def judge(topology: Topology, node: Node, look: Look) -> Iterator[Problem]:
    """Every fault of one host: adjacencies, BFD sessions, kernel routes."""
    for igp in speaking(topology):
        adjacencies = look.adjacencies.get(igp.label)
        if adjacencies is None:
            yield _mute(node, igp.daemon, f"vtysh -c '{igp.neighbours}'")
        else:
            yield from _adjacencies(topology, node, igp, adjacencies)
        if topology.ospf.signed and adjacencies is not None:
            yield from _unsigned(node, igp, look.interfaces.get(igp.label, {}))
    if look.bfd is None and topology.bfd.enabled:
        yield _mute(node, "bfdd", "vtysh -c 'show bfd peers json'")
    elif look.bfd is not None and topology.bfd.enabled:
        yield from _bfd(topology, node, look.bfd)
    if look.routes is None:
        yield _mute(node, "the kernel's routing table", " ".join(ROUTES))
    else:
        yield from _routes(topology, node, look.routes)


def unreachable(topology: Topology, node: Node, address: str) -> Problem:
    """A loopback that doesn't answer although there is a route to it."""
    other = next(n.name for n in topology.nodes if address in {str(n.loopback), str(n.loopback6)})
    source = node.loopback6 if ":" in address else node.loopback
    return Problem(
        node.name,
        f"{other}'s loopback does not answer",
        expected=f"{address} answers pings from {source}",
        seen="no answer within 1 s",
        command=f"ping -I {source} {address}",
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


def _adjacencies(topology: Topology, node: Node, igp: Igp, seen: tuple[Adjacency, ...]) -> Iterator[Problem]:
    by_end = {(a.nic, a.address): a for a in seen}
    for port in node.ports:
        adjacency = by_end.pop((port.nic, igp.address(port)), None)
        routers = igp.routers(topology, topology.node(port.peer))
        if not adjacency or adjacency.router not in routers or adjacency.state != igp.up:
            yield _bad_adjacency(topology, node, igp, port, adjacency)
    for stray in by_end.values():
        yield _stray(node, igp, stray)


def _unsigned(node: Node, igp: Igp, seen: Mapping[str, Interface]) -> Iterator[Problem]:
    for port in node.ports:
        if port.nic not in seen or not seen[port.nic].signed:
            yield Problem(
                node.name,
                f"{igp.label} on {port.nic} is not signed",
                expected="every packet is signed with the cluster's key",
                seen="no key chain on this interface",
                command=f"vtysh -c '{igp.interfaces.removesuffix(' json')}'",
                advice="Run bootstrap again: it gives the interface the topology's configuration.",
            )


def other_key(host: str, same: tuple[str, ...]) -> Problem:
    """A host whose packets the others drop."""
    return Problem(
        host,
        "it signs with another key than the other hosts",
        expected=f"the key that {', '.join(same)} use",
        seen="another one",
        command="vtysh -c 'show running-config' | sed -n 's/^ *key-string //p' | sha256sum",
        advice="Run bootstrap again: every host gets the key in the operator's state folder.",
    )


def _bad_adjacency(topology: Topology, node: Node, igp: Igp, port: Port, seen: Adjacency | None) -> Problem:
    routers = igp.routers(topology, topology.node(port.peer))
    if seen is None:
        state = "no neighbour"
        key = ", the key" if topology.ospf.signed else ""
        advice = (
            f"Check the cable, then hello and dead intervals{key} and area on both ends ({port.peer}:{port.peer_nic})."
        )
    elif seen.router not in routers:
        state = f"router {seen.router}, {seen.state}"
        advice = f"Another host sits where {port.peer} should be, or {port.peer} has another router id."
    else:
        state, advice = seen.state, "ExStart or Exchange that lasts means unequal MTUs: compare both ends."
    at = f" at {igp.address(port)}" if igp.address(port) else ""
    return Problem(
        node.name,
        f"{igp.label} adjacency with {port.peer} on {port.nic}",
        expected=f"router {min(routers)}{at}, {igp.up}",
        seen=state,
        command=f"vtysh -c '{igp.neighbours.removesuffix(' json')}'",
        advice=f"{advice} `journalctl -u frr` names the reason.",
    )


def _stray(node: Node, igp: Igp, seen: Adjacency) -> Problem:
    at = f" at {seen.address}" if seen.address else ""
    return Problem(
        node.name,
        f"unexpected {igp.label} neighbour on {seen.nic}",
        expected="only the neighbours of the topology",
        seen=f"router {seen.router}{at}, {seen.state}",
        command=f"vtysh -c '{igp.neighbours.removesuffix(' json')}'",
        advice=f"Find out who speaks {igp.label} there, or add its cable to the topology.",
    )


def _bfd(topology: Topology, node: Node, seen: tuple[BfdPeer, ...]) -> Iterator[Problem]:
    for igp in speaking(topology):
        for port in node.ports:
            found = _session(igp, port, seen)
            if found != "up":
                yield Problem(
                    node.name,
                    f"BFD session with {port.peer} on {port.nic}",
                    expected="up",
                    seen=found,
                    command="vtysh -c 'show bfd peers'",
                    advice="BFD needs UDP port 3784 in both directions.",
                )


def _session(igp: Igp, port: Port, seen: tuple[BfdPeer, ...]) -> str:
    """Where either version of IP would do, a session stays with the one that it had for as long as its adjacency."""
    here = [peer for peer in seen if peer.nic == port.nic]
    fit = [peer.status for peer in here if 6 in igp.families and peer.address.startswith(LINK_LOCAL)]  # noqa: PLR2004
    fit += [peer.status for peer in here if 4 in igp.families and peer.address == str(port.peer_address.ip)]  # noqa: PLR2004
    return "up" if "up" in fit else fit[0] if fit else "no session"


def _routes(topology: Topology, node: Node, seen: tuple[Route, ...]) -> Iterator[Problem]:
    # From the kernel, not from vtysh: FRR goes on showing routes that somebody else has deleted.
    for igp in speaking(topology):
        by_destination = {route.destination: route for route in seen if route.protocol in igp.kernel}
        for other in topology.nodes:
            for target, source in loopbacks(other, node, igp.families):
                route = by_destination.get(target)
                if other.name != node.name and (route is None or route.source != source):
                    yield _bad_route(node, other, igp, (target, source), route)


def loopbacks(other: Node, node: Node, families: Collection[int]) -> Iterator[tuple[str, str]]:
    """The other's addresses of these versions of IP, each with the address that packets to it should have."""
    if 4 in families:  # noqa: PLR2004  (IPv4)
        yield str(other.loopback), str(node.loopback)
    if 6 in families and other.loopback6 and node.loopback6:  # noqa: PLR2004  (IPv6)
        yield str(other.loopback6), str(node.loopback6)


def routes_asked(topology: Topology) -> tuple[tuple[str, ...], ...]:
    """What shows the kernel's routes."""
    return (ROUTES, ROUTES6) if topology.loopbacks6 else (ROUTES,)


def _bad_route(node: Node, other: Node, igp: Igp, wanted: tuple[str, str], route: Route | None) -> Problem:
    target, source = wanted
    if route is None:
        seen = f"no {igp.label} route"
        advice = f"Is {other.name} advertising its loopback? `vtysh -c '{igp.database}'` shows it."
    else:
        seen = f"a route with source {route.source or 'of the link'}"
        advice = "`systemctl restart frr` on this host gives its routes the source again."
    return Problem(
        node.name,
        f"kernel route to {other.name}",
        expected=f"{target} by {igp.label} with source {source}",
        seen=seen,
        command=f"ip {'-6 ' if ':' in target else ''}route show {target}",
        advice=advice,
    )
