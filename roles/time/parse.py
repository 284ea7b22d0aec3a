"""From chronyc's CSV (`-c`) to typed facts."""

from dataclasses import dataclass

from meshctl.roles.parsing import parser

LOCAL = "7F7F0101"
"""The reference id of a chronyd that follows its own clock (127.127.1.1, a fake address from the days of ntpd)."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """What a host's clock follows; `source` is "" when it is the host's own or nothing."""

    reference: str
    source: str
    stratum: int
    synchronised: bool
    offset: float = 0.0
    """Seconds by which the clock is ahead of what chronyd takes for the time; it corrects that only slowly."""

    @property
    def local(self) -> bool:
        """Whether the host was elected (or believes so): it follows its own clock."""
        return self.synchronised and self.reference == LOCAL


@dataclass(frozen=True, slots=True)
class Source:
    """A source as the daemon sees it. `offset` is seconds; `reachable`: one of the last eight polls was answered."""

    address: str
    selected: bool
    reachable: bool
    offset: float


@parser
def tracking(text: str) -> Tracking:
    """`chronyc -c tracking`. Raises ValueError when it is something else."""
    row = text.strip().split(",")
    if len(row) != 14:  # noqa: PLR2004  (chrony 4.2 to 4.6)
        raise ValueError(f"14 values expected: {text!r}")
    return Tracking(
        row[0], row[1] if row[0] != LOCAL else "", int(row[2]), row[13] != "Not synchronised", float(row[4])
    )


@parser
def sources(text: str) -> dict[str, Source]:
    """`chronyc -c sources`, by address: mode, state, address, stratum, poll, reach, age, offset, measured, error."""
    rows = [line.split(",") for line in text.splitlines() if line.count(",") == 9]  # noqa: PLR2004  (same)
    return {row[2]: Source(row[2], row[1] == "*", int(row[5], 8) > 0, float(row[7])) for row in rows}
