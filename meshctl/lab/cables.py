"""Pulling cables out and putting them back, where they were or elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from meshctl.lab import plugs, wiring
from meshctl.lab.errors import LabError
from meshctl.lab.locks import locked
from meshctl.lab.mute import mute, unmute
from meshctl.lab.names import lab_namespace, paths
from meshctl.lab.plan import CablePlan, LabPlan
from meshctl.lab.proc import ip_batch
from meshctl.lab.running import existing


def split_end(end: str) -> tuple[str, str | None]:
    """`node1` or `node1:eth1` as host and NIC."""
    node, _, nic = end.partition(":")
    return node, nic or None


def between(lab: LabPlan, a: str, b: str) -> list[CablePlan]:
    """All cables between two hosts, each `HOST` or `HOST:NIC`; LabError if there is none."""
    found = [c for c in lab.cables if c.joins(*split_end(a)) and c.joins(*split_end(b)) and a != b]
    if not found:
        known = ", ".join([*map(str, lab.cables), *(f"HOST <-> {one.bridge}" for one in lab.switches)])
        raise LabError(f"lab {lab.name} has no cable between {a} and {b}", advice=f"Its cables are {known}.")
    return found


async def cut(name: str, a: str, b: str) -> list[str]:
    """Pull out every cable between two ends (`HOST` or `HOST:NIC`): both hosts lose carrier. What is meant.

    Between a host and a switch of the mesh (`switch1`): the host's plugs are pulled out of it.
    """
    lab = existing(name)
    if ends := _on_switch(lab, a, b):
        await _replug(lab, lambda now: plugs.pulled(now, ends))
        return _said(lab, ends)
    return [str(cable) for cable in await _set(name, a, b, "down")]


async def cut_silently(name: str, a: str, b: str, *, one_way: bool = False) -> list[str]:
    """Lose everything on the cables between two ends while both keep carrier; `one_way`: only what A sends to B.

    Between a host and a switch of the mesh it is what the host sends.
    """
    lab = existing(name)
    if ends := _on_switch(lab, a, b):
        await mute(name, ends)
        return _said(lab, ends)
    cables = between(await _as_plugged(lab), a, b)
    near = split_end(a)[0]
    await mute(name, [end[2] for c in cables for end in (c.a, c.b) if not one_way or end[0] == near])
    return [str(cable) for cable in cables]


async def heal(name: str, a: str, b: str) -> list[str]:
    """Put the cables back, whichever way they were cut. Carrier returns where the far host is on."""
    lab = existing(name)
    if ends := _on_switch(lab, a, b):
        await _replug(lab, lambda now: plugs.put_back(now, ends, plugs.as_planned(lab)))
        await unmute(name, ends)
        return _said(lab, ends)
    cables = await _set(name, a, b, "up")
    await unmute(name, [end[2] for cable in cables for end in (cable.a, cable.b)])
    return [str(cable) for cable in cables]


def _on_switch(lab: LabPlan, a: str, b: str) -> list[str]:
    """The panel ends of a host that the topology has on a switch; none when neither A nor B is one."""
    for end, switch in ((a, b), (b, a)):
        node, nic = split_end(end)
        ends = [
            panel
            for one in lab.switches
            if one.bridge == switch
            for host, name, panel in one.plugs
            if host == node and nic in (None, name)
        ]
        if ends:
            return ends
    return []


def _said(lab: LabPlan, ends: Sequence[str]) -> list[str]:
    names = {panel: f"{host}:{nic} <-> {one.bridge}" for one in lab.switches for host, nic, panel in one.plugs}
    return [names[end] for end in ends]


async def _as_plugged(lab: LabPlan) -> LabPlan:
    """The lab with the cables that are there now."""
    return replace(lab, cables=tuple(plugs.cables(lab, plugs.plugged(lab, await wiring.links(lab.name)))))


async def _set(name: str, a: str, b: str, state: str) -> list[CablePlan]:
    lab = existing(name)
    cables = between(await _as_plugged(lab), a, b)
    await ip_batch(lab_namespace(name), [f"link set {cable.bridge} {state}" for cable in cables])
    await wiring.settle(lab)
    return cables


async def connect(name: str, a: str, b: str) -> None:
    """Plug a cable into two NICs (`HOST:NIC`), of two hosts or of one; what was in them hangs loose."""
    lab = existing(name)
    ends = panel_end(lab, a), panel_end(lab, b)
    await _replug(lab, lambda now: plugs.connected(now, *ends))


async def swap(name: str, a: str, b: str) -> None:
    """Exchange the plugs of two NICs (`HOST:NIC`)."""
    lab = existing(name)
    ends = panel_end(lab, a), panel_end(lab, b)
    await _replug(lab, lambda now: plugs.swapped(now, *ends))


async def share(name: str, ends: Sequence[str]) -> None:
    """Plug all these NICs (`HOST:NIC`) into one switch."""
    lab = existing(name)
    together = [panel_end(lab, end) for end in ends]
    await _replug(lab, lambda now: plugs.shared(now, together)[0])


async def restore(name: str) -> None:
    """Put every plug back to where the topology has it. Cables that were cut stay cut."""
    lab = existing(name)
    await _replug(lab, lambda _: plugs.as_planned(lab))


def panel_end(lab: LabPlan, end: str) -> str:
    """The panel end of a mesh NIC, `HOST:NIC`; LabError if there is none."""
    node, nic = split_end(end)
    host = lab.host(node)
    if nic not in host.mesh:
        known = ", ".join(f"{node}:{one}" for one in host.mesh)
        raise LabError(f"{end} is no NIC with a cable in lab {lab.name}", advice=f"{node} has {known}.")
    return host.nic(nic).panel


async def _replug(lab: LabPlan, change: Callable[[plugs.Plugs], plugs.Plugs]) -> None:
    async with locked(paths(lab.name).panel_lock, "the patch panel", wiring.PANEL_SECONDS):
        present = await wiring.links(lab.name)
        before = plugs.plugged(lab, present)
        after = change(before)
        switches = {bridge: number for number, bridge in enumerate(after, 3) if bridge not in before}
        lines = [f"link add {new} up {wiring.SWITCH.format(f'02:6d:65:73:68:{n:02x}')}" for new, n in switches.items()]
        gone = [f"link delete {bridge}" for bridge in before if bridge not in after]
        await ip_batch(lab_namespace(lab.name), [*lines, *plugs.moves(before, after, present), *gone])
        await wiring.settle_now(lab)
