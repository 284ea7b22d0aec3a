"""Several plans as one run: each only when the one before has ended well, and one report of all."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from meshctl.cluster import Cluster
from meshctl.events import Event, Report, RunFinished, RunStarted, StepResult
from meshctl.executor import Executor, report_of
from meshctl.plan import Plan


@dataclass
class Chain:
    """Plans in their order. `run` is all there is to it, unless something has to be decided in between."""

    plans: Sequence[Plan]
    cluster: Cluster
    emit: Callable[[Event], None]
    notes: list[str] = field(default_factory=list)
    """For the report, each once."""
    views: Mapping[Plan, Cluster] = field(default_factory=dict)
    """For plans that see another cluster than the whole."""
    _results: list[StepResult] = field(default_factory=list)
    _path: list[StepResult] = field(default_factory=list)
    _interrupted: bool = False
    _began: float = field(default_factory=time.monotonic)

    async def run(self) -> Report:
        """All of them, or up to the first that fails or is interrupted."""
        self.begin()
        for plan in self.plans:
            if not await self.link(plan):
                break
        return self.end()

    def begin(self) -> None:
        """Tell of all steps that may come."""
        steps = [step for plan in self.plans for step in plan.order()]
        self.emit(RunStarted(self.cluster.topology.cluster, tuple(steps)))

    async def link(self, plan: Plan) -> bool:
        """Run one of the plans; whether the next may follow."""
        report = await Executor(plan, self.views.get(plan, self.cluster), self._pass_on, began=self._began).run()
        self._results += report.results
        self._path += report.critical_path
        self.notes += [note for note in report.notes if note not in self.notes]
        self._interrupted = self._interrupted or report.interrupted
        return report.ok and not report.interrupted

    def end(self) -> Report:
        """One report of all that was run."""
        report = report_of(
            self.cluster.topology.cluster,
            self._results,
            wall_s=time.monotonic() - self._began,
            path=tuple(self._path),
            notes=self.notes,
            interrupted=self._interrupted,
        )
        self.emit(RunFinished(report))
        return report

    def _pass_on(self, event: Event) -> None:
        """A part's events are the whole's, but for its beginning and end."""
        if not isinstance(event, RunStarted | RunFinished):
            self.emit(event)
