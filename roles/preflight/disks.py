"""Whether the disks that the topology names may become OSDs: pure functions. A disk with anything on it is refused.

Except that the operator named it with --wipe: then only what is in use, or reaches over other disks, is in the way.
"""

from collections.abc import Collection, Iterator

from meshctl.roles.base import Problem
from meshctl.roles.disks import DiskFacts, describe, is_ours, obstacle
from meshctl.topology import Node

from .parse import HostFacts


def check(node: Node, facts: HostFacts, fsid: str | None = None, wipe: Collection[str] = ()) -> Iterator[Problem]:
    """Problems with a host's disks; `fsid`: of the other hosts' cluster; the content of those in `wipe` may go."""
    seen: dict[str, str] = {}
    for disk in (facts.disks[entry.path] for entry in node.disks):
        other = seen.setdefault(disk.real, disk.path)
        if other != disk.path:
            yield Problem(
                node.name, f"{disk.path} is the same disk as {other}", "a disk of its own", disk.real,
                f"readlink -f {disk.path} {other}", "Name each disk once.", final=True,
            )  # fmt: skip
        yield from _disk(node, disk, facts.fsid or fsid, disk.path in wipe)


def _disk(node: Node, disk: DiskFacts, fsid: str | None, wipe: bool) -> Iterator[Problem]:  # noqa: FBT001  (private)
    if disk.kind != "block":
        seen = "no such file" if disk.kind == "missing" else "something that is not a block device"
        yield Problem(
            node.name, f"there is no disk {disk.path}", disk.path, seen, "lsblk",
            "Name the disk as the host does, preferably by /dev/disk/by-id.", final=True,
        )  # fmt: skip
    elif unusable := _unusable(disk):
        yield Problem(
            node.name, f"{disk.title} can't be used", "a disk for an OSD", unusable, f"lsblk {disk.path}",
            "Name another disk.", final=True,
        )  # fmt: skip
    elif (findings := describe(disk)) and not is_ours(disk, fsid):
        yield from _taken(node, disk, findings, wipe=wipe)


def _taken(node: Node, disk: DiskFacts, findings: str, *, wipe: bool) -> Iterator[Problem]:
    hindrance = obstacle(disk)
    if wipe and not hindrance:
        return
    what, advice = hindrance or (
        "is not empty",
        f"If nobody needs what is on it, the same command with --wipe {node.name}:{disk.path} destroys it.",
    )
    if wipe:
        what += ", so it is not wiped"
    yield Problem(
        node.name, f"{disk.title} {what}", "an empty disk: no partition, file system, LVM or OSD on it", findings,
        f"lsblk -f {disk.path}; wipefs --no-act {disk.path}", advice, final=True, refused=True,
    )  # fmt: skip


def _unusable(disk: DiskFacts) -> str:
    if not disk.size:
        return "a size of 0 bytes"
    if disk.read_only:
        return "read-only"
    return "" if disk.readable else "its first bytes can't be read"
