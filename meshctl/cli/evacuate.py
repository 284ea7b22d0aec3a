# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`evacuate` and `restore`: take everything off a host, in the order that nobody notices, and bring it back."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshctl.cli.consent import ask, yes_option
from meshctl.cli.nodes import named, node_argument
from meshctl.cli.options import Options, topology_argument

if TYPE_CHECKING:
    from meshctl.lifecycle.plans import Absences
    from meshctl.topology import Topology


@click.command(short_help="Take everything off a host, so that it can be switched off.")
@topology_argument
@node_argument
@yes_option
@click.pass_obj
def evacuate(options: Options, topology: Path, node: str, *, yes: bool) -> int:
    """Move instances and leaders away from a host, stop its OSDs and daemons in order, and route around it.

    Refuses (exit code 6) unless the cluster survives its absence. `meshctl restore` undoes it, before or after the
    host was switched off. Ceph repairs elsewhere what the host had when it stays away for more than ten minutes.
    """
    from meshctl.cli import converge
    from meshctl.topology import load

    loaded = load(topology)
    chosen = named(loaded, node)
    if not yes:
        ask(options, loaded, f"Evacuate {node} of")
    plan = absences(loaded).evacuation(chosen)
    verdicts = (f"{node} is evacuated and can be switched off", f"{node} is not evacuated")
    job = converge.Job(
        "evacuate", loaded, options, accept_new=False, plan=plan, arguments=f" {node}", verdicts=verdicts
    )
    return converge.run(job)


@click.command(short_help="Undo an evacuation, or what an interrupted reboot left.")
@topology_argument
@node_argument
@yes_option
@click.pass_obj
def restore(options: Options, topology: Path, node: str, *, yes: bool) -> int:
    """Start what was stopped on a host, layer by layer, bring its instances back, and prove every layer.

    Undoes whatever an evacuation or an interrupted reboot has left, and changes nothing where nothing is left.
    """
    from meshctl.cli import converge
    from meshctl.topology import load

    loaded = load(topology)
    chosen = named(loaded, node)
    if not yes:
        ask(options, loaded, f"Restore {node} of")
    plan = absences(loaded).restoration(chosen)
    return converge.run(converge.Job("restore", loaded, options, accept_new=False, plan=plan, arguments=f" {node}"))


def absences(topology: "Topology") -> "Absences":
    """The plans for this cluster's layers."""
    from meshctl.lifecycle.layers import layers
    from meshctl.lifecycle.plans import Absences
    from meshctl.roles.discovery import discover

    roles = [role(topology) for role in discover().values()]
    return Absences(topology, layers(roles), roles)
