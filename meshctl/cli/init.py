# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`init`: a topology from a few questions."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.asking import Terminal
from meshctl.cli.files import check_new, write_new
from meshctl.cli.interview import Given, interview
from meshctl.cli.options import Options
from meshctl.cli.output import counted, emit_json
from meshctl.cli.strangers import login_options

if TYPE_CHECKING:
    from meshctl.topology import Finding, Topology


@click.command(short_help="Write a topology from a few questions.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A new file; default: standard output.")
@click.option("--name", help="The cluster's name.")
@click.option("--node", "nodes", multiple=True, metavar="[NAME=]ADDR", help="A host; repeat it.")
@click.option("--management-nic", metavar="NIC", help="NIC of these addresses, on every host; eth0 is usual.")
@click.option("--disk", "disks", multiple=True, metavar="NODE:PATH", help="An empty disk for Ceph; repeat it.")
@click.option("--no-disks", is_flag=True, help="No disks for Ceph yet.")
@click.option("--cable", "cables", multiple=True, metavar="A:NIC=B:NIC", help="A cable; default: each host to each.")
@click.option("--uplink-parent", metavar="NIC", help="NIC of the network behind the OVN routers.")
@click.option("--uplink-gateway", metavar="ADDR/LEN", help="That network's router.")
@click.option("--uplink-range", metavar="FIRST-LAST", help="Addresses there that OVN may use.")
@click.option("--loopbacks", metavar="PREFIX", help="One address of it per host; default: one that is free.")
@click.option("--links", metavar="PREFIX", help="One /30 of it per cable; default: one that is free.")
@login_options
@click.pass_obj
def init(options: Options, /, out: Path | None, **asked: Any) -> None:
    """Ask a few questions and write a topology file; no host is reached.

    An answer given as an option is not asked for. Each one is checked at once as `validate` would. Without a terminal
    --node and --disk (or --no-disks) have to be given; everything else has a default.
    """
    from datetime import UTC, datetime

    from meshctl.discover.answers import topology_text
    from meshctl.topology import loads, warnings_of

    if out:
        check_new(out)
    terminal = Terminal() if sys.stdin.isatty() else None
    login = {key: asked.pop(key) for key in ("user", "port", "identity")}
    answers = interview(Given(**asked, login=login), terminal)
    text = topology_text(answers, datetime.now(UTC).date().isoformat())
    if terminal and not out and not options.json and sys.stdout.isatty():
        out = Path(terminal.ask("Write it to", f"{answers.cluster}.yaml", _in_the_way))
    file = out or Path("FILE")
    topology, warnings = loads(text, file), warnings_of(text, file)
    if out:
        write_new(out, text)
    _show(options, topology, warnings, text, out)


def _in_the_way(answer: str) -> list[str]:
    from meshctl.errors import UsageError

    try:
        check_new(Path(answer))
    except UsageError as error:
        return [error.message]
    return []


def _show(options: Options, topology: "Topology", warnings: "Sequence[Finding]", text: str, out: Path | None) -> None:
    following = [options.line(command, topology) for command in ("validate", "bootstrap")]
    if options.json:
        emit_json("init", as_json(warnings, text, out, following))
    elif not out:
        click.echo(text, nl=False)
    for warning in warnings:
        click.echo(warning.at(topology.source), err=True)
    disks = sum(len(node.disks) for node in topology.nodes)
    counts = (counted(len(topology.nodes), "host"), counted(len(topology.cables), "cable"), counted(disks, "disk"))
    where = f"written to {out}" if out else "save it as FILE"
    said = f"; {counted(len(warnings), 'warning')}" if warnings else ""
    click.echo(f"cluster {topology.cluster}, {', '.join(counts)}{said}; {where}", err=True)
    click.echo("\n".join(["Next:", *(f"  {line}" for line in following)]), err=True)


def as_json(warnings: "Sequence[Finding]", text: str, out: Path | None, following: Sequence[str]) -> dict[str, Any]:
    """What was written and what to do with it, but the key `schema`."""
    return {
        "file": str(out) if out else None,
        "topology": text,
        "warnings": [
            {"line": one.line, "column": one.column, "path": one.path, "message": one.message, "rule": one.rule}
            for one in warnings
        ],
        "next": list(following),
    }
