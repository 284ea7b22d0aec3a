"""Incus' database with the survivor as its only voter (linuxcontainers.org, "How to recover a cluster").

Instances run on meanwhile: only the daemon is stopped, hard, because without a leader it never stops by itself.
"""

from pathlib import Path

from meshctl.cluster import Cluster
from meshctl.errors import HostError
from meshctl.host.base import Host
from meshctl.roles import incusapi
from meshctl.roles.parsing import understand
from meshctl.roles.recovery import COPIES, COPYING, Stand, Standing
from meshctl.topology import Node

from .joining import address
from .removal import MEMBERS, members

USES = frozenset({"ovn", "ceph_osd"})
"""What it starts with when it is back."""

SERVING = 300.0
"""Seconds until the database answers: it replays what it has, and for a minute all others look Offline."""

LEADERLESS = 10.0
"""Seconds for a question that only blocks when there is no leader."""

_ALONE = (Path(__file__).parent / "alone.sh").read_text()


async def standing(node: Node, host: Host, cluster: Cluster) -> Standing:
    """Who is in the database's membership, which the survivor knows by itself, and whether it has a leader."""
    told = await host.query(MEMBERS)
    others = understand(host.name, MEMBERS, members, told.stdout) - {address(cluster.topology, node)}
    try:
        await incusapi.read(host, incusapi.MEMBERS, incusapi.members, timeout=LEADERLESS)
    except HostError:
        return Standing(Stand.LOST, f"no leader; members besides {node.name}: {', '.join(sorted(others)) or 'none'}")
    if others:
        return Standing(Stand.HELD, f"the database has a leader, and {', '.join(sorted(others))} as members")
    return Standing(Stand.ALONE, f"{node.name} is the only member of the database")


async def recover(node: Node, host: Host, cluster: Cluster) -> None:
    """Make the survivor the only voter, start Incus, and wait until its database answers."""
    if (await standing(node, host, cluster)).stand is Stand.ALONE:
        return
    argv = ["sh", "-c", _ALONE, "sh", address(cluster.topology, node), COPIES]
    await host.run(argv, reason="the other voters of Incus' database are gone for good", timeout=COPYING)

    async def silent() -> str:
        seen = await standing(node, host, cluster)
        return "" if seen.stand is Stand.ALONE else seen.detail

    await host.until("Incus' database", silent, timeout=SERVING, every=1)
