"""What Incus and the instances say, as typed facts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshctl.roles.parsing import parser


@dataclass(frozen=True, slots=True)
class Pings:
    """What an instance found: the MTU of its NIC, and who did not answer."""

    mtu: int
    silent: tuple[str, ...]


@parser
def pings(output: str) -> Pings:
    """The output of `pings.sh`. Raises ValueError when there is no MTU in it."""
    rows = [line.split() for line in output.splitlines() if line.strip()]
    mtus = [int(row[1]) for row in rows if row[0] == "mtu"]
    if len(mtus) != 1:
        raise ValueError(f"no line `mtu N` in {output!r}")
    return Pings(mtus[0], tuple(row[1] for row in rows if row[0] == "no"))


@parser
def addresses(data: Any) -> dict[str, str]:
    """`/1.0/instances?recursion=2`: the IPv4 address of eth0 by instance, of those that have one."""
    found = {instance["name"]: _address(instance.get("state") or {}) for instance in data}
    return {name: address for name, address in found.items() if address}


def _address(state: Mapping[str, Any]) -> str:
    nic = (state.get("network") or {}).get("eth0") or {"addresses": []}
    own = [entry["address"] for entry in nic["addresses"] if (entry["family"], entry["scope"]) == ("inet", "global")]
    return str(own[0]) if own else ""


@parser
def record(data: Any) -> str:
    """`/1.0`: which configuration passed last."""
    return str(data["config"].get("user.meshctl.smoke", ""))


@parser
def projects(data: Any) -> dict[str, dict[str, str]]:
    """`/1.0/projects?recursion=1`: each project's configuration."""
    return {entry["name"]: dict(entry["config"]) for entry in data}


@parser
def log_errors(output: str) -> tuple[str, ...]:
    """`incus info --show-log`: what LXC calls an error, the first three, which are the causes of the later ones."""
    lines = [line.split(" - ", 2)[-1].strip() for line in output.splitlines() if " ERROR " in line]
    return tuple(lines[:3])
