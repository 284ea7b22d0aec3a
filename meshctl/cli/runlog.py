"""Every run as JSON lines: one file in the state folder, and one more where the operator asked for it."""

import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

import click

from meshctl.errors import UsageError
from meshctl.events import (
    Changed,
    Event,
    GateWaits,
    Noted,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)

if TYPE_CHECKING:
    from structlog.typing import EventDict


class RunLog:
    """A reader of events that writes each as one line, at once, so that a killed run has its log too.

    A file that can't be written any more, as on a full disk, is given up with a word to the operator; the run goes on.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self.files = tuple(files)
        self._open = ExitStack()
        self._sinks: dict[Path, TextIO] = {}

    @cached_property
    def _logger(self) -> Any:
        return _logger(self)

    @classmethod
    def of(cls, command: str, runs: Path, more: Path | None) -> Self:
        """The log of one run of a command, in the folder `runs` and, when given, in the file `more`."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        return cls(path for path in (runs / f"{stamp}-{command}.jsonl", more) if path)

    def __enter__(self) -> Self:
        self._sinks = {path: self._open.enter_context(_private(path)) for path in self.files}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.note("run_ended_early", exc_info=error)
        self._open.close()

    def note(self, event: str, **values: Any) -> None:
        """One line."""
        self._logger.msg(event, **values)

    def write(self, text: str) -> None:
        """Structlog's sink: one line."""
        for path, sink in tuple(self._sinks.items()):
            try:
                sink.write(text)
                sink.flush()
            except OSError as error:
                self._give_up(path, error)

    def flush(self) -> None:
        """Structlog's sink, after every line: nothing is left to do."""

    def _give_up(self, path: Path, error: OSError) -> None:
        with suppress(OSError):  # the same again: closing would write what is still in the buffer
            self._sinks.pop(path).close()
        click.echo(f"the log {path} ends here, the run goes on: {error.strerror}", err=True)

    def take(self, event: Event) -> None:
        """One line per event."""
        match event:
            case RunStarted(cluster, steps):
                graph = [{"id": step.id, "needs": step.needs} for step in steps]
                self.note("run_started", cluster=cluster, steps=graph)
            case StepStarted(step, at):
                self.note("step_started", step=step.id, at=round(at, 3))
            case Changed(change, at):
                self.note("changed", at=round(at, 3), **asdict(change))
            case GateWaits(step, problems, at):
                self.note("gate_waits", step=step.id, at=round(at, 3), problems=[asdict(p) for p in problems])
            case Noted(step, text, at):
                self.note("noted", step=step.id, at=round(at, 3), text=text)
            case StepFinished():
                self._step_finished(event)
            case RunFinished(report):
                from meshctl.cli.report import as_json  # noqa: PLC0415  (needed once, at the end)

                self.note("run_finished", **as_json(report))

    def _step_finished(self, event: StepFinished) -> None:
        result = event.result
        self.note(
            "step_finished",
            step=result.step.id,
            state=str(result.state),
            at=round(result.ended, 3),
            seconds=round(result.seconds, 3),
            changes=len(result.changes),
            problems=[asdict(problem) for problem in result.problems],
            **({"traceback": event.traceback} if event.traceback else {}),
        )


def _structlog() -> Any:
    """The library without rich and pygments, which it loads only to draw tracebacks on terminals, for 0.2 s."""
    unseen = "rich" not in sys.modules
    if unseen:
        sys.modules["rich"] = None  # type: ignore[assignment]  # how Python says that a module can't be imported
    try:
        import structlog  # noqa: PLC0415  (only runs that write a log need it)
    finally:
        if unseen:
            del sys.modules["rich"]
    return structlog


def _logger(sink: Any) -> Any:
    structlog = _structlog()
    return structlog.wrap_logger(
        structlog.WriteLogger(sink),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            _readable_order,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.BoundLogger,
    )


def _readable_order(_logger: Any, _method: str, line: "EventDict") -> "EventDict":
    """When and what first, as a reader expects of a log."""
    return {"time": line.pop("time"), "event": line.pop("event"), **line}


def _private(path: Path) -> TextIO:
    """Append to a file that only the operator may read: host names and command lines are nobody else's business."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(
            f"the log {path} can't be written: {error.strerror}", advice="Choose another --log-file or --state-dir."
        ) from error
    return os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace")
