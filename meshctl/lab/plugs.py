"""Which panel end is plugged into which cable or switch. Pure, but for reading what the kernel has.

A host that is off has no panel ends, so a bridge has the names of its ends in its alias.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from meshctl.lab.plan import CablePlan, LabPlan

Plugs = Mapping[str, tuple[str, ...]]
"""Bridge -> panel ends. Cables have no more than two; an end that is nowhere is plugged into nothing."""

_CABLE, _SWITCH = "cable", "switch"
_NOTHING = "-"


def is_switch(bridge: str) -> bool:
    """A switch gives carrier to whoever is plugged in, and keeps what is addressed to the nearest bridge."""
    return bridge.startswith(_SWITCH)


def as_planned(lab: LabPlan) -> Plugs:
    """Every plug where the topology has it."""
    cables = {cable.bridge: (cable.a[2], cable.b[2]) for cable in lab.cables}
    return cables | {one.bridge: tuple(end for _, _, end in one.plugs) for one in lab.switches}


def plugged(lab: LabPlan, present: Mapping[str, dict[str, Any]]) -> Plugs:
    """Every plug where it is, from the links of the lab's namespace; where nothing was said, as planned."""
    aliases = {name: link.get("ifalias") for name, link in present.items() if name.startswith((_CABLE, _SWITCH))}
    told = {name: tuple(alias.split(",")) if alias != _NOTHING else () for name, alias in aliases.items() if alias}
    return {**as_planned(lab), **told}


def bridge_of(plugs: Plugs) -> dict[str, str]:
    """Panel end -> bridge."""
    return {end: bridge for bridge, ends in plugs.items() for end in ends}


def said(plugs: Plugs) -> list[str]:
    """The `ip` commands that keep it in the bridges' aliases."""
    return [f"link set {bridge} alias {','.join(ends) or _NOTHING}" for bridge, ends in plugs.items()]


def moves(before: Plugs, after: Plugs, present: Collection[str]) -> list[str]:
    """The `ip` commands that take ends out, so that their carrier goes, and plug them in elsewhere."""
    old, new = bridge_of(before), bridge_of(after)
    moved = sorted(end for end in {*old, *new} if old.get(end) != new.get(end) and end in present)
    lines = [f"link set {end} down nomaster" for end in moved]
    return lines + [f"link set {end} master {new[end]}" for end in moved if end in new] + said(after)


def connected(plugs: Plugs, a: str, b: str) -> Plugs:
    """A cable between two ends: the one that was in A, else in B, else a loose one; what else it had hangs loose."""
    old = bridge_of(plugs)
    loose = sorted((len(ends), bridge) for bridge, ends in _without(plugs, (a, b)).items() if bridge.startswith(_CABLE))
    cables = [old[end] for end in (a, b) if old.get(end, "").startswith(_CABLE)]
    return {**_without(plugs, (a, b)), [*cables, *(bridge for _, bridge in loose)][0]: (a, b)}


def swapped(plugs: Plugs, a: str, b: str) -> Plugs:
    """Each of two ends where the other was."""
    other = {a: b, b: a}
    return {bridge: tuple(other.get(end, end) for end in ends) for bridge, ends in plugs.items()}


def shared(plugs: Plugs, ends: Iterable[str]) -> tuple[Plugs, str]:
    """All of them in one switch, a new one; and which."""
    together = tuple(ends)
    new = f"{_SWITCH}{1 + sum(1 for bridge in plugs if is_switch(bridge))}"
    return {**_without(plugs, together), new: together}, new


def pulled(plugs: Plugs, ends: Collection[str]) -> Plugs:
    """These ends hang loose."""
    return _without(plugs, ends)


def put_back(plugs: Plugs, ends: Collection[str], planned: Plugs) -> Plugs:
    """These ends where the topology has them."""
    return {
        bridge: (*others, *(end for end in planned.get(bridge, ()) if end in ends))
        for bridge, others in _without(plugs, ends).items()
    }


def _without(plugs: Plugs, leaving: Collection[str]) -> dict[str, tuple[str, ...]]:
    return {bridge: tuple(end for end in ends if end not in leaving) for bridge, ends in plugs.items()}


def cables(lab: LabPlan, plugs: Plugs) -> list[CablePlan]:
    """What is plugged in at both ends, as it is."""
    names = {host.nic(nic).panel: (host.name, nic) for host in lab.hosts for nic in host.mesh}
    pairs = {bridge: ends for bridge, ends in plugs.items() if not is_switch(bridge) and len(ends) == 2}  # noqa: PLR2004
    return [CablePlan(bridge, (*names[a], a), (*names[b], b)) for bridge, (a, b) in pairs.items()]
