"""Names and clock settings off a host. Its own name and the installed packages stay."""

from meshctl.cluster import Cluster
from meshctl.host.base import Host, text
from meshctl.roles.removal import erase, present
from meshctl.topology import Node

from . import hosts
from .role import CHRONY, CLOUD


async def holdings(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """The nodes' names, and the nodes as each other's clocks."""
    del node, cluster
    return ["the nodes' names in /etc/hosts, clock and kernel settings"] if await _there(host) else []


async def remove(node: Node, host: Host, cluster: Cluster) -> None:
    """Take the names out of /etc/hosts, and let chrony go on without the other nodes.

    Kernel settings stay in effect until the next boot: nobody knows what they were.
    """
    del node, cluster
    reason = "the cluster is being destroyed"
    if (names := await host.read(hosts.PATH)) is not None:
        await host.put({hosts.PATH: text(hosts.without(names))})
    await erase(host, f"{CLOUD}/99-meshctl.cfg", reason=reason)
    if await present(host, CHRONY):
        await erase(host, CHRONY, reason=reason)
        await host.run(["systemctl", "try-restart", "chrony.service"], reason="its peers are gone")


async def _there(host: Host) -> bool:
    names = await host.read(hosts.PATH)
    return hosts.BEGIN in (names or "") or bool(await present(host, CHRONY))
