# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`status`: all layers on one screen."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.examining import COLOURS, examination, hanging, patience_option, width
from meshctl.cli.exits import UNHEALTHY
from meshctl.cli.options import Options, Seconds, topology_argument
from meshctl.cli.output import Style, coloured, emit_json

if TYPE_CHECKING:
    from meshctl.condition.gather import Examination
    from meshctl.topology import Topology

_CLEAR = "\x1b[H\x1b[2J"


@click.command(short_help="All layers on one screen, in seconds, whoever is down.")
@topology_argument
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option(
    "--every",
    type=Seconds(0.5),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Pause between two looks of --watch.",
)
@patience_option
@click.pass_obj
def status(options: Options, topology: Path, *, watch: bool, every: float, patience: float) -> int:
    """Show cables, adjacencies, quorums, leaders, data, instances, versions, certificates, due reboots, the lock.

    Exits with 0 when the cluster is healthy, with 4 when it is degraded (it serves, but not as it should) or broken.
    Changes nothing, takes no lock, and never waits longer than the patience for anybody.
    """
    from meshctl.topology import load

    loaded = load(topology)
    code = _look(loaded, options, patience, clear=watch)
    try:
        while watch:
            time.sleep(every)
            code = _look(loaded, options, patience, clear=True)
    except KeyboardInterrupt:
        return code
    return code


def _look(topology: "Topology", options: Options, patience: float, *, clear: bool) -> int:
    import asyncio

    found = asyncio.run(examination(topology, options, patience))
    if options.json:
        emit_json("status", as_json(found))
    else:
        doctor = options.line("doctor", topology)
        text = "\n".join(lines(found, style=coloured(sys.stdout), columns=width(), doctor=doctor))
        click.echo((_CLEAR if clear and sys.stdout.isatty() else "") + text, color=True)
    return 0 if found.state == "healthy" else UNHEALTHY


def lines(found: "Examination", *, style: Style, columns: int | None, doctor: str) -> Iterator[str]:
    """The screen."""
    nodes, away = found.topology.nodes, found.unreachable
    headline = f"{found.topology.cluster} is {found.state}"
    yield style(headline, COLOURS[found.state]) + f"  {len(nodes) - len(away)} of {len(nodes)} hosts answer"
    wide = max(map(len, found.conditions), default=0)
    for layer, condition in found.conditions.items():
        label = f"  {layer.ljust(wide)}  {condition.state.ljust(8)}  "
        shown = f"  {layer.ljust(wide)}  {style(condition.state.ljust(8), COLOURS[condition.state])}  "
        yield from hanging(shown, condition.detail, columns, visible=len(label))
    wide = max(len(node.name) for node in nodes)
    for node in nodes:
        yield from hanging(f"  {node.name.ljust(wide)}  ", _host(found, node.name), columns)
    yield from _remarks(found, columns, doctor)


def _host(found: "Examination", name: str) -> str:
    from meshctl.roles.condition import TOO_SLOW

    if name in found.unreachable:
        return f"unreachable: {found.unreachable[name].message}"
    parts = {layer: one.nodes[name] for layer, one in found.conditions.items() if name in one.nodes}
    silent = [layer for layer, part in parts.items() if part.detail == TOO_SLOW]
    said = [part.detail for part in parts.values() if part.detail not in {"", TOO_SLOW}]
    return " · ".join([*dict.fromkeys(said), *([f"{TOO_SLOW}: {', '.join(silent)}"] if silent else [])])


def _remarks(found: "Examination", columns: int | None, doctor: str) -> Iterator[str]:
    from meshctl.roles.condition import TOO_SLOW

    for holder in dict.fromkeys(lock.holder for lock in found.locks.values()):
        hosts = ", ".join(name for name, lock in found.locks.items() if lock.holder == holder)
        yield from hanging("  lock: ", f"{holder} ({hosts})", columns)
    for finding in found.underway:
        yield from hanging("  under way: ", f"{finding.host}: {finding.evidence}", columns)
    for finding in found.findings:
        yield from hanging(f"  {finding.disease}: ", f"{finding.host}: {finding.evidence}", columns)
    if any(part.detail == TOO_SLOW for one in found.conditions.values() for part in one.nodes.values()):
        yield from hanging("  ", "Hosts or daemons are slow or hang: --patience 30 waits longer for them.", columns)
    if found.state != "healthy":
        yield from hanging("  What to do: ", doctor, columns)


def as_json(found: "Examination") -> dict[str, Any]:
    """All keys but `schema`."""
    return {
        "cluster": found.topology.cluster,
        "state": found.state,
        "seconds": round(found.seconds, 3),
        "layers": {name: {"state": one.state, "detail": one.detail} for name, one in found.conditions.items()},
        "nodes": {node.name: _node(found, node.name) for node in found.topology.nodes},
        "lock": [
            {"host": name, "holder": str(lock.holder), "run": lock.holder.run} for name, lock in found.locks.items()
        ],
        "under_way": [{"host": one.host, "what": one.evidence} for one in found.underway],
        "diseases": [{"disease": one.disease, "host": one.host, "evidence": one.evidence} for one in found.findings],
    }


def _node(found: "Examination", name: str) -> dict[str, Any]:
    error = found.unreachable.get(name)
    parts = {layer: one.nodes[name] for layer, one in found.conditions.items() if name in one.nodes and not error}
    return {
        "reachable": error is None,
        "error": error.message if error else None,
        "layers": {layer: {"state": part.state, "detail": part.detail} for layer, part in parts.items()},
    }
