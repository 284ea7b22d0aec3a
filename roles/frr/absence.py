"""FRR before and after an absence: nobody sends transit traffic through a host that is about to go."""

import asyncio
import json
from typing import Any

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.absence import GOODBYE
from meshctl.roles.parsing import parser, understand
from meshctl.roles.units import units
from meshctl.topology import Node

from . import parse
from .igp import Igp
from .igps import speaking
from .judge import ROUTES
from .vty import RUNNING, UNIT

SETTLED = 10.0
"""Seconds for all others to route around the host; it takes one."""


async def drain(node: Node, host: Host, cluster: Cluster) -> None:
    """Announce the host's links at the highest cost (RFC 6987) and wait until the others' routes avoid it.

    It is in the running configuration only: a reboot forgets it.
    """
    if not speaking(cluster.topology):
        return  # static: every two hosts have a cable of their own
    running = parse.running((await host.query(RUNNING)).stdout)[1]
    for igp in speaking(cluster.topology):
        if not _avoided(igp, running):
            argv = _configure(igp, igp.avoid)
            await host.run(argv, reason="transit traffic has to leave before the links do")
    others = [other for other in cluster.topology.nodes if other.name != node.name]
    targets = frozenset(str(other.loopback) for other in others)
    doors = frozenset(str(port.address.ip) for port in node.ports)

    async def passing() -> str:
        found = await asyncio.gather(*(_through(cluster.host(other), targets, doors) for other in others))
        return "; ".join(text for text in found if text)

    await host.until("the others to route around it", passing, timeout=SETTLED, every=0.1)


async def restore(node: Node, host: Host, cluster: Cluster) -> None:
    """Announce the links at their own cost again; start FRR if it was stopped."""
    del node
    if not speaking(cluster.topology):
        return
    if not (await units(host, UNIT))[UNIT].active:
        await host.run(["systemctl", "start", UNIT], reason="FRR does not run", timeout=GOODBYE)
    running = parse.running((await host.query(RUNNING)).stdout)[1]
    for igp in speaking(cluster.topology):
        if _avoided(igp, running):
            await host.run(_configure(igp, f"no {igp.avoid}"), reason="transit traffic may pass again")


def _avoided(igp: Igp, running: str) -> bool:
    return any(line == (igp.block, igp.avoid) for line in parse.config_lines(running))


def _configure(igp: Igp, line: str) -> list[str]:
    return ["vtysh", "-c", "configure terminal", "-c", igp.block, "-c", line]


async def _through(host: Host, targets: frozenset[str], doors: frozenset[str]) -> str:
    """Routes between the hosts that stay which pass through the one that leaves."""
    hops = understand(host.name, ROUTES, gateways, (await host.query(ROUTES)).stdout)
    passing = sorted(target for target in targets if hops.get(target, frozenset()) & doors)
    return f"{host.name} reaches {', '.join(passing)} through it" if passing else ""


@parser
def gateways(text: str) -> dict[str, frozenset[str]]:
    """Destination → its next hops, from `ip -j -4 route show`."""
    found: list[dict[str, Any]] = json.loads(text)
    return {
        str(route["dst"]): frozenset(str(hop.get("gateway", "")) for hop in route.get("nexthops", [route]))
        for route in found
    }
