"""What a run tells its readers: the live view, the log and the report are three readers of one stream."""

from dataclasses import dataclass, field
from enum import StrEnum

from meshctl.errors import MeshctlError
from meshctl.roles.base import Problem


class Kind(StrEnum):
    """What a step does."""

    PREPARE = "prepare"
    """Looks at all hosts before a role's first change."""
    APPLY = "apply"
    """Converges one host."""
    VERIFY = "verify"
    """The gate: nothing that needs the role starts before it has passed."""


class State(StrEnum):
    """How a step ended, or that it did not."""

    WAITING = "waiting"
    RUNNING = "running"
    OK = "ok"
    CHANGED = "changed"
    FAILED = "failed"
    BLOCKED = "blocked"
    """Something it depends on failed."""
    INTERRUPTED = "interrupted"
    """The operator stopped the run before or while it ran."""

    @property
    def good(self) -> bool:
        """Whether dependent steps may start."""
        return self in {State.OK, State.CHANGED}


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the graph. `node` is None for steps that look at the whole cluster."""

    id: str
    role: str
    kind: Kind
    node: str | None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was changed on a host: a written file or a command that ran."""

    step: str
    host: str
    kind: str
    """`file`, `service` or `command`."""
    target: str
    """The file's path, or the command line (which never holds a secret)."""
    reason: str
    diff: str = ""
    """For files that are only planned: a unified diff."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step ended; `started` and `ended` are seconds since the run began."""

    step: Step
    state: State
    started: float
    ended: float
    changes: tuple[Change, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it ran."""
        return self.ended - self.started


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run, once it is over."""

    cluster: str
    results: tuple[StepResult, ...]
    wall_s: float
    critical_path: tuple[StepResult, ...]
    """The chain of steps that decided how long the run took, first to last."""
    interrupted: bool
    cpu_s: float
    max_rss_mb: float
    notes: tuple[str, ...] = ()
    stopped: MeshctlError | None = None
    """Why the run could not go on, when that was no step's fault: it lost its lock."""

    @property
    def ok(self) -> bool:
        """Whether every step of the run ended well."""
        return self.stopped is None and all(result.state.good for result in self.results)

    @property
    def refused(self) -> bool:
        """Whether a step would not go on because that would destroy something meshctl did not make."""
        return any(problem.refused for result in self.results for problem in result.problems)

    @property
    def changes(self) -> tuple[Change, ...]:
        """Everything that was changed, in the order of the steps' ends."""
        return tuple(change for result in self.results for change in result.changes)


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The graph is known and its first steps are about to start."""

    cluster: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step's predecessors have succeeded, and it runs."""

    step: Step
    at: float


@dataclass(frozen=True, slots=True)
class Changed:
    """A step changed something."""

    change: Change
    at: float


@dataclass(frozen=True, slots=True)
class GateWaits:
    """A gate looked and will look again: what it still sees."""

    step: Step
    problems: tuple[Problem, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Noted:
    """A role tells the operator something that is neither a change nor a problem."""

    step: Step
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step ended. `traceback` is only there for defects of meshctl itself, and only for the log."""

    result: StepResult
    traceback: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RunFinished:
    """Nothing is left to do."""

    report: Report


Event = RunStarted | StepStarted | Changed | GateWaits | Noted | StepFinished | RunFinished
