"""The ceph_osd role against fake hosts with fake disks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, RefusedError
from meshctl.host.base import text
from meshctl.host.fake import Answer
from meshctl.roles.ceph_osd.role import FOLDER, UNIT, VOLUME, CephOsdRole
from meshctl.topology import Topology
from tests.roles import golden
from tests.roles.cephworld import FSID, UUID, CephHost, World, changes, cluster_of

DATA = Path(__file__).parent / "data"
READY = {"ceph_fsid": FSID, "mkfs_done": "yes", "ready": "ready"}


@dataclass
class DiskHost(CephHost):
    """A host with disks: path → what is on it (a BlueStore label, a signature, LVM's OSD)."""

    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    lvm: bool = False
    broken: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.files["/proc/meminfo"] = text((DATA / "meminfo").read_text())

    def _lookup(self, argv: Sequence[str]) -> Answer:
        line = " ".join(argv)
        known = {
            "lsblk": lambda: Answer((DATA / "lsblk.json").read_text()),
            "wipefs": lambda: Answer(json.dumps({"signatures": self._signatures(argv[-1])})),
            "ceph-bluestore-tool": lambda: self._label(argv[-1]),
            "dmsetup": lambda: Answer("", 0 if self.lvm else 1),
            "ceph-volume": lambda: self._volume(argv),
        }
        if argv[0] in known:
            return known[argv[0]]()
        if argv[0] == "sh":
            assert "flock" in line
            words = list(argv[argv.index("sh", 1) + 1 :])
            return self._volume(words[1:]) if words[1:2] == [VOLUME] else self._wipe(words[0])
        return super()._lookup(argv)

    def _signatures(self, path: str) -> list[dict[str, str]]:
        return [{"type": self.signatures[path]}] if path in self.signatures else []

    def _label(self, path: str) -> Answer:
        if path not in self.labels or self.signatures.get(path) == "LVM2_member":
            return Answer("", 1)
        return Answer(json.dumps({path: self.labels[path]}))

    def _wipe(self, path: str) -> Answer:
        if self.labels[path].get("ready") != "ready":
            del self.labels[path]
            self.signatures.pop(path, None)
        return Answer()

    def _volume(self, argv: Sequence[str]) -> Answer:
        kind, verb = argv[1], argv[2]
        path = argv[argv.index("--data") + 1] if "--data" in argv else argv[-1]
        if verb == "list":
            label = self.labels[path]
            tags = {"ceph.cluster_fsid": FSID, "ceph.osd_fsid": label["osd_uuid"]}
            return Answer(json.dumps({label["whoami"]: [{"type": "block", "tags": tags}]}))
        if verb == "zap":
            del self.labels[path], self.signatures[path]
        if verb == "activate":
            self.active.add(f"ceph-osd@{argv[3]}.service")
            self.started(f"ceph-osd@{argv[3]}.service")
        if verb == "prepare":
            if self.broken:
                return Answer("", 1, "RuntimeError: no such luck")
            assert path not in self.labels, "an OSD would be overwritten"
            osd = next(n for n in range(9) if n not in [known["osd"] for known in self.world.osds.values()])
            self.put_osd(path, osd, lvm=kind == "lvm")
        return Answer()

    def put_osd(self, path: str, osd: int, *, lvm: bool = False, **other: str) -> None:
        """Let there be a finished OSD that has not been started yet."""
        self.labels[path] = {
            "osd_uuid": self.world.add_osd(osd, up=False, new=True),
            "whoami": str(osd),
            **READY,
            **other,
        }
        self.signatures[path] = "LVM2_member" if lvm else "ceph_bluestore"


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def hosts(mesh: Topology) -> list[DiskHost]:
    world = World()
    return [DiskHost(name=node.name, world=world) for node in mesh.nodes]


@pytest.fixture
def cluster(mesh: Topology, hosts: list[DiskHost], tmp_path: Path) -> Cluster:
    return cluster_of(mesh, hosts, tmp_path)


async def bootstrap(cluster: Cluster) -> CephOsdRole:
    role = CephOsdRole(cluster.topology)
    await role.prepare(cluster)
    for node in cluster.topology.nodes:
        await role.apply(node, cluster.host(node), cluster)
    return role


@pytest.mark.parametrize("name", ["triangle", "five"])
def test_files_are_as_reviewed(name: str) -> None:
    golden.check(__file__, CephOsdRole, name)


async def test_every_disk_becomes_an_osd_that_starts_at_boot(cluster: Cluster, hosts: list[DiskHost]) -> None:
    role = await bootstrap(cluster)
    world = hosts[0].world
    assert [osd["up"] for osd in world.osds.values()] == [1, 1, 1]
    assert hosts[1].files[f"{FOLDER}/1.env"].content == f"OSD_UUID={UUID.format(1)}\n".encode()
    assert UNIT in hosts[1].files
    assert hosts[1].ran[0].endswith(f"sh /dev/sdb {VOLUME} raw prepare --bluestore --data /dev/sdb")
    assert hosts[1].ran[1:] == [
        "systemctl --root=/ enable -- ceph-osd@1.service meshctl-osd@1.service",
        "systemctl start -- ceph-osd@1.service",
    ]
    assert world.config == {(f"osd/host:node{n}", "osd_memory_target"): "4966055936" for n in (1, 2, 3)}
    assert await role.verify(cluster) == []
    assert await CephOsdRole(cluster.topology).verify(cluster) == []


async def test_second_run_changes_nothing(cluster: Cluster, hosts: list[DiskHost]) -> None:
    await bootstrap(cluster)
    for host in hosts:
        host.forget()
    await bootstrap(cluster)
    assert changes(hosts) == []


async def test_killed_between_making_and_starting(cluster: Cluster, hosts: list[DiskHost]) -> None:
    hosts[1].put_osd("/dev/sdb", 5)
    role = await bootstrap(cluster)
    assert not [line for line in hosts[1].ran if "ceph-volume" in line]
    assert await role.verify(cluster) == []


async def test_killed_while_making(cluster: Cluster, hosts: list[DiskHost]) -> None:
    uuid = hosts[1].world.add_osd(5, up=False, new=True)
    hosts[1].labels["/dev/sdb"] = {"osd_uuid": uuid}
    role = await bootstrap(cluster)
    assert "/var/lib/ceph/osd/ceph-5" in hosts[1].ran[0]
    assert {"prefix": "osd purge-new", "id": 5, "yes_i_really_mean_it": True} in hosts[1].world.told
    assert await role.verify(cluster) == []


async def test_the_interrupted_command_ends_well_by_itself(cluster: Cluster, hosts: list[DiskHost]) -> None:
    uuid = hosts[1].world.add_osd(5, up=False, new=True)
    hosts[1].labels["/dev/sdb"] = {"osd_uuid": uuid}
    role = CephOsdRole(cluster.topology)
    await role.prepare(cluster)
    hosts[1].labels["/dev/sdb"] = {"osd_uuid": uuid, "whoami": "5", **READY}
    await role.apply(cluster.topology.nodes[1], hosts[1], cluster)
    assert uuid in hosts[1].world.osds
    assert "ceph-osd@5.service" in hosts[1].active


async def test_logical_volumes_where_the_host_has_the_device_mapper(cluster: Cluster, hosts: list[DiskHost]) -> None:
    for host in hosts:
        host.lvm = True
    role = await bootstrap(cluster)
    assert "ceph-volume lvm prepare --bluestore --data /dev/sdb" in hosts[0].ran[0]
    assert f"ceph-volume lvm activate 0 {UUID.format(0)}" in hosts[0].ran
    assert UNIT not in hosts[0].files
    assert f"ceph-volume@lvm-0-{UUID.format(0)}.service" in hosts[0].enabled
    assert await role.verify(cluster) == []
    for host in hosts:
        host.forget()
    await bootstrap(cluster)
    assert changes(hosts) == []


async def test_a_logical_volume_that_never_ran_is_made_anew(cluster: Cluster, hosts: list[DiskHost]) -> None:
    hosts[0].lvm = True
    hosts[0].put_osd("/dev/sdb", 5, lvm=True)
    role = await bootstrap(cluster)
    assert "ceph-volume lvm zap --destroy /dev/sdb" in hosts[0].ran
    assert await role.verify(cluster) == []


async def test_mode_and_class_of_the_topology_win(mesh: Topology, hosts: list[DiskHost], tmp_path: Path) -> None:
    disk = replace(mesh.nodes[0].disks[0], mode="raw", device_class="ssd")
    other = replace(mesh, nodes=(replace(mesh.nodes[0], disks=(disk,)), *mesh.nodes[1:]))
    hosts[0].lvm = True
    role = await bootstrap(cluster_of(other, hosts, tmp_path))
    assert hosts[0].ran[0].endswith("ceph-volume raw prepare --bluestore --data /dev/sdb --crush-device-class ssd")
    (problem,) = await role.verify(cluster_of(other, hosts, tmp_path))
    assert (problem.expected, problem.seen) == ("ssd", "hdd")
    assert problem.advice == "ceph osd crush rm-device-class 0; ceph osd crush set-device-class ssd 0"


async def test_several_disks_of_a_host_at_once(mesh: Topology, hosts: list[DiskHost], tmp_path: Path) -> None:
    disks = tuple(replace(mesh.nodes[0].disks[0], path=f"/dev/sd{letter}") for letter in "bcd")
    other = replace(mesh, nodes=(replace(mesh.nodes[0], disks=disks), *mesh.nodes[1:]))
    role = await bootstrap(cluster_of(other, hosts, tmp_path))
    assert len(hosts[0].world.osds) == 5
    assert hosts[0].world.config["osd/host:node1", "osd_memory_target"] == "1610612736"
    assert await role.verify(cluster_of(other, hosts, tmp_path)) == []


async def test_a_stated_memory_target_wins(mesh: Topology, hosts: list[DiskHost], tmp_path: Path) -> None:
    stated = replace(mesh, ceph=mesh.ceph.model_copy(update={"osd_memory_target": 2 << 30}))
    await bootstrap(cluster_of(stated, hosts, tmp_path))
    assert set(hosts[0].world.config.values()) == {str(2 << 30)}


async def test_a_disk_in_use_stops_all_before_any_change(cluster: Cluster, hosts: list[DiskHost]) -> None:
    hosts[2].signatures["/dev/sdb"] = "ext4"
    with pytest.raises(RefusedError, match=r"/dev/sdb .*8\.6 GB.* is not empty: ext4"):
        await bootstrap(cluster)
    assert changes(hosts) == []


async def test_an_osd_of_another_cluster_is_refused(cluster: Cluster, hosts: list[DiskHost]) -> None:
    hosts[0].put_osd("/dev/sdb", 5, ceph_fsid="another")
    with pytest.raises(RefusedError, match=r"osd\.5 of another"):
        await bootstrap(cluster)


async def test_a_failing_ceph_volume_is_an_error_and_the_other_steps_end(
    cluster: Cluster, hosts: list[DiskHost]
) -> None:
    hosts[0].broken = True
    with pytest.raises(CommandError, match="no such luck"):
        await bootstrap(cluster)
    assert hosts[0].world.config, "the memory targets were set nevertheless"


async def test_verify_names_what_is_down_out_or_missing(cluster: Cluster, hosts: list[DiskHost]) -> None:
    role = await bootstrap(cluster)
    world = hosts[0].world
    world.osds[UUID.format(0)]["up"] = 0
    world.osds[UUID.format(1)]["in"] = 0
    del world.osds[UUID.format(2)]
    down, out, missing = await role.verify(cluster)
    assert (down.host, down.seen) == ("node1", "down and in")
    assert (out.host, out.seen) == ("node2", "up and out")
    assert missing.what == "/dev/sdb (unknown model, no serial number, 8.6 GB) has no OSD of this cluster"


async def test_verify_of_an_empty_disk(cluster: Cluster) -> None:
    problems = await CephOsdRole(cluster.topology).verify(cluster)
    assert [p.seen for p in problems] == ["nothing"] * 3
