"""The ceph_mgr role: parsers on captured output, apply and verify against fake hosts."""

from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.roles.ceph_mgr import parse
from meshctl.roles.ceph_mgr.role import CephMgrRole
from tests.roles import golden
from tests.roles.cephworld import CephHost, World, cluster_of

DATA = Path(__file__).parent / "data"


def test_the_active_manager() -> None:
    assert parse.mgr_stat((DATA / "mgr_stat.json").read_text()) == parse.MgrStat("node1", available=True)


def test_no_module_has_failed() -> None:
    assert parse.module_faults((DATA / "health.json").read_text()) == {}


@pytest.fixture
def hosts() -> list[CephHost]:
    world = World()
    return [CephHost(name=node.name, world=world) for node in golden.topology("triangle").nodes]


@pytest.fixture
def cluster(hosts: list[CephHost], tmp_path: Path) -> Cluster:
    return cluster_of(golden.topology("triangle"), hosts, tmp_path)


async def bootstrap(cluster: Cluster) -> CephMgrRole:
    mgr = CephMgrRole(cluster.topology)
    await mgr.apply(cluster.topology.nodes[0], cluster.leader, cluster)
    return mgr


async def test_the_first_hosts_manager_starts_once(cluster: Cluster, hosts: list[CephHost]) -> None:
    mgr = await bootstrap(cluster)
    assert hosts[0].world.standbys == ["node1"]
    assert await mgr.verify(cluster) == []
    hosts[0].forget()
    await bootstrap(cluster)
    assert hosts[0].ran == []


async def test_verify_without_an_active_manager(cluster: Cluster, hosts: list[CephHost]) -> None:
    (problem,) = await CephMgrRole(cluster.topology).verify(cluster)
    assert (problem.what, problem.seen) == ("no manager is active", "none")


async def test_verify_names_failed_modules(cluster: Cluster, hosts: list[CephHost]) -> None:
    mgr = await bootstrap(cluster)
    check = {"summary": {"message": "13 mgr modules have failed dependencies"}}
    hosts[0].world.status = {
        "health": {"status": "HEALTH_WARN", "checks": {"MGR_MODULE_DEPENDENCY": check, "X": check}}
    }
    (problem,) = await mgr.verify(cluster)
    assert (problem.host, problem.what) == ("node1", "13 mgr modules have failed dependencies")
