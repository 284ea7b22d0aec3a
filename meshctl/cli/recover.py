# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`recover`: show who is given up, let the operator type the cluster's name, and let the survivor carry on alone."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshctl.cli.backup import chosen, envelope_of, passphrase_option, recipient_option
from meshctl.cli.naming import insist
from meshctl.cli.options import Options, topology_argument

if TYPE_CHECKING:
    from meshctl.lifecycle.recovering import Ground
    from meshctl.roles.base import Role
    from meshctl.topology import Topology

VERDICTS = ("the survivor carries on alone; bring the others back now", "the survivor does not carry on yet")


@click.command(short_help="A quorum is lost for good: let one survivor carry on alone.")
@topology_argument
@click.option("--yes", metavar="CLUSTER", help="Don't ask: give up the other hosts of the cluster with this name.")
@click.option("--backup", "out", type=click.Path(path_type=Path), help="The archive made first, or a folder for it.")
@recipient_option
@passphrase_option
@click.option("--no-backup", is_flag=True, help="Make no archive; copies of the stores stay on the survivor anyway.")
@click.pass_obj
def recover(
    options: Options,
    /,
    topology: Path,
    *,
    yes: str | None,
    out: Path | None,
    recipients: tuple[str, ...],
    passphrase_file: Path | None,
    no_backup: bool,
) -> int:
    """Make one surviving host a cluster by itself, when all others are gone for good: Ceph, OVN and Incus.

    Refused (exit code 6) while a quorum exists or another host answers. First everything that is left is backed up. The
    others are given up: their machines must never come back with what is on their disks. Safe to run again after an
    interruption. Afterwards new or wiped machines are bootstrapped into their places.
    """
    import asyncio

    from meshctl.cli import converge
    from meshctl.lifecycle.backing import Backup
    from meshctl.lifecycle.recovering import Recovering
    from meshctl.roles.discovery import discover
    from meshctl.topology import load

    loaded = load(topology)
    roles = [role(loaded) for role in discover().values()]
    archive = None
    if not no_backup:
        envelope = envelope_of(options, loaded, recipients, passphrase_file, again=True)
        archive = Backup(chosen(out, loaded.cluster), envelope, roles)
    ground = asyncio.run(_consent(options, loaded, roles, yes))
    drive = Recovering(roles, ground, archive)
    job = converge.Job("recover", loaded, options, accept_new=False, drive=drive, verdicts=VERDICTS, some=True)
    code = converge.run(job)
    if code == 0:
        forget_keys(options, loaded, [node.management for node in ground.given_up])
    return code


async def _consent(options: Options, topology: "Topology", roles: "Sequence[Role]", yes: str | None) -> "Ground":
    """What it starts from. Raises UsageError unless the operator has named the cluster."""
    from meshctl.cli.survivors import reached
    from meshctl.cluster import Cluster
    from meshctl.host.views import ReadOnlyHost
    from meshctl.lifecycle.recovering import survey

    state = options.state(topology)
    state.ensure()
    async with reached(topology, options, state, accept_new=False, some=True) as hosts:
        looking = {name: ReadOnlyHost(host) for name, host in hosts.items()}
        ground = await survey(roles, Cluster(topology, looking, state))
        click.echo("\n".join(show(topology, ground)), err=True)
        await insist(topology.cluster, yes, "give them up")
        return ground


def show(topology: "Topology", ground: "Ground") -> Iterator[str]:
    """What is about to happen, for people."""
    names = ", ".join(f"{node.name} ({node.management})" for node in ground.given_up)
    yield f"{ground.survivor.name} alone goes on as {topology.cluster}, with the data that it has."
    yield f"Given up for ever: {names}."
    yield "Their machines must never be switched on again with what is on their disks. What is lost, by layer:"
    yield from (f"  {name}: {one.detail}" for name, one in ground.standings.items())


def forget_keys(options: Options, topology: "Topology", addresses: "Sequence[str]") -> None:
    """Whatever answers there next is another machine: its SSH host key is unknown, and will be asked about."""
    state = options.state(topology)
    known = (state.read_secret(state.known_hosts.name) or b"").decode().splitlines(keepends=True)
    gone = {*addresses, *(f"[{address}]:{topology.ssh.port}" for address in addresses)}
    kept = [line for line in known if line.split(" ")[0] not in gone]
    if kept != known:
        state.write_secret(state.known_hosts.name, "".join(kept).encode())
