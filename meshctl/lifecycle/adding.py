"""One more host for a running cluster: the others are whole, then a bootstrap gives everybody the new configuration."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.events import Kind, Step
from meshctl.lifecycle.phases import Phase, look
from meshctl.plan import Plan
from meshctl.roles.base import Problem, Role
from meshctl.topology import Node, Topology

OTHERS = "others"

PATIENCE = 60.0
"""Seconds for the gates of the cluster as it is, which nobody is changing."""


class Others(Phase):
    """The gate before a host joins: all that is there is whole. `roles` are those of the topology without it."""

    name: ClassVar[str] = OTHERS
    poll: ClassVar[float] = 1.0

    def __init__(self, topology: Topology, roles: Sequence[Role], node: Node) -> None:
        super().__init__(topology)
        self._roles = roles
        self._node = node

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every role's gate, on the others."""
        hosts = {name: host for name, host in cluster.hosts.items() if name != self._node.name}
        rest = replace(cluster, topology=cluster.topology.without(self._node.name), hosts=hosts)
        return await look(self._roles, rest)

    def gate_timeout(self) -> float:
        """See PATIENCE."""
        return PATIENCE


def readiness(topology: Topology, roles: Sequence[Role], node: Node) -> Plan:
    """Looks at the others; the roles are those of the topology without the node."""
    return Plan([Step(f"{OTHERS}.verify", OTHERS, Kind.VERIFY, None)], {OTHERS: Others(topology, roles, node)})
