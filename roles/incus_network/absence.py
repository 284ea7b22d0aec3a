"""The overlay's gateways after an absence: every host can be one again."""

from contextlib import suppress

from meshctl.cluster import Cluster
from meshctl.errors import WaitError
from meshctl.host.base import Host
from meshctl.roles.absence import RETURN
from meshctl.topology import Node

from . import judge, nb

BY_ITSELF = 15.0
"""Seconds for Incus to make a restored host a gateway."""


async def restore(node: Node, host: Host, cluster: Cluster) -> None:
    """Wait until the host is a gateway again; once it was none until Incus was restarted (instances go on)."""
    if cluster.topology.uplink is None:
        return

    async def missing() -> str:
        listing = await host.query(nb.command(cluster.topology), ok=None)
        gone = judge.missing_gateways(cluster.topology, listing)
        return f"{node.name} is no gateway" if node.name in gone else ""

    with suppress(WaitError):
        await host.until("the overlay's gateways", missing, timeout=BY_ITSELF)
        return
    await host.run(
        ["systemctl", "restart", "incus.service"], reason="it was restored and is no gateway", timeout=RETURN
    )
    await host.until("the overlay's gateways", missing, timeout=RETURN)
