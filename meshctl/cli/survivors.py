"""The way to a cluster of which some hosts may be gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from meshctl.cli.options import Options
from meshctl.cli.reach import connected, reachable
from meshctl.host.ssh import SshHost
from meshctl.state import StateFolder
from meshctl.topology import Topology


@asynccontextmanager
async def reached(
    topology: Topology, options: Options, state: StateFolder, *, accept_new: bool, some: bool
) -> AsyncIterator[dict[str, SshHost]]:
    """All hosts, or `some`: those that can be reached, saying why the others can't. Raises as these do."""
    if not some:
        async with connected(topology, options, state, accept_new=accept_new) as hosts:
            yield hosts
        return
    async with reachable(topology, options, state) as (those, errors):
        for error in errors:
            click.echo(f"not reached: {error}", err=True)
        yield those
