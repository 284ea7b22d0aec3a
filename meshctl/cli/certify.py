# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`certify`: measure every link, and with --failover what cutting each one costs."""

import sys
from collections.abc import Mapping
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
    from meshctl.certify.measure import Say
    from meshctl.certify.verdicts import Check
    from meshctl.cli.runlog import RunLog
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
    from meshctl.certify.verdicts import Verdict, worst
    from meshctl.topology import load

    loaded = load(topology)
    if failover and not yes:
        ask(options, loaded, "Take down every cable in turn, one at a time, in")
    measured, checks = _logged(loaded, options, failover=failover)
    if html:
        _write(html, measured, checks)
    _show(measured, checks, options)
    return UNHEALTHY if worst(checks) is Verdict.FAIL else 0


def _logged(topology: "Topology", options: Options, *, failover: bool) -> "tuple[Measured, tuple[Check, ...]]":
    """Measure and judge; what is said meanwhile and found in the end is in the run's log, too."""
    import asyncio

    from meshctl.certify.document import as_json
    from meshctl.certify.verdicts import judge
    from meshctl.cli.runlog import RunLog

    state = options.state(topology)
    state.ensure()
    with RunLog.of("certify", state.runs, options.log_file) as log:
        measured = asyncio.run(_measure(topology, options, log, failover=failover))
        checks = judge(measured)
        log.note("run_finished", **as_json(measured, checks))
    return measured, checks


async def _measure(topology: "Topology", options: Options, log: "RunLog", *, failover: bool) -> "Measured":
    from meshctl.certify.facts import Measured
    from meshctl.certify.measure import Links, clocks
    from meshctl.cli.reach import connected
    from meshctl.cluster import Cluster

    def say(text: str) -> None:
        click.echo(text, err=True)
        log.note("noted", text=text)

    state = options.state(topology)
    async with connected(topology, options, state, accept_new=False) as hosts:
        cluster = Cluster(topology, hosts, state)
        links = await Links(cluster, say).measure()
        apart = await clocks(cluster)
        cuts = await _rehearse(cluster, hosts, links, log, say) if failover else None
    return Measured(topology, links, apart, cuts)


async def _rehearse(
    cluster: "Cluster", hosts: "Mapping[str, SshHost]", links: "Sequence[LinkFacts]", log: "RunLog", say: "Say"
) -> "tuple[Cut, ...]":
    """Nobody else may change the hosts while cables are down."""
    from meshctl.certify.rehearse import rehearse
    from meshctl.host.holder import Holder
    from meshctl.host.lock import locked

    dead = {link.cable for link in links if not link.answers}
    holder = Holder.here(log.files[0].stem)
    async with locked(hosts, holder, say=say):
        log.note("locked", holder=str(holder))
        return await rehearse(cluster, dead, say)


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
