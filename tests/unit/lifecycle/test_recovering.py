"""A lost quorum: when recovering is refused, its order, and each layer from whatever a killed run left."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from meshctl.cli.options import Options
from meshctl.cli.recover import forget_keys, show
from meshctl.cli.report import as_json
from meshctl.cluster import Cluster
from meshctl.errors import ConnectError, RefusedError, UsageError
from meshctl.events import Event, RunFinished
from meshctl.host.fake import FakeHost
from meshctl.lifecycle.backing import Backup
from meshctl.lifecycle.envelope import Envelope
from meshctl.lifecycle.layers import bottom_up, part
from meshctl.lifecycle.recovering import ALONE, Forget, Ground, Recovering, recovery, survey
from meshctl.roles import ceph
from meshctl.roles.base import Role
from meshctl.roles.ceph_health.role import CephHealthRole
from meshctl.roles.ceph_pool.role import CephPoolRole
from meshctl.roles.discovery import discover
from meshctl.roles.recovery import Stand, Standing
from meshctl.secrets import PLAIN
from meshctl.state import StateFolder
from tests.roles import golden
from tests.roles.cephworld import CephHost, World, cluster_of
from tests.unit.cli.recorded import finished
from tests.unit.cli.schemas import check

TRIANGLE = golden.topology("triangle")
NODE1, NODE2, NODE3 = TRIANGLE.nodes


@pytest.fixture
def roles() -> list[Role]:
    return [role(TRIANGLE) for role in discover().values()]


def recovery_of(roles: list[Role], name: str) -> Any:
    return part(next(role for role in roles if role.name == name), "recovery")


def mon(*quorum: str, of: tuple[str, ...] = ("node1", "node2", "node3")) -> dict[str, Any]:
    mons = [{"rank": i, "name": name, "public_addrs": {"addrvec": []}} for i, name in enumerate(of)]
    ranks = [of.index(name) for name in quorum]
    return {"state": "leader" if quorum else "probing", "quorum": ranks, "monmap": {"mons": mons}}


STATUS = """{letter}
Cluster ID: 1234 (0f9a9c9e-7c39-4a83-a1f0-0d4e1f6d6b7e)
Server ID: 55aa (55aa9c9e-7c39-4a83-a1f0-0d4e1f6d6b7e)
Address: {own}
Status: cluster member
Role: {role}
Leader: {leader}
Servers:
{servers}"""


def ovn(letter: str, leader: str, *nodes: int) -> str:
    port = {"nb": 6643, "sb": 6644}[letter]
    servers = "".join(f"    55a{n} (55a{n} at ssl:10.50.1.{n}:{port})\n" for n in nodes)
    own = f"ssl:10.50.1.1:{port}"
    return STATUS.format(letter=letter, own=own, role="candidate", leader=leader, servers=servers)


@dataclass
class Survivor(CephHost):
    """node1 after the others are gone; what is recovered answers from then on."""

    leaders: dict[str, str] = field(default_factory=lambda: {"nb": "unknown", "sb": "unknown"})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mon = mon()
        self.on("python3 -c *socket*", "")
        self.on("python3 -c *raft_nodes*", "10.50.1.1:8443\n10.50.1.2:8443\n10.50.1.3:8443\n")
        self.on("incus query *", status=1, stderr="Error: no available cowsql leader")
        for letter in ("nb", "sb"):
            self.on(f"ovs-appctl * cluster/status OVN_{self.word(letter)}", ovn(letter, "unknown", 1, 2, 3))

    @staticmethod
    def word(letter: str) -> str:
        return {"nb": "Northbound", "sb": "Southbound"}[letter]

    def alone(self, letter: str) -> None:
        """The database's cluster is this host."""
        self.on(f"ovs-appctl * cluster/status OVN_{self.word(letter)}", ovn(letter, "self", 1))


def lost(tmp_path: Path, host: FakeHost) -> Cluster:
    return Cluster(TRIANGLE, {host.name: host}, StateFolder(tmp_path))


async def test_what_is_lost_is_told_by_layer(tmp_path: Path, roles: list[Role]) -> None:
    world = World(refused={"osd dump": 110, "osd tree": 110, "mgr stat": 110})
    ground = await survey(roles, lost(tmp_path, Survivor(name="node1", world=world)))
    assert (ground.survivor.name, [node.name for node in ground.given_up]) == ("node1", ["node2", "node3"])
    assert {name: one.stand for name, one in ground.standings.items()} == dict.fromkeys(
        ("ceph_mon", "ceph_mgr", "ceph_osd", "ovn", "incus"), Stand.LOST
    )
    assert "no majority of node1, node2, node3" in ground.standings["ceph_mon"].detail
    assert "10.50.1.2:8443, 10.50.1.3:8443" in ground.standings["incus"].detail
    told = "\n".join(show(TRIANGLE, ground))
    assert f"Given up for ever: node2 ({NODE2.management}), node3 ({NODE3.management})." in told
    assert "never be switched on again" in told


async def test_a_quorum_is_a_refusal_in_any_layer(tmp_path: Path, roles: list[Role]) -> None:
    monitors, databases, incus = (
        Survivor(name="node1", world=World(refused={"mgr stat": 110, "osd dump": 110})) for _ in range(3)
    )
    monitors.mon = mon("node1", "node2")
    databases.on("ovs-appctl * cluster/status OVN_Southbound", ovn("sb", "55a2", 1, 2, 3))
    incus.on("incus query *", "[]")
    for host, said in (
        (monitors, "node1, node2 have a quorum"),
        (databases, "ssl:10.50.1.2:6644"),
        (incus, "has a leader"),
    ):
        with pytest.raises(RefusedError, match=said) as caught:
            await survey(roles, lost(tmp_path, host))
        assert "Nothing has to be recovered" in caught.value.advice
        assert host.ran == []


async def test_another_host_that_lives_is_a_refusal(tmp_path: Path, roles: list[Role]) -> None:
    host = Survivor(name="node1", world=World(refused={"mgr stat": 110, "osd dump": 110}))
    host.on("python3 -c *socket*", f"10.50.1.3:3300\n{NODE2.management}:22\n")
    with pytest.raises(RefusedError, match=r"other hosts are alive: node3 \(10\.50\.1\.3:3300\), node2 \("):
        await survey(roles, lost(tmp_path, host))
    two = {name: Survivor(name=name) for name in ("node1", "node2")}
    with pytest.raises(RefusedError, match="node1, node2 answer, and a recovery goes out from one survivor"):
        await survey(roles, Cluster(TRIANGLE, two, StateFolder(tmp_path)))


def test_the_order_is_the_layers_and_the_dead_come_last(roles: list[Role]) -> None:
    order = [step.id for step in recovery(TRIANGLE, roles, NODE2).order()]
    assert order[0] == f"{ALONE}@node2"
    assert sorted(order[1:6]) == [
        f"{name}.recover@node2" for name in ("ceph_mgr", "ceph_mon", "ceph_osd", "incus", "ovn")
    ]
    places = {step.partition(".")[0]: place for place, step in enumerate(order[:6])}
    assert places["ceph_mon"] < places["ceph_mgr"] < places["ceph_osd"] < places["incus"]
    assert places["ovn"] < places["incus"]
    rest = order[6:]
    assert all(".forget@" in step for step in rest)
    assert [step for step in rest if "node3" in step] == rest[len(rest) // 2 :]
    assert {step.partition(".")[0] for step in rest} == {
        role.name for role, module in bottom_up(roles, "departure") if module and hasattr(module, "forget")
    }


async def test_a_dead_host_is_forgotten_by_the_survivor_alone(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Departure:
        @staticmethod
        async def forget(node: Any, host: Any, cluster: Cluster) -> None:
            seen.append((node, [one.name for one in cluster.topology.nodes]))
            with pytest.raises(ConnectError):
                await host.query(["true"])

    host = FakeHost(name="node3")
    phase = Forget(TRIANGLE, NODE3, Departure)  # type: ignore[arg-type]
    await phase.apply(NODE1, FakeHost(name="node1"), Cluster(TRIANGLE, {"node3": host}, StateFolder(tmp_path)))
    assert seen == [(NODE1, ["node1", "node3"])]


async def test_a_monitor_that_is_alone_is_left_alone(tmp_path: Path, roles: list[Role]) -> None:
    host = Survivor(name="node1")
    monitors = recovery_of(roles, "ceph_mon")
    cluster = lost(tmp_path, host)
    surgery = "sh -c # The monitor *"
    host.on(surgery, then=lambda: setattr(host, "mon", mon("node1", of=("node1",))))
    await monitors.recover(NODE1, host, cluster)
    assert len(host.ran) == 1
    assert host.ran[0].endswith("sh node1 /var/lib/meshctl/before-recover")
    await monitors.recover(NODE1, host, cluster)
    assert len(host.ran) == 1


async def test_data_is_served_from_one_copy_until_all_is_clean(tmp_path: Path, roles: list[Role]) -> None:
    world = Lost()
    host = Survivor(name="node1", world=world, active={"ceph-osd@0.service"}, enabled={"ceph-osd@0.service"})
    host.enabled |= {"ceph-osd.target", "ceph.target"}
    osds = recovery_of(roles, "ceph_osd")
    cluster = lost(tmp_path, host)
    assert (await osds.standing(NODE1, host, cluster)).detail == "osd.1, osd.2 believed up"
    host.on("/usr/local/lib/meshctl/ceph-ask *")
    await osds.recover(NODE1, host, cluster)
    assert [osd["up"] for osd in world.osds.values()] == [1, 0, 0]
    assert {name: pool["min_size"] for name, pool in world.pools.items()} == {"incus": 1, ".mgr": 1}
    assert json.loads(world.keys[ceph.MIN_SIZE_KEY]) == {"incus": 2, ".mgr": 2}
    assert (await osds.standing(NODE1, host, cluster)).stand is Stand.ALONE
    host.ran.clear()
    await osds.recover(NODE1, host, cluster)
    assert host.ran == []

    # The pools are left alone meanwhile, although the topology wants two copies to go on with.
    hosts = [host, *(CephHost(name=node.name, world=world) for node in (NODE2, NODE3))]
    whole = cluster_of(TRIANGLE, hosts, tmp_path)
    pools, health = CephPoolRole(TRIANGLE), CephHealthRole(TRIANGLE)
    await pools.apply(NODE1, host, whole)
    assert await pools.verify(whole) == []
    assert world.pools["incus"]["min_size"] == 1
    await health.apply(NODE1, host, whole)
    assert {name: pool["min_size"] for name, pool in world.pools.items()} == {"incus": 2, ".mgr": 2}
    assert ceph.MIN_SIZE_KEY not in world.keys
    assert await pools.verify(whole) == []


async def test_what_pools_wanted_before_survives_a_killed_run(tmp_path: Path, roles: list[Role]) -> None:
    world = Lost()
    world.keys[ceph.MIN_SIZE_KEY] = '{"incus": 2}'
    world.pools["incus"]["min_size"] = 1
    host = Survivor(name="node1", world=world, active={"ceph-osd@0.service"}, enabled={"ceph-osd@0.service"})
    host.enabled |= {"ceph-osd.target", "ceph.target"}
    await recovery_of(roles, "ceph_osd").recover(NODE1, host, lost(tmp_path, host))
    assert json.loads(world.keys[ceph.MIN_SIZE_KEY]) == {"incus": 2, ".mgr": 2}


class Lost(World):
    """Two of three hosts are gone, and nobody has told the monitors."""

    def __init__(self) -> None:
        super().__init__(status={"health": {"status": "HEALTH_OK", "checks": {}}, "pgmap": {}})
        for osd in range(3):
            self.add_osd(osd)
        for name, application in (("incus", "rbd"), (".mgr", "mgr")):
            self.pools[name] = {"size": 3, "min_size": 2, "application_metadata": {application: {}}}

    def on_osd_tree(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"nodes": [{"type": "host", "name": f"node{i + 1}", "children": [i]} for i in range(3)]}

    def on_osd_down(self, command: dict[str, Any]) -> str:
        for osd in self.osds.values():
            if str(osd["osd"]) in command["ids"]:
                osd["up"] = 0
        return ""

    def on_pg_dump(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"pg_stats": [{"pgid": "1.0", "state": "active+undersized+degraded", "acting": [0]}]}

    def on_status(self, _: dict[str, Any]) -> dict[str, Any]:
        states = [{"state_name": "active+clean", "count": 33}]
        return {"health": {"status": "HEALTH_OK", "checks": {}}, "pgmap": {"pgs_by_state": states, "num_pgs": 33}}


async def test_each_database_is_founded_anew_once(tmp_path: Path, roles: list[Role]) -> None:
    host = Survivor(name="node1")
    host.alone("nb")  # a killed run had come as far
    databases, cluster = recovery_of(roles, "ovn"), lost(tmp_path, host)
    host.on("systemctl *")
    host.on("sh -c # The database file *", then=lambda: host.alone("sb"))
    host.on("ovn-appctl * connection-status", "not connected")

    def connected() -> None:
        host.on("ovn-appctl * connection-status", "connected")

    host.on("ovn-appctl * sb-cluster-state-reset", then=connected)
    await databases.recover(NODE1, host, cluster)
    founded = [line for line in host.ran if line.startswith("sh -c # The database")]
    assert [line.split(" sh ")[-1] for line in founded] == [
        "/var/lib/ovn/ovnsb_db.db ssl:10.50.1.1:6644 /var/lib/meshctl/before-recover"
    ]
    assert (await databases.standing(NODE1, host, cluster)).stand is Stand.ALONE
    host.active |= UNITS
    host.ran.clear()
    await databases.recover(NODE1, host, cluster)
    assert host.ran == []


UNITS = {f"{name}.service" for name in ("ovn-ovsdb-server-nb", "ovn-ovsdb-server-sb", "ovn-northd", "ovn-controller")}


async def test_incus_goes_on_with_one_voter(tmp_path: Path, roles: list[Role]) -> None:
    host = Survivor(name="node1")
    incus, cluster = recovery_of(roles, "incus"), lost(tmp_path, host)

    def done() -> None:
        host.on("python3 -c *raft_nodes*", "10.50.1.1:8443\n").on("incus query *", "[]")

    host.on("sh -c # Incus' database *", then=done)
    await incus.recover(NODE1, host, cluster)
    assert host.ran[0].endswith("sh 10.50.1.1:8443 /var/lib/meshctl/before-recover")
    await incus.recover(NODE1, host, cluster)
    assert len(host.ran) == 1


async def test_the_backup_comes_first_and_one_that_cannot_be_written_ends_it(tmp_path: Path, roles: list[Role]) -> None:
    host = Survivor(name="node1")
    ground = Ground(NODE1, (NODE2, NODE3), {"ceph_mon": Standing(Stand.LOST, "x")})
    events: list[Event] = []
    (tmp_path / "folder").mkdir()
    drive = Recovering(roles, ground, Backup(tmp_path / "nowhere" / "b", Envelope(PLAIN, "x"), roles))
    with pytest.raises(UsageError, match="can't be written"):
        await drive.run(lost(tmp_path, host), {"node1": host}, None, events.append)
    assert (host.ran, events) == ([], [])


async def test_a_quorum_that_comes_back_meanwhile_ends_it(tmp_path: Path, roles: list[Role]) -> None:
    host = Survivor(name="node1", world=World(refused={"mgr stat": 110, "osd dump": 110}))
    host.mon = mon("node1", "node2")
    ground = Ground(NODE1, (NODE2, NODE3), {"ceph_mon": Standing(Stand.LOST, "x")})
    events: list[Event] = []
    drive = Recovering(roles, ground)
    report = await drive.run(lost(tmp_path, host), {"node1": host}, None, events.append)
    assert report.refused
    assert "node1, node2 have a quorum" in report.results[0].problems[0].what
    assert host.ran == []
    assert [type(event) for event in events].count(RunFinished) == 1
    told = {"schema": "meshctl/recover/1", **as_json(report), **drive.as_json()}
    assert check(json.dumps(told), "meshctl/recover/1")["given_up"] == ["node2", "node3"]
    check(json.dumps({**told, **as_json(finished())}), "meshctl/recover/1")


async def test_a_layer_is_recovered_and_the_dead_are_forgotten(tmp_path: Path, roles: list[Role]) -> None:
    host = Survivor(name="node1", world=Monitors())
    host.on("sh -c # The monitor *", then=lambda: setattr(host, "mon", mon("node1", of=("node1",))))
    ground = Ground(NODE1, (NODE2, NODE3), {"ceph_mon": Standing(Stand.LOST, "x")})
    drive = Recovering([role for role in roles if role.name == "ceph_mon"], ground)
    events: list[Event] = []
    report = await drive.run(lost(tmp_path, host), {"node1": host}, None, events.append)
    assert [(result.step.id, str(result.state)) for result in report.results] == [
        ("alone@node1", "ok"),
        ("ceph_mon.recover@node1", "changed"),
        ("ceph_mon.forget@node2", "ok"),
        ("ceph_mon.forget@node3", "ok"),
    ]
    assert "node2, node3: never switch the old machines on again" in report.notes[-1]


class Monitors(World):
    """After the surgery."""

    def on_quorum_status(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"monmap": {"mons": [{"name": "node1"}]}, "quorum_names": ["node1"]}


def test_the_ssh_keys_of_those_given_up_are_forgotten(tmp_path: Path) -> None:
    options = Options(state_dir=tmp_path / "state")
    state = options.state(TRIANGLE)
    lines = [f"{node.management} ssh-ed25519 AAAA {node.name}\n" for node in TRIANGLE.nodes]
    state.write_secret("known_hosts", "".join(lines).encode())
    forget_keys(options, TRIANGLE, [NODE2.management, NODE3.management])
    assert state.read_secret("known_hosts") == lines[0].encode()
