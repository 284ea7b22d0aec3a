# ruff: noqa: PLC0415  (imports happen where they are needed)
"""NODE: hosts that an operator names."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from meshctl.topology import Node, Topology

node_argument = click.argument("node", metavar="NODE")


def named(topology: "Topology", name: str) -> "Node":
    """The node of that name. Raises UsageError when there is none."""
    from meshctl.errors import UsageError

    for node in topology.nodes:
        if node.name == name:
            return node
    known = ", ".join(node.name for node in topology.nodes)
    raise UsageError(f"there is no node {name}", advice=f"Known: {known}.")


def chosen(topology: "Topology", names: Iterable[str]) -> "list[Node]":
    """The nodes of these names, in the topology's order; all when nobody is named. Raises as `named` does."""
    wanted = [named(topology, name) for name in names]
    return [node for node in topology.nodes if node in wanted] if wanted else list(topology.nodes)
