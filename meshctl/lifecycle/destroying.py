"""Taking everything away that meshctl made: layer by layer, the topmost first, and then a look that nothing is left."""

import asyncio
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.events import Kind, Step
from meshctl.host.base import Host
from meshctl.lifecycle.layers import bottom_up
from meshctl.lifecycle.phases import Phase
from meshctl.plan import Plan
from meshctl.roles.base import Problem, Role
from meshctl.roles.removal import erase, present
from meshctl.topology import Node, Topology

TRACES = "traces"
FOLDERS = ("/usr/local/lib/meshctl", "/var/lib/meshctl")

_KEPT = frozenset({"/etc/hostname"})
"""Rendered files that a host can't be without."""


class Removal(Phase):
    """One layer leaves one host: what its `removal` module does, then its files."""

    def __init__(self, topology: Topology, role: Role, removal: ModuleType | None) -> None:
        super().__init__(topology)
        self._role = role
        self._removal = removal

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Raises RefusedError when what is there isn't this cluster's."""
        if self._removal:
            await self._removal.remove(node, host, cluster)
        files = sorted(self._role.render(node).keys() - _KEPT)
        if files:
            await erase(host, *files, reason=f"{self._role.name} wrote them")


class Traces(Phase):
    """What belongs to no layer, and the proof that the layers are gone."""

    name: ClassVar[str] = TRACES

    def __init__(self, topology: Topology, roles: Sequence[Role]) -> None:
        super().__init__(topology)
        self._roles = roles

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Remove meshctl's own folders."""
        del node, cluster
        if await present(host, "/etc/systemd/system/*meshctl*", *FOLDERS):
            await erase(host, *FOLDERS, reason="they are meshctl's own")
            await host.run(["systemctl", "daemon-reload"], reason="units were removed")

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """No layer holds anything, and no file of any layer is there."""
        held, files = await asyncio.gather(holdings(self._roles, cluster), cluster.each(self._files))
        return [
            *(Problem(name, "something is left", "nothing", what) for name, all_ in held.items() for what in all_),
            *(Problem(name, "a file is left", "no such file", path) for name, paths in files.items() for path in paths),
        ]

    async def _files(self, node: Node, host: Host) -> list[str]:
        return await present(host, *FOLDERS, *{path for role in self._roles for path in role.render(node)} - _KEPT)


def destruction(topology: Topology, roles: Sequence[Role]) -> Plan:
    """A layer goes when all that build on it are gone from every host."""
    steps: list[Step] = []
    phases: dict[str, Role] = {}
    waits: tuple[str, ...] = ()
    for role, removal in reversed(bottom_up(roles, "removal")):
        if removal is None and not any(role.render(node) for node in topology.nodes):
            continue
        steps += [
            Step(f"{role.name}.remove@{node.name}", role.name, Kind.APPLY, node.name, waits) for node in topology.nodes
        ]
        phases[role.name] = Removal(topology, role, removal)
        waits = tuple(step.id for step in steps if step.role == role.name)
    steps += [Step(f"{TRACES}@{node.name}", TRACES, Kind.APPLY, node.name, waits) for node in topology.nodes]
    last = tuple(step.id for step in steps if step.role == TRACES)
    steps.append(Step(f"{TRACES}.verify", TRACES, Kind.VERIFY, None, last))
    return Plan(steps, {**phases, TRACES: Traces(topology, roles)})


async def holdings(roles: Sequence[Role], cluster: Cluster) -> Mapping[str, list[str]]:
    """By host, in an owner's words, what a destruction takes away; the uppermost layers first. Only looks.

    Raises RefusedError when something is not this cluster's.
    """
    modules = [removal for _, removal in reversed(bottom_up(roles, "removal")) if removal]

    async def one(node: Node, host: Host) -> list[str]:
        found = await asyncio.gather(*(module.holdings(node, host, cluster) for module in modules))
        return [what for all_ in found for what in all_]

    return await cluster.each(one)
