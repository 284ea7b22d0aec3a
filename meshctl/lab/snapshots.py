"""Saving and restoring what the hosts of a lab have on their disks, as of a virtual machine that is switched off.

Saving takes the power away: what is copied is what a power loss leaves, so that a restored host starts as after one.
"""

import asyncio
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from meshctl.lab import disks, machines, seed, wiring
from meshctl.lab.errors import LabError
from meshctl.lab.locks import locked
from meshctl.lab.names import lab_lock, paths
from meshctl.lab.plan import HostPlan, LabPlan
from meshctl.lab.proc import run
from meshctl.lab.running import BUSY_SECONDS, existing, start

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?")
_COPY_SECONDS = 600
_ON = "on.json"
_RUNS = "runs"


async def save(name: str, snapshot: str) -> None:
    """Keep the disks of all hosts and the operator's state folder as `snapshot`; one of that name is replaced.

    Hosts that are on lose their power for it, and are on again when this returns.
    """
    lab = existing(name)
    place = place_of(name, snapshot)
    async with locked(lab_lock(name), f"lab {name}", BUSY_SECONDS):
        on = await _switch_off(lab)
        try:
            unfinished = _fresh(place.with_name(f"+{snapshot}"))
            await asyncio.gather(*(_copy(lab, host, unfinished) for host in lab.hosts))
            await _clone(paths(name).state, unfinished / "state")
            (unfinished / _ON).write_text(json.dumps([host.name for host in on]))
            if place.exists():
                shutil.rmtree(place)
            unfinished.rename(place)
        finally:
            await start(lab, on)


async def load(name: str, snapshot: str) -> None:
    """Make all disks and the operator's state folder what they were, and switch on the hosts that were on then.

    Logs of runs stay, and so do cables as they are. LabError if there is no such snapshot.
    """
    lab = existing(name)
    place = place_of(name, snapshot)
    if not place.is_dir():
        known = ", ".join(names(name)) or "none"
        raise LabError(
            f"lab {name} has no snapshot {snapshot}", advice=f"It has {known}. `meshctl lab save` makes one."
        )
    async with locked(lab_lock(name), f"lab {name}", BUSY_SECONDS):
        await _switch_off(lab)
        await asyncio.gather(*(_restore(lab, host, place) for host in lab.hosts))
        await _restore_state(name, place / "state")
        at = paths(name)  # a machine may have been renewed since
        at.known_hosts.write_text("".join(seed.known_host(lab, one, at.host(one.name).upper) for one in lab.hosts))
        on = json.loads((place / _ON).read_text())
        await start(lab, [host for host in lab.hosts if host.name in on])


def names(name: str) -> list[str]:
    """The lab's snapshots."""
    folder = paths(name).snapshots
    return sorted(p.name for p in folder.iterdir() if _NAME.fullmatch(p.name)) if folder.is_dir() else []


def place_of(name: str, snapshot: str) -> Path:
    """The snapshot's folder, whether it is there or not; LabError if nothing can be called so."""
    if not _NAME.fullmatch(snapshot):
        raise LabError(
            f"{snapshot!r} can't be the name of a snapshot",
            advice="Use 1 to 64 lower-case letters, digits, dots and dashes, for example before-upgrade.",
        )
    return paths(name).snapshots / snapshot


async def _switch_off(lab: LabPlan) -> list[HostPlan]:
    """Take the power from all hosts, and everything that still waits to be written to their disks; those that were on.

    A loop device has a cache of its own over its file: detaching writes it back.
    """
    on = [host for host in lab.hosts if machines.supervisor(lab.name, host.name) is not None]
    await asyncio.gather(*(machines.power_off(lab, host) for host in lab.hosts))
    for host in lab.hosts:
        await wiring.unplug(lab, host)
    await disks.detach_all(paths(lab.name).nodes)
    return on


async def _copy(lab: LabPlan, host: HostPlan, snapshot: Path) -> None:
    at, kept = paths(lab.name).host(host.name), snapshot / host.name
    kept.mkdir()
    await _clone(at.upper, kept / "upper")
    await _clone(at.disks, kept / "disks")


async def _restore(lab: LabPlan, host: HostPlan, snapshot: Path) -> None:
    at, kept = paths(lab.name).host(host.name), snapshot / host.name
    await _replace(at.upper, kept / "upper")
    await _replace(at.disks, kept / "disks")
    await asyncio.to_thread(_fresh, at.work)  # overlayfs keeps nothing there that outlives a mount


async def _restore_state(name: str, kept: Path) -> None:
    """All but the logs of runs: they tell what happened, not what is."""
    state = paths(name).state
    for path in _but_runs(state):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in _but_runs(kept):
        await _clone(path, state / path.name)


def _but_runs(folder: Path) -> Iterable[Path]:
    return [path for path in folder.iterdir() if path.name != _RUNS]


async def _replace(path: Path, kept: Path) -> None:
    """First the whole copy beside it, so that an interrupted restoration leaves the old or the new, if on two hosts."""
    copied = path.with_name(f"{path.name}+")
    if copied.exists():
        await asyncio.to_thread(shutil.rmtree, copied)
    await _clone(kept, copied)
    await asyncio.to_thread(shutil.rmtree, path)
    copied.rename(path)


async def _clone(source: Path, target: Path) -> None:
    """With owners, modes, times, overlayfs' attributes and devices; holes stay, and blocks are shared if possible."""
    argv = ["cp", "--archive", "--reflink=auto", "--sparse=always", "--no-target-directory", str(source), str(target)]
    await run(argv, seconds=_COPY_SECONDS)


def _fresh(folder: Path) -> Path:
    """The folder, empty."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder
