"""Static routes, kept by systemd-networkd: a direct one to each loopback, and second choices over a third host."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError
from meshctl.host.base import Files, Host, text
from meshctl.roles import deadman
from meshctl.roles.base import Problem
from meshctl.roles.parsing import understand
from meshctl.roles.removal import erase, present
from meshctl.roles.templates import environment
from meshctl.topology import Node, Port, Topology

from . import parse
from .judge import ROUTES

DIRECT, OVER_A_THIRD = 100, 200
"""Metrics; FRR's routes have 20, so that both can be there while one takes over from the other."""

MOST_DETOURS = 3
"""Second choices per loopback; each can replace the direct one alone."""

SYSCTL = "/etc/sysctl.d/60-meshctl-static.conf"
SKIP_DEAD = "net.ipv4.conf.all.ignore_routes_with_linkdown"
"""The kernel passes over a route whose NIC has no carrier. Without it, such a route is used for ever."""

_PREFIX = "05-meshctl-"
_FOLDER = f"/etc/systemd/network/{_PREFIX}{{}}.network"
_LOOK = ("sh", "-c", 'sysctl -n "$0"; systemctl is-active systemd-networkd.service; :', SKIP_DEAD)

SETTLING = 10.0
"""Seconds that networkd may take; less than the dead-man switch waits."""

OTHERS = 60.0
"""Seconds until the other hosts must have come as far as this one."""


@dataclass(frozen=True, slots=True)
class Way:
    """A route to a loopback over one cable."""

    target: str
    port: Port
    metric: int


def ways(topology: Topology, node: Node) -> Iterator[Way]:
    """Every route of a host: the direct cables in the order of the file, then over hosts that have one, too."""
    for other in topology.nodes:
        if other.name == node.name:
            continue
        direct = [port for port in node.ports if port.peer == other.name]
        detours = [port for port in node.ports if port.peer != other.name][:MOST_DETOURS]
        for base, ports in ((DIRECT, direct), (OVER_A_THIRD, detours)):
            for i, port in enumerate(ports):
                yield Way(str(other.loopback), port, base + i)


def render(topology: Topology, node: Node) -> Files:
    """A drop-in for the file of each cable, and the kernel's switch."""
    template = environment(__package__).get_template("static.conf.j2")
    found = list(ways(topology, node))
    files = {
        _dropin(port.nic): text(template.render(node=node, port=port, ways=[way for way in found if way.port == port]))
        for port in node.ports
    }
    return {**files, SYSCTL: text(f"# Made by meshctl: see {SKIP_DEAD}\n{SKIP_DEAD} = 1\n")}


async def apply(topology: Topology, node: Node, host: Host) -> None:
    """Write the files, and let networkd act where kernel and files differ.

    Raises RefusedError where something else keeps the links.
    """
    files = render(topology, node)
    switched = await _refuse_others(node, host)
    differing, missing = await asyncio.gather(host.differing(files), _missing(topology, node, host))
    if differing or missing:
        deadline = deadman.deadline(topology)
        async with deadman.guarded(host, files, {port.nic for port in node.ports}, deadline=deadline):
            written = await host.put(files)
            if written - {SYSCTL}:
                await host.run(["networkctl", "reload"], reason="systemd-networkd has not read its files yet")
            elif missing:
                nics = [port.nic for port in node.ports]
                await host.run(["networkctl", "reconfigure", *nics], reason=f"the kernel has no route {missing}")
            await host.until("static routes", lambda: _missing(topology, node, host), timeout=SETTLING, every=0.1)
    if not switched:
        reason = "routes over a cable without carrier would be used for ever"
        await host.run(["sysctl", "-q", "-w", f"{SKIP_DEAD}=1"], reason=reason)


async def wait_for_others(node: Node, cluster: Cluster, host: Host, patience: float) -> None:
    """Until every other host has its static route to this one: then what routed before may stop."""
    others = [other for other in cluster.topology.nodes if other.name != node.name]

    async def probe() -> str:
        seen = await asyncio.gather(*(_kernel(cluster.host(other)) for other in others))
        lacking = [other.name for other, routes in zip(others, seen, strict=True) if not _has(routes, node)]
        return f"{', '.join(lacking)} without (run bootstrap on all hosts)" if lacking else ""

    await host.until(f"the other hosts' static routes to {node.name}", probe, timeout=patience, every=0.3)


async def leftovers(host: Host) -> list[str]:
    """The files of static routes that are there."""
    return await present(host, _dropin("*"), SYSCTL)


async def leave(host: Host, files: list[str]) -> None:
    """Take static routes back: another protocol has taken over."""
    reason = "routes are no longer static"
    folders = [PurePosixPath(path).parent for path in files if path != SYSCTL]
    nics = {folder.name.removeprefix(_PREFIX).removesuffix(".network.d") for folder in folders}
    async with deadman.guarded(host, files, nics):
        await erase(host, *files, *map(str, folders), reason=reason)
        await host.run(["networkctl", "reload"], reason=reason)
        await host.run(["sysctl", "-q", "-w", f"{SKIP_DEAD}=0"], reason=reason)


def judge(topology: Topology, node: Node, routes: tuple[parse.Route, ...]) -> Iterator[Problem]:
    """Routes that the kernel should have and hasn't."""
    have = {(route.destination, route.nic, route.metric): route for route in routes if route.protocol == "static"}
    for way in ways(topology, node):
        route = have.get((way.target, way.port.nic, way.metric))
        if route is None or route.source != str(node.loopback):
            yield Problem(
                node.name,
                f"static route to {way.target} over {way.port.nic}",
                expected=f"via {way.port.peer_address.ip}, metric {way.metric}, source {node.loopback}",
                seen="no such route" if route is None else f"a route with source {route.source or 'of the link'}",
                command=f"ip route show {way.target}",
                advice=f"Run bootstrap again. Until then: networkctl reconfigure {way.port.nic}",
            )


def switch(node: Node, look: str) -> Iterator[Problem]:
    """Whether dead cables are passed over; `look` is what `_LOOK` printed."""
    if look[:1] != "1":
        yield Problem(
            node.name,
            "routes over a cable without carrier are used all the same",
            expected=f"{SKIP_DEAD} = 1",
            seen=look.split("\n", maxsplit=1)[0] or "nothing",
            command=f"sysctl {SKIP_DEAD}",
            advice=f"What sets it back? {SYSCTL} should be read at every boot.",
        )


async def problems(topology: Topology, node: Node, host: Host) -> list[Problem]:
    """All that is wrong on one host."""
    routes, look = await asyncio.gather(_kernel(host), host.query(_LOOK))
    return [*judge(topology, node, routes), *switch(node, look.stdout)]


async def _refuse_others(node: Node, host: Host) -> bool:
    """Whether the kernel's switch is set. Raises RefusedError when networkd doesn't keep this host's links."""
    look, files = await asyncio.gather(
        host.query(_LOOK), present(host, *(_FOLDER.format(port.nic) for port in node.ports))
    )
    value, _, state = look.stdout.partition("\n")
    if state.strip() not in {"active", "activating", "reloading"} or len(files) != len(node.ports):
        raise RefusedError(
            host.name,
            "static routes are kept by systemd-networkd, and something else keeps this host's links",
            advice="State `routing: {protocol: ospf}`, or `renderer: networkd` for this host.",
        )
    return value == "1"


async def _missing(topology: Topology, node: Node, host: Host) -> str:
    found = [problem.what.removeprefix("static route ") for problem in judge(topology, node, await _kernel(host))]
    return "; ".join(found)


async def _kernel(host: Host) -> tuple[parse.Route, ...]:
    return understand(host.name, ROUTES, parse.routes, (await host.query(ROUTES)).stdout)


def _has(routes: tuple[parse.Route, ...], node: Node) -> bool:
    return any(route.protocol == "static" and route.destination == str(node.loopback) for route in routes)


def _dropin(nic: str) -> str:
    return f"{_FOLDER.format(nic)}.d/50-meshctl-static.conf"
