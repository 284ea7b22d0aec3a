# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`destroy`: show what would be lost, let the operator type the cluster's name, and take it all away."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshctl.cli.naming import insist
from meshctl.cli.options import Options, topology_argument

if TYPE_CHECKING:
    from meshctl.roles.base import Role
    from meshctl.topology import Topology

VERDICTS = ("everything that meshctl made is gone; the same hosts can be bootstrapped again", "something is left")


@click.command(short_help="Take away everything that meshctl made; shows it first.")
@topology_argument
@click.option("--yes", metavar="CLUSTER", help="Don't ask: destroy the cluster with this name.")
@click.pass_obj
def destroy(options: Options, topology: Path, *, yes: str | None) -> int:
    """Show what the hosts hold, and, once the cluster's name was typed, destroy it: instances, volumes and all data.

    Nothing else on the hosts is touched; packages stay. Safe to run again after an interruption.
    """
    import asyncio

    from meshctl.cli import converge
    from meshctl.lifecycle.destroying import destruction
    from meshctl.roles.discovery import discover
    from meshctl.topology import load

    loaded = load(topology)
    roles = [role(loaded) for role in discover().values()]
    held = asyncio.run(_consent(options, loaded, roles, yes))
    plan = destruction(loaded, roles)
    job = converge.Job(
        "destroy", loaded, options, accept_new=False, plan=plan, verdicts=VERDICTS, more={"holdings": held}
    )
    return converge.run(job)


async def _consent(
    options: Options, topology: "Topology", roles: "Sequence[Role]", yes: str | None
) -> "Mapping[str, list[str]]":
    """What the hosts hold. Raises UsageError unless the operator has named the cluster."""
    from meshctl.cli.reach import connected
    from meshctl.cluster import Cluster
    from meshctl.host.views import ReadOnlyHost
    from meshctl.lifecycle.destroying import holdings

    state = options.state(topology)
    state.ensure()
    async with connected(topology, options, state, accept_new=False) as hosts:
        looking = {name: ReadOnlyHost(host) for name, host in hosts.items()}
        held = await holdings(roles, Cluster(topology, looking, state))
        click.echo("\n".join(_show(topology, held)), err=True)
        await insist(topology.cluster, yes, "destroy it all")
        return held


def _show(topology: "Topology", held: "Mapping[str, list[str]]") -> Iterator[str]:
    if not any(held.values()):
        yield f"The hosts hold nothing of {topology.cluster}."
        return
    yield f"Destroying {topology.cluster} takes away, for ever:"
    for name, what in held.items():
        yield f"  {name}"
        yield from (f"    {line}" for line in what or ["nothing"])
