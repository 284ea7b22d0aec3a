"""The cluster's CA and the hosts' SSH keys, from the operator's machine: as they lie there, encrypted or not.

The hosts' own certificates are not here: with the CA each can be made again.
"""

from collections.abc import AsyncIterator

from meshctl.ca import CA_FILE, KEY_FILE, NEXT_FILE
from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.backup import Piece, piece


async def shared(host: Host, cluster: Cluster) -> AsyncIterator[Piece]:
    """What there is of it."""
    del host
    for name in (CA_FILE, KEY_FILE, NEXT_FILE, cluster.state.known_hosts.name):
        content = cluster.state.read_secret(name)
        if content is not None:
            yield piece(f"operator/{name}", content)
