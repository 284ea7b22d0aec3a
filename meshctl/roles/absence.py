"""A host's planned absence, layer by layer: the optional module `absence` of a role.

What it may have, found by its presence (all of them safe to repeat after being killed anywhere; they look first, and
change only what is not yet so):

    USES: frozenset[str]                          roles it works on once the cluster stands, beyond those it needs to be
                                                  built on: instances run on Ceph, although Incus is made without
    async def spare(node, cluster) -> list[str]   why the layer can't do without the host, as its own daemons say
    async def expect(node, host, cluster)         the host will be back soon: don't repair what it takes with it
    async def drain(node, host, cluster)          take the layer off the host: leaders, work, and then its daemons
    async def restore(node, host, cluster)        undo all of it, on a host that has rebooted and on one that has not;
                                                  waits for what it builds on, and changes nothing where nothing is left

Drains run from the top down, restores from the bottom up: both orders follow from the roles' needs and USES.
Nothing is written down anywhere: what a killed run left shows on the daemons themselves.
"""

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError
from meshctl.host.base import Host
from meshctl.topology import Node

GOODBYE = 120.0
"""Seconds for daemons to stop."""

RETURN = 600.0
"""Seconds for a layer to be whole again on a host that is back; copying what Ceph missed has its own."""


def witness(node: Node, cluster: Cluster) -> Host:
    """A host that stays, to ask about the one that leaves. RefusedError when there is none."""
    for other in cluster.topology.nodes:
        if other.name != node.name:
            return cluster.host(other)
    raise RefusedError(node.name, "it is the only host of its cluster", advice="There is nobody to take over.")
