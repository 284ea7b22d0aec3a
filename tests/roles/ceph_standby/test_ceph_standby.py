"""The ceph_standby role: its parser on captured output, apply and verify against fake hosts."""

from pathlib import Path

from meshctl.roles.ceph_standby import parse
from meshctl.roles.ceph_standby.role import CephStandbyRole
from tests.roles import golden
from tests.roles.cephworld import CephHost, World, changes, cluster_of

DATA = Path(__file__).parent / "data"
AUTH_GET = "ceph --connect-timeout 10 auth get mgr.node? -o /dev/null"


def test_all_managers_of_a_real_cluster() -> None:
    assert parse.managers((DATA / "mgr_dump.json").read_text()) == {"node1", "node2", "node3"}


async def test_every_host_but_the_first_gets_one(tmp_path: Path) -> None:
    mesh, world = golden.topology("triangle"), World(standbys=["node1"])
    hosts = [CephHost(name=node.name, world=world) for node in mesh.nodes]
    for host in hosts:
        host.on(AUTH_GET)
    hosts[0].active.add("ceph-mgr@node1.service")
    hosts[0].enabled.add("ceph-mgr@node1.service")
    cluster, role = cluster_of(mesh, hosts, tmp_path), CephStandbyRole(mesh)
    assert [p.host for p in await role.verify(cluster)] == ["node2", "node3"]
    for _ in range(2):
        for node in mesh.nodes:
            await role.apply(node, cluster.host(node), cluster)
    assert world.standbys == ["node1", "node2", "node3"]
    assert len(changes(hosts)) == 4
    assert await role.verify(cluster) == []


async def test_the_key_of_a_host_that_joined_later_is_let_in(tmp_path: Path) -> None:
    mesh, world = golden.topology("triangle"), World(standbys=["node1", "node2"])
    hosts = [CephHost(name=node.name, world=world).on(AUTH_GET, status=2) for node in mesh.nodes]
    hosts[2].on("ceph --connect-timeout 10 auth import -i /var/lib/ceph/mgr/ceph-node3/keyring")
    cluster, role = cluster_of(mesh, hosts, tmp_path), CephStandbyRole(mesh)
    await role.apply(mesh.nodes[2], hosts[2], cluster)
    assert [line for line in hosts[2].ran if "auth" in line] == [
        "ceph --connect-timeout 10 auth import -i /var/lib/ceph/mgr/ceph-node3/keyring"
    ]
    assert await role.verify(cluster) == []


async def test_a_first_host_that_joined_later_gets_its_key_too(tmp_path: Path) -> None:
    """Its manager was started before (ceph_mgr), and could not log in."""
    mesh, world = golden.topology("triangle"), World(standbys=["node2", "node3"])
    hosts = [CephHost(name=node.name, world=world).on(AUTH_GET, status=2) for node in mesh.nodes]
    hosts[0].on("ceph --connect-timeout 10 auth import -i /var/lib/ceph/mgr/ceph-node1/keyring")
    cluster, role = cluster_of(mesh, hosts, tmp_path), CephStandbyRole(mesh)
    await role.apply(mesh.nodes[0], hosts[0], cluster)
    assert any("auth import" in line for line in hosts[0].ran)
    assert await role.verify(cluster) == []
