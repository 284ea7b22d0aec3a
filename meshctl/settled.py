"""Is everything in place already? Most bootstraps of a running cluster end here, within a second or two.

Order matters only where something is changed. While nothing is, every role's `apply` can look at its hosts (which
record what it would change) and every gate at its layer, all at the same time; what several of them ask is asked once.
The first difference ends the look,
and the ordered run begins, without anything that was seen here.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NoReturn

from meshctl.cluster import Cluster
from meshctl.events import Event, Kind, Report, RunFinished, RunStarted, State, Step, StepFinished, StepResult
from meshctl.executor import report_of
from meshctl.host.base import Host
from meshctl.host.changes import HostChange
from meshctl.host.dryrun import DryRunHost
from meshctl.host.lockstep import AtOnce
from meshctl.plan import Plan
from meshctl.roles.base import Role
from meshctl.state import VolatileState


class _Unsettled(Exception):  # noqa: N818  (internal: the answer "no")
    """A step would change something, or a gate has a problem."""


async def settled(plan: Plan, cluster: Cluster, emit: Callable[[Event], None]) -> Report | None:
    """The report of a run that found nothing to do, told to `emit` as well; None when there is something to do.

    Changes nothing, so it needs no lock. An error is an answer, too: the ordered run meets it again and says so.
    Give it hosts that remember: several layers ask the same.
    """
    look = _Look(plan, cluster)
    with suppress(Exception):  # see above
        async with asyncio.TaskGroup() as tasks:
            for name in plan.roles:
                tasks.create_task(look.at(name))
        return look.report(emit)
    return None


@dataclass
class _Look:
    """One look at everything."""

    plan: Plan
    cluster: Cluster
    _results: dict[str, StepResult] = field(default_factory=dict)
    _notes: dict[str, None] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        state = VolatileState(self.cluster.state.path, self.cluster.state.seal)
        hosts: dict[str, Host] = {
            name: DryRunHost(host, AtOnce(), _refuse) for name, host in self.cluster.hosts.items()
        }
        self._view = replace(self.cluster, hosts=hosts, state=state, note=self._note)

    async def at(self, name: str) -> None:
        """A role's gate, and beside it what it would prepare and apply."""
        role = self.plan.roles[name]
        steps = [step for step in self.plan.order() if step.role == name]
        of = {kind: [step for step in steps if step.kind is kind] for kind in Kind}
        async with asyncio.TaskGroup() as tasks:
            for step in of[Kind.VERIFY]:
                tasks.create_task(self._step(step, role))
            for step in of[Kind.PREPARE]:
                await self._step(step, role)
            for step in of[Kind.APPLY]:
                tasks.create_task(self._step(step, role))

    async def _step(self, step: Step, role: Role) -> None:
        started = self._now()
        if step.kind is Kind.PREPARE:
            await role.prepare(self._view)
        elif step.kind is Kind.APPLY:
            node = self._view.topology.node(step.node or "")
            await role.apply(node, self._view.host(node), self._view)
        elif await role.verify(self._view):
            raise _Unsettled(step.id)
        self._results[step.id] = StepResult(step, State.OK, started, self._now())

    def _note(self, text: str) -> None:
        self._notes[text] = None

    def _now(self) -> float:
        return time.monotonic() - self._began

    def report(self, emit: Callable[[Event], None]) -> Report:
        """Tell it as a run in which every step was fine."""
        order = self.plan.order()
        results = [self._results[step.id] for step in order]
        slowest = max(results, key=lambda result: result.ended)
        name = self.cluster.topology.cluster
        report = report_of(name, results, wall_s=self._now(), path=(slowest,), notes=self._notes)
        emit(RunStarted(name, tuple(order)))
        for result in results:
            emit(StepFinished(result))
        emit(RunFinished(report))
        return report


def _refuse(change: HostChange) -> NoReturn:
    raise _Unsettled(change.target)
