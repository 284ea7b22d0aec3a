# ruff: noqa: PLC0415  (imports happen where they are needed)
"""The end of a run becomes a line in the history that the cluster keeps."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshctl.events import Report
    from meshctl.host.base import Host
    from meshctl.host.holder import Holder
    from meshctl.roles.handover.history import Run

UNKEPT = frozenset({"verify", "destroy"})
"""What changes nothing, and what leaves nobody to keep it."""


async def keep(hosts: "Mapping[str, Host]", command: str, holder: "Holder", report: "Report") -> str:
    """Add the run to the cluster's history, while its lock is held; why not, when that can't be done.

    A cluster without a quorum, or without Ceph yet, can't keep anything: that is no fault of the run.
    """
    from meshctl.errors import HostError
    from meshctl.roles.handover.history import add

    if command in UNKEPT:
        return ""
    try:
        await add(next(iter(hosts.values())), entry(command, holder, report))
    except HostError as error:
        return str(error)
    return ""


def entry(command: str, holder: "Holder", report: "Report") -> "Run":
    """The run in a line."""
    from meshctl.roles.handover.history import Run

    problems = [problem for result in report.results for problem in result.problems]
    told = tuple(f"{problem.host}: {problem.what}" if problem.host else problem.what for problem in problems)
    by = f"{holder.who} on {holder.where}"
    ok, changed = report.ok and not report.interrupted, len(report.changes)
    return Run(holder.since, by, command, ok, changed, round(report.wall_s, 1), told, holder.run)
