"""Progress without a terminal: one line per step that ended."""

from collections.abc import Callable

from meshctl.cli.printable import one_line
from meshctl.events import Changed, Event, GateWaits, Kind, Noted, State, StepFinished


class PlainLines:
    """Writes `12.3s  frr@node2  changed  1.2s`; with `verbose`, every change and what gates wait for as well."""

    def __init__(self, write: Callable[[str], None], *, verbose: bool) -> None:
        self._write = write
        self._verbose = verbose

    def take(self, event: Event) -> None:
        """Write what the operator should see of it."""
        match event:
            case StepFinished(result) if result.step.kind is not Kind.PREPARE or not result.state.good:
                self._line(
                    result.ended, result.step.id, f"{result.state:<11}  {_seconds(result.state, result.seconds)}"
                )
                for problem in result.problems:
                    host = f"{problem.host}: " if problem.host and problem.host != result.step.node else ""
                    self._line(result.ended, result.step.id, f"problem      {host}{problem.what}")
            case Noted(step, text, at):
                self._line(at, step.id, f"note         {text}")
            case Changed(change, at) if self._verbose:
                self._line(at, change.step, f"{change.kind:<11}  {change.target}  ({change.reason})")
            case GateWaits(step, problems, at) if self._verbose:
                self._line(at, step.id, f"waits        {problems[0].what}")

    def _line(self, at: float, step: str, text: str) -> None:
        self._write(f"{at:6.1f}s  {step:<22}  {one_line(text)}".rstrip())


def _seconds(state: State, seconds: float) -> str:
    return "" if state is State.BLOCKED else f"{seconds:.1f}s"
