# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`remove`: what leaves with a host, whether the others can do without it, and then all of it in one run."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.naming import insist
from meshctl.cli.nodes import named, node_argument
from meshctl.cli.options import Options, topology_argument
from meshctl.cli.replace import by_layer

if TYPE_CHECKING:
    from meshctl.cluster import Cluster
    from meshctl.errors import HostError
    from meshctl.events import Event, Report
    from meshctl.host.base import Host
    from meshctl.host.lock import locked
    from meshctl.host.ssh import SshHost
    from meshctl.plan import Plan
    from meshctl.roles.base import Role
    from meshctl.topology import Node, Topology


@click.command(short_help="Take a host out of the cluster for good, with its data drained first.")
@topology_argument
@node_argument
@click.option("--yes", metavar="NODE", help="Don't ask: remove the node with this name.")
@click.pass_obj
def remove(options: Options, topology: Path, node: str, *, yes: str | None) -> int:
    """Move data and instances off a host, take it out of every layer, and take away what meshctl made there.

    The topology still has the node; afterwards it has to be taken out of the file. A host that doesn't answer is
    forgotten as it is. Refused (exit code 6) when a quorum or copies of data would be at risk, when instances can't
    move, or when the host lives and is only out of reach. Safe to run again after an interruption.
    """
    import asyncio

    from meshctl.cli import converge
    from meshctl.roles.discovery import discover
    from meshctl.topology import load

    loaded = load(topology)
    chosen = named(loaded, node)
    roles = [role(loaded) for role in discover().values()]
    found = asyncio.run(_consent(options, loaded, roles, chosen, yes))
    job = converge.Job(
        "remove",
        loaded,
        options,
        accept_new=False,
        drive=Removal(chosen, roles, found),
        arguments=f" {node}",
        verdicts=(f"{node} is no host of {loaded.cluster} any more", f"{node} is not removed yet"),
        some=True,
    )
    return converge.run(job)


@dataclass(frozen=True)
class Found:
    """What was seen before the question: on the host, and what the cluster counts that the host doesn't have."""

    held: Mapping[str, list[str]] = field(default_factory=dict)
    claims: Mapping[str, list[str]] = field(default_factory=dict)
    missing: "HostError | None" = None
    """Why the host can't be asked."""


@dataclass
class Removal:
    """The run behind the command; a converge.Drive."""

    node: "Node"
    roles: "Sequence[Role]"
    found: Found

    async def run(
        self,
        cluster: "Cluster",
        hosts: "Mapping[str, SshHost]",
        lease: "locked",
        emit: "Callable[[Event], None]",
    ) -> "Report":
        """Everything that is left to do, by what the host holds now."""
        from meshctl.lifecycle.chain import Chain
        from meshctl.lifecycle.removing import held

        del hosts, lease
        away = self.found.missing
        _all_there(cluster, without=self.node if away else None)
        whole = with_silent(cluster, self.node, away)
        holds = {} if away else await held(self.roles, self.node, whole)
        plans = self._plans(whole, holds)
        report = await Chain([plan for plan, _ in plans], whole, emit, views=dict(plans)).run()
        return replace(report, notes=(*report.notes, *(self._advice() if report.ok else ())))

    def _plans(self, cluster: "Cluster", holds: Mapping[str, list[str]]) -> "list[tuple[Plan, Cluster]]":
        from meshctl.errors import HostError
        from meshctl.lifecycle import removing
        from meshctl.plan import bootstrap_plan
        from meshctl.roles.discovery import discover

        node, topology = self.node, cluster.topology
        serves = removing.serves(self.roles, holds)
        away = None if serves else self.found.missing or HostError(node.name, "it has left already")
        plans = [(removing.permission(topology, self.roles, node, {node.name: away} if away else {}), cluster)]
        if serves:
            plans.append((removing.handover(topology, self.roles, node), cluster))
            plans.append((removing.takedown(topology, self.roles, node), cluster))
        if holds:
            plans.append((removing.clearance(topology, self.roles, node), removing.alone(cluster, node)))
        plans.append((removing.striking(topology, self.roles, node), cluster))
        rest = topology.without(node.name)
        staying = {name: host for name, host in cluster.hosts.items() if name != node.name}
        roles = [role(rest) for role in discover().values()]
        return [*plans, (bootstrap_plan(rest, roles), replace(cluster, topology=rest, hosts=staying))]

    def _advice(self) -> Iterator[str]:
        name = self.node.name
        yield f"take {name} and its cables out of the topology file: a bootstrap would make it a host again"

    def as_json(self) -> dict[str, Any]:
        """The node, what it held, and what the cluster counted that it didn't hold."""
        return {"node": self.node.name, "held": dict(self.found.held), "forgotten": dict(self.found.claims)}


def _all_there(cluster: "Cluster", without: "Node | None") -> None:
    """Raise ConnectError for a host that has gone since the question."""
    from meshctl.errors import ConnectError

    for node in cluster.topology.nodes:
        if node != without and node.name not in cluster.hosts:
            raise ConnectError(node.name, "it answered before the question, and doesn't any more")


def with_silent(cluster: "Cluster", node: "Node", why: "HostError | None") -> "Cluster":
    """The cluster with a host in the node's place that only says why it can't be reached."""
    from meshctl.condition.hosts import AbsentHost

    if why is None:
        return cluster
    hosts: dict[str, Host] = {**cluster.hosts, node.name: AbsentHost(node.name, why)}
    return replace(cluster, hosts=hosts)


async def _consent(
    options: Options, topology: "Topology", roles: "Sequence[Role]", node: "Node", yes: str | None
) -> Found:
    """What would leave. Raises UsageError unless the operator has named the node."""
    from meshctl.lifecycle.removing import held
    from meshctl.lifecycle.replacing import claims

    async with _looking(options, topology, node) as (cluster, missing):
        holds = {} if missing else await held(roles, node, cluster)
        found = Found(holds, await claims(roles, node, cluster), missing)
        click.echo("\n".join(show(topology, node, found)), err=True)
        await insist(node.name, yes, "go on", "host")
        return found


@asynccontextmanager
async def _looking(
    options: Options, topology: "Topology", node: "Node"
) -> "AsyncIterator[tuple[Cluster, HostError | None]]":
    """All hosts, the leaving one possibly silent. Raises HostsUnreachableError when another one is."""
    from meshctl.cli.reach import reachable
    from meshctl.cluster import Cluster
    from meshctl.errors import AuthError, HostKeyError
    from meshctl.host.connect import HostsUnreachableError
    from meshctl.host.views import ReadOnlyHost

    state = options.state(topology)
    state.ensure()
    async with reachable(topology, options, state) as (hosts, errors):
        mine = [error for error in errors if error.host == node.name]
        strange = [error for error in mine if isinstance(error, HostKeyError | AuthError)]
        if others := [*(error for error in errors if error not in mine), *strange]:
            raise HostsUnreachableError(others, len(topology.nodes))
        cluster = Cluster(topology, {name: ReadOnlyHost(host) for name, host in hosts.items()}, state)
        yield with_silent(cluster, node, mine[0] if mine else None), mine[0] if mine else None


def show(topology: "Topology", node: "Node", found: Found) -> Iterator[str]:
    """What is about to happen, for people."""
    name = node.name
    if found.missing:
        yield f"{name} does not answer: {topology.cluster} would forget it, for ever:"
        yield from by_layer(found.claims)
        return
    if found.held:
        yield f"{name} leaves {topology.cluster}: its data and instances move to the others, then it loses for ever:"
        yield from by_layer(found.held)
    if found.claims:
        yield f"{topology.cluster} forgets of {name}:"
        yield from by_layer(found.claims)
    if not found.held and not found.claims:
        yield f"{name} holds nothing of {topology.cluster}, and is counted nowhere."
