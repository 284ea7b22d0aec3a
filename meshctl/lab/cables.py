"""Pulling cables out and putting them back."""

from meshctl.lab.errors import LabError
from meshctl.lab.mute import mute, unmute
from meshctl.lab.names import lab_namespace
from meshctl.lab.plan import CablePlan, LabPlan
from meshctl.lab.proc import ip_batch
from meshctl.lab.running import existing
from meshctl.lab.wiring import settle


def split_end(end: str) -> tuple[str, str | None]:
    """`node1` or `node1:eth1` as host and NIC."""
    node, _, nic = end.partition(":")
    return node, nic or None


def between(lab: LabPlan, a: str, b: str) -> list[CablePlan]:
    """All cables between two hosts, each `HOST` or `HOST:NIC`; LabError if there is none."""
    found = [c for c in lab.cables if c.joins(*split_end(a)) and c.joins(*split_end(b)) and a != b]
    if not found:
        known = ", ".join(map(str, lab.cables))
        raise LabError(f"lab {lab.name} has no cable between {a} and {b}", advice=f"Its cables are {known}.")
    return found


async def cut(name: str, a: str, b: str) -> list[CablePlan]:
    """Pull out every cable between two ends (`HOST` or `HOST:NIC`): both hosts lose carrier. The cables meant."""
    return await _set(name, a, b, "down")


async def cut_silently(name: str, a: str, b: str, *, one_way: bool = False) -> list[CablePlan]:
    """Lose everything on the cables between two ends while both keep carrier; `one_way`: only what A sends to B."""
    cables = between(existing(name), a, b)
    near = split_end(a)[0]
    await mute(name, [end[2] for c in cables for end in (c.a, c.b) if not one_way or end[0] == near])
    return cables


async def heal(name: str, a: str, b: str) -> list[CablePlan]:
    """Put the cables back, whichever way they were cut. Carrier returns where the far host is on."""
    cables = await _set(name, a, b, "up")
    await unmute(name, [end[2] for cable in cables for end in (cable.a, cable.b)])
    return cables


async def _set(name: str, a: str, b: str, state: str) -> list[CablePlan]:
    lab = existing(name)
    cables = between(lab, a, b)
    await ip_batch(lab_namespace(name), [f"link set {cable.bridge} {state}" for cable in cables])
    await settle(lab)
    return cables
