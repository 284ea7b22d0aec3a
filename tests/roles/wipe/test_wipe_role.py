"""The role that empties disks, against fake hosts whose disks a preflight capture describes."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, RefusedError
from meshctl.host.fake import Answer
from meshctl.roles.disks import disks
from meshctl.roles.wipe.role import WipeRole
from meshctl.topology import Topology
from tests.roles import golden
from tests.roles.cephworld import CephHost, World, cluster_of

DATA = Path(__file__).parents[1] / "preflight" / "data"
THEIRS = "3f6f9e0a-1b7c-4a54-9a3a-0d5e2c1b7a11"
UUID = "11111111-2222-4333-8444-555555555555"
SDB = ("node2", "/dev/sdb")


def capture(name: str) -> str:
    text = (DATA / f"{name}.txt").read_text()
    return text[text.index("@@ disk /dev/sdb") :]


@dataclass
class WipeHost(CephHost):
    """A host with one disk; `fsid` is what its ceph.conf says."""

    holds: str = field(default_factory=lambda: capture("empty"))
    fsid: str = ""
    broken: bool = False

    def _lookup(self, argv: Sequence[str]) -> Answer:
        if argv[:2] == ["sh", "-s"]:
            return Answer(self.holds)
        if argv[0] == "grep":
            return Answer(f"fsid = {self.fsid}\n" if self.fsid else "", 0 if self.fsid else 2)
        if argv[:2] == ["sh", "-c"] and argv[3] == "wipe":
            if self.broken:
                return Answer("", 1, "Input/output error")
            self.holds = capture("empty")
            return Answer()
        return super()._lookup(argv)


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def hosts(mesh: Topology) -> list[WipeHost]:
    world = World()
    return [WipeHost(name=node.name, world=world) for node in mesh.nodes]


async def bootstrap(mesh: Topology, hosts: list[WipeHost], path: Path, *wipe: tuple[str, str]) -> list[Any]:
    notes: list[str] = []
    cluster = replace(cluster_of(mesh, hosts, path), wipe=frozenset(wipe), note=notes.append)
    role = WipeRole(mesh)
    await role.prepare(cluster)
    for node in mesh.nodes:
        await role.apply(node, cluster.host(node), cluster)
    return [*notes, *await role.verify(cluster)]


async def test_without_the_option_nothing_is_even_asked(mesh: Topology, hosts: list[WipeHost], tmp_path: Path) -> None:
    hosts[1].holds = capture("partitioned")
    assert await bootstrap(mesh, hosts, tmp_path) == []
    assert [line for host in hosts for line in (*host.queried, *host.ran)] == []


async def test_a_named_disk_is_emptied_once(mesh: Topology, hosts: list[WipeHost], tmp_path: Path) -> None:
    for host in hosts:
        host.holds = capture("partitioned")
    assert await bootstrap(mesh, hosts, tmp_path, SDB) == []
    assert [len(host.ran) for host in hosts] == [0, 1, 0]
    assert await bootstrap(mesh, hosts, tmp_path, SDB) == []
    assert len(hosts[1].ran) == 1


async def test_what_was_seen_is_what_may_go(mesh: Topology, hosts: list[WipeHost], tmp_path: Path) -> None:
    hosts[1].holds = capture("own-osd")
    await bootstrap(mesh, hosts, tmp_path, SDB)
    head = base64.b64decode(disks(capture("own-osd"))["/dev/sdb"].head)
    assert hosts[1].ran[0].endswith(f" wipe /dev/sdb {hashlib.sha256(head).hexdigest()}")


async def test_an_osd_that_the_cluster_knows_is_never_wiped(
    mesh: Topology, hosts: list[WipeHost], tmp_path: Path
) -> None:
    hosts[1].holds, hosts[0].fsid = capture("own-osd"), THEIRS
    hosts[0].world.osds[UUID] = {"uuid": UUID, "osd": 1, "up": 1, "in": 1, "state": []}
    [note] = await bootstrap(mesh, hosts, tmp_path, SDB)
    assert "holds an OSD of this cluster, so it is not wiped" in note
    assert hosts[1].ran == []


async def test_an_osd_of_this_cluster_that_it_has_forgotten_is(
    mesh: Topology, hosts: list[WipeHost], tmp_path: Path
) -> None:
    hosts[1].holds, hosts[0].fsid = capture("own-osd"), THEIRS
    await bootstrap(mesh, hosts, tmp_path, SDB)
    assert len(hosts[1].ran) == 1


async def test_what_may_be_an_osd_of_ours_waits_for_the_monitors(
    mesh: Topology, hosts: list[WipeHost], tmp_path: Path
) -> None:
    hosts[1].holds, hosts[0].fsid = capture("own-osd"), THEIRS
    hosts[0].world.refused["osd dump"] = 110
    with pytest.raises(RefusedError, match=r"node2: /dev/sdb .* whose monitors don't answer"):
        await bootstrap(mesh, hosts, tmp_path, SDB)
    assert hosts[1].ran == []


async def test_a_disk_that_came_into_use_since_preflight_is_refused(
    mesh: Topology, hosts: list[WipeHost], tmp_path: Path
) -> None:
    hosts[1].holds = capture("mounted-ext4")
    with pytest.raises(RefusedError, match=r"is in use, so it is not wiped: mounted on /mnt"):
        await bootstrap(mesh, hosts, tmp_path, SDB)
    assert hosts[1].ran == []


async def test_a_disk_that_can_not_be_written(mesh: Topology, hosts: list[WipeHost], tmp_path: Path) -> None:
    hosts[1].holds, hosts[1].broken = capture("partitioned"), True
    with pytest.raises(CommandError, match="Input/output error"):
        await bootstrap(mesh, hosts, tmp_path, SDB)


async def test_gate_sees_what_is_left(mesh: Topology, hosts: list[WipeHost], tmp_path: Path) -> None:
    hosts[1].holds = capture("partitioned")
    cluster: Cluster = replace(cluster_of(mesh, hosts, tmp_path), wipe=frozenset({SDB}))
    [problem] = await WipeRole(mesh).verify(cluster)
    assert (problem.host, problem.seen) == ("node2", "signatures: dos")


def test_capture_is_json_of_lsblk() -> None:
    assert json.loads(capture("own-osd").split("@@ lsblk /dev/sdb\n")[1].split("\n@@")[0])
