"""Incus' database as SQL, and the certificates by which members and clients know the cluster.

`.dump` is Incus' own way (incus-admin-sql(1)); Incus can read it again as `/var/lib/incus/database/patch.global.sql`
at its start. Instances' disks are not in it.
"""

from collections.abc import AsyncIterator

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.backup import Piece, files, output
from meshctl.topology import Node

_SQL = ("incus", "admin", "sql")
_HOME = "/var/lib/incus"
_LEADERLESS = 20.0
"""Seconds; without a leader it would block for a minute."""


async def shared(host: Host, cluster: Cluster) -> AsyncIterator[Piece]:
    """The database that all members share. Needs a quorum."""
    del cluster
    yield await output(host, "incus/global.sql", [*_SQL, "global", ".dump"], seconds=_LEADERLESS)


async def own(node: Node, host: Host, cluster: Cluster) -> AsyncIterator[Piece]:
    """The member's own database, and its certificates with their keys."""
    del node, cluster
    name = f"hosts/{host.name}/incus/local.sql"
    yield await output(host, name, [*_SQL, "local", ".dump"], seconds=_LEADERLESS)
    async for piece in files(host, f"{_HOME}/server.*", f"{_HOME}/cluster.*"):
        yield piece
