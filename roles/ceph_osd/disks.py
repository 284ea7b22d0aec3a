"""What is on the disks that the topology names, and what therefore becomes of them."""

import asyncio
from dataclasses import dataclass
from enum import Enum

from meshctl.errors import ParseError, RefusedError
from meshctl.host.base import Host

from . import parse

_COLUMNS = "NAME,PATH,TYPE,SIZE,MODEL,SERIAL,MOUNTPOINTS"


class Fate(Enum):
    """What becomes of a disk."""

    CREATE = "create"
    """It is empty: make an OSD."""
    KEEP = "keep"
    """It has an OSD of this cluster: see that it runs."""
    REDO = "redo"
    """Making its OSD was interrupted; there are no data yet: begin anew."""


@dataclass(frozen=True, slots=True)
class Look:
    """A disk and the OSD on it, if there is one."""

    path: str
    disk: parse.Disk
    label: parse.Label | None


async def look(host: Host, path: str) -> Look:
    """See what is on a disk."""
    lsblk = ["lsblk", "-J", "-b", "-o", _COLUMNS, "--", path]
    listed, signatures, label = await asyncio.gather(
        host.query(lsblk),
        host.query(["wipefs", "-n", "-J", "--", path]),
        host.query(["ceph-bluestore-tool", "show-label", "--dev", path], ok=None),
    )
    try:
        disk = parse.disk(listed.stdout, signatures.stdout)
        found = parse.label(label.stdout) if label.ok else None
    except (ValueError, KeyError):
        raise ParseError(host.name, lsblk, "JSON about one disk", listed.stdout) from None
    return Look(path, disk, await _logical(host, path) if disk.lvm else found)


async def _logical(host: Host, path: str) -> parse.Label | None:
    argv = ["ceph-volume", "lvm", "list", "--format", "json", path]
    listed = await host.query(argv)
    try:
        return parse.logical_label(listed.stdout)
    except (ValueError, KeyError):
        raise ParseError(host.name, argv, "JSON about logical volumes", listed.stdout) from None


def decide(host: str, seen: Look, known: parse.Known) -> Fate:
    """What becomes of a disk. Raises RefusedError when there is something on it that this cluster did not put there."""
    label = seen.label
    if label is None:
        if seen.disk.contents:
            raise _refused(host, seen, "is not empty", ", ".join(seen.disk.contents))
        return Fate.CREATE
    if label.fsid not in {None, known.fsid}:
        raise _refused(host, seen, "belongs to another Ceph cluster", f"osd.{label.osd} of {label.fsid}")
    osd = known.osds.get(label.uuid)
    if not label.finished:
        # Its checksum is right (else there would be no label here) and mkfs never got to its end: no OSD has run on it,
        # whosever it is. A ceph-volume that fails takes its OSD off the books and leaves such a label.
        if osd is None or osd.new:
            return Fate.REDO
        safe = f"If `ceph osd safe-to-destroy {osd.id}` agrees: ceph osd purge {osd.id} --yes-i-really-mean-it; then"
        what = f"is damaged: osd.{osd.id} has run on it"
        raise _refused(host, seen, what, "a BlueStore label without its end", before=safe)
    if osd is None:
        raise _refused(host, seen, "has an OSD that this cluster no longer knows", f"osd.{label.osd}, {label.uuid}")
    # Tags of a logical volume are set before the OSD is made on it, so they don't tell whether it was finished.
    return Fate.REDO if label.lvm and osd.new else Fate.KEEP


def _refused(
    host: str, seen: Look, what: str, contents: str, before: str = "If nobody needs what is on it,"
) -> RefusedError:
    if seen.disk.lvm:
        destroys = f"ceph-volume lvm zap --destroy {seen.path} destroys it"
    else:
        destroys = f"the same command with --wipe {host}:{seen.path} destroys it"
    return RefusedError(
        host,
        f"{seen.path} ({seen.disk.name}) {what}: {contents}",
        advice=f"{before} {destroys}.",
    )
