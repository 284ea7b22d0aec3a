"""What runs, as the kernel tells it."""

from dataclasses import dataclass
from typing import Literal

from meshctl.lab import machines, plan, wiring
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
    """One cable, and whether it is plugged in."""

    name: str
    whole: bool


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
    present = await wiring.links(lab.name) if (NETNS / lab_namespace(lab.name)).exists() else {}
    cables = tuple(
        CableStatus(str(c), c.bridge in present and wiring.is_up(present[c.bridge])) for c in lab.cables
    )
    on = sum(1 for h in hosts if h.state != "off")
    state: Literal["up", "partly up", "down", "broken"] = (
        "broken" if not present else "up" if on == len(hosts) else "partly up" if on else "down"
    )
    return LabStatus(lab.name, state, lab.image_name, hosts, cables)


def _look_at_host(lab: LabPlan, host: HostPlan) -> HostStatus:
    leader = machines.leader(lab.name, host.name)
    supervised = machines.supervisor(lab.name, host.name) is not None
    state: HostState = "on" if supervised else "unsupervised" if leader else "off"
    return HostStatus(host.name, state, host.management, leader)
