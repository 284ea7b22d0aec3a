# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`reboot --rolling`: one host after the other, each only when the cluster is whole and the window is open."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.consent import ask, yes_option
from meshctl.cli.evacuate import absences
from meshctl.cli.nodes import chosen
from meshctl.cli.options import Options, topology_argument

if TYPE_CHECKING:
    from meshctl.cluster import Cluster
    from meshctl.events import Event, Report
    from meshctl.host.lock import locked
    from meshctl.host.ssh import SshHost
    from meshctl.lifecycle.rolling import Rolling
    from meshctl.lifecycle.window import Window
    from meshctl.topology import Node


@click.command(short_help="Reboot the hosts one after the other, without an outage.")
@topology_argument
@click.option("--rolling", is_flag=True, help="One host after the other: the only way there is.")
@click.option("--nodes", multiple=True, metavar="NODE", help="Only this host; may be given more than once.")
@click.option("--if-needed", is_flag=True, help="Only hosts that need it (newer kernel, replaced libraries).")
@click.option("--window", metavar="HH:MM-HH:MM", help="Start no host outside of these hours of this machine's clock.")
@yes_option
@click.pass_obj
def reboot(
    options: Options,
    topology: Path,
    *,
    rolling: bool,
    nodes: tuple[str, ...],
    if_needed: bool,
    window: str | None,
    yes: bool,
) -> int:
    """Evacuate each host in turn, reboot it, prove every layer, undo the evacuation, and only then go to the next.

    Begins with undoing what an interrupted run or an evacuation has left. Refuses (exit code 6) to take a host
    away that the cluster would miss. `--nodes a,b` is understood, too.
    """
    from meshctl.cli import converge
    from meshctl.errors import UsageError
    from meshctl.lifecycle.window import Window
    from meshctl.topology import load

    if not rolling:
        raise UsageError("all hosts at once would be an outage", advice="Pass --rolling: one host after the other.")
    loaded = load(topology)
    wanted = chosen(loaded, [name for names in nodes for name in names.split(",")])
    drive = RollingReboot(wanted, Window.parse(window) if window else None, if_needed=if_needed)
    if not yes:
        which = ", ".join(node.name for node in wanted)
        ask(options, loaded, f"Reboot {which}{' where needed' if if_needed else ''}, one by one, of")
    words = [*(f" --nodes {name}" for name in nodes), *([" --if-needed"] if if_needed else [])]
    words += [f" --window {window}"] if window else []
    job = converge.Job(
        "reboot", loaded, options, accept_new=False, drive=drive, arguments=f" --rolling{''.join(words)}"
    )
    return converge.run(job)


@dataclass
class RollingReboot:
    """The run behind the command; a converge.Drive."""

    nodes: "Sequence[Node]"
    window: "Window | None"
    if_needed: bool
    needs: "Mapping[str, tuple[str, ...]]" = field(default_factory=dict)
    """Why hosts need a reboot, where that was asked."""
    rolling: "Rolling | None" = None

    async def run(
        self,
        cluster: "Cluster",
        hosts: "Mapping[str, SshHost]",
        lease: "locked",
        emit: "Callable[[Event], None]",
    ) -> "Report":
        """Choose the hosts, and reboot them."""
        from meshctl.lifecycle.need import needy
        from meshctl.lifecycle.power import Reboot
        from meshctl.lifecycle.rolling import Rolling

        if self.if_needed:
            self.needs = await needy(cluster)
            self.nodes = [node for node in self.nodes if node.name in self.needs]
        power = Reboot(cluster.topology, dict(hosts), lease)
        plans = replace(absences(cluster.topology), reboot=power)
        self.rolling = Rolling(plans, self.nodes, cluster, emit, self.window)
        return replace(report := await self.rolling.run(), notes=(*report.notes, *self._notes()))

    def _notes(self) -> list[str]:
        """For people: what was done, and what was not."""
        if not self.rolling:
            return []
        if not self.nodes:
            return ["no host needs a reboot"]
        done = [f"{name} rebooted in {seconds:.0f} s" for name, seconds in self.rolling.rebooted.items()]
        why = [f"{name}: {', '.join(self.needs[name])}" for name in self.needs if name in self.rolling.rebooted]
        left = [f"not rebooted: {', '.join(self.rolling.remaining)}"] if self.rolling.remaining else []
        return [*done, *why, *left]

    def as_json(self) -> dict[str, Any]:
        """Hosts that were rebooted with the seconds they took, and those that remain."""
        rebooted = self.rolling.rebooted if self.rolling else {}
        remaining = self.rolling.remaining if self.rolling else [node.name for node in self.nodes]
        return {
            "rebooted": [{"host": name, "seconds": round(seconds, 3)} for name, seconds in rebooted.items()],
            "remaining": remaining,
            "needed": {name: list(why) for name, why in self.needs.items()},
        }
