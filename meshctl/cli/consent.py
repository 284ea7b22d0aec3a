# ruff: noqa: PLC0415  (imports happen where they are needed)
"""Asking before hosts are changed."""

import sys
from typing import TYPE_CHECKING

import click

from meshctl.cli.options import Options

if TYPE_CHECKING:
    from meshctl.preview import Preview
    from meshctl.topology import Topology

yes_option = click.option("--yes", is_flag=True, help="Don't ask before changing hosts.")

DECLINED = "nothing was changed: you did not agree"


def must_ask(options: Options, *, yes: bool) -> bool:
    """Whether somebody has to agree. Without a terminal a lab needs nobody, and real hosts need --yes: UsageError."""
    from meshctl.errors import UsageError

    if yes or (options.lab is not None and not sys.stdin.isatty()):
        return False
    if not sys.stdin.isatty():
        raise UsageError(
            "this changes hosts, and there is no terminal to ask on",
            advice="Look at `meshctl plan` of this topology, then pass --yes.",
        )
    return True


def ask(options: Options, topology: "Topology", what: str) -> None:
    """One question before anything is reached. Raises UsageError when the answer is no."""
    from meshctl.errors import UsageError

    if must_ask(options, yes=False) and not click.confirm(_question(options, topology, what), err=True):
        raise UsageError(DECLINED)


async def agree(options: Options, topology: "Topology", preview: "Preview", more: str) -> None:
    """Show what would be changed, and ask; connections stay alive meanwhile. Raises UsageError when the answer is no.

    `more` is the command that shows every change.
    """
    from meshctl.cli.diffs import overview
    from meshctl.cli.output import coloured
    from meshctl.cli.printable import one_line
    from meshctl.cli.reach import typed_line
    from meshctl.cli.wiping import destroyed
    from meshctl.errors import UsageError

    style = coloured(sys.stderr)
    names = [node.name for node in topology.nodes]
    for line in overview(preview, names, style=style, more=more):
        click.echo(line, err=True, color=True)
    for line in destroyed(preview):
        click.echo(style(one_line(line), "red"), err=True, color=True)
    click.echo(f"\n{_question(options, topology, 'Bootstrap')} [y/N]: ", err=True, nl=False)
    typed = await typed_line()
    if not typed:  # Ctrl-D
        raise click.Abort
    if typed.strip().lower() not in {"y", "yes"}:
        raise UsageError(DECLINED)


def _question(options: Options, topology: "Topology", what: str) -> str:
    where = f"lab {options.lab_name(topology)}" if options.lab is not None else "real hosts"
    hosts = ", ".join(f"{node.name} ({node.management})" for node in topology.nodes)
    return f"{what} cluster {topology.cluster} on {where} {hosts}?"
