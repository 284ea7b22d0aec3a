# ruff: noqa: ASYNC240  (looking at a few local paths takes microseconds; a thread for each would cost more)
"""A cgroup for every host.

Hosts that share one see and stop each other's units: their systemds all take themselves for the owner of the tree.
"""

import os
from pathlib import Path

from meshctl.lab.errors import LabError
from meshctl.lab.proc import wait_until

_KILL_SECONDS = 20


def hierarchy() -> Path:
    """Where cgroup2 is mounted: /sys/fs/cgroup, or beside the old controllers on hybrid machines."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise LabError("no cgroup2 hierarchy is mounted", advice="mount -t cgroup2 none /sys/fs/cgroup")


def lab_cgroup(lab: str) -> Path:
    """The folder of the lab's cgroups."""
    return hierarchy() / f"meshctl.{lab}"


def host_cgroup(lab: str, node: str) -> Path:
    """The host's own cgroup; its systemd lives below."""
    return lab_cgroup(lab) / node


def supervisors_cgroup(lab: str) -> Path:
    """Where the supervisors of the lab's hosts are, outside whatever session has started them."""
    return lab_cgroup(lab) / ".supervisors"


def enter(place: Path) -> None:
    """Move this process into the cgroup."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "cgroup.procs").write_text("0")


async def make(lab: str, node: str) -> Path:
    """A fresh cgroup for the host, with every controller that the machine lets it have.

    Never one that has been killed before: Linux (6.18) counts kills per cgroup and compares the counts of parent and
    child when a process is started right into another cgroup, which is how systemd starts units. In a tree with
    old and new folders random units then die by SIGKILL as they start.
    """
    top = hierarchy()
    place = host_cgroup(lab, node)
    await remove(place)
    place.mkdir(parents=True)
    offered = (top / "cgroup.controllers").read_text().split()
    for level in (top, place.parent):
        for controller in offered:
            _offer(level, controller)
    return place


def _offer(level: Path, controller: str) -> None:
    """Hand a controller down; those that are busy elsewhere (cpu with real-time tasks, v1) stay out."""
    try:
        (level / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError:
        return


def processes(place: Path) -> list[int]:
    """Every process in the cgroup and below; none if it doesn't exist."""
    pids: list[int] = []
    for folder, _, files in os.walk(place):
        if "cgroup.procs" in files:
            pids += _read_pids(Path(folder, "cgroup.procs"))
    return pids


def _read_pids(procs: Path) -> list[int]:
    try:
        return [int(p) for p in procs.read_text().split()]
    except OSError:  # removed, or dying, between the walk and the read
        return []


async def kill(place: Path) -> None:
    """Kill everything in the cgroup at once, as a power loss would, and wait until nothing is left."""

    async def empty() -> bool:
        if not processes(place):
            return True
        if (place / "cgroup.kill").exists():
            (place / "cgroup.kill").write_text("1")
        return False

    if place.exists():
        await wait_until(f"the processes in {place} to die", _KILL_SECONDS, empty)


async def remove(place: Path) -> None:
    """Kill what is inside and remove the whole tree."""
    await kill(place)

    async def gone() -> bool:
        for folder, _, _ in os.walk(place, topdown=False):
            try:
                Path(folder).rmdir()
            except FileNotFoundError:
                continue
            except OSError:  # the kernel still counts a dying process
                return False
        return not place.exists()

    await wait_until(f"{place} to be removed", _KILL_SECONDS, gone)
