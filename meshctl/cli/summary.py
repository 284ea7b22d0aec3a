"""What an operator reads when a run is over: the outcome, what took the time, what is wrong, and how to go on."""

from collections.abc import Callable, Iterator

from meshctl.cli.output import counted
from meshctl.cli.printable import one_line
from meshctl.events import Kind, Report, State, StepResult
from meshctl.roles.base import Problem

Style = Callable[[str, str], str]
"""(text, colour) -> text; the identity where colours are unwanted."""


def summarize(report: Report, *, again: str, log: str, style: Style) -> str:
    """The whole summary; `again` is the command that resumes the run, `log` the file that has every detail."""
    parts = ["\n".join(_headline(report, style))]
    if report.critical_path:
        parts.append("\n".join(_critical_path(report)))
    problems = [(result, problem) for result in report.results for problem in result.problems]
    if problems:
        parts.append("\n".join(line for result, problem in problems for line in _problem(result, problem, style)))
    if not report.ok:
        parts.append("\n".join(_how_to_go_on(report, again)))
    return "\n\n".join([*parts, f"Log: {log}"])


def _headline(report: Report, style: Style) -> Iterator[str]:
    if report.interrupted:
        yield style(f"{report.cluster}: interrupted", "magenta") + f" after {report.wall_s:.1f} s"
    elif report.ok:
        yield style(f"{report.cluster} is healthy", "green") + f", {_what_changed(report)}, {report.wall_s:.1f} s"
    else:
        yield style(f"{report.cluster} is not healthy", "red") + f", {_what_changed(report)}, {report.wall_s:.1f} s"
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
    for result in report.critical_path:
        yield f"  {result.seconds:6.1f} s  {result.step.id}"


def _problem(result: StepResult, problem: Problem, style: Style) -> Iterator[str]:
    where = f"{result.step.id}, {problem.host}" if problem.host else result.step.id
    yield style(f"{where}:", "red") + f" {one_line(problem.what)}"
    for name in ("expected", "seen", "command", "advice"):
        if text := getattr(problem, name).strip():
            lines = text.splitlines()
            yield f"  {name + ':':<9} {one_line(lines[0])}"
            yield from (f"  {'':<9} {one_line(line)}" for line in lines[1:6])


def _how_to_go_on(report: Report, again: str) -> Iterator[str]:
    works = [r.step.role for r in report.results if r.step.kind is Kind.VERIFY and r.state.good]
    broken = dict.fromkeys(
        r.step.role for r in report.results if r.state in {State.FAILED, State.BLOCKED, State.INTERRUPTED}
    )
    yield f"Works: {', '.join(works) or 'no layer yet'}"
    yield f"Does not, or was not reached: {', '.join(broken)}"
    yield f"To go on after mending it: {again}  (what is in place stays as it is)"
