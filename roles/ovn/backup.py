"""Both databases, each as one consistent snapshot: `ovsdb-client backup` is one transaction, also of a follower's copy.

It gives a standalone file: `ovsdb-client restore` puts it back into a running cluster, `ovsdb-tool create-cluster`
founds a new one with it.
"""

from collections.abc import AsyncIterator

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.backup import Piece, output
from meshctl.topology import Node

from .databases import databases


async def shared(host: Host, cluster: Cluster) -> AsyncIterator[Piece]:
    """Northbound and southbound. Needs no quorum."""
    for database in databases(cluster.topology):
        argv = ["ovsdb-client", "-t", "20", "backup", database.socket, database.schema]
        yield await output(host, f"ovn/{database.schema}.db", argv)


async def own(node: Node, host: Host, cluster: Cluster) -> AsyncIterator[Piece]:
    """Each host's way into the cluster of both databases, as text: who was a member, and of what."""
    del node
    for database in databases(cluster.topology):
        yield await output(host, f"hosts/{host.name}/ovn/{database.schema}.status", database.status())
