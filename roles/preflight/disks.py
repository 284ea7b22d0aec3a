"""Whether the disks that the topology names may become OSDs: pure functions. A disk with anything on it is refused."""

from collections.abc import Iterator

from meshctl.roles.base import Problem
from meshctl.topology import Node

from .parse import DiskFacts, HostFacts


def check(node: Node, facts: HostFacts) -> Iterator[Problem]:
    """Problems with a host's disks."""
    seen: dict[str, str] = {}
    for disk in (facts.disks[entry.path] for entry in node.disks):
        other = seen.setdefault(disk.real, disk.path)
        if other != disk.path:
            yield Problem(
                node.name, f"{disk.path} is the same disk as {other}", "a disk of its own", disk.real,
                f"readlink -f {disk.path} {other}", "Name each disk once.", final=True,
            )  # fmt: skip
        yield from _disk(node, disk, facts.fsid)


def is_ours(disk: DiskFacts, fsid: str | None) -> bool:
    """Whether the disk holds an OSD of the cluster in the host's own ceph.conf, or one that was never finished."""
    if fsid is None:
        return False
    if disk.label:
        return disk.label.fsid in {None, fsid}
    return disk.lvm_fsids == {fsid}


def _disk(node: Node, disk: DiskFacts, fsid: str | None) -> Iterator[Problem]:
    if disk.kind != "block":
        seen = "no such file" if disk.kind == "missing" else "something that is not a block device"
        yield Problem(
            node.name, f"there is no disk {disk.path}", disk.path, seen, "lsblk",
            "Name the disk as the host does, preferably by /dev/disk/by-id.", final=True,
        )  # fmt: skip
    elif unusable := _unusable(disk):
        yield Problem(
            node.name, f"{disk.path} can't be used", "a disk for an OSD", unusable, f"lsblk {disk.path}",
            "Name another disk.", final=True,
        )  # fmt: skip
    elif (findings := describe(disk)) and not is_ours(disk, fsid):
        yield Problem(
            node.name, f"{disk.path} is not empty", "no partition, file system, LVM or OSD on it", findings,
            f"lsblk -f {disk.path}; wipefs --no-act {disk.path}",
            f"If nobody needs what is on it (this destroys it): wipefs --all {disk.path}; "
            f"dd if=/dev/zero of={disk.path} bs=1M count=10",
            final=True, refused=True,
        )  # fmt: skip


def _unusable(disk: DiskFacts) -> str:
    if not disk.size:
        return "a size of 0 bytes"
    if disk.read_only:
        return "read-only"
    return "" if disk.readable else "its first bytes can't be read"


def describe(disk: DiskFacts) -> str:
    """What is on a disk, for people; "" when it is empty."""
    parts = []
    if disk.label:
        parts.append(f"an OSD of the Ceph cluster {disk.label.fsid}" if disk.label.fsid else "an unfinished OSD")
    elif disk.lvm_fsids:
        parts.append(f"an OSD of the Ceph cluster {', '.join(sorted(disk.lvm_fsids))}")
    if disk.mounts:
        parts.append(f"mounted on {', '.join(disk.mounts)}")
    if disk.children:
        parts.append(f"parts or users: {', '.join(disk.children)}")
    if disk.signatures and not disk.label:
        parts.append(f"signatures: {', '.join(disk.signatures)}")
    if disk.unknown_data and not disk.label:
        parts.append("data of no known format (an encrypted disk looks like that)")
    return "; ".join(parts)
