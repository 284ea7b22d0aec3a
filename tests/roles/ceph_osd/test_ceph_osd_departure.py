"""OSDs that are gone for good with their host."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError
from meshctl.host.fake import FakeHost
from meshctl.roles.ceph_osd import departure
from tests.roles import golden
from tests.roles.absencehost import cluster_of
from tests.roles.departurehost import Nobody, QuickHost

TRIANGLE = golden.topology("triangle")
NODE3 = TRIANGLE.nodes[2]
DISK = NODE3.disks[0].path


class World:
    """One OSD per host, osd.2 on node3; placement groups serve with two copies."""

    def __init__(self) -> None:
        self.osds = {0: "node1", 1: "node2", 2: "node3"}
        self.hosts = ["node1", "node2", "node3"]
        self.up = {0, 1}
        self.flags: dict[str, list[str]] = {}
        self.state = "active+undersized+degraded"
        self.manager = "node1"
        self.commands: dict[str, Any] = {
            "osd tree": lambda _: {"nodes": [self._host(name) for name in self.hosts]},
            "osd dump": lambda _: {"osds": [self._osd(n) for n in self.osds], "crush_node_flags": self.flags},
            "pg dump": lambda _: {"pg_stats": [{"pgid": "1.0", "state": self.state, "acting": sorted(self.up)}]},
            "mgr stat": lambda _: {"active_name": self.manager, "available": True},
            "osd purge-actual": self._purge,
            "osd crush rm": self._remove,
            "osd unset-group": lambda command: self.flags.pop(command["who"][0]) and {},
        }

    def _host(self, name: str) -> dict[str, Any]:
        children = [osd for osd, host in self.osds.items() if host == name]
        return {"type": "host", "name": name, "children": children}

    def _osd(self, osd: int) -> dict[str, Any]:
        return {"osd": osd, "uuid": f"uuid-{osd}", "up": int(osd in self.up), "in": 1, "state": []}

    def _purge(self, command: dict[str, Any]) -> Any:
        if command["id"] in self.up:
            return "it is not down"
        del self.osds[command["id"]]
        return {}

    def _remove(self, command: dict[str, Any]) -> dict[str, Any]:
        self.hosts.remove(command["name"])
        return {}


def machine(uuid: str = "") -> FakeHost:
    """One with an empty disk, or with an OSD on it."""
    label = {DISK: {"osd_uuid": uuid, "whoami": "2", "ceph_fsid": "f", "mkfs_done": "yes", "ready": "ready"}}
    return (
        FakeHost(name="node3")
        .on("lsblk *", json.dumps({"blockdevices": [{"name": "sdb", "path": DISK, "size": 10**9}]}))
        .on("wipefs *", "")
        .on("ceph-bluestore-tool *", json.dumps(label) if uuid else "", status=0 if uuid else 127)
    )


def cluster(world: World, place: FakeHost, tmp_path: Path) -> Cluster:
    return cluster_of(
        TRIANGLE, [*(QuickHost(name=n, ceph=world.commands) for n in ("node1", "node2")), place], tmp_path
    )


@pytest.mark.parametrize("make", [machine, lambda: Nobody(name="node3"), lambda: machine("another")])
async def test_the_dead_are_purged_and_the_empty_host_goes(make: Callable[[], FakeHost], tmp_path: Path) -> None:
    world, place = World(), make()
    world.flags["node3"] = ["noout"]
    mesh = cluster(world, place, tmp_path)
    assert await departure.claims(NODE3, place, mesh) == ["osd.2, whose copies Ceph makes anew"]
    await departure.forget(NODE3, place, mesh)
    assert (world.osds, world.hosts, world.flags) == ({0: "node1", 1: "node2"}, ["node1", "node2"], {})
    before = [list(host.ran) for host in mesh.hosts.values() if isinstance(host, FakeHost)]
    await departure.forget(NODE3, place, mesh)
    assert [host.ran for host in mesh.hosts.values() if isinstance(host, FakeHost)] == before


async def test_an_osd_on_a_disk_of_the_new_machine_stays(tmp_path: Path) -> None:
    """The disk moved there, or an interrupted run has made the OSD."""
    world, place = World(), machine("uuid-2")
    mesh = cluster(world, place, tmp_path)
    assert await departure.claims(NODE3, place, mesh) == []
    await departure.forget(NODE3, place, mesh)
    assert 2 in world.osds
    doomed = replace(mesh, wipe=frozenset({("node3", DISK)}))
    assert await departure.claims(NODE3, place, doomed) == ["osd.2, whose copies Ceph makes anew"]


async def test_an_osd_that_lives_elsewhere_is_left_alone(tmp_path: Path) -> None:
    world, place = World(), machine()
    world.up.add(2)
    with pytest.raises(RefusedError, match=r"osd\.2 is up, but not on a disk of the machine"):
        await departure.forget(NODE3, place, cluster(world, place, tmp_path))
    assert 2 in world.osds


@pytest.mark.parametrize(("change", "said"), [({"state": "down"}, "1.0 is down"), ({"manager": "node3"}, "is active")])
async def test_nothing_is_purged_while_data_are_missing(change: dict[str, str], said: str, tmp_path: Path) -> None:
    world, place = World(), machine()
    vars(world).update(change)
    with pytest.raises(RefusedError, match="does not serve all data without its OSDs") as caught:
        await departure.forget(NODE3, place, cluster(world, place, tmp_path))
    assert said in caught.value.message
    assert "put them into the new machine" in caught.value.advice
    assert 2 in world.osds


# Leaving alive


class Leaving(World):
    """Four hosts, each with one OSD that is up; node3's data move when its OSD is out."""

    def __init__(self) -> None:
        super().__init__()
        self.osds, self.hosts = {0: "node1", 1: "node2", 2: "node3", 3: "node4"}, ["node1", "node2", "node3", "node4"]
        self.up, self.out, self.state = {0, 1, 2, 3}, set[int](), "active+clean"
        self.size, self.used, self.unsafe = 3, 100, ""
        self.commands["osd out"] = self._out
        self.commands["osd safe-to-destroy"] = lambda _: self.unsafe or {"safe_to_destroy": [2]}
        self.commands["pg dump"] = lambda _: {"pg_stats": [self._group()]}
        self.commands["osd df"] = lambda _: {"nodes": [{"id": n, "kb_used": self.used, "kb": 1000} for n in self.osds]}
        dump = self.commands["osd dump"]
        pools = {"pools": [{"pool_name": "incus", "size": self.size}]}
        self.commands["osd dump"] = lambda command: dump(command) | pools

    def _osd(self, osd: int) -> dict[str, Any]:
        return {**super()._osd(osd), "in": int(osd not in self.out)}

    def _group(self) -> dict[str, Any]:
        return {"pgid": "1.0", "state": self.state, "acting": [osd for osd in self.osds if osd not in self.out][-3:]}

    def _out(self, command: dict[str, Any]) -> dict[str, Any]:
        self.out |= {int(osd) for osd in command["ids"]}
        return {}


async def test_data_move_before_anything_stops(tmp_path: Path) -> None:
    world, place = Leaving(), machine("uuid-2")
    mesh = cluster(world, place, tmp_path)
    assert await departure.objections(NODE3, mesh) == []
    await departure.leave(NODE3, place, mesh)
    assert (world.out, world.up) == ({2}, {0, 1, 2, 3})
    before = [list(host.ran) for host in mesh.hosts.values() if isinstance(host, FakeHost)]
    await departure.leave(NODE3, place, mesh)
    assert [host.ran for host in mesh.hosts.values() if isinstance(host, FakeHost)] == before


async def test_ceph_has_the_last_word(tmp_path: Path) -> None:
    world, place = Leaving(), machine("uuid-2")
    world.unsafe = "osd.2 has objects that nobody else has"
    with pytest.raises(RefusedError, match=r"may not be destroyed: osd\.2 has objects"):
        await departure.leave(NODE3, place, cluster(world, place, tmp_path))


async def test_too_few_hosts_or_too_little_room_are_objections(tmp_path: Path) -> None:
    world, place = Leaving(), machine("uuid-2")
    mesh = cluster(world, place, tmp_path)
    world.used = 700  # four times that is more than 85 % of three OSDs
    (full,) = await departure.objections(NODE3, mesh)
    assert "its data don't fit" in full
    world.used = 100
    del world.osds[3]
    (few,) = await departure.objections(NODE3, mesh)
    assert few == "pool incus keeps 3 copies on different hosts, and 2 with OSDs would be left"


async def test_the_memory_target_goes_with_the_name(tmp_path: Path) -> None:
    world, place = World(), machine()
    lines: list[dict[str, str]] = [{"section": "osd", "mask": "host:node3", "name": "osd_memory_target", "value": "1"}]
    world.commands["config dump"] = lambda _: lines

    def remove(command: dict[str, Any]) -> dict[str, Any]:
        lines[:] = [line for line in lines if f"osd/{line['mask']}" != command["who"]]
        return {}

    world.commands["config rm"] = remove
    mesh = cluster(world, place, tmp_path)
    for _ in range(2):
        await departure.strike(NODE3, mesh)
    assert lines == []
