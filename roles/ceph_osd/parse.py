"""What disks and the cluster say about OSDs: pure functions."""

import json
from dataclasses import dataclass, field
from typing import Any

from meshctl.roles.parsing import parser

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Label:
    """An OSD on a disk. `fsid` is the cluster's; None when the OSD was never finished. `lvm`: on a logical volume."""

    uuid: str
    osd: int | None
    fsid: str | None
    finished: bool
    lvm: bool = False


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk: what it is, for people, and what is on it."""

    name: str
    contents: tuple[str, ...] = ()
    lvm: bool = False


@dataclass(frozen=True, slots=True)
class Osd:
    """An OSD in `ceph osd dump`; `new` until it was up for the first time."""

    id: int
    up: bool
    in_: bool
    new: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What the cluster knows: its fsid, its OSDs by uuid, the memory targets of hosts in its configuration database."""

    fsid: str = ""
    osds: dict[str, Osd] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)


@parser
def label(output: str) -> Label | None:
    """What `ceph-bluestore-tool show-label` printed; None when the disk has no label."""
    if not output.strip():
        return None
    (told,) = json.loads(output).values()
    osd = told.get("whoami")
    return Label(
        uuid=told["osd_uuid"],
        osd=None if osd is None else int(osd),
        fsid=told.get("ceph_fsid"),
        finished=told.get("mkfs_done") == "yes" and told.get("ready") == "ready",
    )


@parser
def logical_label(output: str) -> Label | None:
    """What `ceph-volume lvm list --format json DEVICE` printed; None when there is no OSD."""
    for osd, volumes in json.loads(output or "{}").items():
        for volume in volumes:
            tags = volume["tags"]
            if volume["type"] == "block":
                return Label(tags["ceph.osd_fsid"], int(osd), tags["ceph.cluster_fsid"], finished=True, lvm=True)
    return None


@parser
def disk(lsblk: str, wipefs: str) -> Disk:
    """A disk from `lsblk -J -b …` and `wipefs -n -J`. Raises ValueError when they said something else."""
    (told,) = json.loads(lsblk)["blockdevices"]
    signatures = json.loads(wipefs)["signatures"] if wipefs.strip() else []
    kinds = dict.fromkeys(str(signature["type"]) for signature in signatures)
    children = [str(child["path"]) for child in told.get("children", [])]
    mounts = [str(mount) for mount in told.get("mountpoints", []) if mount]
    contents = [f"{kind} signature" for kind in kinds]
    contents += [f"{child} on it" for child in children] + [f"mounted on {mount}" for mount in mounts]
    return Disk(_describe(told), tuple(contents), lvm="LVM2_member" in kinds)


def _describe(told: dict[str, Any]) -> str:
    model = str(told.get("model") or "unknown model").strip()
    serial = str(told.get("serial") or "no serial number").strip()
    return f"{model}, {serial}, {int(told['size']) / 1e9:.1f} GB"


@parser
def fsid(osd_dump: str) -> str:
    """The cluster's fsid in `ceph osd dump`."""
    return str(json.loads(osd_dump)["fsid"])


@parser
def osds(osd_dump: str) -> dict[str, Osd]:
    """Every OSD of `ceph osd dump` by uuid. Raises ValueError when it is something else."""
    return {
        osd["uuid"]: Osd(osd["osd"], bool(osd["up"]), bool(osd["in"]), "new" in osd["state"])
        for osd in json.loads(osd_dump)["osds"]
    }


@parser
def memory_targets(config_dump: str) -> dict[str, str]:
    """Host → its `osd_memory_target` in `ceph config dump`."""
    return {
        line["mask"].removeprefix("host:"): line["value"]
        for line in json.loads(config_dump)
        if line["name"] == "osd_memory_target" and line["section"] == "osd" and line["mask"].startswith("host:")
    }


@parser
def memory(meminfo: str) -> int:
    """MemTotal in bytes. Raises ValueError when it is not there."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    raise ValueError("no MemTotal")


def memory_target(total: int, osds_on_host: int) -> int:
    """A fifth of the host's memory shared by its OSDs, in whole 128 MiB: the kernel's own share varies a little.

    Never less than Ceph's minimum of 896 MiB (osd_memory_target in `ceph config help`).
    """
    step = 128 * _MIB
    return max(7 * step, total // 5 // osds_on_host // step * step)


@parser
def device_classes(osd_tree: str) -> dict[int, str]:
    """OSD → its CRUSH device class, from `ceph osd tree`."""
    return {node["id"]: node.get("device_class", "") for node in json.loads(osd_tree)["nodes"] if node["id"] >= 0}
