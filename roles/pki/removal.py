"""Certificates off a host."""

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.removal import erase, present
from meshctl.roles.tls import FOLDER
from meshctl.topology import Node


async def holdings(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """The host's key and certificate."""
    del cluster
    return [f"{node.name}'s certificate and private key"] if await present(host, FOLDER) else []


async def remove(node: Node, host: Host, cluster: Cluster) -> None:
    """Remove them; the CA's key is not on hosts."""
    del node, cluster
    await erase(host, FOLDER, reason="the cluster is being destroyed")
