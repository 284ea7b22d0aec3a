"""What a cable should be, compared with what the kernel has and with what the other end answers."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshctl.cluster import Cluster
from meshctl.host.base import Host, Result
from meshctl.roles.base import Problem
from meshctl.topology import Cable, End, Node, Port

from .parse import Link
from .wanted import Device, devices

HEADERS = 28
"""Bytes of an IPv4 and an ICMP header (RFC 791, RFC 792): what `ping -s` does not count."""
SMALL = 56
NO_SUCH_COMMAND = 127


def drift(node: Node, links: Mapping[str, Link]) -> dict[str, str]:
    """The devices that are not as the topology has them, each with what is wrong."""
    wrong = {device.name: _wrong(device, links.get(device.name)) for device in devices(node)}
    return {name: what for name, what in wrong.items() if what}


def _wrong(device: Device, link: Link | None) -> str:
    if link is None:
        return f"there is no {device.name}"
    if device.master and link.master != device.master:
        return f"{device.name} is in {link.master or 'nothing'} instead of {device.master}"
    if not link.up:
        return f"{device.name} is down"
    if missing := [address for address in device.addresses if address not in link.addresses]:
        return f"{device.name} lacks {', '.join(map(str, missing))}"
    if device.mtu and link.mtu != device.mtu:
        return f"{device.name} has MTU {link.mtu} instead of {device.mtu}"
    return ""


def check(node: Node, links: Mapping[str, Link]) -> Iterator[Problem]:
    """Problems that one host's kernel shows."""
    for nic, wrong in drift(node, links).items():
        what = f"{wrong} (cable {cable})" if (cable := _cable_name(node, nic)) else wrong
        yield Problem(
            node.name, what, _expected(node, nic), wrong, f"ip addr show {nic}; networkctl status {nic}",
            "Run bootstrap again; if it stays, another program configures this NIC.",
        )  # fmt: skip
    for port in {port.nic: port for port in reversed(node.ports)}.values():
        link = links.get(port.nic)
        if link and link.up and not link.carrier:
            yield Problem(
                node.name, f"no carrier on {_cable_name(node, port.nic)}", "a link", f"{port.nic} has no carrier",
                f"ip link show {port.nic}",
                f"Is the cable in, and is {'the switch' if port.shared else port.peer} switched on?",
            )  # fmt: skip


def _cable_name(node: Node, nic: str) -> str:
    ports = (port for port in node.ports if nic in {port.nic, *(plug.nic for plug in port.members)})
    return next((f"{node.name}:{p.nic} <-> {p.peer}:{p.peer_nic}" for p in ports), "")


def _expected(node: Node, nic: str) -> str:
    wanted = next(device for device in devices(node) if device.name == nic)
    if nic == "lo":
        return ", ".join(map(str, wanted.addresses))
    if wanted.master:
        return f"a member of {wanted.master}"
    return f"{', '.join(map(str, wanted.addresses))}, MTU {wanted.mtu}" if wanted.addresses else "up"


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of a cable."""

    cable: Cable
    node: Node
    port: Port

    @property
    def size(self) -> int:
        """What `ping -s` needs for a packet of the cable's MTU."""
        return self.cable.mtu - HEADERS

    def ping(self, size: int) -> list[str]:
        """One packet that must not be fragmented, through this NIC; a second for the answer."""
        argv = ["ping", "-n", "-q", "-M", "do", "-s", str(size), "-c", "1", "-W", "1", "-I", self.port.nic]
        return [*argv, str(self.port.peer_address.ip)]


async def ping_all(cluster: Cluster) -> list[Problem]:
    """Ask over every cable from both ends at the same time."""
    ways = [way for cable in cluster.topology.cables for way in _ways(cluster, cable)]
    problems = await asyncio.gather(*(_ask(way, cluster.host(way.node)) for way in ways))
    return [problem for problem in problems if problem]


def _ways(cluster: Cluster, cable: Cable) -> tuple[Way, Way]:
    return _way(cluster, cable, cable.a, cable.b), _way(cluster, cable, cable.b, cable.a)


def _way(cluster: Cluster, cable: Cable, end: End, far: End) -> Way:
    node = cluster.topology.node(end.node)
    return Way(cable, node, next(port for port in node.ports if port.nic == end.nic and port.peer == far.node))


async def _ask(way: Way, host: Host) -> Problem | None:
    argv = way.ping(way.size)
    result = await host.query(argv, ok=None)
    if result.ok:
        return None
    if result.status == NO_SUCH_COMMAND:
        advice = "apt-get install iputils-ping; the system role does it unless packages.install is off"
        return Problem(way.node.name, "ping is not installed", "iputils-ping", "no such command", "which ping", advice)
    small = await host.query(way.ping(SMALL), ok=None)
    return _silent(way, argv, result, small_passes=small.ok)


def _silent(way: Way, argv: list[str], result: Result, *, small_passes: bool) -> Problem:
    peer = f"{way.port.peer}:{way.port.peer_nic}"
    if small_passes:
        what, seen = f"{way.cable} does not carry its MTU", f"{SMALL + HEADERS} bytes pass, {way.cable.mtu} don't"
        advice = "Does anything between the two NICs (a switch, a media converter) have a smaller MTU?"
    else:
        what, seen = f"no answer over {way.cable}", _said(result) or f"{peer} does not answer"
        advice = f"Is the cable in the NICs that the topology names? {way.node.name} asks through {way.port.nic}."
    return Problem(
        way.node.name, what, f"an answer of {way.cable.mtu} bytes from {way.port.peer_address.ip} ({peer})", seen,
        " ".join(argv), advice,
    )  # fmt: skip


def _said(result: Result) -> str:
    return result.stderr.strip().splitlines()[-1] if result.stderr.strip() else ""
