# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`certify`: measure every link, and with --failover what cutting each one costs."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshctl.cli.consent import ask
from meshctl.cli.exits import UNHEALTHY
from meshctl.cli.options import Options, topology_argument
from meshctl.cli.output import coloured, emit_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshctl.certify.facts import Cut, LinkFacts, Measured
    from meshctl.certify.verdicts import Check
    from meshctl.cluster import Cluster
    from meshctl.host.ssh import SshHost
    from meshctl.topology import Topology


@click.command(short_help="Measure every link; with --failover what each one's loss costs.")
@topology_argument
@click.option("--failover", is_flag=True, help="Take each cable down in turn, and measure what is lost meanwhile.")
@click.option("--yes", is_flag=True, help="Don't ask before taking cables down.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write the report as a page.")
@click.pass_obj
def certify(options: Options, topology: Path, *, failover: bool, yes: bool, html: Path | None) -> int:
    """Measure MTU, errors, throughput and latency of every link in both directions, and the hosts' clocks.

    With --failover each cable is switched off in turn, unplanned and planned, while packets every 10 ms between all
    hosts show how long traffic is lost. A cable that is somebody's last path is left alone; hosts put back by
    themselves what an interrupted run has left. Exits with 4 when a threshold of the topology is not met.
    """
    import asyncio

    from meshctl.certify.verdicts import Verdict, judge, worst
    from meshctl.topology import load

    loaded = load(topology)
    if failover and not yes:
        ask(options, loaded, "Take down every cable in turn, one at a time, in")
    measured = asyncio.run(_measure(loaded, options, failover=failover))
    checks = judge(measured)
    if html:
        _write(html, measured, checks)
    _show(measured, checks, options)
    return UNHEALTHY if worst(checks) is Verdict.FAIL else 0


async def _measure(topology: "Topology", options: Options, *, failover: bool) -> "Measured":
    from meshctl.certify.facts import Measured
    from meshctl.certify.measure import Links, clocks
    from meshctl.cli.reach import connected
    from meshctl.cluster import Cluster

    state = options.state(topology)
    async with connected(topology, options, state, accept_new=False) as hosts:
        cluster = Cluster(topology, hosts, state)
        links = await Links(cluster, _say).measure()
        apart = await clocks(cluster)
        cuts = await _rehearse(cluster, hosts, links) if failover else None
    return Measured(topology, links, apart, cuts)


async def _rehearse(
    cluster: "Cluster", hosts: "Mapping[str, SshHost]", links: "Sequence[LinkFacts]"
) -> "tuple[Cut, ...]":
    from meshctl.certify.rehearse import rehearse

    dead = {link.cable for link in links if not link.answers}
    async with _locked(hosts):
        return await rehearse(cluster, dead, _say)


@asynccontextmanager
async def _locked(hosts: "Mapping[str, SshHost]") -> AsyncIterator[None]:
    """Nobody else may change these hosts while cables are down."""
    from meshctl.host.holder import Holder
    from meshctl.host.lock import locked

    run = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-certify"
    async with locked(hosts, Holder.here(run), say=_say):
        yield


def _say(text: str) -> None:
    click.echo(text, err=True)


def _write(path: Path, measured: "Measured", checks: "Sequence[Check]") -> None:
    from meshctl.certify.page import page
    from meshctl.errors import UsageError

    try:
        path.write_text(page(measured, checks, datetime.now(UTC)), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}", advice="Choose another --html.") from error


def _show(measured: "Measured", checks: "Sequence[Check]", options: Options) -> None:
    if options.json:
        from meshctl.certify.document import as_json

        emit_json("certify", as_json(measured, checks))
        return
    from meshctl.certify.text import lines

    click.echo("\n".join(lines(measured, checks, coloured(sys.stdout))), color=True)
