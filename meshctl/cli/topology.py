# ruff: noqa: PLC0415  (imports happen where they are needed)
"""Commands that touch no host: `validate`, `schema`, `render`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.options import Options, topology_argument
from meshctl.cli.output import columns, counted, emit_json

if TYPE_CHECKING:
    from meshctl.host.base import File
    from meshctl.topology import Finding, Topology, TopologyError


@click.command(short_help="Check a topology file.")
@topology_argument
@click.pass_obj
def validate(options: Options, topology: Path) -> None:
    """Check a topology file; with -v, show the addresses it leads to.

    Warnings are shown and don't fail; docs/lint.md has the reasons of every rule.
    """
    from meshctl.topology import TopologyError, load, warnings

    try:
        loaded = load(topology)
        found = warnings(topology)
    except TopologyError as error:
        if options.json:
            emit_json("validate", _faulty(error))
        raise
    if options.json:
        emit_json("validate", _described(loaded, found))
        return
    for warning in found:
        click.echo(warning.at(topology))
    disks = sum(len(node.disks) for node in loaded.nodes)
    counts = (counted(len(loaded.nodes), "host"), counted(len(loaded.cables), "cable"), counted(disks, "disk"))
    click.echo(f"{topology}: cluster {loaded.cluster}, {', '.join(counts)}; {_verdict(len(found))}")
    if options.verbose:
        click.echo(_addresses(loaded))


@click.command()
def schema() -> None:
    """Print the JSON Schema of topology files, for editors."""
    import json

    from meshctl.topology.reference import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@click.command(short_help="Write all files that hosts would get to a folder.")
@topology_argument
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write to.")
@click.pass_obj
def render(options: Options, topology: Path, out: Path) -> None:
    """Write every file that hosts would get to OUT/HOST/…; touches no host."""
    from meshctl.topology import load

    written = [_write(out, *entry) for entry in _rendered(load(topology))]
    if options.json:
        emit_json("render", {"out": str(out), "files": written})
        return
    click.echo(f"{counted(len(written), 'file')} written to {out}")
    if options.verbose:
        click.echo(columns([[entry["role"], entry["mode"], f"{entry['node']}{entry['path']}"] for entry in written]))


def _rendered(topology: "Topology") -> list[tuple[str, str, str, "File"]]:
    """Role, node, path and file, sorted by node and path. Raises PlanError's kin when two roles want one path."""
    from meshctl.errors import MeshctlError
    from meshctl.roles.discovery import discover

    found: dict[tuple[str, str], tuple[str, File]] = {}
    for name, role in discover().items():
        layer = role(topology)
        for node in topology.nodes:
            for path, file in layer.render(node).items():
                if (node.name, path) in found:
                    other = found[node.name, path][0]
                    raise MeshctlError(f"the roles {other} and {name} both write {path} on {node.name}")
                found[node.name, path] = (name, file)
    return [(role, node, path, file) for (node, path), (role, file) in sorted(found.items())]


def _write(out: Path, role: str, node: str, path: str, file: "File") -> dict[str, str]:
    from meshctl.errors import UsageError

    target = out / node / path.lstrip("/")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(file.mode)
    except OSError as error:
        raise UsageError(f"{target} can't be written: {error.strerror}", advice="Choose another --out.") from error
    return {"role": role, "node": node, "path": path, "mode": f"{file.mode:04o}"}


def _verdict(warnings: int) -> str:
    return counted(warnings, "warning") if warnings else "no faults found"


def _faulty(error: "TopologyError") -> dict[str, Any]:
    return {"ok": False, "file": str(error.file), "findings": _findings("error", error.findings)}


def _findings(severity: str, findings: "Sequence[Finding]") -> list[dict[str, Any]]:
    return [
        {"severity": severity, "line": f.line, "column": f.column, "path": f.path, "message": f.message, "rule": f.rule}
        for f in findings
    ]


def _described(topology: "Topology", warnings: "Sequence[Finding]") -> dict[str, Any]:
    return {
        "ok": True,
        "file": str(topology.source),
        "findings": _findings("warning", warnings),
        "cluster": topology.cluster,
        "nodes": [
            {"name": n.name, "id": n.id, "management": n.management, "loopback": str(n.loopback)}
            for n in topology.nodes
        ],
        "cables": [{"cable": str(c), "prefix": str(c.prefix), "mtu": c.mtu} for c in topology.cables],
    }


def _addresses(topology: "Topology") -> str:
    rows = [["host", "management", "loopback"]]
    rows += [[node.name, node.management, str(node.loopback)] for node in topology.nodes]
    cables = [["cable", "prefix", "MTU"]]
    cables += [[str(cable), str(cable.prefix), str(cable.mtu)] for cable in topology.cables]
    return f"{columns(rows)}\n\n{columns(cables)}"
