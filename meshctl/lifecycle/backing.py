"""A backup of a cluster that goes on working, or of what is left of it: every layer's pieces into one archive."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from meshctl.cluster import Cluster
from meshctl.events import Event, Kind, Report, Step
from meshctl.executor import Executor
from meshctl.host.base import Host
from meshctl.host.holder import Holder
from meshctl.lifecycle.archive import Archive, Contents, inspect
from meshctl.lifecycle.envelope import Envelope
from meshctl.lifecycle.layers import bottom_up
from meshctl.lifecycle.phases import Phase
from meshctl.plan import Plan
from meshctl.roles.backup import Piece, piece
from meshctl.roles.base import Role
from meshctl.topology import Node, Topology

Ask = Callable[[Node, Host, Cluster], AsyncIterator[Piece]]


class Collect(Phase):
    """One layer's pieces, through one host."""

    def __init__(self, topology: Topology, ask: Ask, archive: Archive) -> None:
        super().__init__(topology)
        self._ask = ask
        self._archive = archive

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Put them into the archive."""
        async for one in self._ask(node, host, cluster):
            await self._archive.add(one)


@dataclass
class Backup:
    """One backup: what runs instead of a plan, with the hosts locked."""

    path: Path
    envelope: Envelope
    roles: Sequence[Role]
    standstill: bool = False
    """Whether daemons may be stopped, one host's at a time, for what can't be copied otherwise."""
    contents: Contents | None = None
    size: int = 0
    _missing: list[str] = field(default_factory=list)

    async def run(
        self, cluster: Cluster, hosts: Mapping[str, Host], lease: object, emit: Callable[[Event], None]
    ) -> Report:
        """Write the archive with all that can be had; what can't is a failed step, and listed as missing.

        An interrupted run leaves no archive. Where it can be opened again it is read back and proved at once.
        """
        del lease
        source = cluster.topology.source
        async with Archive(self.path, self.envelope) as archive:
            await archive.add(piece(f"topology/{source.name}", await asyncio.to_thread(source.read_bytes)))
            report = await Executor(collecting(self.roles, cluster.topology, archive, list(hosts), self.standstill),
                                    cluster, emit).run()  # fmt: skip
            if report.interrupted:
                return report
            self.contents = self._list(cluster, archive, hosts, report)
            self.size = await archive.finish(self.contents)
        if self.envelope.opens:
            await asyncio.to_thread(inspect, self.path, self.envelope)
        return report

    def _list(self, cluster: Cluster, archive: Archive, hosts: Mapping[str, Host], report: Report) -> Contents:
        here = Holder.here("")
        away = [f"{node.name} was not reached" for node in cluster.topology.nodes if node.name not in hosts]
        failed = [f"{one.step.id}: {said}" for one in report.results if not one.state.good
                  for said in [problem.what for problem in one.problems] or [str(one.state)]]  # fmt: skip
        by = f"{here.who} on {here.where}"
        return Contents(cluster.topology.cluster, here.since, by, tuple(archive.members), (*away, *failed))

    def as_json(self) -> dict[str, Any]:
        """What it has to tell beside the report."""
        found = self.contents
        return {
            "file": str(self.path) if found else "",
            "size": self.size,
            "complete": bool(found and not found.missing),
            "members": [asdict(one) for one in found.members] if found else [],
            "missing": list(found.missing) if found else [],
        }


def collecting(
    roles: Sequence[Role],
    topology: Topology,
    archive: Archive,
    reached: Sequence[str],
    standstill: bool,  # noqa: FBT001
) -> Plan:
    """All layers' pieces from all hosts that were reached, at the same time; what needs a standstill comes last."""
    nodes = [node for node in topology.nodes if node.name in reached]
    steps: list[Step] = []
    phases: dict[str, Role] = {}

    def add(role: Role, ability: str, ask: Ask, where: Sequence[Node], needs: tuple[str, ...] = ()) -> None:
        name = f"{ability} {role.name}"
        phases[name] = Collect(topology, ask, archive)
        steps.extend(Step(f"{role.name}.{ability}@{node.name}", name, Kind.APPLY, node.name, needs) for node in where)

    modules = [(role, module) for role, module in bottom_up(roles, "backup") if module]
    for role, module in modules:
        if hasattr(module, "shared"):
            add(role, "shared", _shared(module), nodes[:1])
        if hasattr(module, "own"):
            add(role, "own", module.own, nodes)
    before = tuple(step.id for step in steps)
    for role, module in modules:
        if standstill and hasattr(module, "standstill"):
            add(role, "standstill", _standstill(module), nodes[-1:], before)
    return Plan(steps, phases)


def _shared(module: ModuleType) -> Ask:
    def ask(node: Node, host: Host, cluster: Cluster) -> AsyncIterator[Piece]:
        del node
        found: AsyncIterator[Piece] = module.shared(host, cluster)
        return found

    return ask


def _standstill(module: ModuleType) -> Ask:
    def ask(node: Node, host: Host, cluster: Cluster) -> AsyncIterator[Piece]:
        del node, host
        found: AsyncIterator[Piece] = module.standstill(cluster)
        return found

    return ask
