"""Several plans as one run: each only when the one before has ended well, and one report of all."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from meshctl.cluster import Cluster
from meshctl.events import Event, Report, RunFinished, RunStarted, StepResult
from meshctl.executor import Executor, report_of
from meshctl.plan import Plan


@dataclass
class Chain:
    """Plans in their order."""

    plans: Sequence[Plan]
    cluster: Cluster
    emit: Callable[[Event], None]
    _results: list[StepResult] = field(default_factory=list)
    _path: list[StepResult] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    async def run(self) -> Report:
        """All of them, or up to the first that fails or is interrupted."""
        steps = [step for plan in self.plans for step in plan.order()]
        self.emit(RunStarted(self.cluster.topology.cluster, tuple(steps)))
        interrupted = False
        for plan in self.plans:
            report = await Executor(plan, self.cluster, self._pass_on, began=self._began).run()
            self._results += report.results
            self._path += report.critical_path
            self._notes += [note for note in report.notes if note not in self._notes]
            interrupted = report.interrupted
            if not report.ok or interrupted:
                break
        whole = report_of(
            self.cluster.topology.cluster,
            self._results,
            wall_s=time.monotonic() - self._began,
            path=tuple(self._path),
            notes=self._notes,
            interrupted=interrupted,
        )
        self.emit(RunFinished(whole))
        return whole

    def _pass_on(self, event: Event) -> None:
        """A part's events are the whole's, but for its beginning and end."""
        if not isinstance(event, RunStarted | RunFinished):
            self.emit(event)
