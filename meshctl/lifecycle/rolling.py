"""One host after the other: a plan for each, run only when the one before has ended well and the window is open."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from meshctl.cluster import Cluster
from meshctl.events import Event, Report, RunFinished, RunStarted, StepResult
from meshctl.executor import Executor, report_of
from meshctl.lifecycle.plans import Absences
from meshctl.lifecycle.window import Window
from meshctl.plan import Plan
from meshctl.topology import Node


@dataclass
class Rolling:
    """One rolling reboot; afterwards it knows which hosts it rebooted, and which remain."""

    absences: Absences
    nodes: Sequence[Node]
    cluster: Cluster
    emit: Callable[[Event], None]
    window: Window | None = None
    rebooted: dict[str, float] = field(default_factory=dict)
    """Seconds that each host took, from the first question to the last gate."""
    _results: list[StepResult] = field(default_factory=list)
    _path: list[StepResult] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)
    _interrupted: bool = False
    _began: float = field(default_factory=time.monotonic)

    @property
    def remaining(self) -> list[str]:
        """The hosts that were not rebooted, or not to the end."""
        return [node.name for node in self.nodes if node.name not in self.rebooted]

    async def run(self) -> Report:
        """All hosts, or as far as it goes. Without a host to reboot, and outside the window, nothing is changed."""
        plans = {node.name: self.absences.rebooting(node) for node in self.nodes}
        first = self.absences.leftovers()
        steps = [step for plan in (first, *plans.values()) for step in plan.order()]
        self.emit(RunStarted(self.cluster.topology.cluster, tuple(steps)))
        if plans and self._may_start() and await self._do(first):
            await self._each(plans.items())
        report = report_of(
            self.cluster.topology.cluster,
            self._results,
            wall_s=time.monotonic() - self._began,
            path=tuple(self._path),
            notes=self._notes,
            interrupted=self._interrupted,
        )
        self.emit(RunFinished(report))
        return report

    async def _each(self, plans: Iterable[tuple[str, Plan]]) -> None:
        for name, plan in plans:
            started = time.monotonic()
            if not self._may_start() or not await self._do(plan):
                return
            self.rebooted[name] = time.monotonic() - started

    def _may_start(self) -> bool:
        if self.window is None or self.window.open:
            return True
        self._notes.append(f"the window {self.window} is closed")
        return False

    async def _do(self, plan: Plan) -> bool:
        report = await Executor(plan, self.cluster, self._pass_on, began=self._began).run()
        self._results += report.results
        self._path += report.critical_path
        self._notes += [note for note in report.notes if note not in self._notes]
        self._interrupted = self._interrupted or report.interrupted
        return report.ok and not report.interrupted

    def _pass_on(self, event: Event) -> None:
        """A part's events are the whole's, but for its beginning and end."""
        if not isinstance(event, RunStarted | RunFinished):
            self.emit(event)
