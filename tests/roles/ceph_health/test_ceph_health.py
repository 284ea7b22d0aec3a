"""The ceph_health role: parsers on captured output, apply and verify against a fake cluster."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import ParseError, WaitError
from meshctl.roles.ceph import FOUNDING_KEY
from meshctl.roles.ceph_health import parse
from meshctl.roles.ceph_health.role import CephHealthRole
from meshctl.roles.ceph_mon.settings import FOUNDING
from meshctl.topology import Topology
from tests.roles import golden
from tests.roles.cephworld import CephHost, World, cluster_of

DATA = Path(__file__).parent / "data"
HEALTHY: dict[str, Any] = json.loads((DATA / "status.json").read_text())
DEGRADED: dict[str, Any] = json.loads((DATA / "status_degraded.json").read_text())


def test_a_healthy_cluster() -> None:
    status = parse.status(json.dumps(HEALTHY))
    assert (status.health, status.checks, status.unclean, status.pg_count) == ("HEALTH_OK", {}, "", 33)


def test_a_cluster_without_one_host() -> None:
    status = parse.status(json.dumps(DEGRADED))
    assert status.checks["MON_DOWN"] == "1/3 mons down, quorum node1,node2"
    assert status.unclean


@pytest.mark.parametrize(
    ("pgs", "count", "unclean"),
    [
        ({"active+clean": 33}, 33, ""),
        ({"active+clean": 32, "peering": 1}, 33, "1 peering"),
        ({"active+clean": 1}, 33, "32 not reported"),
        ({}, 33, "33 not reported"),
        ({"active+clean+scrubbing": 1, "active+clean": 32}, 33, ""),
        ({"active+clean+scrubbing+deep": 33}, 33, ""),
        ({}, 0, "there are none"),
    ],
)
def test_what_is_not_clean(pgs: dict[str, int], count: int, unclean: str) -> None:
    assert parse.Status("HEALTH_OK", {}, pgs, count).unclean == unclean


def test_settings_for_whole_kinds_of_daemons() -> None:
    present = parse.present((DATA / "config_dump_founding.json").read_text())
    assert ("global", "mgr_stats_period") in present
    assert ("osd", "osd_memory_target") not in present


def test_an_osd_that_was_announced_and_never_made() -> None:
    assert parse.ghosts((DATA / "osd_dump_ghost.json").read_text()) == [0]


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def host() -> CephHost:
    config = {(s.who, s.name): s.value for s in FOUNDING} | {("osd", "mine"): "1"}
    names = json.dumps([[s.who, s.name] for s in FOUNDING])
    return CephHost(name="node1", world=World(config=config, keys={FOUNDING_KEY: names}, status=HEALTHY))


@pytest.fixture
def cluster(mesh: Topology, host: CephHost, tmp_path: Path) -> Cluster:
    return cluster_of(mesh, [host], tmp_path)


async def test_the_founding_ends_and_only_what_belongs_to_it(cluster: Cluster, host: CephHost) -> None:
    host.world.add_osd(0)
    host.world.add_osd(7, up=False, new=True)
    host.on("sh -c for folder; do [[]*/ceph-7", "/var/lib/ceph/osd/ceph-7\n").on("sh -c *umount*rmdir*")
    role = CephHealthRole(cluster.topology)
    await role.apply(cluster.topology.nodes[0], host, cluster)
    assert host.ran[0].endswith(" sh /var/lib/ceph/osd/ceph-7"), "its folder first"
    assert host.world.config == {("osd", "mine"): "1"}
    assert [osd["osd"] for osd in host.world.osds.values()] == [0]
    assert host.world.told[-1]["prefix"] == "config-key rm", "the mark goes last"
    assert await role.verify(cluster) == []
    host.forget()
    await role.apply(cluster.topology.nodes[0], host, cluster)
    assert host.ran == []


async def test_killed_in_the_middle_of_the_end(cluster: Cluster, host: CephHost) -> None:
    del host.world.config["global", "mgr_stats_period"]
    await CephHealthRole(cluster.topology).apply(cluster.topology.nodes[0], host, cluster)
    assert host.world.config == {("osd", "mine"): "1"}
    assert host.world.keys == {}


async def test_after_the_founding_an_operators_settings_and_osds_stay(cluster: Cluster, host: CephHost) -> None:
    host.world.keys.clear()
    host.world.add_osd(7, up=False, new=True)
    await CephHealthRole(cluster.topology).apply(cluster.topology.nodes[0], host, cluster)
    assert host.ran == []


async def test_the_founding_does_not_end_before_all_is_clean(mesh: Topology, host: CephHost, tmp_path: Path) -> None:
    host.world.status = DEGRADED
    hurried = replace(mesh, timeouts=mesh.timeouts.model_copy(update={"gate": 0.2}))
    with pytest.raises(WaitError, match="clean placement groups"):
        await CephHealthRole(hurried).apply(mesh.nodes[0], host, cluster_of(hurried, [host], tmp_path))
    assert host.world.keys
    assert host.ran == []


async def test_a_note_of_the_founding_that_somebody_has_changed(cluster: Cluster, host: CephHost) -> None:
    host.world.keys[FOUNDING_KEY] = "done"
    with pytest.raises(ParseError, match="config-key get meshctl/founding"):
        await CephHealthRole(cluster.topology).apply(cluster.topology.nodes[0], host, cluster)


async def test_verify_tells_every_check(cluster: Cluster, host: CephHost) -> None:
    host.world.status = DEGRADED
    groups, health = await CephHealthRole(cluster.topology).verify(cluster)
    assert groups.what == "placement groups are not active+clean"
    assert "MON_DOWN: 1/3 mons down" in health.seen


async def test_a_cluster_without_osds_has_no_placement_groups(mesh: Topology, host: CephHost, tmp_path: Path) -> None:
    host.world.status = {**HEALTHY, "pgmap": {"pgs_by_state": [], "num_pgs": 0}}
    diskless = replace(mesh, nodes=tuple(replace(node, disks=()) for node in mesh.nodes))
    assert await CephHealthRole(diskless).verify(cluster_of(diskless, [host], tmp_path)) == []
    assert len(await CephHealthRole(mesh).verify(cluster_of(mesh, [host], tmp_path))) == 1
