# ruff: noqa: PLC0415  (imports happen where they are needed)
"""What `status` and `doctor` share: reaching who can be reached, asking, and never waiting long."""

import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from meshctl.cli.options import Options, Seconds

if TYPE_CHECKING:
    from meshctl.condition.gather import Examination
    from meshctl.topology import Topology

COLOURS = {"healthy": "green", "degraded": "yellow", "broken": "red"}

_KNOCK, _LEAST = 1.0, 0.5
"""Seconds for a host to take a connection, asked once; and for the questions, however long the logins took."""

patience_option = click.option(
    "--patience",
    type=Seconds(0.5, 600),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="For hosts and daemons to answer; after that they count as silent.",
)


async def examination(topology: "Topology", options: Options, patience: float) -> "Examination":
    """Everything that can be known now; hosts and daemons that don't answer are part of it, never an error."""
    from meshctl.cli.reach import answering
    from meshctl.cluster import Cluster
    from meshctl.condition.gather import examine

    began, state = time.monotonic(), options.state(topology)
    async with answering(topology, options, state, knock=_KNOCK, login=patience) as (hosts, errors):
        left = max(_LEAST, patience - (time.monotonic() - began))
        away = {error.host: error for error in errors}
        return await examine(Cluster(topology, hosts, state), away, patience=left)


def width() -> int | None:
    """Columns of the terminal; None where output is no terminal and lines stay whole."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def hanging(label: str, text: str, columns: int | None, *, visible: int = 0) -> Iterator[str]:
    """`label` and then `text`, wrapped beside it. `visible`: the label's width, where colours hide it."""
    from meshctl.cli.printable import one_line

    indent, text = visible or len(label), one_line(text)
    room = max(24, columns - indent) if columns else len(text) + 1
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    yield (label + lines[0]).rstrip()
    yield from (" " * indent + line for line in lines[1:])
