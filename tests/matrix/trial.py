"""Disturbing bootstraps, running them again, and judging how that ends."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.matrix.arena import Arena, Ended
from tests.matrix.points import Point

KILLED = -9


@dataclass
class Verdict:
    """What came of the points that one cluster met while it was made."""

    struck: dict[Point, str] = field(default_factory=dict)
    """Where each disturbance came, in their order; points that no run met are not here."""
    said: list[str] = field(default_factory=list)
    """What the operator was told by each run that could still say something."""
    faults: list[str] = field(default_factory=list)
    runs: int = 1
    """Undisturbed runs until one succeeded; more than one only where hosts did not answer in time."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether everything went as promised."""
        return not self.faults


def trial(arena: Arena, points: Sequence[Point]) -> Verdict:
    """From empty hosts: run again and again, each run disturbed at the first of the points it meets, until one ends.

    Then run undisturbed, and compare with a run that never was disturbed.
    """
    verdict, began, left = Verdict(), time.monotonic(), list(points)
    arena.reset()
    while left:
        done = arena.disturbed(left)
        if not done.struck:
            verdict.faults += [] if done.code == 0 else [f"undisturbed, it ended with {done.code}: {_ending(done)}"]
            break
        point = Point.parse(done.struck[0])
        left.remove(point)
        verdict.struck[point] = done.struck[1]
        verdict.faults += [f"{point}: {fault}" for fault in _judge(point, done)]
        verdict.said += [f"{point}: {text}" for text in _told(done)]
        if point.kind == "power":
            arena.power_on(point.host)
    verdict.faults += _judge_end(arena, verdict)
    verdict.seconds = time.monotonic() - began
    return verdict


def _judge_end(arena: Arena, verdict: Verdict) -> list[str]:
    arena.runs = 0
    done = arena.patient_bootstrap()
    verdict.runs = arena.runs
    return [f"the run afterwards ended with {done.code}: {_ending(done)}"] if done.code else _compare(arena)


def _ending(done: Ended) -> str:
    return f"{done.said[-3000:]} {_told(done)}"


def _compare(arena: Arena) -> list[str]:
    return [*arena.check_again(), *(f"end state: {line}" for line in arena.wait_until_same())]


def _judge(point: Point, done: Ended) -> list[str]:
    """What the disturbed run itself should have done and didn't."""
    if point.kind == "kill":
        return [] if done.code == KILLED else [f"the controller ended with {done.code}"]
    if done.code == 0:
        return []  # its work was done, or went on over another connection
    return _judge_report(point, done)


def _judge_report(point: Point, done: Ended) -> list[str]:
    """A clear error that names the host, and every step ended that did not need a failed one."""
    steps = {step["id"]: step["state"] for step in done.report.get("steps", [])}
    problems = done.report.get("problems", [])
    faults = [] if done.code == 4 else [f"exit code {done.code} instead of 4: {done.said[-1000:]}"]
    if left := [name for name, state in steps.items() if state not in {"ok", "changed", "failed", "blocked"}]:
        faults.append(f"did not go on with {', '.join(left)}")
    if not any(point.host in f"{problem['host']} {problem['what']} {problem['advice']}" for problem in problems):
        faults.append(f"no problem names {point.host}: {problems}")
    return faults + [f"unclear: {problem['what']}" for problem in problems if "defect of meshctl" in problem["what"]]


def _told(done: Ended) -> list[str]:
    return [
        f"{p['step']} {p['host']}: {p['what']} / {p['seen']} / {p['advice']}" for p in done.report.get("problems", [])
    ]
