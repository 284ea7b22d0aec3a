"""Static routes: which, kept by whom, and how they take over and give way."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError, WaitError
from meshctl.host.base import Result
from meshctl.host.fake import FakeHost
from meshctl.roles.condition import State
from meshctl.roles.frr import absence, removal, static, status
from meshctl.roles.frr.role import Frr
from meshctl.roles.frr.vty import CONF, DAEMONS, VTYSH
from meshctl.state import StateFolder
from meshctl.topology import Node, Topology
from meshctl.topology.document import Routing
from tests.roles import golden
from tests.roles.frrhost import FrrHost


def fixed(name: str) -> Topology:
    return replace(golden.topology(name), routing=Routing(protocol="static"))


@pytest.fixture
def mesh() -> Topology:
    return fixed("triangle")


class StaticHost(FakeHost):
    """A host whose kernel gets its static routes from networkd's files when it reads them."""

    def __init__(self, mesh: Topology, node: Node, *, frr: bool = False) -> None:
        super().__init__(node.name)
        self.mesh, self.node = mesh, node
        self.routes: list[dict[str, object]] = []
        self.switch = "0"
        self.frr = frr
        self.files.update(dict.fromkeys(_networks(node), next(iter(static.render(mesh, node).values()))))
        self.on("networkctl *", then=self.take)
        self.on("sysctl -q -w *=1", then=lambda: self.set("1")).on("sysctl -q -w *=0", then=lambda: self.set("0"))
        self.on(
            "systemctl show *",
            f"Id=frr.service\nActiveState={'active' if frr else 'inactive'}\nUnitFileState=enabled\n",
        )
        self.on("systemctl stop *").on("systemctl disable *").on("rm -rf *").on("sh -c *ping*")
        self.on("cat -- /var/lib/meshctl/rollback/pending", status=1)

    def set(self, value: str) -> None:
        self.switch = value

    def take(self) -> None:
        self.routes = [
            {"dst": way.target, "gateway": "x", "dev": way.port.nic, "protocol": "static", "metric": way.metric,
             "prefsrc": str(self.node.loopback)}
            for way in static.ways(self.mesh, self.node)
        ]  # fmt: skip

    def _answer(self, argv: Sequence[str], ok: Collection[int] | None) -> Result:
        self.on("ip -j -4 route show", json.dumps(self.routes))
        self.on("sh -c sysctl -n*", f"{self.switch}\nactive\n")
        self.on("grep -qs meshctl *", status=0 if self.frr else 1)
        if argv[:2] == ["sh", "-c"] and argv[2].startswith("for p"):
            found = [path for path in self.files if any(Path(path).match(pattern) for pattern in argv[4:])]
            return Result(tuple(argv), 0, "\n".join(found), "")
        return super()._answer(argv, ok)


def _networks(node: Node) -> list[str]:
    return [f"/etc/systemd/network/05-meshctl-{port.nic}.network" for port in node.ports]


def cluster_of(mesh: Topology, tmp_path: Path, *, frr: bool = False) -> tuple[dict[str, StaticHost], Cluster]:
    hosts = {node.name: StaticHost(mesh, node, frr=frr) for node in mesh.nodes}
    return hosts, Cluster(mesh, hosts, StateFolder(tmp_path))


@pytest.mark.parametrize("name", ["triangle", "five"])
def test_files_are_as_reviewed(name: str) -> None:
    mesh = fixed(name)
    golden.check_files(__file__, f"{name}-static", {node.name: Frr(mesh).render(node) for node in mesh.nodes})


def test_a_direct_route_to_each_and_one_over_the_third(mesh: Topology) -> None:
    found = [(way.target, way.port.nic, way.metric) for way in static.ways(mesh, mesh.node("node1"))]
    assert found == [
        ("10.50.1.2", "eth1", 100),
        ("10.50.1.2", "eth2", 200),
        ("10.50.1.3", "eth2", 100),
        ("10.50.1.3", "eth1", 200),
    ]


def test_parallel_cables_follow_each_other() -> None:
    mesh = fixed("dual")
    to_node2 = [way for way in static.ways(mesh, mesh.node("node1")) if way.target == str(mesh.node("node2").loopback)]
    assert [(way.port.peer, way.metric) for way in to_node2][:3] == [("node2", 100), ("node2", 101), ("node3", 200)]


async def test_first_and_second_run(mesh: Topology, tmp_path: Path) -> None:
    hosts, cluster = cluster_of(mesh, tmp_path)
    host, node = hosts["node1"], mesh.node("node1")
    await Frr(mesh).apply(node, host, cluster)
    assert host.ran == ["networkctl reload", f"sysctl -q -w {static.SKIP_DEAD}=1"]
    host.ran.clear()
    host.written.clear()
    await Frr(mesh).apply(node, host, cluster)
    assert (host.ran, host.written) == ([], [])


async def test_routes_that_the_kernel_lost_come_back(mesh: Topology, tmp_path: Path) -> None:
    hosts, cluster = cluster_of(mesh, tmp_path)
    host, node = hosts["node1"], mesh.node("node1")
    await Frr(mesh).apply(node, host, cluster)
    host.ran.clear()
    host.routes.pop()
    await Frr(mesh).apply(node, host, cluster)
    assert host.ran == ["networkctl reconfigure eth1 eth2"]


async def test_a_host_with_other_links_is_refused(mesh: Topology, tmp_path: Path) -> None:
    hosts, cluster = cluster_of(mesh, tmp_path)
    host = hosts["node1"]
    del host.files[_networks(host.node)[0]]
    with pytest.raises(RefusedError, match="something else keeps this host's links"):
        await Frr(mesh).apply(host.node, host, cluster)
    assert (host.ran, host.written) == ([], [])


async def test_frr_ends_when_all_hosts_have_static_routes(mesh: Topology, tmp_path: Path) -> None:
    hosts, cluster = cluster_of(mesh, tmp_path, frr=True)
    for host in (hosts["node2"], hosts["node3"]):
        host.take()
    host = hosts["node1"]
    host.files.update(Frr(golden.topology("triangle")).render(host.node))
    await Frr(mesh).apply(host.node, host, cluster)
    assert [line for line in host.ran if not line.startswith("sysctl")] == [
        "networkctl reload",
        "systemctl stop -- frr.service",
        "systemctl disable -- frr.service",
        f"rm -rf --one-file-system -- {CONF} {DAEMONS} {VTYSH}",
    ]


async def test_frr_goes_on_while_another_host_has_no_static_routes(mesh: Topology, tmp_path: Path) -> None:
    class Hasty(Frr):
        patience = 0.01

    hosts, cluster = cluster_of(mesh, tmp_path, frr=True)
    hosts["node2"].take()
    with pytest.raises(WaitError, match="node3 without"):
        await Hasty(mesh).apply(mesh.node("node1"), hosts["node1"], cluster)
    assert not any("frr.service" in line for line in hosts["node1"].ran)


async def test_the_gate(mesh: Topology, tmp_path: Path) -> None:
    hosts, cluster = cluster_of(mesh, tmp_path)
    for host in hosts.values():
        await Frr(mesh).apply(host.node, host, cluster)
    assert await Frr(mesh).verify(cluster) == []
    hosts["node2"].routes.pop(0)
    hosts["node3"].switch = "0"
    hosts["node1"].routes[0]["prefsrc"] = ""
    assert [(p.host, p.what) for p in await Frr(mesh).verify(cluster)] == [
        ("node1", "static route to 10.50.1.2 over eth1"),
        ("node2", "static route to 10.50.1.1 over eth2"),
        ("node3", "routes over a cable without carrier are used all the same"),
    ]
    condition = await status.condition(cluster)
    assert (condition.state, condition.detail) == (State.DEGRADED, "static routes, 3 faults")


async def test_absences_have_nothing_to_do(mesh: Topology, tmp_path: Path) -> None:
    hosts, cluster = cluster_of(mesh, tmp_path)
    await absence.drain(mesh.node("node1"), hosts["node1"], cluster)
    await absence.restore(mesh.node("node1"), hosts["node1"], cluster)
    assert hosts["node1"].ran == []


async def test_it_is_taken_away(mesh: Topology, tmp_path: Path) -> None:
    hosts, cluster = cluster_of(mesh, tmp_path)
    host = hosts["node1"]
    await Frr(mesh).apply(host.node, host, cluster)
    assert await removal.holdings(host.node, host, cluster) == ["static routes"]
    host.ran.clear()
    await removal.remove(host.node, host, cluster)
    assert [line.split()[0] for line in host.ran] == ["rm", "networkctl", "sysctl"]
    assert "50-meshctl-static.conf" in host.ran[0]


class Returning(FrrHost):
    """A host with static routes that FRR is to replace; `finds` says whether OSPF has found the other hosts."""

    def __init__(self, mesh: Topology, name: str) -> None:
        super().__init__(name)
        self.dropins = list(static.render(mesh, mesh.node(name)))
        self.on("sh -c for pattern*50-meshctl-static.conf*", "\n".join(self.dropins))
        self.on("sh -c for path; do*", "\n".join(self.dropins)).on("rm -rf *", then=self.forget_routes)
        self.on("networkctl reload").on("sysctl *")
        others = [f"{node.loopback}/32" for node in mesh.nodes if node.name != name]
        self.finds(others)

    def finds(self, prefixes: list[str]) -> None:
        self.on("*vtysh -c show ip route ospf json", json.dumps({prefix: [{}] for prefix in prefixes}, indent=1))

    def forget_routes(self) -> None:
        self.on("sh -c for pattern*50-meshctl-static.conf*")


async def test_static_routes_go_when_ospf_has_found_every_host_everywhere(mesh: Topology, tmp_path: Path) -> None:
    class Hasty(Frr):
        patience = 0.01

    ospf = golden.topology("triangle")
    hosts = {node.name: Returning(mesh, node.name) for node in mesh.nodes}
    cluster, host = Cluster(ospf, hosts, StateFolder(tmp_path)), hosts["node1"]
    hosts["node3"].finds([])
    with pytest.raises(WaitError, match="not found by node3"):
        await Hasty(ospf).apply(ospf.node("node1"), host, cluster)
    assert not any(line.startswith(("rm", "networkctl", "sysctl")) for line in host.ran)
    hosts["node3"].finds(["10.50.1.1/32", "10.50.1.2/32"])
    host.forget()
    await Hasty(ospf).apply(ospf.node("node1"), host, cluster)
    assert [line.split()[0] for line in host.ran] == ["rm", "networkctl", "sysctl"]
    host.forget()
    await Hasty(ospf).apply(ospf.node("node1"), host, cluster)
    assert (host.ran, host.written) == ([], [])
