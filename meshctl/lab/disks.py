# ruff: noqa: ASYNC240  (looking at a few local paths takes microseconds; a thread for each would cost more)
"""The hosts' disks: sparse files on loop devices of their own."""

import json
from pathlib import Path

from meshctl.lab.plan import HostPlan
from meshctl.lab.proc import run


async def attach(folder: Path, host: HostPlan) -> dict[str, str]:
    """Make sure that every disk has its file and a loop device; maps the topology's path to the device."""
    folder.mkdir(parents=True, exist_ok=True)
    devices = {}
    for disk in host.disks:
        backing = folder / disk.file
        if not backing.exists():
            with backing.open("wb") as file:
                file.truncate(disk.size)
        attached = await devices_of(backing)
        devices[disk.path] = attached[0] if attached else await _attach(backing)
    return devices


async def _attach(backing: Path) -> str:
    device = (await run(["losetup", "--find", "--show", str(backing)])).strip()
    # The kernel keeps the partitions of whatever was on that device before. partx fails when there are none.
    await run(["partx", "--delete", "--nr", "1:128", device], check=False)
    return device


async def devices_of(backing: Path) -> list[str]:
    """The loop devices on that file."""
    return [device for device, file in await _loops() if file == backing]


async def devices_below(folder: Path) -> list[str]:
    """The loop devices on any file below the folder, deleted files included."""
    return [device for device, file in await _loops() if folder in file.parents]


async def _loops() -> list[tuple[str, Path]]:
    """All of the machine's, because `losetup --associated` ignores `--json` (seen in util-linux 2.38)."""
    told = await run(["losetup", "--json", "--list"])
    listed = json.loads(told)["loopdevices"] if told.strip() else []
    return [(d["name"], Path(str(d["back-file"]))) for d in listed]


async def detach_all(folder: Path) -> None:
    """Detach every loop device on a file below the folder."""
    for device in await devices_below(folder):
        await run(["losetup", "--detach", device])


def tmpfiles(devices: dict[str, str]) -> str:
    """tmpfiles.d lines that give each disk the name the topology uses, at every boot."""
    return "".join(f"L+ {path} - - - - {device}\n" for path, device in sorted(devices.items()) if path != device)
