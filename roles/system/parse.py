"""From the output of commands to typed facts."""

from dataclasses import dataclass

from meshctl.roles.parsing import parser


@parser
def addresses(text: str) -> dict[str, str]:
    """`getent ahostsv4 NAME…`: the first address of each name, as `ADDRESS STREAM NAME`."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split()
        if words[1:2] == ["STREAM"] and len(words) > 2:  # noqa: PLR2004  (address, type, name)
            found.setdefault(words[2], words[0])
    return found


@dataclass(frozen=True, slots=True)
class Chrony:
    """The daemon: whether it runs, is started at boot, and started before its configuration was last changed."""

    running: bool
    enabled: bool
    outdated: bool


@parser
def chrony(state: str, enabled: str, newer: str) -> Chrony:
    """`systemctl is-active`, `is-enabled`, and `find CONFIGURATION -newercm PIDFILE`, which prints what is newer."""
    return Chrony(state.strip() == "active", enabled.strip() != "disabled", bool(newer.strip()))
