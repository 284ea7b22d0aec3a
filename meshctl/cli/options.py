# ruff: noqa: PLC0415  (imports happen where they are needed)
"""The options that stand before every command."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from meshctl.state import StateFolder
    from meshctl.topology import Topology

_WITH_VALUE = frozenset({"--output", "-o", "--log-file", "--state-dir", "--age-identity", "--ssh-config"})


def spell_out_lab(args: Sequence[str]) -> list[str]:
    """A bare `--lab` before the command becomes `--lab=`, so that it can't swallow the command.

    >>> spell_out_lab(["--lab", "bootstrap", "t.yaml"])
    ['--lab=', 'bootstrap', 't.yaml']
    """
    words = list(args)
    i = 0
    while i < len(words) and words[i].startswith("-") and words[i] != "--":
        if words[i] == "--lab":
            words[i] = "--lab="
        i += 2 if words[i] in _WITH_VALUE else 1
    return words


@dataclass(frozen=True)
class Options:
    """What the operator asked for before naming the command."""

    lab: str | None = None
    """None: real hosts. Empty: the lab called like the cluster. Else the lab's name."""
    output: Literal["table", "json"] = "table"
    verbose: int = 0
    log_file: Path | None = None
    state_dir: Path | None = None
    age_identity: Path | None = None
    """The file that opens the CA's key, where that is encrypted."""
    ssh_config: Path | None = None
    """The SSH configuration that says how hosts are reached, instead of the topology."""

    @property
    def json(self) -> bool:
        """Whether standard output gets one JSON object."""
        return self.output == "json"

    def lab_name(self, topology: "Topology") -> str:
        """The lab that is meant, checked; the cluster's name unless the operator gave one."""
        from meshctl.lab.names import check_lab_name

        return check_lab_name(self.lab or topology.cluster)

    def state(self, topology: "Topology") -> "StateFolder":
        """The operator's folder for the cluster; a lab's cluster keeps its own beside the lab.

        Raises LabError when there is no such lab.
        """
        from meshctl.secrets import Seal
        from meshctl.state import StateFolder

        seal = Seal(tuple(topology.secrets.age_recipients), self.age_identity)
        if self.state_dir:
            return StateFolder(self.state_dir, seal)
        if self.lab is None:
            return StateFolder.default(topology.cluster, seal)
        from meshctl.lab import running, tools
        from meshctl.lab.names import paths

        tools.check()
        running.existing(self.lab_name(topology))  # else its folder would be made here, and look like half a lab
        return StateFolder(paths(self.lab_name(topology)).state, seal)

    def line(self, command: str, topology: "Topology", arguments: str = "") -> str:
        """A command line about the topology that can be pasted, with the options that the operator gave before."""
        words = ["meshctl"]
        if self.lab is not None:
            words.append(f"--lab={self.lab}" if self.lab else "--lab")
        if self.state_dir:
            words.append(f"--state-dir={self.state_dir}")
        if self.age_identity:
            words.append(f"--age-identity={self.age_identity}")
        if self.ssh_config:
            words.append(f"--ssh-config={self.ssh_config}")
        return f"{shlex.join(words)} {command} {shlex.quote(str(topology.source))}{arguments}"


class Seconds(click.FloatRange):
    """A number of seconds, at most a day. `nan` passes the comparisons of FloatRange, but not these."""

    def __init__(self, least: float, most: float = 86400) -> None:
        super().__init__(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Fails as click's types do."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return number


topology_argument = click.argument("topology", metavar="TOPOLOGY", type=click.Path(path_type=Path))

accept_new_option = click.option(
    "--accept-new-host-keys", "accept_new", is_flag=True, help="Record unknown SSH host keys instead of asking."
)
