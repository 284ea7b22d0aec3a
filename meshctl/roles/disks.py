"""Disks: what they are, what is on them, and what stands in the way of emptying them. Pure functions.

`disks.sh` is the shell's part: a script that follows it may call `disk PATH` and `users PATH` and has their sections in
its output.
"""

import base64
import json
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshctl.roles.parsing import parser

LOOK = Path(__file__).with_name("disks.sh").read_bytes()
"""The shell functions, to be followed by what calls them."""

_SECTION = re.compile(r"^@@ (\S+)(?: (\S+))?\n", re.MULTILINE)
# A BlueStore label (bluestore_bdev_label_t in Ceph's BlueStore.cc): this line, the OSD's UUID and a line break, two
# bytes of versions, the length of the rest in four; in it a map of strings, each preceded by its length; behind it a
# CRC-32C of all that.
_LABEL = b"bluestore block device\n"
_LABEL_FSID = re.compile(rb"\x09\0\0\0ceph_fsid\x24\0\0\0([0-9a-f-]{36})")
_LABEL_LENGTH = len(_LABEL) + 36 + 1 + 2

SYSTEM_MOUNTS = frozenset({"/", "/boot", "/boot/efi", "/efi", "/usr", "/var", "/var/lib", "/etc"})
"""What is mounted there makes a disk the system's."""

Sections = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Label:
    """A BlueStore label; without `fsid` the OSD was never finished, without `whole` its checksum is wrong."""

    osd: str
    fsid: str | None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Part:
    """A device on a disk: a partition, a logical volume, an array; `holds` is the format of what is on it."""

    name: str
    kind: str
    holds: str = ""


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """What stands at a disk's path, and what is on it.

    `kind` is "block", "other" or "missing"; `unknown_data` says that the first bytes are neither empty nor of a
    known format; `users` are processes and "kernel 0", where they were asked for.
    """

    path: str
    real: str
    kind: str
    size: int = 0
    readable: bool = False
    read_only: bool = False
    model: str = ""
    serial: str = ""
    mounts: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    signatures: tuple[str, ...] = ()
    label: Label | None = None
    volume_groups: tuple[str, ...] | None = None
    """LVM's groups that the whole disk belongs to; None when LVM says nothing about it (or isn't there)."""
    lvm_fsids: frozenset[str] = frozenset()
    unknown_data: bool = False
    users: tuple[str, ...] = ()
    head: str = ""
    """The first 4 KiB as base64: whether it is still the same disk with the same content."""

    @property
    def title(self) -> str:
        """The disk as it is called in a shop and in a rack."""
        what = (self.model or "unknown model", self.serial or "no serial number", f"{self.size / 1e9:.1f} GB")
        return f"{self.path} ({', '.join(what)})"

    @property
    def lvm(self) -> bool:
        """Whether LVM has the disk or a part of it."""
        return "LVM2_member" in (*self.signatures, *(part.holds for part in self.parts))


@parser
def sections(output: str) -> dict[tuple[str, str], str]:
    """The text of each section by (name, disk)."""
    marks = list(_SECTION.finditer(output))
    ends = [*(mark.start() for mark in marks), len(output)][1:]
    return {(mark[1], mark[2] or ""): output[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)}


@parser
def disks(output: str) -> dict[str, DiskFacts]:
    """Every disk that the script was asked about, by path."""
    return of_sections(sections(output))


def of_sections(found: Sections) -> dict[str, DiskFacts]:
    """Every disk in these sections. Raises KeyError, ValueError, TypeError or IndexError when one can't be read."""
    return {path: _disk(found, path) for name, path in found if name == "disk"}


def _disk(found: Sections, path: str) -> DiskFacts:
    real, kind = found["disk", path].splitlines()[-2:] if "\n" in found["disk", path] else (path, found["disk", path])
    if kind != "block":
        return DiskFacts(path, real, kind)
    top = json.loads(found["lsblk", path])["blockdevices"][0]
    head = base64.b64decode(found["head", path])
    signatures = _signatures(found["wipefs", path])
    return DiskFacts(
        path=path,
        real=real,
        kind=kind,
        size=int(top["size"] or 0),
        readable=bool(head),
        read_only=bool(top["ro"]),
        model=_word(top.get("model")),
        serial=_word(top.get("serial")),
        mounts=tuple(mount for device in _walk(top) for mount in device.get("mountpoints", ()) if mount),
        parts=tuple(_part(device) for device in _walk(top) if device is not top),
        signatures=signatures,
        label=bluestore_label(head),
        volume_groups=_volume_groups(found["tags", path]),
        lvm_fsids=frozenset(re.findall(r"ceph\.cluster_fsid=([0-9a-f-]{36})", found["tags", path])),
        unknown_data=not signatures and any(head),
        users=tuple(found.get(("users", path), "").splitlines()),
        head=found["head", path],
    )


def _walk(device: dict[str, Any]) -> list[dict[str, Any]]:
    return [device, *(below for child in device.get("children", ()) for below in _walk(child))]


def _part(device: dict[str, Any]) -> Part:
    return Part(device["name"], _word(device.get("type")), _word(device.get("fstype")))


def _word(value: object) -> str:
    return " ".join(str(value or "").split())


def _volume_groups(tags: str) -> tuple[str, ...] | None:
    """From the lines `GROUP|TAGS`; a physical volume in no group has a line without a name."""
    names = [line.split("|", 1)[0].strip() for line in tags.splitlines() if "|" in line]
    return tuple(dict.fromkeys(name for name in names if name)) if names else None


def _signatures(text: str) -> tuple[str, ...]:
    """`wipefs --json` prints nothing at all when there is nothing."""
    entries = json.loads(text)["signatures"] if text else []
    return tuple(dict.fromkeys(entry["type"] for entry in entries))


@parser
def bluestore_label(head: bytes) -> Label | None:
    """The label at the start of a raw OSD; None when there is none."""
    if not head.startswith(_LABEL):
        return None
    fsid = _LABEL_FSID.search(head)
    uuid = head[len(_LABEL) :][:36].decode("ascii", "replace")
    return Label(uuid, fsid[1].decode() if fsid else None, _whole(head))


def _whole(head: bytes) -> bool:
    start = _LABEL_LENGTH + 4
    if len(head) < start:
        return False
    end = start + int(struct.unpack_from("<I", head, _LABEL_LENGTH)[0])
    return len(head) >= end + 4 and struct.unpack_from("<I", head, end)[0] == crc32c(head[:end])


def crc32c(data: bytes) -> int:
    """Ceph's CRC-32C: seed of ones, nothing inverted at the end.

    >>> hex(crc32c(b"123456789") ^ 0xFFFFFFFF)
    '0xe3069283'
    """
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


def describe(disk: DiskFacts) -> str:
    """What is on a disk, for people; "" when it is empty."""
    return "; ".join(_contents(disk))


def _contents(disk: DiskFacts) -> Iterator[str]:
    if disk.label:
        yield _osd(disk.label)
    elif disk.lvm_fsids:
        yield f"an OSD of the Ceph cluster {', '.join(sorted(disk.lvm_fsids))}, on LVM"
    if SYSTEM_MOUNTS.intersection(disk.mounts):
        yield "this host's own system"
    if disk.mounts:
        yield ", ".join("in use as swap" if mount == "[SWAP]" else f"mounted on {mount}" for mount in disk.mounts)
    if disk.volume_groups:
        yield f"LVM's volume group {', '.join(disk.volume_groups)}"
    if disk.parts:
        yield ", ".join(f"{part.kind} {part.name}{f' ({part.holds})' if part.holds else ''}" for part in disk.parts)
    if disk.signatures and not disk.label:
        yield f"signatures: {', '.join(disk.signatures)}"
    if disk.unknown_data and not disk.label:
        yield "data of no known format (an encrypted disk looks like that)"


def _osd(label: Label) -> str:
    of = f" of the Ceph cluster {label.fsid}" if label.fsid else ""
    if not label.whole:
        return f"a damaged label of an OSD{of} ({label.osd})"
    return f"an OSD{of} ({label.osd})" if label.fsid else f"an OSD that was never finished ({label.osd})"


def is_ours(disk: DiskFacts, fsid: str | None) -> bool:
    """Whether the disk holds an OSD of the cluster `fsid`, or one that was never finished and may be its own."""
    if fsid is None:
        return False
    if disk.label:
        return disk.label.whole and disk.label.fsid in {None, fsid}
    return disk.lvm_fsids == {fsid}


def obstacle(disk: DiskFacts) -> tuple[str, str] | None:
    """Why a disk must not be emptied at all, and what the operator can do about it by hand; None when it may."""
    if SYSTEM_MOUNTS.intersection(disk.mounts):
        return "is the system disk", "Name another disk in the topology."
    if disk.mounts:
        frees = (f"swapoff {disk.path}" if m == "[SWAP]" else f"umount {m}" for m in disk.mounts)
        return "is in use", f"If it is the right one, free it: {'; '.join(frees)}"
    if disk.lvm and disk.volume_groups != ():
        return "belongs to LVM", _by_hand(disk)
    if used := [part for part in disk.parts if part.kind != "part"]:
        frees = (_FREES.get(part.kind, "dmsetup remove {}").format(part.name) for part in used)
        return "is in use", f"If it is the right one, free it: {'; '.join(frees)}"
    if disk.users:
        who = ", ".join(f"{name} (process {pid})" for name, pid in (user.rsplit(" ", 1) for user in disk.users))
        who = who.replace("kernel (process 0)", "the kernel: mounted elsewhere, or part of an array or a pool")
        return f"is in use by {who}", f"If it is the right one, stop what uses it: lsblk {disk.path}; lsof {disk.path}"
    return None


_FREES = {"crypt": "cryptsetup close {}", "lvm": "lvchange --activate n {}", "mpath": "multipath -f {}"}
_FREES |= {f"raid{level}": "mdadm --stop {}" for level in (0, 1, 4, 5, 6, 10)}


def _by_hand(disk: DiskFacts) -> str:
    """A volume group may reach over several disks, and nobody but its owner knows whether it may go."""
    if disk.lvm_fsids:
        remove = f"ceph-volume lvm zap --destroy {disk.path}"
    else:
        groups = disk.volume_groups or ("GROUP",)
        remove = "; ".join([*(f"vgremove {name}" for name in groups), f"pvremove {disk.path}"])
    look = f"pvs -o pv_name,vg_name,lv_name {disk.path}"
    return f"A volume group may reach over other disks, so look ({look}) and remove it by hand: {remove}"
