"""From the output of facts.sh to typed facts."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshctl.roles.distributions import os_release
from meshctl.roles.parsing import parser

_SECTION = re.compile(r"^@@ (\S+)(?: (\S+))?\n", re.MULTILINE)
# A BlueStore label (bluestore_bdev_label_t in Ceph's BlueStore.cc): this line, the OSD's UUID, then a map of strings,
# each preceded by its length in four bytes.
_LABEL = b"bluestore block device\n"
_LABEL_FSID = re.compile(rb"\x09\0\0\0ceph_fsid\x24\0\0\0([0-9a-f-]{36})")

Sections = Mapping[tuple[str, str], str]


class FactsError(ValueError):
    """The output lacks a section or has one that can't be read; the message says which."""


@dataclass(frozen=True, slots=True)
class Nic:
    """A network interface. `max_mtu` is 0 when the driver states none."""

    name: str
    mac: str
    up: bool
    carrier: bool
    max_mtu: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """A BlueStore label; without `fsid` the OSD was never finished."""

    osd: str
    fsid: str | None


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """What stands at a disk's path, and what is on it.

    `kind` is "block", "other" or "missing"; `unknown_data` says that the first bytes are neither empty nor of a
    known format.
    """

    path: str
    real: str
    kind: str
    size: int = 0
    readable: bool = False
    read_only: bool = False
    mounts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    label: Label | None = None
    lvm_fsids: frozenset[str] = frozenset()
    unknown_data: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """A file system: bytes in all, and free for root's daemons."""

    mount: str
    size: int
    free: int


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One host. Clocks are Unix seconds, memory is bytes."""

    clock_start: float
    clock_end: float
    uid: int
    os_id: str
    os_version: str
    os_title: str
    architecture: str
    machine_id: str
    boot_id: str
    hostname: str
    memory: int
    spaces: tuple[Space, ...]
    systemd: bool
    ssh_enabled: bool
    fsid: str | None
    nics: Mapping[str, Nic] | None
    """None when the host has no `ip` command."""
    ours: frozenset[str]
    """Addresses that meshctl's own files give this host, those of former runs included."""
    disks: Mapping[str, DiskFacts]


@parser
def host_facts(output: str) -> HostFacts:
    """Read all sections. Raises FactsError."""
    found = sections(output)
    try:
        return _host_facts(found)
    except KeyError as error:
        raise FactsError(f"the section {error}") from error
    except (ValueError, IndexError, TypeError) as error:
        raise FactsError(f"readable sections ({error})") from error


def sections(output: str) -> Sections:
    """The text of each section by (name, disk)."""
    marks = list(_SECTION.finditer(output))
    ends = [*(mark.start() for mark in marks), len(output)][1:]
    return {(mark[1], mark[2] or ""): output[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)}


def _host_facts(found: Sections) -> HostFacts:
    release = os_release(found["os", ""])
    return HostFacts(
        clock_start=float(found["clock.start", ""]),
        clock_end=float(found["clock.end", ""]),
        uid=int(found["uid", ""]),
        os_id=release.get("ID", ""),
        os_version=release.get("VERSION_ID", ""),
        os_title=release.get("PRETTY_NAME", "an unknown system"),
        architecture=found["architecture", ""],
        machine_id=found["machine", ""],
        boot_id=found["boot", ""],
        hostname=found["hostname", ""],
        memory=int(found["memory", ""].split()[1]) * 1024,
        spaces=spaces(found["space", ""]),
        systemd="/run/systemd/system" in found["init", ""],
        ssh_enabled="enabled" in found["ssh", ""].split(),
        fsid=_fsid(found["fsid", ""]),
        nics=nics(found["nics", ""]),
        ours=frozenset(re.findall(r"^Address=([^/\n]+)", found["ours", ""], re.MULTILINE)),
        disks={path: _disk(found, path) for name, path in found if name == "disk"},
    )


@parser
def spaces(text: str) -> tuple[Space, ...]:
    """`df -Pk`: each file system once."""
    rows = [line.split(None, 5) for line in text.splitlines()[1:]]
    found = {row[5]: Space(row[5], int(row[1]) * 1024, int(row[3]) * 1024) for row in rows}
    return tuple(found.values())


@parser
def nics(text: str) -> dict[str, Nic] | None:
    """`ip -j -d addr show`."""
    if not text:
        return None
    return {link["ifname"]: _nic(link) for link in json.loads(text) if "ifname" in link}


def _nic(link: dict[str, Any]) -> Nic:
    return Nic(
        name=link["ifname"],
        mac=link.get("address", ""),
        up="UP" in link["flags"],
        carrier="LOWER_UP" in link["flags"],
        max_mtu=int(link.get("max_mtu", 0)),
        addresses=tuple(entry["local"] for entry in link.get("addr_info", ()) if "local" in entry),
    )


def _fsid(text: str) -> str | None:
    return text.splitlines()[0].split("=", 1)[1].strip().lower() if text else None


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
        mounts=tuple(mount for device in _walk(top) for mount in device.get("mountpoints", ()) if mount),
        children=tuple(device["name"] for device in _walk(top) if device is not top),
        signatures=signatures,
        label=bluestore_label(head),
        lvm_fsids=frozenset(re.findall(r"ceph\.cluster_fsid=([0-9a-f-]{36})", found["tags", path])),
        unknown_data=not signatures and any(head),
    )


def _walk(device: dict[str, Any]) -> list[dict[str, Any]]:
    return [device, *(below for child in device.get("children", ()) for below in _walk(child))]


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
    return Label(head[len(_LABEL) :][:36].decode("ascii", "replace"), fsid[1].decode() if fsid else None)
