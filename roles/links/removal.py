"""Addresses off a host's cables and loopback, behind the same safety net as every other change of the network."""

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles import deadman
from meshctl.roles.parsing import understand
from meshctl.roles.removal import erase
from meshctl.topology import Node

from . import netplan
from .parse import links
from .release import release
from .renderers import ours
from .role import LOOK


async def holdings(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """The addresses of the mesh."""
    del node, cluster
    return [f"{address} on {holding.device}" for holding in await ours(host) for address in holding.addresses]


async def remove(node: Node, host: Host, cluster: Cluster) -> None:
    """Remove addresses and files of all former runs, unless that cuts the host off: then the host puts them back."""
    del node
    if await deadman.unconfirmed(host):
        await deadman.take_back(host)
    held = await ours(host)
    if not held:
        return
    reason = "the cluster is being destroyed"
    now = understand(host.name, LOOK, links, (await host.query(LOOK)).stdout)
    paths = {holding.path for holding in held}
    deadline = deadman.deadline(cluster.topology)
    async with deadman.guarded(host, paths, {holding.device for holding in held}, deadline=deadline):
        await release(host, held, now, (), reason=reason)
        await erase(host, *paths, reason=reason)
        if netplan.PATH in paths:
            await host.run(["netplan", "generate"], reason=reason)
        if (await host.query(["systemctl", "is-active", "systemd-networkd.service"], ok=None)).ok:
            await host.run(["networkctl", "reload"], reason=reason)
