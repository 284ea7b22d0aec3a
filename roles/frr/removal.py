"""FRR off a host: its configuration, if meshctl made it; the package stays, disabled."""

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.removal import erase, present, stop
from meshctl.topology import Node

from .role import CONF, UNIT

_OURS = ("grep", "-qs", "meshctl", CONF)


async def holdings(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """Routing."""
    del node, cluster
    return ["OSPF and BFD"] if (await host.query(_OURS, ok=None)).ok else []


async def remove(node: Node, host: Host, cluster: Cluster) -> None:
    """Stop FRR, which takes its routes with it, and remove its history of configurations."""
    del node, cluster
    if (await host.query(_OURS, ok=None)).ok:
        reason = "the cluster is being destroyed"
        await stop(host, UNIT, reason=reason)
        await erase(host, *await present(host, "/var/lib/frr/commit-*"), reason=reason)
