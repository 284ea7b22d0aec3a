"""A report as the JSON object that docs/cli.md promises."""

from collections.abc import Iterable
from typing import Any

from meshctl.errors import HostError, MeshctlError
from meshctl.events import Report, StepResult
from meshctl.roles.base import Problem


def as_json(report: Report) -> dict[str, Any]:
    """All keys but `schema`. Seconds have three decimals; `changed` counts changes."""
    return {
        "ok": report.ok,
        "changed": len(report.changes),
        "wall_s": round(report.wall_s, 3),
        "critical_path_s": round(sum(result.seconds for result in report.critical_path), 3),
        "critical_path": [result.step.id for result in report.critical_path],
        "controller": {"cpu_s": round(report.cpu_s, 3), "max_rss_mb": round(report.max_rss_mb, 1)},
        "steps": [_step(result) for result in report.results],
        "problems": [
            *([_problem("", _from_error(report.stopped))] if report.stopped else []),
            *(_problem(result.step.id, problem) for result in report.results for problem in result.problems),
        ],
    }


def not_started(errors: Iterable[MeshctlError]) -> dict[str, Any]:
    """The same object for a run that ended before its first step: the hosts could not be reached, for one."""
    return {
        "ok": False,
        "changed": 0,
        "wall_s": 0.0,
        "critical_path_s": 0.0,
        "critical_path": [],
        "controller": {"cpu_s": 0.0, "max_rss_mb": 0.0},
        "steps": [],
        "problems": [_problem("", _from_error(error)) for error in errors],
    }


def _from_error(error: MeshctlError) -> Problem:
    host = error.host if isinstance(error, HostError) else ""
    return Problem(host=host, what=error.message, expected="", seen="", advice=error.advice)


def _step(result: StepResult) -> dict[str, Any]:
    return {
        "id": result.step.id,
        "state": str(result.state),
        "seconds": round(result.seconds, 3),
        "changed": len(result.changes),
    }


def _problem(step: str, problem: Problem) -> dict[str, str]:
    return {
        "step": step,
        "host": problem.host,
        "what": problem.what,
        "expected": problem.expected,
        "seen": problem.seen,
        "command": problem.command,
        "advice": problem.advice,
    }
