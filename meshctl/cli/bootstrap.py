# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`bootstrap` and `verify`: every layer converged and proved, or only proved."""

from dataclasses import replace
from pathlib import Path

import click

from meshctl.cli.consent import must_ask, yes_option
from meshctl.cli.limits import LimitedCommand, limit_options, limits_of
from meshctl.cli.options import Options, Seconds, accept_new_option, topology_argument
from meshctl.cli.wiping import named_disks, wipe_option


@click.command(cls=LimitedCommand, short_help="Converge all hosts, layer by layer, and prove each layer.")
@topology_argument
@yes_option
@limit_options
@wipe_option
@accept_new_option
@click.pass_obj
def bootstrap(options: Options, /, topology: Path, *, yes: bool, accept_new: bool, **chosen: tuple[str, ...]) -> int:
    """Make the hosts one cluster: converge each layer, and prove that it works before the next one builds on it.

    Shows what would change, and asks. Safe to run again at any time: what is in place stays as it is, and an
    interrupted run goes on.
    """
    from meshctl.cli import converge
    from meshctl.topology import load, warnings

    loaded = load(topology)
    for warning in warnings(topology):
        click.echo(warning.at(topology), err=True)
    limits = limits_of(loaded, chosen["only"], chosen["node"])
    disks = named_disks(loaded, chosen["wipe"], limits)
    asks = must_ask(options, yes=yes)
    verdicts = (
        f"what was chosen of {loaded.cluster} is in place",
        f"what was chosen of {loaded.cluster} is not in place",
    )
    job = converge.Job("bootstrap", loaded, options, accept_new, wipe=disks, limits=limits, asks=asks)
    return converge.run(replace(job, verdicts=verdicts) if limits.narrow else job)


@click.command(short_help="Look at every layer's gate; change nothing.")
@topology_argument
@click.option(
    "--wait",
    type=Seconds(0),
    metavar="SECONDS",
    default=10.0,
    show_default=True,
    help="How long a layer may take to become healthy.",
)
@accept_new_option
@click.pass_obj
def verify(options: Options, topology: Path, *, wait: float, accept_new: bool) -> int:
    """Prove that every layer works. Changes nothing on any host."""
    from meshctl.cli import converge
    from meshctl.topology import load

    loaded = load(topology)
    return converge.run(converge.Job("verify", loaded, options, accept_new, patience=wait))
