"""Units of systemd as they are."""

from collections.abc import Iterable
from dataclasses import dataclass

from meshctl.errors import HostError
from meshctl.host.base import Host
from meshctl.roles.parsing import parser, understand

_FIELDS = "Id,ActiveState,UnitFileState,NeedDaemonReload"


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit. `state` is active, activating, inactive, failed and so on; one that isn't there is inactive."""

    name: str
    state: str = "inactive"
    enabled: bool = False
    """Whether it is started at boot."""
    stale: bool = False
    """systemd has yet to read what lies on the disk."""
    masked: bool = False
    """Somebody has forbidden to start it; it may run all the same, until the next boot."""

    @property
    def active(self) -> bool:
        """Whether it runs."""
        return self.state == "active"

    @property
    def runs(self) -> bool:
        """Whether it runs or is about to."""
        return self.state in {"active", "activating"}


async def units(host: Host, *names: str) -> dict[str, Unit]:
    """The units of these names; of a pattern (`ceph-osd@*`) those that are loaded."""
    argv = ["systemctl", "show", "--all", "-p", _FIELDS, "--", *names]
    found = understand(host.name, argv, parse, (await host.query(argv)).stdout)
    return {name: Unit(name) for name in names if "*" not in name} | found


def refuse_masked(host: Host, found: Iterable[Unit]) -> None:
    """Raise HostError for units that somebody has masked: lifting that is theirs, and hiding it helps nobody."""
    if names := [unit.name for unit in found if unit.masked]:
        raise HostError(
            host.name,
            f"masked by somebody, so that the next boot does not start it: {', '.join(names)}",
            advice=f"When the reason is gone: systemctl unmask {' '.join(names)}",
        )


@parser
def parse(output: str) -> dict[str, Unit]:
    """`systemctl show -p Id,ActiveState,UnitFileState,NeedDaemonReload UNIT…`, by name."""
    blocks = (dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in output.split("\n\n"))
    return {block["Id"]: _unit(block) for block in blocks if "Id" in block}


def _unit(fields: dict[str, str]) -> Unit:
    return Unit(
        fields["Id"],
        fields["ActiveState"],
        enabled=fields.get("UnitFileState") == "enabled",
        stale=fields.get("NeedDaemonReload") == "yes",
        masked=fields.get("UnitFileState", "").startswith("masked"),
    )
