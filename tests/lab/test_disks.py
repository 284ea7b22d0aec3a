"""Disks with something on them: refused by name before any change, and emptied only when named with --wipe."""

import asyncio
import base64
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meshctl.cluster import Cluster
from meshctl.roles.disks import crc32c
from meshctl.roles.preflight.role import Preflight
from meshctl.roles.wipe.role import WipeRole
from meshctl.topology import Topology
from tests.lab.conftest import ROOT, Lab, running_lab
from tests.lab.failing import NODES, inside, on

pytestmark = [pytest.mark.lab, pytest.mark.long]

THEIRS = "3f6f9e0a-1b7c-4a54-9a3a-0d5e2c1b7a11"
WIPE = tuple(word for node in NODES for word in ("--wipe", f"{node}:/dev/sdb"))
TITLE = r"/dev/sdb \(unknown model, no serial number, 8\.6 GB\)"

# What a host's shell does to its disk, and what preflight then says is on it.
SCRIPTS = {
    "partitions": (
        "sgdisk --new 1:0:+1G $d && partx --add $d",
        r"part /dev/loop\d+p1; signatures: gpt, PMBR",
    ),
    "ext4": ("mkfs.ext4 -q $d", "signatures: ext4"),
    "xfs": ("mkfs.xfs -q $d", "signatures: xfs"),
    "swap": ("mkswap $d", "signatures: swap"),
    "a physical volume": ("pvcreate --quiet $d", "signatures: LVM2_member"),
    "a volume group": ("pvcreate --quiet $d && vgcreate --quiet pictures $d", "LVM's volume group pictures;"),
    "a mounted file system": ("mkfs.ext4 -q $d && mount $d /mnt", "mounted on /mnt; signatures: ext4"),
    "the system": ("mkfs.ext4 -q $d && mount $d /boot", "this host's own system; mounted on /boot"),
    "random data": ("head -c 1M /dev/urandom | tr '\\0' x >$d", "data of no known format"),
}
CLEAN = (
    "umount -q /mnt /boot; pkill -x sleep; partx --delete --nr 1:128 $d; wipefs --all --force --quiet $d;"
    " dd if=/dev/zero of=$d bs=1M count=10 conv=fsync status=none; rm -rf /etc/lvm/archive /etc/lvm/backup"
)


def label(*, fsid: str | None, damaged: bool = False) -> bytes:
    """A BlueStore label as the capture of a real one has it; without fsid the OSD was never finished."""
    text = Path(ROOT, "tests/roles/preflight/data/own-osd.txt").read_text()
    found = re.search(r"^@@ head /dev/sdb\n(\S+)", text, re.MULTILINE)
    assert found
    head = base64.b64decode(found[1])
    end = 66 + int(struct.unpack_from("<I", head, 62)[0])
    body = bytearray(head[:end])
    if fsid is None:
        body = body.replace(b"ceph_fsid", b"some_fsid")
    checksum = crc32c(bytes(body)) ^ int(damaged)
    return (bytes(body) + struct.pack("<I", checksum)).ljust(4096, b"\0")


def raid() -> bytes:
    """The first 8 KiB of a member of an array: a superblock of version 1.2 (linux/raid/md_p.h)."""
    block = bytearray(4096)
    struct.pack_into("<IIII16s32s", block, 0, 0xA92B4EFC, 1, 0, 0, b"meshctl-md-array", b"host:0")
    struct.pack_into("<IIQII", block, 72, 1, 0, 16000000, 0, 2)  # level, layout, size, chunk, disks
    struct.pack_into("<QQQ", block, 128, 2048, 16000000, 8)  # data's offset and size, this block's place
    total = sum(struct.unpack("<64I", block[:256]))
    struct.pack_into("<I", block, 216, (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF)
    return bytes(4096) + bytes(block)


BYTES = {
    "another cluster's OSD": (label(fsid=THEIRS), f"an OSD of the Ceph cluster {THEIRS}"),
    "an OSD never finished": (label(fsid=None), r"an OSD that was never finished \("),
    "a damaged label": (label(fsid=THEIRS, damaged=True), f"a damaged label of an OSD of the Ceph cluster {THEIRS}"),
    "a member of an array": (raid(), "signatures: linux_raid_member"),
}
KINDS = (*SCRIPTS, *BYTES)
IN_USE = {"a volume group", "a mounted file system", "the system"}
ROUNDS = [KINDS[start : start + 3] for start in range(0, len(KINDS), 3)]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    yield from running_lab(f"fld{os.getpid()}")


def put(lab: Lab, node: str, kind: str) -> str:
    """Let there be this on the host's disk; what preflight should say."""
    if kind in BYTES:
        content, said = BYTES[kind]
        text = base64.b64encode(content).decode()
        script = f"echo {text} | base64 -d | dd of=/dev/sdb conv=notrunc,fsync status=none"
    else:
        script, said = SCRIPTS[kind]
    on(lab, node, f"d=/dev/sdb; {{ {CLEAN}; }} >/dev/null 2>&1; {{ {script}; }} && touch /tmp/reference")
    return said


def look(lab: Lab, *wipe: str, empty: bool = False) -> dict[str, list[str]]:
    """What preflight refuses on each host, as an operator reads it; `empty`: then let the disks be emptied."""

    async def work(given: Cluster) -> dict[str, list[str]]:
        cluster = replace(given, wipe=frozenset((node, "/dev/sdb") for node in wipe))
        problems = await Preflight(cluster.topology).verify(cluster)
        if empty:
            await emptied(cluster.topology, cluster)
        assert all(problem.refused and problem.final and problem.advice for problem in problems), problems
        said = {node: [p for p in problems if p.host == node] for node in NODES}
        return {node: [f"{p.what}: {p.seen}: {p.advice}" for p in found] for node, found in said.items()}

    return inside(lab, work)


async def emptied(topology: Topology, cluster: Cluster) -> None:
    role = WipeRole(topology)
    await role.prepare(cluster)
    await asyncio.gather(*(role.apply(node, cluster.host(node), cluster) for node in topology.nodes))
    assert await role.verify(cluster) == []


@pytest.mark.parametrize("kinds", ROUNDS, ids=", ".join)
def test_each_kind_is_refused_and_may_be_wiped_unless_it_is_in_use(lab: Lab, kinds: tuple[str, ...]) -> None:
    seen = {node: put(lab, node, kind) for node, kind in zip(NODES, kinds, strict=False)}
    refused = look(lab)
    for node, pattern in seen.items():
        [line] = refused[node]
        assert re.match(rf"{TITLE} (is|belongs) .*{pattern}", line), line
    free = [node for node, kind in zip(NODES, kinds, strict=False) if kind not in IN_USE]
    look(lab, *free, empty=True)
    assert [look_again(lab, node) for node in free] == [""] * len(free)
    for node, kind in zip(NODES, kinds, strict=False):
        if kind in IN_USE:
            [line] = look(lab, node)[node]
            assert "so it is not wiped" in line


def look_again(lab: Lab, node: str) -> str:
    """What is left: signatures, partitions, data at either end."""
    script = (
        "wipefs --no-act --noheadings $d; lsblk --noheadings --list --output NAME,TYPE $d | grep part;"
        " head -c 10M $d | tr -d '\\0'; tail -c 1M $d | tr -d '\\0'"
    )
    return on(lab, node, f"d=/dev/sdb; {script}; :")


def traces(lab: Lab) -> list[str]:
    """What a bootstrap would leave on hosts: files, packages' configuration, units, addresses."""
    script = (
        "find /etc /usr/local /var/lib/ceph /var/lib/meshctl -newer /tmp/reference -type f 2>/dev/null"
        " | grep -v -e ^/etc/lvm -e mtab; ip -4 -o addr show dev lo; systemctl is-active frr ceph-mon.target"
    )
    return [on(lab, node, script + "; :") for node in NODES]


def test_what_is_in_use_stops_the_run_before_any_change(lab: Lab) -> None:
    """Named with --wipe or not."""
    put(lab, "node1", "the system")
    put(lab, "node2", "a volume group")
    put(lab, "node3", "another cluster's OSD")
    on(lab, "node3", "setsid sleep 600 </dev/sdb >/dev/null 2>&1 &")
    before = traces(lab)
    done = lab.call("bootstrap", lab.topology, "--yes", *WIPE)
    assert done.returncode == 6, done.stdout + done.stderr
    assert re.search(rf"node1: {TITLE} is the system disk, so it is not wiped", done.stdout), done.stdout
    assert re.search(rf"node2: {TITLE} belongs to LVM, so it is not wiped", done.stdout)
    assert "vgremove pictures; pvremove /dev/sdb" in done.stdout
    assert re.search(rf"node3: {TITLE} is in use by sleep \(process \d+\), so it is not wiped", done.stdout)
    assert "signatures: ext4" in done.stdout
    assert signatures(lab) == [{"ext4"}, {"LVM2_member"}, {"ceph_bluestore"}]
    assert traces(lab) == before


def signatures(lab: Lab) -> list[set[str]]:
    return [set(on(lab, node, "wipefs --noheadings --output TYPE /dev/sdb").split()) for node in NODES]


def test_only_disks_of_the_topology_can_be_named(lab: Lab) -> None:
    done = lab.call("bootstrap", lab.topology, "--yes", "--wipe", "node1:/dev/sda")
    assert done.returncode == 1
    assert "the topology names no such disk" in done.stderr
    assert "node1:/dev/sdb, node2:/dev/sdb" in done.stderr


def test_plan_shows_what_would_be_destroyed(lab: Lab) -> None:
    put(lab, "node1", "partitions")
    put(lab, "node2", "a physical volume")
    put(lab, "node3", "another cluster's OSD")
    done = lab.call("plan", lab.topology, *WIPE)
    assert done.returncode == 2, done.stdout + done.stderr
    for node, contents in (("node1", "gpt"), ("node2", "LVM2_member"), ("node3", f"Ceph cluster {THEIRS}")):
        pattern = rf"wipe@{node}\n.*\n +because: --wipe destroys everything on {TITLE}: .*{contents}"
        assert re.search(pattern, done.stdout), done.stdout
    assert signatures(lab) == [{"gpt", "PMBR"}, {"LVM2_member"}, {"ceph_bluestore"}]


def test_named_disks_become_osds_and_repeating_it_destroys_nothing(lab: Lab) -> None:
    first = lab.report("bootstrap", lab.topology, "--yes", *WIPE)
    assert steps(first, "wipe@") == {"wipe@node1": 1, "wipe@node2": 1, "wipe@node3": 1}
    again = lab.report("bootstrap", lab.topology, "--yes", *WIPE)
    assert again["changed"] == 0
    assert lab.bootstrap()["changed"] == 0


def steps(report: dict[str, Any], prefix: str) -> dict[str, int]:
    return {step["id"]: step["changed"] for step in report["steps"] if step["id"].startswith(prefix)}


def osd(lab: Lab, node: str) -> tuple[str, str]:
    """Id and uuid of the OSD on a host's disk."""
    shown = on(lab, node, "ceph-bluestore-tool show-label --dev /dev/sdb")
    return re.findall(r'"whoami": "(\d+)"', shown)[0], re.findall(r'"osd_uuid": "(\S+)"', shown)[0]


def test_an_osd_of_this_cluster_is_found_again(lab: Lab) -> None:
    """The host has forgotten everything about Ceph but what is on the disk and in its monitor's store."""
    number, uuid = osd(lab, "node2")
    on(
        lab,
        "node2",
        f"systemctl stop ceph-osd@{number} && umount /var/lib/ceph/osd/ceph-{number} &&"
        f" rm -rf /var/lib/ceph/osd/ceph-{number} /etc/ceph/ceph.conf /etc/ceph/meshctl-osd",
    )
    assert lab.bootstrap()["ok"]
    assert osd(lab, "node2") == (number, uuid)
    assert lab.bootstrap()["changed"] == 0


def test_an_osd_that_the_cluster_has_forgotten_is_wiped_only_by_name(lab: Lab) -> None:
    number, uuid = osd(lab, "node3")
    on(
        lab,
        "node3",
        f"systemctl disable --now ceph-osd@{number} && ceph osd purge {number} --force --yes-i-really-mean-it &&"
        f" umount /var/lib/ceph/osd/ceph-{number}",
    )
    done = lab.call("bootstrap", lab.topology, "--yes")
    assert done.returncode == 6, done.stdout + done.stderr
    assert f"an OSD that this cluster no longer knows: osd.{number}, {uuid}" in done.stdout
    assert "--wipe node3:/dev/sdb destroys it" in done.stdout
    report = lab.report("bootstrap", lab.topology, "--yes", *WIPE)
    assert steps(report, "wipe@") == {"wipe@node1": 0, "wipe@node2": 0, "wipe@node3": 1}
    assert osd(lab, "node3")[1] != uuid
    assert lab.bootstrap()["changed"] == 0
