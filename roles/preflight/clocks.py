"""How far hosts' clocks are apart, measured through a connection that takes its time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshctl.roles.base import Problem

REFUSE = 5.0
"""Seconds. Certificates and tickets of a host that far off are not valid yet on another; chrony might take minutes."""
NOTE = 0.05
"""Seconds. Ceph's monitors complain from here on (mon_clock_drift_allowed); chrony brings the clocks together first."""


@dataclass(frozen=True, slots=True)
class Offset:
    """A host's clock minus the controller's, in seconds, and how wrong that may be."""

    seconds: float
    error: float


def offset(sent: float, started: float, ended: float, received: float) -> Offset:
    """As in NTP (RFC 5905, section 8): both ways are assumed to take equally long."""
    return Offset(((started - sent) + (ended - received)) / 2, max(0.0, (received - sent) - (ended - started)) / 2)


def check(offsets: Mapping[str, Offset]) -> Iterator[Problem]:
    """Hosts whose clocks are too far from the one in the middle."""
    for name, apart in _apart(offsets).items():
        if abs(apart) - offsets[name].error > REFUSE:
            yield Problem(
                name, "the clock is wrong", f"within {REFUSE:g} s of the other hosts", f"{apart:+.1f} s",
                "date", "Set the clock: date --utc --set=…", final=True,
            )  # fmt: skip


def notes(offsets: Mapping[str, Offset]) -> Iterator[tuple[str, str]]:
    """Hosts that chrony has work with."""
    for name, apart in _apart(offsets).items():
        if NOTE < abs(apart) - offsets[name].error <= REFUSE:
            yield name, f"the clock is {apart:+.3f} s from the other hosts'; chrony will correct it"


def _apart(offsets: Mapping[str, Offset]) -> dict[str, float]:
    middle = sorted(offset.seconds for offset in offsets.values())[len(offsets) // 2]
    return {name: offset.seconds - middle for name, offset in offsets.items()}
