# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`meshctl lab …`: the rehearsal cluster. Its name is the cluster's, or what `--lab=NAME` says."""

import os
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.options import Options, topology_argument
from meshctl.cli.output import columns, emit_json

if TYPE_CHECKING:
    from meshctl.lab.status import CableStatus, LabStatus

node_argument = click.argument("node")
_snapshot_argument = click.argument("snapshot", metavar="SNAPSHOT")
_ends = (click.argument("a", metavar="A"), click.argument("b", metavar="B"))


class _InOrder(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """As an operator meets them."""
        return list(self.commands)


@click.group("lab", cls=_InOrder, short_help="Rehearse a topology with real hosts on this machine.")
def group() -> None:
    """Boot a topology as real hosts in network namespaces of this machine. Needs root.

    The lab has the cluster's name unless `meshctl --lab=NAME lab …` gives another.
    """


@group.command(short_help="Boot the hosts, cables and uplink of a topology.")
@topology_argument
@click.option(
    "--image", type=click.Choice(["full", "bare"]), default="full", show_default=True, help="bare: only sshd."
)
@click.pass_obj
def up(options: Options, topology: Path, image: str) -> None:
    """Boot the topology's hosts, cables and uplink; hosts that run already stay as they are."""
    from meshctl.lab import running
    from meshctl.topology import load

    loaded = load(topology)
    name = options.lab_name(loaded)
    _run(running.up(loaded, name=name, image_name=image, progress=_progress))
    _show(options, "up", [name])


@group.command()
@topology_argument
@click.pass_obj
def down(options: Options, topology: Path) -> None:
    """Remove the lab and every trace of it."""
    from meshctl.lab import running

    name = _name(options, topology)
    found = _run(running.down(name))
    if options.json:
        emit_json("lab-down", {"labs": []})
    else:
        click.echo(f"lab {name} is gone" if found else f"there was no lab {name}")


@group.command()
@click.argument("topology", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def status(options: Options, topology: Path | None) -> None:
    """Show the lab of a topology, or all labs."""
    from meshctl.lab.status import names

    _show(options, "status", [_name(options, topology)] if topology else names(), machine=True)


@group.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Log in to a host, or run a command there.",
)
@topology_argument
@node_argument
@click.argument("command", metavar="[CMD]…", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def ssh(options: Options, topology: Path, node: str, command: Sequence[str]) -> None:
    """Log in to a host, or run a command there; ends with its exit code."""
    from meshctl.lab import tools
    from meshctl.lab.login import ssh_argv

    tools.check()
    argv = ssh_argv(_name(options, topology), node, command)
    os.execvp(argv[0], argv)  # noqa: S606  (no shell; ssh gets the terminal)


@group.command(short_help="Pull out every cable between A and B.")
@topology_argument
@_ends[0]
@_ends[1]
@click.option("--silent", is_flag=True, help="Both hosts keep their carrier, and nothing gets through.")
@click.option("--one-way", is_flag=True, help="As --silent, but only what A sends is lost.")
@click.pass_obj
def cut(options: Options, topology: Path, a: str, b: str, *, silent: bool, one_way: bool) -> None:
    """Pull out every cable between A and B (HOST or HOST:NIC; `switch1` where NICs are on one)."""
    from meshctl.lab import cables

    if silent or one_way:
        _change(options, "cut", topology, lambda name: cables.cut_silently(name, a, b, one_way=one_way))
    else:
        _change(options, "cut", topology, lambda name: cables.cut(name, a, b))


@group.command()
@topology_argument
@_ends[0]
@_ends[1]
@click.pass_obj
def heal(options: Options, topology: Path, a: str, b: str) -> None:
    """Put the cables between A and B back."""
    from meshctl.lab import cables

    _change(options, "heal", topology, lambda name: cables.heal(name, a, b))


@group.command(short_help="Plug cables into other NICs.")
@topology_argument
@click.argument("ends", metavar="[HOST:NIC]…", nargs=-1)
@click.option("--swap", is_flag=True, help="Exchange the plugs of two NICs.")
@click.option("--switch", is_flag=True, help="Plug all of them into one switch.")
@click.pass_obj
def replug(options: Options, topology: Path, ends: tuple[str, ...], *, swap: bool, switch: bool) -> None:
    """Plug a cable into two NICs; what was in them hangs loose. Without NICs: every plug where the topology has it."""
    from meshctl.errors import UsageError
    from meshctl.lab import cables

    if switch and not swap and len(ends) > 1:
        _change(options, "replug", topology, lambda name: cables.share(name, ends))
    elif len(ends) == 2 and ends[0] != ends[1] and not switch:  # noqa: PLR2004
        move = cables.swap if swap else cables.connect
        _change(options, "replug", topology, lambda name: move(name, *ends))
    elif ends or swap or switch:
        raise UsageError("two different NICs have to be named", advice="For example: node1:eth1 node2:eth2.")
    else:
        _change(options, "replug", topology, cables.restore)


@group.command("power-off")
@topology_argument
@node_argument
@click.pass_obj
def power_off(options: Options, topology: Path, node: str) -> None:
    """Take the power away from a host, as if its cord were pulled."""
    from meshctl.lab import running

    _change(options, "power-off", topology, lambda name: running.power_off(name, node))


@group.command("power-on")
@topology_argument
@node_argument
@click.pass_obj
def power_on(options: Options, topology: Path, node: str) -> None:
    """Switch a host on and wait for its sshd."""
    from meshctl.lab import running

    _change(options, "power-on", topology, lambda name: running.power_on(name, node))


@group.command(short_help="Put a new, empty machine into a host's place.")
@topology_argument
@node_argument
@click.pass_obj
def renew(options: Options, topology: Path, node: str) -> None:
    """Put a new machine into a host's place: fresh system, empty disks, another SSH host key; the old one is gone."""
    from meshctl.lab import running

    _change(options, "renew", topology, lambda name: running.renew(name, node))


@group.command(short_help="Keep the disks of all hosts under a name.")
@topology_argument
@_snapshot_argument
@click.pass_obj
def save(options: Options, topology: Path, snapshot: str) -> None:
    """Keep the disks of all hosts under a name; hosts that are on lose their power and start again."""
    from meshctl.lab import snapshots

    _change(options, "save", topology, lambda name: snapshots.save(name, snapshot))


@group.command(short_help="Make the disks of all hosts what they were.")
@topology_argument
@_snapshot_argument
@click.pass_obj
def load(options: Options, topology: Path, snapshot: str) -> None:
    """Make the disks of all hosts what they were, and start the hosts that were on then."""
    from meshctl.lab import snapshots

    _change(options, "load", topology, lambda name: snapshots.load(name, snapshot))


def _change(
    options: Options, command: str, topology: Path, change: Callable[[str], Coroutine[Any, Any, object]]
) -> None:
    """Do something to the topology's lab, called by its name, and show the lab as it is then."""
    name = _name(options, topology)
    _run(change(name))
    _show(options, command, [name])


def _progress(text: str) -> None:
    """A line on standard error; an enumeration gets a line for each of its parts."""
    click.echo(text.replace(": ", ":\n  ", 1).replace("; ", "\n  ") if "; " in text else text, err=True)


def _name(options: Options, topology: Path) -> str:
    from meshctl.topology import load

    return options.lab_name(load(topology))


def _run(what: Coroutine[Any, Any, Any]) -> Any:
    import asyncio

    from meshctl.lab import tools

    try:
        tools.check()
    except BaseException:
        what.close()
        raise
    return asyncio.run(what)


def _show(options: Options, command: str, names: Sequence[str], *, machine: bool = False) -> None:
    """Print labs; with `machine` also what this machine's kernel can't rehearse."""
    found, without = _run(_look(names, machine=machine))
    if options.json:
        missing = {"cannot_rehearse": without} if machine else {}
        emit_json(f"lab-{command}", {"labs": [_as_json(lab) for lab in found], **missing})
        return
    if not found:
        click.echo(f"there is no lab {names[0]}" if names else "there are no labs")
    for lab in found:
        click.echo(_as_text(lab))
    if without:
        click.echo("this machine can't rehearse everything:\n" + "\n".join(f"  {sentence}" for sentence in without))


async def _look(names: Sequence[str], *, machine: bool) -> "tuple[list[LabStatus], list[str]]":
    from meshctl.lab.capabilities import missing
    from meshctl.lab.status import status as look

    labs = [lab for lab in [await look(name) for name in names] if lab]
    return labs, await missing() if machine else []


def _as_json(lab: "LabStatus") -> dict[str, Any]:
    return {
        "name": lab.name,
        "state": lab.state,
        "image": lab.image,
        "hosts": [{"name": host.name, "state": host.state, "management": host.management} for host in lab.hosts],
        "cables": [{"cable": cable.name, "whole": cable.whole, "silent": list(cable.silent)} for cable in lab.cables],
    }


def _as_text(lab: "LabStatus") -> str:
    hosts = [[host.name, host.state, host.management] for host in lab.hosts]
    cables = [[cable.name, _condition(cable)] for cable in lab.cables]
    return "\n".join([f"lab {lab.name} is {lab.state}", columns(hosts), *([columns(cables)] if cables else [])])


def _condition(cable: "CableStatus") -> str:
    plug = "plugged in" if cable.whole else "cut"
    return f"{plug}, nothing gets through from {', '.join(cable.silent)}" if cable.silent else plug
