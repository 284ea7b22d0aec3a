# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`--wipe NODE:DISK`: the disks whose content an operator gives up, checked against the topology."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from meshctl.plan import Limits
    from meshctl.preview import Preview
    from meshctl.topology import Topology

wipe_option = click.option(
    "--wipe",
    multiple=True,
    metavar="NODE:DISK",
    help="Destroy what is on this disk of the topology, if it isn't in use; may be repeated.",
)


_ROLE = "wipe"


def named_disks(topology: "Topology", words: Iterable[str], limits: "Limits") -> frozenset[tuple[str, str]]:
    """(node, path) of each word.

    Raises UsageError for a disk that the topology doesn't name for an OSD, and for one that the limits leave as it is:
    wipe's gate would wait in vain for it to become empty, or nobody would look at it.
    """
    from meshctl.errors import UsageError

    known = {f"{node.name}:{disk.path}": (node.name, disk.path) for node in topology.nodes for disk in node.disks}
    if unknown := [word for word in words if word not in known]:
        raise UsageError(
            f"--wipe {unknown[0]}: the topology names no such disk, so it is left alone",
            advice=f"Write NODE:DISK as in {topology.source}: {', '.join(known) or 'it names no disks'}.",
        )
    for word in words:
        _within(limits, word, known[word][0])
    return frozenset(known[word] for word in words)


def _within(limits: "Limits", word: str, node: str) -> None:
    from meshctl.errors import UsageError

    if limits.roles and _ROLE not in limits.roles:
        raise UsageError(
            f"--wipe {word}: --only leaves out the role {_ROLE}, which would do it",
            advice=f"Name it as well: --only {' '.join(sorted({*limits.roles, _ROLE}))}",
        )
    if not limits.has_node(node):
        raise UsageError(
            f"--wipe {word}: --node leaves {node} as it is",
            advice=f"Name it as well: --node {' '.join(sorted({*limits.nodes, node}))}",
        )


def as_options(wipe: Iterable[tuple[str, str]]) -> str:
    """The options as they are typed, each with a space before it."""
    return "".join(f" --wipe {node}:{path}" for node, path in sorted(wipe))


def destroyed(preview: "Preview") -> list[str]:
    """A line for each disk that would be emptied: host, disk with model, serial and size, and what is on it."""
    return [f"{change.host}: {change.reason}" for change in preview.changes if change.step.startswith("wipe@")]
