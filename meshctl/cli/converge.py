# ruff: noqa: PLC0415  (imports happen where they are needed)
"""A run from its plan to its exit code: hosts reached and locked, an executor, and the readers of its events."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import click

from meshctl.cli.consent import agree
from meshctl.cli.exits import INTERRUPTED, REFUSED, UNHEALTHY
from meshctl.cli.limits import as_words
from meshctl.cli.options import Options
from meshctl.cli.output import counted, emit_json
from meshctl.cli.wiping import as_options

if TYPE_CHECKING:
    from meshctl.cli.progress import Reader
    from meshctl.cli.runlog import RunLog
    from meshctl.cluster import Cluster
    from meshctl.events import Event, Report
    from meshctl.host.lock import locked
    from meshctl.host.ssh import SshHost
    from meshctl.plan import Limits, Plan
    from meshctl.state import StateFolder
    from meshctl.topology import Topology


class Drive(Protocol):
    """Runs several plans, where a run is more than one."""

    async def run(
        self, cluster: "Cluster", hosts: "Mapping[str, SshHost]", lease: "locked", emit: "Reader"
    ) -> "Report":
        """The whole run, with the hosts locked."""
        ...

    def as_json(self) -> dict[str, Any]:
        """What it has to tell beside the report, also when it was never run."""
        ...


@dataclass(frozen=True)
class Job:
    """What one run is about."""

    command: Literal[
        "bootstrap",
        "verify",
        "certs renew",
        "evacuate",
        "restore",
        "reboot",
        "replace",
        "add",
        "remove",
        "destroy",
        "backup",
        "recover",
    ]
    topology: "Topology"
    options: Options
    accept_new: bool
    patience: float | None = None
    """Seconds for each gate, instead of what the roles ask for."""
    plan: "Plan | None" = None
    """The steps, where they aren't the command's own."""
    wipe: frozenset[tuple[str, str]] = frozenset()
    """Disks (node, path) whose content may be destroyed."""
    drive: Drive | None = None
    """What runs instead of a single plan."""
    arguments: str = ""
    """What followed the topology on the command line."""
    verdicts: tuple[str, str] | None = None
    """What it means when all steps ended well, or not; by default, that the cluster is healthy, or not."""
    limits: "Limits | None" = None
    """What of a bootstrap is wanted, if not all."""
    asks: bool = False
    """Whether the operator wants to see the plan, and to agree, before anything is changed."""
    watch: "tuple[Reader, ...]" = ()
    """Further readers of an ordered run's events, after the log."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What the JSON report has beside the run."""
    some: bool = False
    """Whether it goes on with those hosts that can be reached; else all have to be there."""

    @property
    def slug(self) -> str:
        """The command in names of files and schemas."""
        return self.command.replace(" ", "-")

    @property
    def again(self) -> str:
        """The command line that goes on where this run ended."""
        return self._line(self.command)

    @property
    def preview(self) -> str:
        """The command line that shows what this run would change."""
        return self._line("plan")

    def _line(self, command: str) -> str:
        words = f"{self.arguments}{as_words(self.limits)}{as_options(self.wipe)}"
        return self.options.line(command, self.topology, words)


def run(job: Job) -> int:
    """The whole run, shown as the operator wants it; returns the exit code."""
    import asyncio

    from meshctl.cli.runlog import RunLog
    from meshctl.errors import MeshctlError

    try:
        state = job.options.state(job.topology)
        state.ensure()
        _protect(job, state)
        with RunLog.of(job.slug, state.runs, job.options.log_file) as log:
            report = asyncio.run(_converge(job, state, log))
    except MeshctlError as error:
        if job.options.json:
            from meshctl.cli.report import not_started

            emit_json(job.slug, {**not_started(getattr(error, "errors", (error,))), **_more(job)})
        raise
    _show(job, report, log)
    return exit_code(report)


def exit_code(report: "Report") -> int:
    """What the shell learns of a run that got to its end."""
    if report.stopped:
        return report.stopped.exit_code
    if report.interrupted:
        return INTERRUPTED
    if report.refused:
        return REFUSED
    return 0 if report.ok else UNHEALTHY


def _protect(job: Job, state: "StateFolder") -> None:
    """Encrypt the CA's key where the topology wants it and it lies plain; before any host is touched."""
    from meshctl.ca import protect

    for text in protect(state) if job.command != "verify" else ():
        click.echo(text, err=True)


async def _converge(job: Job, state: "StateFolder", log: "RunLog") -> "Report":
    import asyncio

    from meshctl.cli import history
    from meshctl.cli.progress import progress, to_all
    from meshctl.cli.survivors import reached
    from meshctl.cluster import Cluster
    from meshctl.executor import Executor
    from meshctl.host.holder import Holder

    began = Holder.here(log.files[0].stem)
    planning = asyncio.create_task(asyncio.to_thread(_plan, job))  # imports all roles, while hosts let us in
    click.echo(f"connecting to {counted(len(job.topology.nodes), 'host')}", err=True)
    async with reached(job.topology, job.options, state, accept_new=job.accept_new, some=job.some) as hosts:
        cluster = Cluster(job.topology, hosts, state, wipe=job.wipe)
        plan = await planning
        if job.command == "bootstrap" and (report := await _nothing_to_do(job, cluster, log)):
            return report
        if job.command == "bootstrap":
            await asyncio.gather(*(role.foresee(cluster) for role in plan.roles.values()))
        async with _locked(job, hosts, log) as lease, progress(job.options) as show:
            emit = to_all(log.take, *job.watch, show)
            if job.drive and lease:
                report = await job.drive.run(cluster, hosts, lease, emit)
            else:
                report = await Executor(plan, cluster, emit, patience=job.patience).run()
            if why := await history.keep(hosts, job.command, began, report):
                log.note("not_in_the_history", why=why)
    return replace(report, stopped=lease.lost) if lease else report


async def _nothing_to_do(job: Job, cluster: "Cluster", log: "RunLog") -> "Report | None":
    """The report, if everything is in place already; else the plan is shown, if somebody wants to agree to it.

    Looking needs no lock, and what it has seen for the report it need not ask for the plan.
    """
    from meshctl.host.remembering import remembering
    from meshctl.preview import Previewer

    async with remembering(cluster.hosts) as hosts:
        seen = replace(cluster, hosts=hosts)
        report = await _settled(job, seen, log)
        if report is None and job.asks:
            preview = await Previewer(_plan(job), seen).run()
            await agree(job.options, job.topology, preview, job.preview)
    return report


async def _settled(job: Job, cluster: "Cluster", log: "RunLog") -> "Report | None":
    from meshctl.cli.progress import progress, to_all
    from meshctl.settled import settled

    events: list[Event] = []
    report = await settled(_plan(job), cluster, events.append)
    if report:
        async with progress(job.options) as show:
            emit = to_all(log.take, show)
            for event in events:
                emit(event)
    return report


@asynccontextmanager
async def _locked(job: Job, hosts: "Mapping[str, SshHost]", log: "RunLog") -> "AsyncIterator[locked | None]":
    """The hosts' locks, for a run that changes hosts; the other runs need none."""
    if job.command == "verify":
        yield None
        return
    from meshctl.host.holder import Holder
    from meshctl.host.lock import locked

    holder = Holder.here(log.files[0].stem)
    async with locked(hosts, holder, say=lambda text: click.echo(text, err=True)) as lease:
        log.note("locked", holder=str(holder))
        yield lease
    if lease.lost:
        log.note("lock_lost", error=str(lease.lost))


def _plan(job: Job) -> "Plan":
    if job.plan:
        return job.plan
    from meshctl.plan import EVERYTHING, bootstrap_plan, verify_plan
    from meshctl.roles.discovery import discover

    roles = [role(job.topology) for role in discover().values()]
    if job.command == "bootstrap":
        return bootstrap_plan(job.topology, roles, job.limits or EVERYTHING)
    return verify_plan(roles)


def _show(job: Job, report: "Report", log: "RunLog") -> None:
    if job.options.json:
        from meshctl.cli.report import as_json

        emit_json(job.slug, {**as_json(report), **_more(job)})
        return
    from meshctl.cli.output import coloured
    from meshctl.cli.summary import summarize

    style = coloured(sys.stdout)
    text = summarize(report, again=job.again, log=str(log.files[-1]), style=style, verdicts=job.verdicts)
    click.echo(text, color=True)


def _more(job: Job) -> dict[str, Any]:
    return {**job.more, **(job.drive.as_json() if job.drive else {})}
