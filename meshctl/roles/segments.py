"""Who shares a segment with whom, and what kind it is: from what NICs heard. Pure functions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from meshctl.roles.probing import Ear
from meshctl.topology import End


class Kind(StrEnum):
    """What lies between the NICs that hear each other."""

    CABLE = "cable"
    ONE_WAY = "one-way"
    """Two NICs, and frames pass in one direction only."""
    LOOP = "loop"
    """All ends are in one host."""
    SWITCH = "switch"
    """Something that keeps frames meant for the nearest bridge, or more than two NICs."""


@dataclass(frozen=True, slots=True)
class Segment:
    """NICs that hear each other, sorted; of a one-way pair the one that is heard comes first."""

    kind: Kind
    ends: tuple[End, ...]


def segments(ears: Mapping[End, Ear]) -> list[Segment]:
    """All segments on which anybody heard anybody, each end in at most one."""
    return [Segment(*_kind(sorted(part, key=_order), ears)) for part in _parts(ears)]


def _order(end: End) -> tuple[str, str]:
    return end.node, end.nic


def _parts(ears: Mapping[End, Ear]) -> Iterator[set[End]]:
    """The connected parts of the graph "heard", without its lonely ends."""
    linked: dict[End, set[End]] = {}
    for hearer, ear in ears.items():
        for sender in ear.heard & ears.keys():
            linked.setdefault(hearer, set()).add(sender)
            linked.setdefault(sender, set()).add(hearer)
    while linked:
        part: set[End] = set()
        grey = {min(linked, key=_order)}
        while grey:
            end = grey.pop()
            part.add(end)
            grey |= linked.pop(end, set()) - part
        yield part


def _kind(ends: list[End], ears: Mapping[End, Ear]) -> tuple[Kind, tuple[End, ...]]:
    if len({end.node for end in ends}) == 1:
        return Kind.LOOP, tuple(ends)
    if len(ends) > 2:  # noqa: PLR2004  (a cable has two)
        return Kind.SWITCH, tuple(ends)
    a, b = ends
    if a not in ears[b].heard or b not in ears[a].heard:
        return Kind.ONE_WAY, (a, b) if a in ears[b].heard else (b, a)
    direct = a in ears[b].direct or b in ears[a].direct
    return Kind.CABLE if direct else Kind.SWITCH, (a, b)
