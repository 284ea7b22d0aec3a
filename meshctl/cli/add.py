# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`add`: one more host for a running cluster."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.consent import ask, yes_option
from meshctl.cli.nodes import named, node_argument
from meshctl.cli.options import Options, topology_argument
from meshctl.cli.replace import host_key_option, matching
from meshctl.cli.wiping import named_disks, wipe_option

if TYPE_CHECKING:
    from meshctl.cluster import Cluster
    from meshctl.events import Event, Report
    from meshctl.host.lock import locked
    from meshctl.host.ssh import SshHost
    from meshctl.roles.base import Role
    from meshctl.topology import Node, Topology


@click.command(short_help="Let one more host into a running cluster.")
@topology_argument
@node_argument
@yes_option
@host_key_option
@wipe_option
@click.pass_obj
def add(options: Options, topology: Path, node: str, *, yes: bool, host_key: str | None, wipe: tuple[str, ...]) -> int:
    """Let a host of the topology that is not in the cluster yet into it.

    The topology already has the node and its cables; all other nodes are a running cluster, whose gates have to pass
    first. Then all hosts are converged: the others learn of the new one, one layer after the other.
    """
    import asyncio

    from meshctl.cli import converge
    from meshctl.plan import Limits
    from meshctl.roles.discovery import discover
    from meshctl.topology import load

    loaded = load(topology)
    chosen = named(loaded, node)
    disks = named_disks(loaded, wipe, Limits(nodes=frozenset({node})))
    if not yes:
        ask(options, loaded, f"Add {node} to")
    asyncio.run(_acquaint(options, loaded, chosen, host_key))
    roles = [role(loaded) for role in discover().values()]
    job = converge.Job(
        "add",
        loaded,
        options,
        accept_new=False,
        drive=Addition(chosen, roles),
        arguments=f" {node}",
        verdicts=(f"{node} is a host of {loaded.cluster}", f"{node} is not added yet"),
        wipe=disks,
    )
    return converge.run(job)


@dataclass
class Addition:
    """The run behind the command; a converge.Drive."""

    node: "Node"
    roles: "Sequence[Role]"

    async def run(
        self,
        cluster: "Cluster",
        hosts: "Mapping[str, SshHost]",
        lease: "locked",
        emit: "Callable[[Event], None]",
    ) -> "Report":
        """The others first, unless an interrupted run has begun with the new one already."""
        import asyncio

        from meshctl.lifecycle.adding import readiness
        from meshctl.lifecycle.chain import Chain
        from meshctl.lifecycle.removing import held
        from meshctl.lifecycle.replacing import rebuilding
        from meshctl.roles.discovery import discover

        del hosts, lease
        topology = cluster.topology
        await asyncio.gather(*(role.foresee(cluster) for role in self.roles))
        plans = [rebuilding(topology, self.roles, self.node)]
        if not await held(self.roles, self.node, cluster):
            rest = [role(topology.without(self.node.name)) for role in discover().values()]
            plans.insert(0, readiness(topology, rest, self.node))
        return await Chain(plans, cluster, emit).run()

    def as_json(self) -> dict[str, Any]:
        """The node."""
        return {"node": self.node.name}


async def _acquaint(options: Options, topology: "Topology", node: "Node", host_key: str | None) -> None:
    """Reach all hosts once, and have the new one's SSH host key decided about."""
    from meshctl.cli.reach import connected

    state = options.state(topology)
    state.ensure()
    renewed, confirm = frozenset({node.name}), matching(host_key)
    async with connected(topology, options, state, accept_new=False, renewed=renewed, confirm=confirm):
        pass
