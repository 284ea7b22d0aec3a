"""The ceph_standby role: its parser on captured output, apply and verify against fake hosts."""

from pathlib import Path

from meshctl.roles.ceph_standby import parse
from meshctl.roles.ceph_standby.role import CephStandbyRole
from tests.roles import golden
from tests.roles.cephworld import CephHost, World, changes, cluster_of

DATA = Path(__file__).parent / "data"


def test_all_managers_of_a_real_cluster() -> None:
    assert parse.managers((DATA / "mgr_dump.json").read_text()) == {"node1", "node2", "node3"}


async def test_every_host_but_the_first_gets_one(tmp_path: Path) -> None:
    mesh, world = golden.topology("triangle"), World(standbys=["node1"])
    hosts = [CephHost(name=node.name, world=world) for node in mesh.nodes]
    cluster, role = cluster_of(mesh, hosts, tmp_path), CephStandbyRole(mesh)
    assert [p.host for p in await role.verify(cluster)] == ["node2", "node3"]
    for _ in range(2):
        for node in mesh.nodes:
            await role.apply(node, cluster.host(node), cluster)
    assert world.standbys == ["node1", "node2", "node3"]
    assert len(changes(hosts)) == 4
    assert await role.verify(cluster) == []
