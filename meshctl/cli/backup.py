# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`backup`: one encrypted archive of what can't be made again; and reading one from end to end."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.exits import UNHEALTHY
from meshctl.cli.files import check_new
from meshctl.cli.options import Options, topology_argument
from meshctl.cli.output import columns, emit_json

if TYPE_CHECKING:
    from meshctl.lifecycle.archive import Contents
    from meshctl.lifecycle.envelope import Envelope
    from meshctl.topology import Topology

VERDICTS = ("the backup is complete", "the backup is NOT complete; what it lacks is listed in it")

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Encrypt with the passphrase in this file (its first line, mode 0600) instead of to recipients.",
)
recipient_option = click.option(
    "--to", "recipients", multiple=True, metavar="RECIPIENT", help="Also encrypt to this age or SSH public key."
)


@click.command(short_help="Write one encrypted archive of what can't be made again.")
@topology_argument
@click.option("--out", type=click.Path(path_type=Path), help="A new file, or a folder for one; default: here.")
@recipient_option
@passphrase_option
@click.option("--mon-store", is_flag=True, help="Also copy one monitor's store; that monitor is away meanwhile.")
@click.option(
    "--verify",
    "archive",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write nothing; read this archive from end to end, prove that it is whole, and list it.",
)
@click.pass_obj
def backup(
    options: Options, /, topology: Path, *, out: Path | None, mon_store: bool, archive: Path | None, **who: Any
) -> int:
    """Back up Ceph's keys, configuration and maps, OVN's and Incus' databases, the CA and the topology.

    Encrypted to the topology's secrets.age_recipients, or with a passphrase; nothing of it is on a disk unencrypted.
    The cluster goes on working. Data of instances is not in it.
    """
    from meshctl.topology import load

    loaded = load(topology)
    envelope = envelope_of(options, loaded, who["recipients"], who["passphrase_file"], again=archive is None)
    if archive:
        return _verify(options, loaded, archive, envelope)
    return _write(options, loaded, chosen(out, loaded.cluster), envelope, mon_store=mon_store)


def _write(options: Options, topology: "Topology", path: Path, envelope: "Envelope", *, mon_store: bool) -> int:
    from meshctl.cli import converge
    from meshctl.lifecycle.backing import Backup
    from meshctl.roles.discovery import discover

    roles = [role(topology) for role in discover().values()]
    drive = Backup(path, envelope, roles, standstill=mon_store)
    job = converge.Job("backup", topology, options, accept_new=False, drive=drive, verdicts=VERDICTS, some=True)
    code = converge.run(job)
    if drive.contents and not options.json:
        click.echo(f"{path}: {len(drive.contents.members)} files, {drive.size / 1e6:.1f} MB encrypted")
        for line in drive.contents.missing:
            click.echo(f"missing: {line}")
    return code or (UNHEALTHY if drive.contents and drive.contents.missing else 0)


def _verify(options: Options, topology: "Topology", path: Path, envelope: "Envelope") -> int:
    from meshctl.errors import UsageError
    from meshctl.lifecycle.archive import inspect

    contents = inspect(path, envelope)
    if contents.cluster != topology.cluster:
        raise UsageError(f"{path} is a backup of {contents.cluster}, not of {topology.cluster}")
    if options.json:
        emit_json("backup-verify", as_json(path, contents))
    else:
        click.echo("\n".join(lines(path, contents)))
    return 0


def envelope_of(
    options: Options, topology: "Topology", recipients: tuple[str, ...], file: Path | None, *, again: bool
) -> "Envelope":
    """To whom, or with which passphrase. Asks for one where nobody is named; UsageError when it can't."""
    from meshctl.errors import UsageError
    from meshctl.lifecycle.envelope import Envelope
    from meshctl.secrets import Seal

    known = Envelope(Seal(tuple(topology.secrets.age_recipients), options.age_identity))
    if file:
        return Envelope(known.seal, passphrase_in(file))
    try:
        envelope = known.to(recipients)
    except ValueError as error:
        raise UsageError(str(error), advice="--to takes age1… or ssh-ed25519 …") from error
    if (envelope.closes and again) or (envelope.opens and not again):
        return envelope
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody is named who could open the archive" if again else "nothing is named that opens the archive",
            advice="Name age recipients in the topology's secrets section or by --to, or a --passphrase-file."
            if again
            else "Name the identity before the command (meshctl --age-identity FILE …), or a --passphrase-file.",
        )
    return Envelope(known.seal, str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=again, err=True)))


def passphrase_in(file: Path) -> str:
    """The first line. Raises SecretsError when others may read the file, or it is empty."""
    from meshctl.errors import SecretsError
    from meshctl.secrets import private

    first = private(file, "passphrase file").decode("utf-8", "replace").partition("\n")[0].strip()
    if not first:
        raise SecretsError(f"{file} has no passphrase in its first line")
    return first


def chosen(out: Path | None, cluster: str) -> Path:
    """The file to write. Raises UsageError when it is there already, or can't be made."""
    name = f"{cluster}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.age"
    path = out / name if out and out.is_dir() else out or Path(name)
    check_new(path)
    return path


def lines(path: Path, contents: "Contents") -> Iterator[str]:
    """For people."""
    yield f"{path} is whole: {contents.cluster}, {contents.at}, by {contents.by}"
    yield columns(sorted([one.name, str(one.size), one.sha256[:12]] for one in contents.members))
    yield from (f"missing: {line}" for line in contents.missing)


def as_json(path: Path, contents: "Contents") -> dict[str, Any]:
    """All keys but `schema`."""
    return {
        "ok": True,
        "file": str(path),
        "cluster": contents.cluster,
        "at": contents.at,
        "by": contents.by,
        "complete": not contents.missing,
        "members": [asdict(one) for one in contents.members],
        "missing": list(contents.missing),
    }
