# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`plan`: what a bootstrap would change, as diffs, commands and services. Changes nothing."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshctl.cli.exits import CHANGES, UNHEALTHY
from meshctl.cli.limits import LimitedCommand, limit_options, limits_of
from meshctl.cli.options import Options, topology_argument
from meshctl.cli.output import coloured, emit_json
from meshctl.cli.wiping import named_disks, wipe_option

if TYPE_CHECKING:
    from meshctl.cluster import Cluster
    from meshctl.plan import Limits
    from meshctl.preview import Preview
    from meshctl.topology import Topology


@click.command(cls=LimitedCommand, short_help="Show what bootstrap would change, as diffs; change nothing.")
@topology_argument
@limit_options
@wipe_option
@click.pass_obj
def plan(options: Options, /, topology: Path, **chosen: tuple[str, ...]) -> int:
    """Show every file, command and service that a bootstrap would change now, and why.

    What can't be known before an earlier change has been made is listed as such. Exits with 0 when there is nothing to
    do, 2 when there are changes, 4 when something stands in a bootstrap's way.
    """
    import asyncio

    from meshctl.topology import load

    loaded = load(topology)
    limits = limits_of(loaded, chosen["only"], chosen["node"])
    disks = named_disks(loaded, chosen["wipe"], limits)
    preview = asyncio.run(_preview(loaded, options, limits, disks))
    _show(preview, options)
    if preview.problems:
        return UNHEALTHY
    return 0 if preview.empty else CHANGES


async def _preview(
    topology: "Topology", options: Options, limits: "Limits", wipe: frozenset[tuple[str, str]]
) -> "Preview":
    from meshctl.cli.reach import connected
    from meshctl.cluster import Cluster

    state = options.state(topology)
    async with connected(topology, options, state, accept_new=False) as hosts:
        return await previewed(Cluster(topology, hosts, state, wipe=wipe), limits)


async def previewed(cluster: "Cluster", limits: "Limits") -> "Preview":
    """What a bootstrap of this cluster would change; asks each host nothing twice."""
    from meshctl.host.remembering import remembering
    from meshctl.plan import bootstrap_plan
    from meshctl.preview import Previewer
    from meshctl.roles.discovery import discover

    plan = bootstrap_plan(cluster.topology, [role(cluster.topology) for role in discover().values()], limits)
    async with remembering(cluster.hosts) as hosts:
        return await Previewer(plan, replace(cluster, hosts=hosts)).run()


def _show(preview: "Preview", options: Options) -> None:
    if options.json:
        from meshctl.cli.diffs import as_json

        emit_json("plan", as_json(preview))
        return
    from meshctl.cli.diffs import lines

    click.echo("\n".join(lines(preview, style=coloured(sys.stdout), whole=options.verbose > 0)), color=True)
