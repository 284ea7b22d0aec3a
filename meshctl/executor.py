"""Runs a plan: every step the moment its predecessors have succeeded, all independent ones at the same time.

A failed step blocks only what depends on it. Ctrl-C (cancellation) ends running steps, and the report says so.
"""

import asyncio
import re
import resource
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from meshctl.cluster import Cluster
from meshctl.errors import ConnectError, ConnectionLost, MeshctlError, RefusedError, WaitError
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
from meshctl.host.base import Host
from meshctl.host.changes import HostChange, Record
from meshctl.host.views import ReadOnlyHost, RecordingHost
from meshctl.host.wait import until
from meshctl.plan import Plan
from meshctl.roles.base import Problem, Role, problem_of
from meshctl.topology import Topology

_HOPELESS = (ConnectError, ConnectionLost, RefusedError)
"""Errors that looking again will not mend."""


class Executor:
    """One run of one plan. Make a new one for the next run.

    `patience`: seconds that a gate may take to pass, instead of what its role asks for. `began`: when the whole that
    this run is a part of began, on the monotonic clock.
    """

    def __init__(
        self,
        plan: Plan,
        cluster: Cluster,
        emit: Callable[[Event], None],
        *,
        patience: float | None = None,
        began: float | None = None,
    ) -> None:
        self._plan = plan
        self._patience = patience
        self._emit = emit
        self._began = time.monotonic() if began is None else began
        self._results: dict[str, StepResult] = {}
        self._changes: dict[str, list[Change]] = {step_id: [] for step_id in plan.steps}
        self._notes: list[str] = []
        self._interrupted = False
        self._cluster = cluster

    async def run(self) -> Report:
        """Run everything. When cancelled: ends what runs, reports, and returns with `interrupted` set.

        Nothing runs any more when it is over, whatever ended it: the hosts' locks are given back then.
        """
        order = self._plan.order()
        self._emit(RunStarted(self._cluster.topology.cluster, tuple(order)))
        ended = {step.id: asyncio.Event() for step in order}
        tasks = [asyncio.create_task(self._when_ready(step, ended), name=step.id) for step in order]
        try:
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            self._interrupted = True
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for step in order:
            if step.id not in self._results:
                self._finish(step, State.INTERRUPTED, self._now())
        report = self._report()
        self._emit(RunFinished(report))
        return report

    async def _when_ready(self, step: Step, ended: Mapping[str, asyncio.Event]) -> None:
        for need in step.needs:
            await ended[need].wait()
        if all(self._results[need].state.good for need in step.needs):
            await self._run_step(step)
        else:
            self._finish(step, State.BLOCKED, self._now())
        ended[step.id].set()

    async def _run_step(self, step: Step) -> None:
        started = self._now()
        self._emit(StepStarted(step, started))
        try:
            problems = await self._do(step)
        except asyncio.CancelledError:
            self._finish(step, State.INTERRUPTED, started)
            raise
        except MeshctlError as error:
            problem = _telling_whose(problem_of(error, step.node or ""), self._cluster.topology)
            self._finish(step, State.FAILED, started, (problem,))
        except Exception as error:  # noqa: BLE001  (a defect of one role must not take the others' steps down)
            crash = _defect(error, step)
            self._finish(step, State.FAILED, started, (crash,), trace=traceback.format_exc())
        else:
            done = State.CHANGED if self._changes[step.id] else State.OK
            self._finish(step, State.FAILED if problems else done, started, problems)

    async def _do(self, step: Step) -> tuple[Problem, ...]:
        role = self._plan.roles[step.role]
        if step.kind is Kind.VERIFY:
            return await self._gate(step, role)
        if step.kind is Kind.PREPARE:
            await role.prepare(self._view(step, read_only=True))
            return ()
        cluster = self._view(step, read_only=False)
        node = cluster.topology.node(step.node or "")
        await role.apply(node, cluster.host(node), cluster)
        return ()

    async def _gate(self, step: Step, role: Role) -> tuple[Problem, ...]:
        """Look until there is no problem, or one that will not go away, or the deadline."""
        cluster = self._view(step, read_only=True)
        seen: tuple[Problem, ...] = ()
        timeout = role.gate_timeout() if self._patience is None else self._patience

        async def look() -> str:
            nonlocal seen
            found = await _look(role, cluster, step)
            if found and found != seen:
                self._emit(GateWaits(step, found, self._now()))
            seen = found
            return "" if any(problem.final for problem in found) else "; ".join(p.what for p in found)

        try:
            await until(f"{role.name}'s gate", look, timeout=timeout, every=role.poll)
        except WaitError:
            return seen
        return seen

    def _view(self, step: Step, *, read_only: bool) -> Cluster:
        hosts: dict[str, Host] = {
            name: ReadOnlyHost(host) if read_only else RecordingHost(host, self._recorder(step))
            for name, host in self._cluster.hosts.items()
        }
        changed = partial(self._changed_before, step)
        return replace(self._cluster, hosts=hosts, changed=changed, note=lambda text: self._note(step, text))

    def _recorder(self, step: Step) -> Record:
        def record(seen: HostChange) -> None:
            change = Change(step.id, seen.host, seen.kind, seen.target, seen.reason)
            self._changes[step.id].append(change)
            self._emit(Changed(change, self._now()))

        return record

    def _note(self, step: Step, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)
            self._emit(Noted(step, text, self._now()))

    def _changed_before(self, step: Step) -> frozenset[str]:
        return frozenset(before for before in self._plan.ancestors(step.id) if self._changes[before])

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _finish(
        self, step: Step, state: State, started: float, problems: tuple[Problem, ...] = (), *, trace: str = ""
    ) -> None:
        result = StepResult(step, state, started, self._now(), tuple(self._changes[step.id]), problems)
        self._results[step.id] = result
        self._emit(StepFinished(result, trace))

    def _report(self) -> Report:
        return report_of(
            self._cluster.topology.cluster,
            self._results.values(),
            wall_s=self._now(),
            path=critical_path(self._results),
            notes=self._notes,
            interrupted=self._interrupted,
        )


def report_of(
    cluster: str,
    results: Iterable[StepResult],
    *,
    wall_s: float,
    path: tuple[StepResult, ...],
    notes: Iterable[str],
    interrupted: bool = False,
) -> Report:
    """The report of a run, with what this process has used so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Report(
        cluster=cluster,
        results=tuple(results),
        wall_s=wall_s,
        critical_path=path,
        interrupted=interrupted,
        cpu_s=usage.ru_utime + usage.ru_stime,
        max_rss_mb=usage.ru_maxrss / 1024,  # Linux counts it in KiB (getrusage(2))
        notes=tuple(notes),
    )


def critical_path(results: Mapping[str, StepResult]) -> tuple[StepResult, ...]:
    """From the step that ended last back along the predecessors that ended last: what the run's length was made of."""
    if not results:
        return ()
    path = [max(results.values(), key=lambda result: result.ended)]
    while path[-1].step.needs:
        path.append(max((results[need] for need in path[-1].step.needs), key=lambda result: result.ended))
    return tuple(reversed(path))


async def _look(role: Role, cluster: Cluster, step: Step) -> tuple[Problem, ...]:
    """One look of a gate; an error while looking is a problem like any other."""
    try:
        return tuple(await role.verify(cluster))
    except MeshctlError as error:
        return (replace(problem_of(error, step.node or ""), final=isinstance(error, _HOPELESS)),)


def _telling_whose(problem: Problem, topology: Topology) -> Problem:
    """Daemons name other hosts by their loopbacks ("peer node 10.50.1.3:8443 is down"); add which hosts these are."""
    words = set(re.findall(r"\d+(?:\.\d+){3}", problem.what))
    named = [f"{node.loopback} is {node.name}" for node in topology.nodes if str(node.loopback) in words]
    if problem.advice or not named:
        return problem
    return replace(problem, advice=f"{', '.join(named)}: see that all hosts are up, then run meshctl again.")


def _defect(error: Exception, step: Step) -> Problem:
    return Problem(
        host=step.node or "",
        what=f"defect of meshctl in {step.id}: {type(error).__name__}: {error}",
        expected="",
        seen="",
        advice="The full trace is in the run's log; please report it.",
    )
