"""The ceph_config role against fake hosts."""

import base64
import configparser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import ConnectionLost, ParseError, RefusedError
from meshctl.host.base import Files
from meshctl.host.fake import Answer, FakeHost
from meshctl.roles.ceph import CONF
from meshctl.roles.ceph_config import parse
from meshctl.roles.ceph_config.role import (
    ADMIN,
    FOUNDING_KEYRING,
    FOUNDING_MONMAP,
    INCUS,
    MGR_DROPIN,
    CephConfigRole,
)
from meshctl.roles.fsid import fsid
from meshctl.topology import Topology
from tests.roles import golden
from tests.roles.cephworld import FSID, changes, cluster_of, plain

DATA = Path(__file__).parent / "data"
TRIXIE = 'ID=debian\nVERSION_ID="13"\n'
RELOAD = "systemctl show * ceph-mgr@*"


@dataclass
class Bare(FakeHost):
    """A host with Ceph's packages and nothing else. `dies_before` loses the connection at such a change."""

    dies_before: str = "never"

    def __post_init__(self) -> None:
        self.files["/etc/os-release"] = plain(TRIXIE)
        self.on("sh -c *store.db/CURRENT* sh /var/lib/ceph/mon/ceph-*", "absent\n")
        self.on(RELOAD, f"Id=ceph-mgr@{self.name}.service\nActiveState=inactive\nNeedDaemonReload=no\n")
        self.on("stat -c *", "", status=1)
        self.on("test -d /usr/share/ceph/mgr/__pycache__", status=1)
        self.on("install -d *", then=self._folders)
        self.on("python3 * compileall *", then=lambda: self._is("test -d /usr/share/ceph/mgr/__pycache__"))
        self.on("ceph-mon --version", (DATA / "version.txt").read_text())
        monmap = base64.b64encode(f"monmap by {self.name}".encode()).decode()
        self.on("sh -c *monmaptool* --create *", monmap)
        self.on("sh -c *ceph-mon --mkfs*", then=self._store)

    def _is(self, pattern: str) -> None:
        self.on(pattern)

    def _folders(self) -> None:
        paths = ("/var/lib/ceph/meshctl", f"/var/lib/ceph/mgr/ceph-{self.name}")
        self.on("stat -c *", "".join(f"ceph:ceph 750 {path}\n" for path in paths))

    def _store(self) -> None:
        self.on("sh -c *store.db/CURRENT* sh /var/lib/ceph/mon/ceph-*", "complete\n")
        keys = parse.keyring(self.files[FOUNDING_KEYRING].content.decode())
        own = parse.render_keyring({"mon.": keys["mon."]}, {})
        self.files[f"/var/lib/ceph/mon/ceph-{self.name}/keyring"] = plain(own)

    def _lookup(self, argv: Sequence[str]) -> Answer:
        line = " ".join(argv)
        if self.dies_before in line and line in self.ran:
            raise ConnectionLost(self.name, "the controller was killed")
        if line.startswith("base64 "):
            file = self.files.get(FOUNDING_MONMAP)
            return Answer(base64.b64encode(file.content).decode()) if file else Answer("", 1, "No such file")
        return super()._lookup(argv)

    async def put(self, files: Files) -> frozenset[str]:
        if any(self.dies_before in path for path in files):
            raise ConnectionLost(self.name, "the controller was killed")
        return await super().put(files)


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def hosts(mesh: Topology) -> list[Bare]:
    return [Bare(name=node.name) for node in mesh.nodes]


@pytest.fixture
def cluster(mesh: Topology, hosts: list[Bare], tmp_path: Path) -> Cluster:
    return cluster_of(mesh, hosts, tmp_path)


async def bootstrap(cluster: Cluster) -> CephConfigRole:
    role = CephConfigRole(cluster.topology)
    await role.prepare(cluster)
    for node in cluster.topology.nodes:
        await role.apply(node, cluster.host(node), cluster)
    return role


@pytest.mark.parametrize("name", ["triangle", "five", "ring"])
def test_files_are_as_reviewed(name: str) -> None:
    golden.check(__file__, CephConfigRole, name)


async def test_all_hosts_become_one_cluster(cluster: Cluster, hosts: list[Bare]) -> None:
    role = await bootstrap(cluster)
    fsids = {fsid(host.files[CONF].content.decode()) for host in hosts}
    assert len(fsids) == 1
    for path in (ADMIN, INCUS, FOUNDING_KEYRING, FOUNDING_MONMAP):
        assert len({host.files[path] for host in hosts}) == 1, path
        assert hosts[0].files[path].mode == 0o600
    assert hosts[2].files[FOUNDING_MONMAP].content == b"monmap by node1"
    assert sum("monmaptool" in line for line in changes(hosts)) == 1
    assert "--addv node3 [v2:10.50.1.3:3300]" in next(line for line in hosts[0].ran if "monmaptool" in line)
    assert await role.verify(cluster) == []


async def test_no_secret_is_in_a_command_line(cluster: Cluster, hosts: list[Bare]) -> None:
    await bootstrap(cluster)
    keys = parse.keyring(hosts[0].files[FOUNDING_KEYRING].content.decode()).values()
    assert len(keys) == 7
    lines = [line for host in hosts for line in [*host.ran, *host.queried]]
    assert not [line for line in lines for key in keys if key in line]
    for path, file in hosts[0].files.items():
        assert file.secret == any(key.encode() in file.content for key in keys) or path.endswith("-node1/keyring")


async def test_second_run_changes_nothing(cluster: Cluster, hosts: list[Bare]) -> None:
    await bootstrap(cluster)
    for host in hosts:
        host.ran.clear()
        host.written.clear()
    await bootstrap(cluster)
    assert changes(hosts) == []


@pytest.mark.parametrize(
    "moment", ["founding.keyring", "ceph.conf", "compileall", "monmaptool", "founding.monmap", "--mkfs", "install -d"]
)
@pytest.mark.parametrize("victim", [0, 1])
async def test_killed_anywhere_the_next_run_ends_at_one_cluster(
    cluster: Cluster, hosts: list[Bare], moment: str, victim: int
) -> None:
    hosts[victim].dies_before = moment
    if moment != "monmaptool" or victim == 0:
        with pytest.raises(ConnectionLost):
            await bootstrap(cluster)
    before = {bytes(host.files[path].content) for host in hosts for path in [FOUNDING_KEYRING] if path in host.files}
    hosts[victim].dies_before = "never"
    role = await bootstrap(cluster)
    assert await role.verify(cluster) == []
    after = {host.files[FOUNDING_KEYRING].content for host in hosts}
    assert len(after) == 1
    assert before <= after, "keys that were on a host already were replaced"


async def test_a_store_that_is_none_is_refused(cluster: Cluster, hosts: list[Bare]) -> None:
    hosts[1].on("sh -c *store.db/CURRENT* sh /var/lib/ceph/mon/ceph-*", "partial\n")
    with pytest.raises(RefusedError, match="/var/lib/ceph/mon/ceph-node2 has something in it"):
        await bootstrap(cluster)
    assert hosts[1].written == []


async def test_another_distribution_gets_no_stand_ins(cluster: Cluster, hosts: list[Bare]) -> None:
    hosts[0].files["/etc/os-release"] = plain("ID=ubuntu\nVERSION_ID=24.04\n")
    await bootstrap(cluster)
    assert MGR_DROPIN not in hosts[0].files
    assert MGR_DROPIN in hosts[1].files


async def test_a_running_mgr_with_an_old_unit_file_means_reload(cluster: Cluster, hosts: list[Bare]) -> None:
    hosts[0].on(RELOAD, "Id=ceph-mgr@node1.service\nActiveState=active\nNeedDaemonReload=yes\n")
    hosts[0].on("systemctl daemon-reload")
    await bootstrap(cluster)
    assert "systemctl daemon-reload" in hosts[0].ran


async def test_a_broken_keyring_is_an_error_without_its_text(cluster: Cluster, hosts: list[Bare]) -> None:
    hosts[0].files[ADMIN] = plain("key AQtopsecret")
    with pytest.raises(ParseError) as caught:
        await bootstrap(cluster)
    assert "topsecret" not in str(caught.value)


async def test_verify_names_the_host_without_a_store_or_with_another_fsid(cluster: Cluster, hosts: list[Bare]) -> None:
    role = await bootstrap(cluster)
    hosts[2].on("sh -c *store.db/CURRENT* sh /var/lib/ceph/mon/ceph-*", "absent\n")
    hosts[1].files[CONF] = plain(f"fsid = {FSID}\n")
    problems = await role.verify(cluster)
    assert ("node3", "the monitor has no store") in [(p.host, p.what) for p in problems]
    assert FSID in [p.seen for p in problems]


def test_instances_can_map_their_disks_although_no_monitor_speaks_the_first_protocol() -> None:
    topology = golden.topology("triangle")
    conf = CephConfigRole(topology).render(topology.nodes[0])[CONF].content.decode()
    options = configparser.ConfigParser()
    options.read_string(conf)
    assert options["global"]["ms_bind_msgr1"] == "false"
    assert options["client"]["rbd_default_map_options"] == "ms_mode=prefer-crc"
