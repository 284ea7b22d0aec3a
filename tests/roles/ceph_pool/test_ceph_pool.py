"""The ceph_pool role: its parser on captured output, apply and verify against a fake cluster."""

from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.roles.ceph_pool import parse
from meshctl.roles.ceph_pool.role import CephPoolRole
from meshctl.topology import Topology
from tests.roles import golden
from tests.roles.cephworld import CephHost, cluster_of

DATA = Path(__file__).parent / "data"


def test_pools_of_a_real_cluster() -> None:
    pools = parse.pools((DATA / "osd_dump.json").read_text())
    assert pools == {
        ".mgr": parse.Pool(3, 2, frozenset({"mgr"})),
        "incus": parse.Pool(3, 2, frozenset({"rbd"})),
    }


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def host() -> CephHost:
    return CephHost(name="node1")


@pytest.fixture
def cluster(mesh: Topology, host: CephHost, tmp_path: Path) -> Cluster:
    return cluster_of(mesh, [host], tmp_path)


async def bootstrap(cluster: Cluster) -> CephPoolRole:
    role = CephPoolRole(cluster.topology)
    await role.apply(cluster.topology.nodes[0], cluster.leader, cluster)
    return role


async def test_both_pools_are_made_in_two_rounds(cluster: Cluster, host: CephHost) -> None:
    assert [p.what for p in await CephPoolRole(cluster.topology).verify(cluster)] == ["there is no pool incus"]
    role = await bootstrap(cluster)
    assert [command["prefix"] for command in host.world.told] == [
        *["osd pool create"] * 2,
        *["osd pool application enable"] * 2,
    ]
    assert host.world.pools["incus"] == {"size": 3, "min_size": 2, "application_metadata": {"rbd": {}}}
    assert len(host.ran) == 1
    assert await role.verify(cluster) == []


async def test_second_run_changes_nothing(cluster: Cluster, host: CephHost) -> None:
    await bootstrap(cluster)
    host.forget()
    await bootstrap(cluster)
    assert host.ran == []


async def test_killed_before_the_applications_were_enabled(cluster: Cluster, host: CephHost) -> None:
    host.world.pools["incus"] = {"size": 3, "min_size": 2, "application_metadata": {}}
    role = CephPoolRole(cluster.topology)
    assert [p.what for p in await role.verify(cluster)] == ["pool incus differs"]
    await bootstrap(cluster)
    assert await role.verify(cluster) == []


async def test_other_sizes_are_mended_and_other_applications_stay(cluster: Cluster, host: CephHost) -> None:
    host.world.pools["incus"] = {"size": 2, "min_size": 1, "application_metadata": {"rbd": {}, "mine": {}}}
    (problem,) = await CephPoolRole(cluster.topology).verify(cluster)
    assert (problem.expected, problem.seen) == (
        "3 copies, 2 to go on with, for rbd",
        "2 copies, 1 to go on with, for mine, rbd",
    )
    role = await bootstrap(cluster)
    assert host.world.pools["incus"] == {"size": 3, "min_size": 2, "application_metadata": {"rbd": {}, "mine": {}}}
    assert await role.verify(cluster) == []


@pytest.mark.parametrize(("replicas", "min_size"), [(1, 1), (2, 1), (3, 2), (5, 3)])
async def test_minimal_sizes_are_cephs_own(
    mesh: Topology, host: CephHost, tmp_path: Path, replicas: int, min_size: int
) -> None:
    other = replace(mesh, ceph=mesh.ceph.model_copy(update={"replicas": replicas, "pool": "vms"}))
    await bootstrap(cluster_of(other, [host], tmp_path))
    assert (host.world.pools["vms"]["size"], host.world.pools["vms"]["min_size"]) == (replicas, min_size)
