"""What an operator reads when a run is over: the outcome, what took the time, what is wrong, and how to go on."""

from collections.abc import Iterator
from dataclasses import replace

from meshctl.cli.output import Style, counted
from meshctl.cli.printable import one_line
from meshctl.events import Kind, Report, State
from meshctl.roles.base import Problem

_LINES = 7
"""Of what a host printed: enough to see what it is about; the log has the rest."""


def summarize(report: Report, *, again: str, log: str, style: Style, verdicts: tuple[str, str] | None = None) -> str:
    """The whole summary; `again` is the command that resumes the run, `log` the file that has every detail.

    `verdicts`: what it means that every step ended well, or not.
    """
    parts = [_headline(report, style, verdicts or (f"{report.cluster} is healthy", f"{report.cluster} is not healthy"))]
    parts += [_problem(problem, places, style) for problem, places in _grouped(report).items()]
    if not report.ok:
        parts.append(_how_to_go_on(report, again))
    if report.critical_path and not report.interrupted:
        parts.append(_critical_path(report))
    return "\n\n".join(["\n".join(part) for part in parts] + [f"Log: {log}"])


def _headline(report: Report, style: Style, verdicts: tuple[str, str]) -> Iterator[str]:
    if report.stopped:
        yield style(f"{report.cluster}: stopped", "red") + f" after {report.wall_s:.1f} s: {report.stopped}"
        yield f"  {report.stopped.advice}"
    elif report.interrupted:
        yield style(f"{report.cluster}: interrupted", "magenta") + f" after {report.wall_s:.1f} s"
    elif report.ok:
        yield style(verdicts[0], "green") + f", {_what_changed(report)}, {report.wall_s:.1f} s"
    else:
        yield style(verdicts[1], "red") + f", {_what_changed(report)}, {report.wall_s:.1f} s"
    counts = [(state, sum(1 for result in report.results if result.state is state)) for state in State]
    steps = ", ".join(f"{number} {state}" for state, number in counts if number)
    yield f"  steps: {steps or 'none'}; controller: {report.cpu_s:.1f} s CPU, {report.max_rss_mb:.0f} MB"
    yield from (f"  note: {one_line(note)}" for note in report.notes)


def _what_changed(report: Report) -> str:
    if not report.changes:
        return "nothing had to be changed" if report.ok else "nothing was changed"
    hosts = {change.host for change in report.changes}
    return f"{counted(len(report.changes), 'change')} on {counted(len(hosts), 'host')}"


def _critical_path(report: Report) -> Iterator[str]:
    total = sum(result.seconds for result in report.critical_path)
    yield f"Critical path, {total:.1f} s: the chain of steps that the run could not be shorter than"
    for result in (result for result in report.critical_path if result.seconds >= 0.05):  # noqa: PLR2004  (0.1 s)
        yield f"  {result.seconds:6.1f} s  {result.step.id}"


def _grouped(report: Report) -> dict[Problem, dict[str, list[str]]]:
    """Each problem once, its host left out, with the steps and hosts that met it: one cause often shows everywhere."""
    groups: dict[Problem, dict[str, list[str]]] = {}
    for result in report.results:
        for problem in result.problems:
            hosts = groups.setdefault(replace(problem, host=""), {}).setdefault(result.step.id, [])
            hosts += [problem.host] if problem.host not in {"", result.step.node} else []
    return groups


def _problem(problem: Problem, places: dict[str, list[str]], style: Style) -> Iterator[str]:
    where = "; ".join(f"{step} on {', '.join(hosts)}" if hosts else step for step, hosts in places.items())
    yield style(f"{where}:", "red") + f" {one_line(problem.what)}"
    for name in ("expected", "seen", "command", "advice"):
        lines = getattr(problem, name).strip().splitlines()
        for label, line in zip((f"{name}:", *[""] * _LINES), lines, strict=False):
            yield f"  {label:<9} {one_line(line)}"


def _how_to_go_on(report: Report, again: str) -> Iterator[str]:
    works = [r.step.role for r in report.results if r.step.kind is Kind.VERIFY and r.state.good]
    broken = dict.fromkeys(
        r.step.role for r in report.results if r.state in {State.FAILED, State.BLOCKED, State.INTERRUPTED}
    )
    yield f"Works: {', '.join(works) or 'no layer yet'}"
    yield f"Does not, or was not reached: {', '.join(broken)}"
    yield f"To go on{'' if report.interrupted else ', after mending it'}: {again}"
    if any(result.step.kind is Kind.APPLY for result in report.results):
        yield "  What is in place stays as it is; a run may be repeated at any time."
