"""A run as the executor would tell it: layers on three hosts, a gate that waits, and on demand a failure."""

from collections.abc import Iterator

from meshctl.events import (
    Change,
    Changed,
    Event,
    GateWaits,
    Kind,
    Noted,
    Report,
    RunFinished,
    RunStarted,
    State,
    Step,
    StepFinished,
    StepResult,
    StepStarted,
)
from meshctl.roles.base import Problem

LAYERS = {
    "preflight": (),
    "links": ("preflight",),
    "frr": ("links",),
    "ceph_mon": ("frr",),
    "incus_storage": ("ceph_mon",),
}
UNREACHABLE = """
cluster: unreachable
ssh: {port: 1, connect_timeout: 0.5}
nodes: {node1: {address: 127.0.0.11}}
cables: []
mesh: {loopbacks: 10.50.1.0/24, links: 192.168.11.0/24}
"""
WAITING = Problem(
    "node2", "adjacency with node1 is not Full", "Full on both ends", "Init", "vtysh -c 'show ip ospf nei'"
)
BROKEN = Problem(
    "node3",
    "the monitor is not in quorum",
    "three voters",
    "two voters:\nnode1\nnode2",
    "ceph quorum_status",
    "Look at `journalctl -u ceph-mon@node3`.",
)


def nodes(count: int) -> list[str]:
    return [f"node{i}" for i in range(1, count + 1)]


def steps(count: int = 3) -> tuple[Step, ...]:
    made: list[Step] = []
    for role, needs in LAYERS.items():
        gates = tuple(f"{need}.verify" for need in needs)
        applies = [Step(f"{role}@{node}", role, Kind.APPLY, node, gates) for node in nodes(count)]
        if role == "incus_storage":
            made.append(Step(f"{role}.prepare", role, Kind.PREPARE, None, gates))
            applies = applies[:1]
        made += [*applies, Step(f"{role}.verify", role, Kind.VERIFY, None, tuple(step.id for step in applies) or gates)]
    return tuple(made)


def run(count: int = 3, *, fails: str = "", changes: bool = True) -> Iterator[Event]:
    """All events; `fails` names the step that fails."""
    yield RunStarted("triangle", steps(count))
    results: dict[str, StepResult] = {}
    for number, step in enumerate(steps(count)):
        at = number * 0.5
        if all(results[need].state.good for need in step.needs):
            yield from _running(step, at, changes=changes)
        results[step.id] = _result(step, at, results, fails=fails, changes=changes)
        yield StepFinished(results[step.id])
    yield RunFinished(report(results))


def report(results: dict[str, StepResult]) -> Report:
    ended = tuple(results.values())
    path = tuple(r for r in ended if r.step.kind is Kind.VERIFY)
    return Report(
        "triangle", ended, ended[-1].ended, path, interrupted=False, cpu_s=1.25, max_rss_mb=80.5, notes=("a note",)
    )


def finished(**how: object) -> Report:
    """Only the report of such a run."""
    *_, last = run(**how)  # type: ignore[arg-type]
    assert isinstance(last, RunFinished)
    return last.report


def _running(step: Step, at: float, *, changes: bool) -> Iterator[Event]:
    yield StepStarted(step, at)
    if step.kind is Kind.APPLY and changes:
        yield Changed(Change(step.id, step.node or "", "file", f"/etc/{step.role}.conf", "content differs"), at + 0.1)
    if step.id == "frr.verify":
        yield GateWaits(step, (WAITING,), at + 0.2)
    if step.id == "links.verify":
        yield Noted(step, "node2:eth1 has no\x1b[31m carrier", at + 0.2)


def _result(step: Step, at: float, before: dict[str, StepResult], *, fails: str, changes: bool) -> StepResult:
    if not all(before[need].state.good for need in step.needs):
        return StepResult(step, State.BLOCKED, at, at)
    if step.id == fails:
        return StepResult(step, State.FAILED, at, at + 0.5, (), (BROKEN,))
    if step.kind is Kind.APPLY and changes:
        change = Change(step.id, step.node or "", "file", f"/etc/{step.role}.conf", "content differs")
        return StepResult(step, State.CHANGED, at, at + 0.5, (change,))
    return StepResult(step, State.OK, at, at + 0.5)


def same_problem_everywhere(kind: Kind = Kind.APPLY) -> Report:
    """Three hosts that fail for the same reason, seen by their own steps or by one gate."""
    problems = [Problem(node, "disk is full", "", "", "df") for node in nodes(3)]
    if kind is Kind.VERIFY:
        gate = Step("base.verify", "base", kind, None)
        return report({gate.id: StepResult(gate, State.FAILED, 0, 1, (), tuple(problems))})
    steps = [Step(f"base@{problem.host}", "base", kind, problem.host) for problem in problems]
    failed = zip(steps, problems, strict=True)
    return report({step.id: StepResult(step, State.FAILED, 0, 1, (), (problem,)) for step, problem in failed})
