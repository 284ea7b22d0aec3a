"""What runs, as the kernel tells it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from meshctl.lab import machines, mute, plan, plugs, wiring
from meshctl.lab.names import LABS, NETNS, lab_namespace, paths
from meshctl.lab.plan import HostPlan, LabPlan

HostState = Literal["on", "off", "unsupervised"]


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host. Unsupervised: it runs, but nobody would boot it again; `down` still removes it."""

    name: str
    state: HostState
    management: str
    leader: int | None


@dataclass(frozen=True, slots=True)
class CableStatus:
    """One cable, whether it is plugged in, and the ends (`HOST:NIC`) from which nothing gets through."""

    name: str
    whole: bool
    silent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabStatus:
    """One lab. Broken: its files are there, but its namespace isn't (the machine was rebooted, for one)."""

    name: str
    state: Literal["up", "partly up", "down", "broken"]
    image: str
    hosts: tuple[HostStatus, ...]
    cables: tuple[CableStatus, ...]


def names() -> list[str]:
    """Every lab that has left files on this machine."""
    return sorted(p.parent.name for p in LABS.glob("*/lab.json"))


async def status(name: str) -> LabStatus | None:
    """The lab of that name; None if there is none."""
    lab = plan.load(paths(name).plan)
    return None if lab is None else await _look(lab)


async def _look(lab: LabPlan) -> LabStatus:
    hosts = tuple(_look_at_host(lab, host) for host in lab.hosts)
    there = (NETNS / lab_namespace(lab.name)).exists()
    present = await wiring.links(lab.name) if there else {}
    muted = await mute.muted(lab.name) if there else set()
    cables = tuple(_look_at_cables(lab, present, muted))
    on = sum(1 for h in hosts if h.state != "off")
    state: Literal["up", "partly up", "down", "broken"] = (
        "broken" if not present else "up" if on == len(hosts) else "partly up" if on else "down"
    )
    return LabStatus(lab.name, state, lab.image_name, hosts, cables)


def _look_at_cables(lab: LabPlan, present: dict[str, dict[str, Any]], muted: set[str]) -> Iterator[CableStatus]:
    """Cables, switches, and NICs whose plug hangs loose."""
    names = {host.nic(nic).panel: f"{host.name}:{nic}" for host in lab.hosts for nic in host.mesh}
    there = plugs.plugged(lab, present)
    there = {**there, **{end: (end,) for end in names if end not in plugs.bridge_of(there)}}
    for bridge, ends in there.items():
        whole = bridge in present and wiring.is_up(present[bridge])
        silent = tuple(names[end] for end in ends if end in muted)
        if plugs.is_switch(bridge):
            yield CableStatus(f"{', '.join(names[end] for end in ends)} on one switch", whole, silent)
        elif ends:
            plugs_in = [*(names[end] for end in ends), "nothing"]
            yield CableStatus(" <-> ".join(plugs_in[:2]), whole and len(ends) > 1, silent)


def _look_at_host(lab: LabPlan, host: HostPlan) -> HostStatus:
    leader = machines.leader(lab.name, host.name)
    supervised = machines.supervisor(lab.name, host.name) is not None
    state: HostState = "on" if supervised else "unsupervised" if leader else "off"
    return HostStatus(host.name, state, host.management, leader)
