"""FRR off a host: its configuration, if meshctl made it; the package stays, disabled."""

import asyncio

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.removal import erase, present, stop
from meshctl.topology import Node

from . import static
from .vty import OURS, UNIT


async def holdings(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """Routing."""
    del node, cluster
    frr, files = await asyncio.gather(host.query(OURS, ok=None), static.leftovers(host))
    return [*(["routing by FRR"] if frr.ok else []), *(["static routes"] if files else [])]


async def remove(node: Node, host: Host, cluster: Cluster) -> None:
    """Stop FRR, which takes its routes with it, and remove its history of configurations; take static routes back."""
    del node, cluster
    if files := await static.leftovers(host):
        await static.leave(host, files)
    if (await host.query(OURS, ok=None)).ok:
        reason = "the cluster is being destroyed"
        await stop(host, UNIT, reason=reason)
        await erase(host, *await present(host, "/var/lib/frr/commit-*"), reason=reason)
