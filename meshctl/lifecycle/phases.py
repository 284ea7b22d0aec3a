"""What happens to one host in a planned absence, each as a step of a plan: the layers' own abilities, and the frame."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.errors import MeshctlError, RefusedError
from meshctl.host.base import Host
from meshctl.host.remembering import RememberingHost
from meshctl.host.wait import until
from meshctl.lifecycle.layers import Layer
from meshctl.lifecycle.survival import objections
from meshctl.roles.base import Problem, Role, problem_of
from meshctl.topology import Node, Topology

SETTLE = 300.0
"""Seconds for every layer's gate to pass on a cluster whose hosts are all back."""


class Phase(Role):
    """A part of an absence, dressed as a role so that the executor can run it."""

    name: ClassVar[str] = "absence"
    summary: ClassVar[str] = ""

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """No gate of its own."""
        del cluster
        return []


class Survives(Phase):
    """Refuses unless the cluster goes on without the host."""

    def __init__(self, topology: Topology, layers: Sequence[Layer]) -> None:
        super().__init__(topology)
        self._layers = layers

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Raise RefusedError with every reason."""
        del host
        reasons = await objections(node, cluster, self._layers)
        if reasons:
            raise RefusedError(
                node.name,
                f"the cluster would not survive its absence: {'; '.join(reasons)}",
                advice=f"Mend that first: `meshctl doctor {self.topology.source}` says how, `meshctl status` what is.",
            )


class Ability(Phase):
    """One layer's `expect` or `drain`."""

    def __init__(self, topology: Topology, layer: Layer, ability: str) -> None:
        super().__init__(topology)
        self._do = getattr(layer.absence, ability)

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Let the layer do it."""
        await self._do(node, host, cluster)


class Restore(Phase):
    """One layer's `restore`, and then its gate: what builds on it comes afterwards."""

    def __init__(self, topology: Topology, layer: Layer) -> None:
        super().__init__(topology)
        self._layer = layer

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Let the layer do it, and wait until its own gate passes."""
        await self._layer.absence.restore(node, host, cluster)

        async def sick() -> str:
            return "; ".join(_sentence(problem) for problem in await look([self._layer.role], cluster))

        await until(f"{self._layer.name}'s gate", sick, timeout=SETTLE, every=self._layer.role.poll)


class Leftovers(Phase):
    """Undoes, layer by layer, what an interrupted run or an earlier evacuation left on a host; usually nothing."""

    name: ClassVar[str] = "leftovers"

    def __init__(self, topology: Topology, layers: Sequence[Layer], roles: Sequence[Role]) -> None:
        super().__init__(topology)
        self._layers = layers
        self._roles = roles

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """All layers from the bottom up, without their gates: other hosts may be at the same."""
        for layer in self._layers:
            if layer.can("restore"):
                await layer.absence.restore(node, host, cluster)

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every role's gate."""
        return await look(self._roles, cluster)

    def gate_timeout(self) -> float:
        """Long enough for what has just been started."""
        return SETTLE


class Healthy(Leftovers):
    """The gate after a host is back: every role's."""

    name: ClassVar[str] = "healthy"
    poll: ClassVar[float] = 0.5


async def look(roles: Sequence[Role], cluster: Cluster) -> list[Problem]:
    """One look at the gates of all these roles at the same time, each question asked once."""
    hosts = {name: RememberingHost(host) for name, host in cluster.hosts.items()}
    view = replace(cluster, hosts=hosts)
    try:
        found = await asyncio.gather(*(_gate(role, view) for role in roles))
    finally:
        await asyncio.gather(*(host.close() for host in hosts.values()))
    return [problem for problems in found for problem in problems]


async def _gate(role: Role, cluster: Cluster) -> list[Problem]:
    try:
        return await role.verify(cluster)
    except MeshctlError as error:
        return [problem_of(error, "")]


def _sentence(problem: Problem) -> str:
    return f"{problem.host}: {problem.what}" if problem.host else problem.what
