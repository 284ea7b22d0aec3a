"""A preview as text with colours as in `git diff`, and as the JSON object that docs/cli.md promises."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from meshctl.cli.output import Style, columns, counted
from meshctl.cli.printable import one_line
from meshctl.events import Change
from meshctl.preview import Preview

_COLOURS = (("+++", "white"), ("---", "white"), ("@@", "cyan"), ("+", "green"), ("-", "red"))

_KINDS = ("file", "command", "service")

COMMAND = 100
"""Characters of a command that are shown; scripts are longer, and `-v` shows them whole."""


def as_json(preview: Preview) -> dict[str, Any]:
    """All keys but `schema`."""
    return {
        "changes": [_change(change) for change in preview.changes],
        "unknown": [
            {"step": one.step, "host": one.host, "what": one.what, "after": list(one.after)} for one in preview.unknown
        ],
        "problems": [
            {"step": step, "host": p.host, "what": p.what, "expected": p.expected, "seen": p.seen, "advice": p.advice}
            for step, p in preview.problems
        ],
        "summary": {"hosts": len({change.host for change in preview.changes}), "changes": len(preview.changes)},
    }


def _change(change: Change) -> dict[str, str]:
    told = {"diff": change.diff} if change.kind == "file" else {"command": change.target}
    place = {"step": change.step, "host": change.host, "kind": change.kind, "target": change.target}
    return {**place, **told, "reason": change.reason}


def lines(preview: Preview, *, style: Style, whole: bool = False) -> Iterator[str]:
    """The whole preview, line by line; `whole` shows long commands in full."""
    for (step, host), changes in groupby(preview.changes, key=lambda change: (change.step, change.host)):
        yield style(f"{step} on {host}" if not step.endswith(f"@{host}") else step, "white")
        for change in changes:
            yield from _lines_of(change, style, COMMAND if not whole else None)
        yield ""
    if preview.unknown:
        yield style("Known only after the changes above:", "yellow")
        yield from (f"  {one.step}: more may follow {_first(one.after)}" for one in preview.unknown)
        yield ""
    for step, problem in preview.problems:
        yield style(f"{step} on {problem.host}:", "red") + f" {one_line(problem.what)}"
        yield from (f"  {line}" for line in (problem.expected, problem.seen, problem.advice) if line)
    yield _summary(preview)


def overview(preview: Preview, hosts: Sequence[str], *, style: Style, more: str) -> Iterator[str]:
    """The preview in numbers, for the question whether to go on; `more` is the command that shows each change."""
    counts: dict[str, dict[str, Counter[str]]] = {}
    for change in preview.changes:
        layer = counts.setdefault(change.step.partition("@")[0], {})
        layer.setdefault(change.host, Counter())[change.kind] += 1
    if counts:
        yield style("What would change:", "white")
        rows = [row for layer, seen in counts.items() for row in _rows(layer, seen, hosts)]
        total = {host: sum((seen.get(host, Counter()) for seen in counts.values()), Counter()) for host in hosts}
        yield columns([*rows, *_rows("in total", {host: seen for host, seen in total.items() if seen}, hosts)])
        yield f"  Each of them, with the reason: {more}"
    if preview.unknown:
        layers = dict.fromkeys(one.step.partition("@")[0].partition(".")[0] for one in preview.unknown)
        yield style("Known only after these changes, what else: ", "yellow") + ", ".join(layers)
    for step, problem in preview.problems:
        yield style(f"In the way: {step} on {problem.host}:", "red") + f" {one_line(problem.what)}"
    if not (counts or preview.unknown or preview.problems):
        yield "Nothing has to be changed, but not every layer is healthy: bootstrap would wait for it."


def _rows(layer: str, seen: Mapping[str, Counter[str]], hosts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """One row for all hosts of which the same is to be said."""
    alike: dict[str, list[str]] = {}
    for host in hosts:
        if host in seen:
            text = ", ".join(counted(seen[host][kind], kind) for kind in _KINDS if seen[host][kind])
            alike.setdefault(text, []).append(host)
    for i, (text, names) in enumerate(alike.items()):
        where = "every host" if len(names) == len(hosts) > 1 else ", ".join(names)
        yield ("" if i else layer, where, text)


def _first(steps: tuple[str, ...]) -> str:
    return steps[0] if len(steps) == 1 else f"{steps[0]} and {counted(len(steps) - 1, 'other step')}"


def _lines_of(change: Change, style: Style, longest: int | None) -> Iterator[str]:
    if change.kind != "file":
        command = one_line(change.target)
        yield f"  {change.kind}  {command if not longest or len(command) <= longest else command[:longest] + ' …'}"
        yield f"    because: {one_line(change.reason)}"
        return
    yield f"  file  {change.target}"
    for line in change.diff.splitlines():
        colour = next((colour for prefix, colour in _COLOURS if line.startswith(prefix)), "")
        yield f"    {style(line, colour) if colour else line}"


def _summary(preview: Preview) -> str:
    if preview.empty:
        return "Nothing to do: every host is as the topology says."
    text = f"{counted(len(preview.changes), 'change')} on {counted(len({c.host for c in preview.changes}), 'host')}"
    unknown = f"; {counted(len(preview.unknown), 'step')} can't be known in full yet" if preview.unknown else ""
    problems = f"; {counted(len(preview.problems), 'problem')} to be mended first" if preview.problems else ""
    return text + unknown + problems
