# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`doctor`: who may fail, which known diseases the cluster has, and what to do."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.examining import COLOURS, examination, hanging, patience_option, width
from meshctl.cli.exits import UNHEALTHY
from meshctl.cli.options import Options, topology_argument
from meshctl.cli.output import Style, coloured, emit_json

if TYPE_CHECKING:
    from meshctl.condition.gather import Examination
    from meshctl.condition.margin import Reason
    from meshctl.roles.base import Problem


@dataclass(frozen=True)
class Prognosis:
    """Who may fail: for each host and each cable why not, and how many hosts, whichever they are."""

    hosts: int
    nodes: "Mapping[str, Sequence[Reason]]"
    cables: "Mapping[str, Sequence[Reason]]"


@click.command(short_help="Why the cluster is as it is, who may fail, and what to do.")
@topology_argument
@patience_option
@click.pass_obj
def doctor(options: Options, topology: Path, *, patience: float) -> int:
    """Tell which host or cable may fail now, which may not, and why; then known diseases, with evidence and cure.

    Whatever else is not as it should be comes last.
    Exits with 0 when nothing is to be done, with 4 otherwise. Changes nothing and takes no lock.
    """
    import asyncio

    from meshctl.topology import load

    found = asyncio.run(examination(load(topology), options, patience))
    expected = prognosis(found)
    if options.json:
        emit_json("doctor", as_json(found, expected))
    else:
        click.echo("\n".join(lines(found, expected, style=coloured(sys.stdout), columns=width())), color=True)
    return 0 if found.state == "healthy" else UNHEALTHY


def prognosis(found: "Examination") -> Prognosis:
    """Ask the margin about everybody."""
    from meshctl.condition.margin import cable_may_fail, margin, may_fail

    facts, topology = found.facts, found.topology
    alive = [name for name in (node.name for node in topology.nodes) if name in facts.up]
    whole = [
        index
        for index, cable in enumerate(topology.cables)
        if index not in facts.dead_cables and {cable.a.node, cable.b.node} <= facts.up
    ]
    return Prognosis(
        margin(facts),
        {name: may_fail(facts, name) for name in alive},
        {str(topology.cables[index]): cable_may_fail(facts, index) for index in whole},
    )


def lines(found: "Examination", expected: Prognosis, *, style: Style, columns: int | None) -> Iterator[str]:
    """The report."""
    yield style(f"{found.topology.cluster} is {found.state}", COLOURS[found.state]) + f": {_margin(expected)}"
    for name, error in found.unreachable.items():
        yield from hanging(f"  {name} is gone already: ", error.message, columns)
    for name, reasons in expected.nodes.items():
        yield from _verdict(name, reasons, style, columns, _carried(found, name))
    for name, reasons in expected.cables.items():
        yield from _verdict(f"cable {name}", reasons, style, columns, "")
    for finding in found.findings:
        yield ""
        yield style(f"{finding.disease}", "red") + f" on {finding.host}"
        for label, text in (("seen", finding.evidence), ("shown by", finding.command), ("cure", finding.cure)):
            yield from hanging(f"  {label + ':':<10}", text, columns)
    for layer, problem in _others(found):
        yield ""
        yield style(f"{layer}", "yellow") + f" on {problem.host}: {problem.what}"
        for label in ("expected", "seen", "command", "advice"):
            if text := getattr(problem, label):
                yield from hanging(f"  {label + ':':<10}", text, columns)


def _margin(expected: Prognosis) -> str:
    if not expected.hosts:
        free = [name for name, reasons in expected.nodes.items() if not reasons]
        return f"only {', '.join(free)} may fail" if free else "no host may fail"
    return "any one host may fail" if expected.hosts == 1 else f"any {expected.hosts} hosts may fail"


def _verdict(name: str, reasons: "Sequence[Reason]", style: Style, columns: int | None, carried: str) -> Iterator[str]:
    if not reasons:
        yield from hanging(f"  {style(f'{name} may fail', 'green')}", carried, columns, visible=len(name) + 11)
        return
    yield f"  {style(f'{name} may not fail', 'red')}:"
    for reason in reasons:
        yield from hanging("    ", str(reason), columns)


def _carried(found: "Examination", name: str) -> str:
    """What moves or stops with a host; no reason against its failure, but good to know."""
    carried = _carries(found, name)
    return f"; with it goes {', '.join(carried)}" if carried else ""


def _others(found: "Examination") -> "Iterator[tuple[str, Problem]]":
    """What gates complain about, each once for all hosts that see it; that a host is away, they needn't say."""
    said = set()
    for layer, condition in found.conditions.items():
        for problem in condition.problems:
            about_absent = any(re.search(rf"\b{name}\b", problem.what) for name in found.unreachable)
            if not about_absent and (problem.what, problem.seen) not in said:
                said.add((problem.what, problem.seen))
                yield layer, problem


def as_json(found: "Examination", expected: Prognosis) -> dict[str, Any]:
    """All keys but `schema`."""
    return {
        "cluster": found.topology.cluster,
        "state": found.state,
        "margin": {
            "hosts": expected.hosts,
            "nodes": {
                name: {**_answer(reasons), "carries": _carries(found, name)} for name, reasons in expected.nodes.items()
            },
            "cables": {name: _answer(reasons) for name, reasons in expected.cables.items()},
        },
        "unreachable": [{"host": name, "what": error.message} for name, error in found.unreachable.items()],
        "diseases": [
            {"disease": f.disease, "host": f.host, "evidence": f.evidence, "command": f.command, "cure": f.cure}
            for f in found.findings
        ],
        "problems": [
            {"layer": layer, **{key: asdict(problem)[key] for key in _PROBLEM}} for layer, problem in _others(found)
        ],
    }


_PROBLEM = ("host", "what", "expected", "seen", "command", "advice")


def _answer(reasons: "Sequence[Reason]") -> dict[str, Any]:
    return {"may_fail": not reasons, "reasons": [{"about": one.about, "text": one.text} for one in reasons]}


def _carries(found: "Examination", name: str) -> list[str]:
    return [what for condition in found.conditions.values() for what in condition.carries.get(name, ())]
