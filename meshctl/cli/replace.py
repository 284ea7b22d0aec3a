# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`replace`: whose machine the new one is, what the cluster still counts of the old one, and then both in one run."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.naming import insist
from meshctl.cli.nodes import named, node_argument
from meshctl.cli.options import Options, topology_argument
from meshctl.cli.wiping import named_disks, wipe_option

if TYPE_CHECKING:
    from meshctl.cluster import Cluster
    from meshctl.events import Event, Report
    from meshctl.host.known_hosts import Confirm
    from meshctl.host.lock import locked
    from meshctl.host.ssh import SshHost
    from meshctl.roles.base import Role
    from meshctl.topology import Node, Topology

host_key_option = click.option(
    "--host-key",
    metavar="FINGERPRINT",
    help="The new machine's SSH host key (SHA256:…), as its console shows it; otherwise it is shown and asked about.",
)


@click.command(short_help="Put a new machine into the place of a host that is gone for good.")
@topology_argument
@node_argument
@click.option("--yes", metavar="NODE", help="Don't ask: forget the old machine of this node.")
@host_key_option
@wipe_option
@click.pass_obj
def replace(
    options: Options, topology: Path, node: str, *, yes: str | None, host_key: str | None, wipe: tuple[str, ...]
) -> int:
    """Forget a host that is gone for good, layer by layer, and bootstrap the new machine into its place.

    The new machine has the node's name and addresses, a bare system, and is cabled as the old one was. What the cluster
    still counts of the old one is shown first. Refused (exit code 6) while the old one lives, and when the last copy
    of something may be on its disks. Safe to run again after an interruption.
    """
    import asyncio

    from meshctl.cli import converge
    from meshctl.plan import Limits
    from meshctl.roles.discovery import discover
    from meshctl.topology import load

    loaded = load(topology)
    chosen = named(loaded, node)
    roles = [role(loaded) for role in discover().values()]
    disks = named_disks(loaded, wipe, Limits(nodes=frozenset({node})))
    held = asyncio.run(_consent(options, loaded, roles, chosen, Consent(yes, host_key, disks)))
    job = converge.Job(
        "replace",
        loaded,
        options,
        accept_new=False,
        drive=Replacement(chosen, roles, held),
        arguments=f" {node}",
        verdicts=(f"{node} is whole again, on its new machine", f"{node} is not replaced yet"),
        wipe=disks,
    )
    return converge.run(job)


@dataclass(frozen=True)
class Consent:
    """What the operator said on the command line."""

    yes: str | None
    host_key: str | None
    wipe: frozenset[tuple[str, str]] = frozenset()


@dataclass
class Replacement:
    """The run behind the command; a converge.Drive."""

    node: "Node"
    roles: "Sequence[Role]"
    claims: Mapping[str, list[str]]

    async def run(
        self,
        cluster: "Cluster",
        hosts: "Mapping[str, SshHost]",
        lease: "locked",
        emit: "Callable[[Event], None]",
    ) -> "Report":
        """Look ahead, forget, bootstrap."""
        import asyncio

        from meshctl.lifecycle.chain import Chain
        from meshctl.lifecycle.replacing import forgetting, rebuilding

        del hosts, lease
        await asyncio.gather(*(role.foresee(cluster) for role in self.roles))
        plans = [make(cluster.topology, self.roles, self.node) for make in (forgetting, rebuilding)]
        return await Chain(plans, cluster, emit).run()

    def as_json(self) -> dict[str, Any]:
        """The node, and what the cluster counted as its old machine's, by layer."""
        return {"node": self.node.name, "forgotten": dict(self.claims)}


async def _consent(
    options: Options, topology: "Topology", roles: "Sequence[Role]", node: "Node", said: Consent
) -> "Mapping[str, list[str]]":
    """What would be forgotten. Raises UsageError unless the operator has named the node."""
    from meshctl.cli.reach import connected
    from meshctl.cluster import Cluster
    from meshctl.host.views import ReadOnlyHost
    from meshctl.lifecycle.replacing import claims

    state = options.state(topology)
    state.ensure()
    renewed, confirm = frozenset({node.name}), matching(said.host_key)
    async with connected(topology, options, state, accept_new=False, renewed=renewed, confirm=confirm) as hosts:
        looking = {name: ReadOnlyHost(host) for name, host in hosts.items()}
        held = await claims(roles, node, Cluster(topology, looking, state, wipe=said.wipe))
        click.echo("\n".join(show(topology, node, held)), err=True)
        await insist(node.name, said.yes, "go on", "host")
        return held


def matching(fingerprint: str | None) -> "Confirm | None":
    """Says yes to the key with this fingerprint alone; where none was stated, asks if there is a terminal."""
    if fingerprint is None:
        return _asked if sys.stdin.isatty() and sys.stderr.isatty() else None

    async def same(_node: "Node", shown: str) -> bool:
        return shown == fingerprint

    return same


async def _asked(node: "Node", shown: str) -> bool:
    from meshctl.cli.reach import typed_line

    click.echo(
        f"The machine at {node.management} shows the SSH host key {shown}; none is on record, or another.", err=True
    )
    click.echo(f"Is it the one that the console of {node.name}'s new machine shows? [y/N] ", err=True, nl=False)
    return (await typed_line()).strip().lower() in {"y", "yes"}


def show(topology: "Topology", node: "Node", claims: Mapping[str, list[str]]) -> Iterator[str]:
    """What is about to happen, for people."""
    if claims:
        yield f"{topology.cluster} counts, and would forget for ever, of {node.name}'s old machine:"
        yield from by_layer(claims)
    else:
        yield f"{topology.cluster} counts nothing of {node.name} that the machine in its place lacks."
    yield f"Then the machine at {node.management} is made {node.name}, as by bootstrap."


def by_layer(what: Mapping[str, list[str]]) -> Iterator[str]:
    """What the layers have, for people."""
    for layer, lines in what.items():
        yield f"  {layer}"
        yield from (f"    {line}" for line in lines)
