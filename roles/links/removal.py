"""Addresses off a host's cables and loopback, behind the same safety net as every other change of the network."""

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles import deadman
from meshctl.roles.parsing import understand
from meshctl.roles.removal import erase
from meshctl.topology import Node

from .parse import NetworkFile, links, network_files
from .role import FOLDER, LOOK, OURS, PREFIX


async def holdings(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """The addresses of the mesh."""
    del node, cluster
    return [f"{address} on {file.nic}" for file in await _files(host) for address in file.addresses]


async def remove(node: Node, host: Host, cluster: Cluster) -> None:
    """Remove addresses and files of all former runs, unless that cuts the host off: then the host puts them back."""
    del node, cluster
    if await deadman.unconfirmed(host):
        await deadman.take_back(host)
    files = await _files(host)
    if not files:
        return
    reason = "the cluster is being destroyed"
    now = understand(host.name, LOOK, links, (await host.query(LOOK)).stdout)
    async with deadman.guarded(host, {file.path for file in files}, {file.nic for file in files}):
        # The address first: once the file is gone, nothing says whose address it was.
        for file in files:
            for address in file.addresses:
                if file.nic in now and address in now[file.nic].addresses:
                    await host.run(["ip", "addr", "del", str(address), "dev", file.nic], reason=reason)
        await erase(host, *(file.path for file in files), reason=reason)
        if (await host.query(["systemctl", "is-active", "systemd-networkd.service"], ok=None)).ok:
            await host.run(["networkctl", "reload"], reason=reason)


async def _files(host: Host) -> tuple[NetworkFile, ...]:
    told = await host.query(["sh", "-c", OURS, FOLDER, PREFIX], ok=(0, 1, 2))
    return understand(host.name, told.argv, network_files, told.stdout)
