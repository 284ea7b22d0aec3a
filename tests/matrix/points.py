"""Where a run is disturbed: generated from the journal of one that wasn't."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

TOGETHER = 0.005
"""Seconds between two written files of one `put`: they are noted one after the other, when all are there."""

_NEW_EACH_TIME = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{12,}\b|\b\d{2,}\b|[A-Za-z0-9+/_-]{40,}=*")
"""What differs between two runs from the same start: identities, hashes, process ids, times, tokens."""

Kind = Literal["kill", "power", "ssh"]
When = Literal["start", "before", "during", "end"]


@dataclass(frozen=True, slots=True)
class Point:
    """A disturbance of one step. `before` the n-th change (a file: right after it was written), or `during` it."""

    kind: Kind
    """SIGKILL to the controller, a power loss of `host`, or the end of every SSH connection to `host`."""
    step: str
    """"" is the run itself."""
    when: When
    number: int = 0
    host: str = ""
    """Whose changes are counted; for kills "", which means all of the step's."""

    def __str__(self) -> str:
        where = self.when + (f"-{self.number}" if self.number else "")
        return ":".join([self.kind, self.step, where, *([self.host] if self.host else [])])

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str` made."""
        kind, step, where, *host = text.split(":")
        when, _, number = where.partition("-")
        return cls(kind, step, when, int(number or 0), *host)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Journal:
    """What a run did: the steps in an order that works, what each needs, and its changes."""

    needs: Mapping[str, Sequence[str]]
    changes: Mapping[str, Sequence[Mapping[str, Any]]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The journal of one run, as `--log-file` wrote it."""
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        steps = next(line for line in lines if line["event"] == "run_started")["steps"]
        changes = [line for line in lines if line["event"] == "changed"]
        of = {step["id"]: [c for c in changes if c["step"] == step["id"]] for step in steps}
        return cls({step["id"]: step["needs"] for step in steps}, of)

    def moment(self, point: Point) -> str:
        """What a run's event must be to be this point, however much of its step earlier runs have done."""
        if not point.number:
            return f"{point.when} {point.step}"
        own = [change for change in self.changes[point.step] if point.host in {"", change["host"]}]
        return moment(own[point.number - 1])


def moment(change: Mapping[str, Any]) -> str:
    """A change by what it does: the same in every run from the same start, whatever went before it."""
    target = _NEW_EACH_TIME.sub("*", change["target"])
    return f"{change['step']} {change['host']} {change['kind']} {target}"


def points(journal: Journal) -> list[Point]:
    """Every step boundary, and every change of every step; then the middle of each role on each host, twice."""
    found = [Point("kill", "", "start")]
    for step in journal.needs:
        found += [*_of_step(step, journal.changes[step]), Point("kill", step, "end")]
    for kind in ("power", "ssh"):
        found += [point for step in journal.needs for point in _middles(kind, step, journal.changes[step])]
    return found


def _of_step(step: str, changes: Sequence[Mapping[str, Any]]) -> Iterable[Point]:
    """Before each change and while it is made; for files the one moment after all of a `put` are written."""
    for number, change in enumerate(changes, 1):
        previous = changes[number - 2] if number > 1 else None
        if change["kind"] == "file":
            if previous is None or not _same_put(previous, change):
                yield Point("kill", step, "before", number)
        else:
            yield Point("kill", step, "before", number)
            yield Point("kill", step, "during", number)


def _same_put(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    same = one["kind"] == other["kind"] == "file" and one["host"] == other["host"]
    return same and bool(other["at"] - one["at"] < TOGETHER)


def _middles(kind: Kind, step: str, changes: Sequence[Mapping[str, Any]]) -> Iterable[Point]:
    """The middle one of a step's changes on each host that it changes."""
    for host in sorted({change["host"] for change in changes}):
        own = [change for change in changes if change["host"] == host]
        yield Point(kind, step, "during", len(own) // 2 + 1, host)
