"""Disturbing bootstraps, running them again, and judging how that ends."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.matrix.arena import Arena, Ended
from tests.matrix.points import Point, every

KILLED = -9


@dataclass
class Verdict:
    """What came of the points that one bootstrap met, in their order."""

    points: tuple[Point, ...]
    struck: list[str] = field(default_factory=list)
    """Where each disturbance really came."""
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
    """From empty hosts: meet every point, then run undisturbed, and compare with a run that never was disturbed."""
    verdict, began = Verdict(tuple(points)), time.monotonic()
    arena.reset()
    for point in points:
        done = arena.disturbed(point)
        verdict.struck.append(done.struck)
        verdict.faults += [f"{point}: {fault}" for fault in _judge(point, done)]
        verdict.said += [f"{point}: {text}" for text in _told(done)]
        if point.kind == "power" and done.struck:
            arena.power_on(point.host)
    arena.runs = 0
    done = arena.patient_bootstrap()
    verdict.runs = arena.runs
    if done.code:
        verdict.faults.append(f"the run afterwards ended with {done.code}: {done.said[-3000:]} {_told(done)}")
    else:
        verdict.faults += _compare(arena)
    verdict.seconds = time.monotonic() - began
    return verdict


def storm(arena: Arena, changes: int, *, most: int = 500) -> Verdict:
    """From empty hosts: run again and again, each run killed after so many changes, until one ends by itself."""
    point, began = every(changes), time.monotonic()
    verdict = Verdict((point,))
    arena.reset()
    while (done := arena.disturbed(point)).code == KILLED and len(verdict.struck) < most:
        verdict.struck.append(done.struck)
    if done.code:
        verdict.faults.append(
            f"run {len(verdict.struck) + 1} ended with {done.code}: {done.said[-3000:]} {_told(done)}"
        )
    else:
        verdict.faults += _compare(arena)
    verdict.seconds = time.monotonic() - began
    return verdict


def _compare(arena: Arena) -> list[str]:
    return [*arena.check_again(), *(f"end state: {line}" for line in arena.wait_until_same())]


def _judge(point: Point, done: Ended) -> list[str]:
    """What the disturbed run itself should have done and didn't."""
    if not done.struck:
        return [f"the run ended with {done.code} before that: {done.said[-2000:]}"]
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
    if not any(point.host in f"{problem['host']} {problem['what']}" for problem in problems):
        faults.append(f"no problem names {point.host}: {problems}")
    return faults + [f"unclear: {problem['what']}" for problem in problems if "defect of meshctl" in problem["what"]]


def _told(done: Ended) -> list[str]:
    return [
        f"{p['step']} {p['host']}: {p['what']} / {p['seen']} / {p['advice']}" for p in done.report.get("problems", [])
    ]
