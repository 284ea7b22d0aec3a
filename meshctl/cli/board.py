"""A run so far, as its readers need it: kept from events alone, drawn elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass, field

from meshctl.events import (
    Changed,
    Event,
    GateWaits,
    Kind,
    Noted,
    RunFinished,
    RunStarted,
    State,
    Step,
    StepFinished,
    StepStarted,
)


@dataclass
class Cell:
    """One step: where it is, since when, and how long it took."""

    step: Step
    state: State = State.WAITING
    started: float = 0.0
    seconds: float = 0.0

    def elapsed(self, now: float) -> float:
        """Seconds it has run so far, or took."""
        return max(0.0, now - self.started) if self.state is State.RUNNING else self.seconds


@dataclass
class Layer:
    """One role: its look ahead, its hosts, its gate."""

    name: str
    prepare: Cell | None = None
    hosts: dict[str, Cell] = field(default_factory=dict)
    gate: Cell | None = None

    @property
    def cells(self) -> list[Cell]:
        """All steps, in the order in which they run."""
        return [cell for cell in (self.prepare, *self.hosts.values(), self.gate) if cell]

    @property
    def state(self) -> State:
        """The layer as a whole: the worst of its steps, running while any runs."""
        states = {cell.state for cell in self.cells}
        for state in (State.FAILED, State.INTERRUPTED, State.BLOCKED, State.RUNNING):
            if state in states:
                return state
        if State.WAITING in states:
            return State.WAITING if states == {State.WAITING} else State.RUNNING
        return State.CHANGED if State.CHANGED in states else State.OK


class Board:
    """All layers of a run and what is worth a line beside them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self.cluster = ""
        self.nodes: tuple[str, ...] = ()
        self.layers: dict[str, Layer] = {}
        self.waits: dict[str, str] = {}
        """What each running gate still sees."""
        self.notes: list[str] = []
        self.changes = 0
        self.over = False
        self._cells: dict[str, Cell] = {}

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._began

    def take(self, event: Event) -> None:
        """Bring the board up to date."""
        match event:
            case RunStarted(cluster, steps):
                self._begin(cluster, steps)
            case StepStarted(step, at):
                cell = self._cells[step.id]
                cell.state, cell.started = State.RUNNING, at
            case GateWaits(step, problems):
                first = problems[0]
                more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
                self.waits[step.id] = f"{f'{first.host}: ' if first.host else ''}{first.what}{more}"
            case Changed():
                self.changes += 1
            case Noted(_, text):
                self.notes.append(text)
            case StepFinished(result):
                cell = self._cells[result.step.id]
                cell.state, cell.seconds = result.state, result.seconds
                self.waits.pop(result.step.id, None)
            case RunFinished():
                self.over = True

    def _begin(self, cluster: str, steps: tuple[Step, ...]) -> None:
        self._began = self._clock()
        self.cluster = cluster
        self.nodes = tuple(dict.fromkeys(step.node for step in steps if step.node))
        for step in steps:
            layer = self.layers.setdefault(step.role, Layer(step.role))
            cell = self._cells[step.id] = Cell(step)
            if step.kind is Kind.PREPARE:
                layer.prepare = cell
            elif step.kind is Kind.VERIFY and step.node is None:
                layer.gate = cell
            else:
                layer.hosts[step.node or ""] = cell
