# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`state show` and `state fetch`: what the cluster keeps for whoever has to go on with it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.files import check_new, write_new
from meshctl.cli.options import Options, accept_new_option, topology_argument
from meshctl.cli.output import columns, emit_json
from meshctl.cli.strangers import login_options, strangers

if TYPE_CHECKING:
    from meshctl.roles.handover.bundle import Bundle
    from meshctl.roles.handover.history import Run
    from meshctl.state import StateFolder
    from meshctl.topology import Topology

_SHOWN = 20


@dataclass(frozen=True)
class Kept:
    """What the cluster keeps."""

    bundle: "Bundle | None"
    runs: "tuple[Run, ...]"


@click.group("state", short_help="What the cluster keeps for another operator: topology, CA, history.")
def group() -> None:
    """Topology, SSH host keys, encrypted CA and run history, kept in the cluster's own replicated store."""


@group.command(short_help="Show what is kept, and the last runs.")
@topology_argument
@click.pass_obj
def show(options: Options, topology: Path) -> int:
    """Show what the cluster keeps, whether it is what this machine has, and who ran what. Changes nothing."""
    import asyncio

    from meshctl.topology import load

    loaded = load(topology)
    kept = asyncio.run(_ask(options, loaded, options.state(loaded)))
    if options.json:
        emit_json("state", as_json(kept, topology.read_text()))
    else:
        click.echo("\n".join(lines(kept, topology.read_text())))
    return 0


@group.command(short_help="Get topology and CA from any host, to go on from this machine.")
@click.option("--host", required=True, metavar="ADDR", help="Management address of any host that is up.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The topology, a new file.")
@login_options
@accept_new_option
@click.pass_obj
def fetch(options: Options, /, host: str, out: Path, *, accept_new: bool, **login: Any) -> int:
    """Write the kept topology to a new file, and the kept CA and SSH host keys into this machine's state folder.

    With these, and an age identity that opens the CA, everything works from here as it did there.
    """
    import asyncio

    from meshctl.errors import SecretsError
    from meshctl.topology import loads

    check_new(out)
    asked = strangers("unknown", {"host": host}, login)
    passing = _passing(options, asked)
    kept = asyncio.run(_ask(options, asked, passing, accept_new=accept_new)).bundle
    if kept is None:
        raise SecretsError(
            f"the cluster of {host} keeps nothing for another operator",
            advice="A bootstrap by the operator who has its topology does that.",
        )
    topology = loads(kept.topology, out)
    written = store(kept, options.state(topology), (passing.read_secret(passing.known_hosts.name) or b"").decode())
    write_new(out, kept.topology)
    if options.json:
        emit_json("state-fetch", {"file": str(out), "by": kept.by, "at": kept.at, "written": written})
    for path in [str(out), *written]:
        click.echo(f"written: {path}", err=True)
    if not kept.authorities:
        click.echo("the CA is not kept, because its key is not encrypted: get it from that operator's folder", err=True)
    return 0


async def _ask(options: Options, topology: "Topology", state: "StateFolder", *, accept_new: bool = False) -> Kept:
    from meshctl.cli.survivors import reached
    from meshctl.roles.handover import history
    from meshctl.roles.handover.role import look

    async with reached(topology, options, state, accept_new=accept_new, some=len(topology.nodes) > 1) as hosts:
        host = next(iter(hosts.values()))
        return Kept(await look(host), await history.look(host))


def _passing(options: Options, topology: "Topology") -> "StateFolder":
    """Keeps the host's key in memory until it is known whose cluster it is."""
    from meshctl.state import StateFolder, VolatileState

    folder = options.state_dir or (options.state(topology) if options.lab is not None else None)
    path = folder.path if isinstance(folder, StateFolder) else folder
    return VolatileState(path or StateFolder.default(topology.cluster).path)


def store(kept: "Bundle", state: "StateFolder", seen: str) -> list[str]:
    """Put CA and host keys into a state folder; the files that were written. `seen`: host keys met on the way.

    Raises SecretsError, with nothing written, when the folder has another CA.
    """
    from meshctl.certs import bundle, same
    from meshctl.errors import SecretsError

    for name, text in kept.authorities.items():
        here = bundle((state.read_secret(name) or b"").decode(errors="replace"))
        if here and not same(here[0], next(iter(bundle(text)), "")):
            raise SecretsError(
                f"{state.path / name} is another CA than the cluster keeps",
                advice="Move that file away if it isn't needed, or choose another --state-dir.",
            )
    known = (state.read_secret(state.known_hosts.name) or b"").decode()
    merged = "".join(f"{line}\n" for line in dict.fromkeys(f"{known}\n{seen}\n{kept.known_hosts}".splitlines()) if line)
    wanted = {**kept.authorities, state.known_hosts.name: merged}
    changed = [name for name, text in wanted.items() if text and state.read_secret(name) != text.encode()]
    for name in changed:
        state.write_secret(name, wanted[name].encode())
    return [str(state.path / name) for name in changed]


def lines(kept: Kept, here: str) -> Iterator[str]:
    """For people."""
    if kept.bundle is None:
        yield "The cluster keeps nothing for another operator; a bootstrap does that."
    else:
        same = "the same as here" if kept.bundle.topology == here else "not the one that is here"
        yield f"topology  {same}; kept by {kept.bundle.by}, {kept.bundle.at}"
        yield f"CA        {', '.join(kept.bundle.authorities) or 'not kept: its key is not encrypted'}"
        yield f"SSH keys  of {len(kept.bundle.known_hosts.splitlines())} hosts"
    if kept.runs:
        yield ""
        rows = [["BEGUN", "BY", "COMMAND", "CHANGES", "SECONDS", ""]]
        for run in kept.runs[-_SHOWN:]:
            end = "ok" if run.ok else "; ".join(("failed", *run.problems))
            rows.append([run.at, run.by, run.command, str(run.changed), f"{run.wall_s:g}", end])
        yield columns(rows, indent="")


def as_json(kept: Kept, here: str) -> dict[str, Any]:
    """All keys but `schema`."""
    bundle = kept.bundle
    return {
        "kept": bundle is not None,
        "by": bundle.by if bundle else "",
        "at": bundle.at if bundle else "",
        "same_topology": bool(bundle and bundle.topology == here),
        "authorities": sorted(bundle.authorities) if bundle else [],
        "known_hosts": len(bundle.known_hosts.splitlines()) if bundle else 0,
        "runs": [asdict(run) for run in kept.runs],
    }
