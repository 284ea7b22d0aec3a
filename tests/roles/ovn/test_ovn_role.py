"""The ovn role against simulated hosts: first run, second run, killed runs, drift, and what it asks at its gate."""

import asyncio
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import ConnectionLost, RefusedError
from meshctl.roles.ovn.role import Ovn
from meshctl.state import StateFolder
from meshctl.topology import Topology
from tests.roles import golden
from tests.roles.ovn.ovn_host import DROP_IN, OvnHost, World

WORDS = "Status: cluster member\nCluster ID: x\nRole: leader\nLeader: self\nServers:\n"


class Lab:
    """A cluster of simulated hosts, and runs of the role against it."""

    def __init__(self, mesh: Topology, folder: Path) -> None:
        self.mesh = mesh
        self.world = World(mesh)
        self.hosts = {node.name: OvnHost(node.name, self.world) for node in mesh.nodes}
        self.cluster = Cluster(mesh, self.hosts, StateFolder(folder))

    async def run(self) -> None:
        role = Ovn(self.mesh)
        await role.prepare(self.cluster)
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            for node in self.mesh.nodes:
                tasks.create_task(role.apply(node, self.hosts[node.name], self.cluster))

    async def killed_after(self, changes: int) -> bool:
        """Run until the controller dies; False if it was done before."""
        self.world.changes_left = changes
        killed = False
        try:
            await self.run()
        except* ConnectionLost:
            killed = True
        self.world.changes_left = 10**6
        return killed

    def forget(self) -> None:
        for host in self.hosts.values():
            host.ran.clear()
            host.written.clear()

    @property
    def changes(self) -> list[str]:
        return [f"{name}: {what}" for name, host in self.hosts.items() for what in (*host.ran, *host.written)]

    def assert_done(self) -> None:
        names = {node.name for node in self.mesh.nodes}
        for letter, port in (("nb", 6641), ("sb", 6642)):
            assert set(self.world.members[letter]) == names
            assert self.world.targets[letter] == {f"pssl:{port}"}
        for name, host in self.hosts.items():
            assert host.active == {"nb", "sb", "northd", "controller", "openvswitch-switch"}
            assert all(host.tls.values())
            assert host.ids["system-id"] == name
            assert host.ssl == ["/etc/ovn/pki/key.pem", "/etc/ovn/pki/cert.pem", "/etc/ovn/pki/ca.pem"]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(golden.topology("triangle"), tmp_path)


@pytest.mark.parametrize("name", ["triangle", "five", "ring", "dual"])
def test_files_are_as_reviewed(name: str) -> None:
    golden.check(__file__, Ovn, name)


@pytest.mark.parametrize("name", ["triangle", "five"])
async def test_first_run_then_nothing(name: str, tmp_path: Path) -> None:
    lab = Lab(golden.topology(name), tmp_path)
    await lab.run()
    lab.assert_done()
    lab.forget()
    await lab.run()
    assert lab.changes == []


async def test_standalone_databases_are_copied_before_they_are_replaced(lab: Lab) -> None:
    await lab.run()
    for host in lab.hosts.values():
        copy = host.ran.index("cp -p /var/lib/ovn/ovnnb_db.db /var/lib/ovn/ovnnb_db.db.standalone-4711")
        assert copy < host.ran.index("mv -f /var/lib/ovn/ovnnb_db.db.draft /var/lib/ovn/ovnnb_db.db")


async def test_founder_is_where_the_data_is(lab: Lab) -> None:
    lab.hosts["node3"].rows = ["my-network"]
    await lab.run()
    lab.assert_done()
    assert lab.world.members["nb"][0] == "node3"
    created = [line for line in lab.hosts["node3"].ran if "create-cluster" in line]
    assert "create-cluster /var/lib/ovn/ovnnb_db.db.draft /var/lib/ovn/ovnnb_db.db ssl:10.50.1.3:6643" in created[0]


async def test_without_a_database_the_schema_founds(lab: Lab) -> None:
    for host in lab.hosts.values():
        host.stores = {"nb": "absent", "sb": "absent"}
        host.active -= {"nb", "sb"}
    await lab.run()
    lab.assert_done()
    assert any("create-cluster" in line and "ovn-nb.ovsschema" in line for line in lab.hosts["node1"].ran)


@pytest.mark.parametrize("names", [["node1"], ["node1", "node2", "node3"]])
async def test_hosts_that_wait_for_each_other_since_a_boot_get_a_cluster(lab: Lab, names: list[str]) -> None:
    for name in names:
        lab.hosts[name].stores = {"nb": "joining", "sb": "joining"}
    await lab.run()
    lab.assert_done()
    assert any("create-cluster" in line and "ovn-nb.ovsschema" in line for line in lab.hosts["node1"].ran)


async def test_data_on_two_hosts_is_refused_before_any_change(lab: Lab) -> None:
    lab.hosts["node1"].rows = lab.hosts["node3"].rows = ["net"]
    with pytest.raises(RefusedError, match="node3"):
        await lab.run()
    assert lab.changes == []


async def test_killed_anywhere_and_run_again(tmp_path: Path) -> None:
    """The controller dies after every number of changes there is; the next run finishes, the one after is idle."""
    changes = 0
    while True:
        lab = Lab(golden.topology("triangle"), tmp_path)
        killed = await lab.killed_after(changes)
        await lab.run()
        lab.assert_done()
        lab.forget()
        await lab.run()
        assert lab.changes == [], f"killed after {changes} changes"
        if not killed:
            break
        changes += 1
    assert changes > 40


async def test_host_that_lost_its_disk_joins_again(lab: Lab) -> None:
    await lab.run()
    host = lab.hosts["node1"]
    host.stores = {"nb": "absent", "sb": "absent"}
    host.active -= {"nb", "sb"}
    for members in lab.world.members.values():
        members.remove("node1")
    lab.forget()
    await lab.run()
    lab.assert_done()
    assert any("join-cluster" in line and "ssl:10.50.1.2:6643" in line for line in host.ran)
    assert not any("create-cluster" in line for line in host.ran)


async def test_stopped_server_is_started(lab: Lab) -> None:
    await lab.run()
    lab.hosts["node2"].active -= {"sb"}
    lab.forget()
    await lab.run()
    assert lab.changes == ["node2: systemctl restart ovn-ovsdb-server-sb.service"]


async def test_listener_without_tls_is_taken_away_by_the_leader(lab: Lab) -> None:
    await lab.run()
    lab.world.targets["nb"].add("ptcp:6641")
    lab.forget()
    await lab.run()
    [change] = lab.changes
    assert change.startswith("node1: ovn-nbctl")
    assert change.endswith("set-connection pssl:6641")


async def test_drift_of_the_chassis(lab: Lab) -> None:
    await lab.run()
    host = lab.hosts["node3"]
    del host.files["/etc/openvswitch/system-id.conf"]
    host.ids["system-id"] = "bogus"
    host.active -= {"controller"}
    lab.forget()
    await lab.run()
    lab.assert_done()
    assert [line.split(" --")[0] for line in lab.changes] == [
        "node3: ovs-vsctl",
        "node3: systemctl restart ovn-controller.service",
        "node3: /etc/openvswitch/system-id.conf",
    ]


async def test_open_vswitch_that_does_not_run_is_started_first(lab: Lab) -> None:
    lab.hosts["node2"].active -= {"openvswitch-switch", "controller"}
    await lab.run()
    lab.assert_done()
    ran = lab.hosts["node2"].ran
    start = ran.index("systemctl start openvswitch-switch.service")
    assert start < next(i for i, line in enumerate(ran) if "set-ssl" in line)
    assert not any("openvswitch-switch" in line for line in lab.hosts["node1"].ran)


async def test_northd_is_never_stopped_by_a_unit_that_takes_the_databases_along(lab: Lab) -> None:
    await lab.run()
    host = lab.hosts["node1"]
    host.tls["northd"] = False
    del host.files[DROP_IN]
    host.stale = True
    lab.forget()
    await lab.run()
    lab.assert_done()
    assert host.ran == [
        "systemctl daemon-reload",
        "systemctl stop ovn-northd.service",
        "systemctl start ovn-northd.service",
    ]


# --- the gate's own questions (what follows from the answers is in test_ovn_judge.py)


def gate_answers(lab: Lab) -> None:
    data = Path(__file__).parent / "data"
    voters = (data / "status-node1.txt").read_text()
    for name, host in lab.hosts.items():
        text = voters if name == "node1" else (data / "status-node2.txt").read_text()
        host._simulate = lambda *_: None  # type: ignore[method-assign]
        host.on("ovs-appctl * OVN_Northbound", text)
        host.on("ovs-appctl * OVN_Southbound", text.replace("6643", "6644"))
        host.on('ovsdb-client * unix:/var/run/ovn/ovn?b_db.sock ?"_Server*', '[{"rows":[{"connected":true}]}]')
        host.on('ovsdb-client * ?"OVN_Southbound*', (data / "chassis.json").read_text())
        host.on("ovn-appctl * status", "Status: active\n" if name == "node1" else "Status: standby\n")
        host.on("ovn-appctl * connection-status", "connected\n")
        host.on("timeout 10 sh -c *s_client* 6641 6643 6642 6644")


async def test_healthy(lab: Lab) -> None:
    gate_answers(lab)
    assert await Ovn(lab.mesh).verify(lab.cluster) == []


async def test_chassis_that_nobody_can_be_asked_for_do_not_pass(lab: Lab) -> None:
    gate_answers(lab)
    lab.hosts["node1"].on('ovsdb-client * ?"OVN_Southbound*', status=1, stderr="timed out")
    found = await Ovn(lab.mesh).verify(lab.cluster)
    assert [(p.host, p.what, p.seen) for p in found] == [("node1", "southbound database", "no answer")]


async def test_port_without_tls_is_final(lab: Lab) -> None:
    gate_answers(lab)
    lab.hosts["node2"].on("timeout 10 sh -c *s_client* 6644", "plain 6641\nno-tls 6643\n")
    found = await Ovn(lab.mesh).verify(lab.cluster)
    assert {(p.host, p.what, p.seen, p.final) for p in found} == {
        ("node2", "OVN's port 6641", "answers without TLS", True),
        ("node2", "OVN's port 6643", "no TLS handshake", False),
    }


async def test_dead_daemons_are_problems_not_crashes(lab: Lab) -> None:
    gate_answers(lab)
    for pattern in ("ovs-appctl *", "ovsdb-client *", "ovn-appctl *"):
        lab.hosts["node3"].on(pattern, status=1, stderr="cannot connect")
    found = await Ovn(lab.mesh).verify(lab.cluster)
    assert {p.what for p in found if p.host == "node3"} == {
        "OVN_Northbound server",
        "OVN_Southbound server",
        "ovn-northd",
        "ovn-controller",
    }
