"""What a role sees of the world: the topology, the hosts, and the operator's state folder."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from meshctl.host.base import Host
from meshctl.state import StateFolder
from meshctl.topology import Node, Topology

T = TypeVar("T")


def _ignore(_text: str) -> None:
    return


@dataclass(frozen=True)
class Cluster:
    """Topology and hosts, as one step of the run may use them.

    During `apply` a host counts what is changed; during `verify` it refuses to change anything.
    """

    topology: Topology
    hosts: Mapping[str, Host]
    state: StateFolder
    note: Callable[[str], None] = _ignore
    """Tell the operator something that is neither a change nor a problem."""
    changed: Callable[[], frozenset[str]] = field(default=frozenset)
    """The steps before this one, all that it depends on, that have changed something in this run."""

    wipe: frozenset[tuple[str, str]] = frozenset()
    """Disks (node, path as in the topology) whose content the operator gives up in this run."""

    @property
    def leader(self) -> Host:
        """The host where clusters are founded."""
        return self.hosts[self.topology.nodes[0].name]

    def host(self, node: Node) -> Host:
        """The host of a node."""
        return self.hosts[node.name]

    def wiped(self, node: Node) -> tuple[str, ...]:
        """A node's disks whose content may be destroyed."""
        return tuple(disk.path for disk in node.disks if (node.name, disk.path) in self.wipe)

    async def each(self, ask: Callable[[Node, Host], Awaitable[T]]) -> dict[str, T]:
        """Ask all hosts at the same time; answers by node name, in the order of the nodes."""
        nodes = self.topology.nodes
        answers = await asyncio.gather(*(ask(node, self.hosts[node.name]) for node in nodes))
        return {node.name: answer for node, answer in zip(nodes, answers, strict=True)}
