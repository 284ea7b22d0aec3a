"""IPv6 beside IPv4: OSPFv3, or OpenFabric for both, over cables without IPv6 addresses of their own."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.host.fake import FakeHost
from meshctl.roles.frr import parse, status
from meshctl.roles.frr.igp import Interface
from meshctl.roles.frr.judge import Look, judge
from meshctl.roles.frr.ospf import Ospf
from meshctl.roles.frr.ospf6 import Ospf6
from meshctl.roles.frr.parse import Adjacency
from meshctl.roles.frr.role import Frr
from meshctl.roles.links import wanted
from meshctl.state import StateFolder
from meshctl.topology import Node, Topology, loads
from meshctl.topology.document import Routing
from tests.roles import golden
from tests.roles.frrhost import FrrHost, apply

DATA = Path(__file__).parent / "data"


def dual(name: str) -> Topology:
    file = golden.TOPOLOGIES / f"{name}.yaml"
    return loads(file.read_text().replace("mesh:\n", "mesh:\n  loopbacks6: fd00:50::/64\n"), file)


def signed(mesh: Topology) -> Topology:
    return replace(mesh, ospf=mesh.ospf.model_copy(update={"authentication": "hmac-sha-256"}))


@pytest.fixture
def mesh() -> Topology:
    return dual("triangle")


@pytest.mark.parametrize("name", ["triangle", "five"])
def test_files_are_as_reviewed(name: str) -> None:
    mesh = signed(dual(name))
    golden.check_files(__file__, f"{name}-dual", {node.name: Frr(mesh).render(node) for node in mesh.nodes})


@pytest.mark.parametrize("name", ["triangle", "five"])
def test_files_of_openfabric_are_as_reviewed(name: str) -> None:
    mesh = replace(dual(name), routing=Routing(protocol="openfabric"))
    rendered = {node.name: Frr(mesh).render(node) for node in mesh.nodes}
    golden.check_files(__file__, f"{name}-openfabric-dual", rendered)


def test_the_loopback_has_both_addresses(mesh: Topology) -> None:
    lo = wanted.devices(mesh.node("node2"))[0]
    assert [str(address) for address in lo.addresses] == ["10.50.1.2/32", "fd00:50::2/128"]


def test_a_real_ospf6d() -> None:
    answers = parse.answers((DATA / "dual.txt").read_text())
    assert Ospf6().adjacencies(answers) == (
        Adjacency("10.50.1.2", "", "eth1", "Full"),
        Adjacency("10.50.1.3", "", "eth2", "Full"),
    )
    speaker = Ospf6().speaker(answers)
    assert speaker is not None
    assert (speaker.router, speaker.avoided) == ("10.50.1.1", True)
    assert speaker.interfaces["eth1"] == Interface(10, 1500, None, signed=True)


def test_the_answers_of_both_are_told_apart(mesh: Topology) -> None:
    answers = parse.answers((DATA / "status-exstart-node1.txt").read_text() + (DATA / "dual.txt").read_text())
    both = [Ospf().adjacencies(answers), Ospf6().adjacencies(answers)]
    assert [adjacency[0].state for adjacency in both if adjacency] == ["ExStart", "Full"]
    found = list(status.diagnose(mesh, {"node1": status.look(mesh, answers, ())}))
    assert [(one.disease, one.evidence) for one in found] == [
        ("traffic-kept-away", "ospf6d has `stub-router administrative`")
    ]


@pytest.mark.parametrize("text", ["", "ospf6d is not running\n", "[]\n", '{"neighbors": {}}\n'])
def test_an_ospf6d_that_does_not_run(text: str) -> None:
    assert Ospf6().adjacencies(parse.answers(text)) is None
    assert Ospf6().speaker(parse.answers(text)) is None


async def test_ipv6_is_added_to_a_running_frr_by_a_reload(mesh: Topology, tmp_path: Path) -> None:
    host = FrrHost()
    await apply(golden.topology("triangle"), host, tmp_path)
    host.forget()
    host.stdins.clear()
    await apply(mesh, host, tmp_path)
    assert [line.split()[0] for line in host.ran] == ["sh", "systemctl"]
    assert b"ipv6 protocol ospf6 route-map meshctl-source6\n" in host.stdins[0]
    host.forget()
    await apply(mesh, host, tmp_path)
    assert (host.ran, host.written) == ([], [])


def test_either_session_will_do_for_openfabric(mesh: Topology) -> None:
    fabric = replace(mesh, routing=Routing(protocol="openfabric"))
    node = fabric.node("node1")
    for address in ("fe80::2", "192.168.11.2"):
        look = Look({"OpenFabric": ()}, (parse.BfdPeer(address, "eth1", "up"),), ())
        assert [p.what for p in judge(fabric, node, look) if "BFD" in p.what] == ["BFD session with node3 on eth2"]


async def test_ipv6_ends_without_waiting_for_anybody(mesh: Topology, tmp_path: Path) -> None:
    host = FrrHost()
    await apply(mesh, host, tmp_path)
    host.forget()
    await apply(golden.topology("triangle"), host, tmp_path)
    assert host.ran == ["systemctl reload frr.service"]
    assert not any("neighbor" in line for line in host.queried)


class DualHost(FakeHost):
    def __init__(self, mesh: Topology, node: Node) -> None:
        super().__init__(node.name)
        self.four = {
            str(mesh.node(p.peer).loopback): [
                {"nbrState": "Full/-", "ifaceAddress": str(p.peer_address.ip), "ifaceName": f"{p.nic}:x"}
            ]
            for p in node.ports
        }
        self.six = [
            {"neighborId": str(mesh.node(p.peer).loopback), "interfaceName": p.nic, "state": "Full"} for p in node.ports
        ]
        self.bfd = [{"peer": str(p.peer_address.ip), "interface": p.nic, "status": "up"} for p in node.ports]
        self.bfd += [{"peer": "fe80::1", "interface": p.nic, "status": "up"} for p in node.ports]
        others = [other for other in mesh.nodes if other is not node]
        four = [{"dst": str(o.loopback), "protocol": "ospf", "prefsrc": str(node.loopback)} for o in others]
        self.routes6 = [{"dst": str(o.loopback6), "protocol": "ospf", "prefsrc": str(node.loopback6)} for o in others]
        self.on("ip -j -4 route show", json.dumps(four)).on("sh -c *ping*")
        self.say()

    def say(self) -> None:
        answers = ({"neighbors": self.four}, {"neighbors": self.six}, self.bfd)
        self.on("*is-active*vtysh *", "\n".join(json.dumps(answer, indent=1) for answer in answers))
        self.on("ip -j -6 route show", json.dumps(self.routes6))


async def faults(mesh: Topology, hosts: dict[str, DualHost], tmp_path: Path) -> list[tuple[str, str]]:
    for host in hosts.values():
        host.say()
    return [(p.host, p.what) for p in await Frr(mesh).verify(Cluster(mesh, hosts, StateFolder(tmp_path)))]


async def test_the_gate_looks_at_both(mesh: Topology, tmp_path: Path) -> None:
    hosts = {node.name: DualHost(mesh, node) for node in mesh.nodes}
    assert await faults(mesh, hosts, tmp_path) == []
    hosts["node1"].six.pop()
    hosts["node2"].bfd.pop()
    hosts["node3"].routes6[0]["prefsrc"] = "fd00:50::77"
    assert await faults(mesh, hosts, tmp_path) == [
        ("node1", "OSPFv3 adjacency with node3 on eth2"),
        ("node2", "BFD session with node3 on eth1"),
        ("node3", "kernel route to node1"),
    ]


async def test_a_missing_route_is_asked_for_in_its_version_of_ip(mesh: Topology, tmp_path: Path) -> None:
    """Without -6, `ip route show` of an IPv6 address shows nothing even where there is a route."""
    hosts = {node.name: DualHost(mesh, node) for node in mesh.nodes}
    hosts["node3"].routes6.clear()
    hosts["node3"].say()
    found = await Frr(mesh).verify(Cluster(mesh, hosts, StateFolder(tmp_path)))
    assert {p.command for p in found} == {"ip -6 route show fd00:50::1", "ip -6 route show fd00:50::2"}


async def test_a_silent_loopback(mesh: Topology, tmp_path: Path) -> None:
    hosts = {node.name: DualHost(mesh, node) for node in mesh.nodes}
    hosts["node3"].on("sh -c *ping* fd00:50::3 fd00:50::1 fd00:50::2", "fd00:50::2\n")
    found = await Frr(mesh).verify(Cluster(mesh, hosts, StateFolder(tmp_path)))
    assert [(p.host, p.what, p.command) for p in found] == [
        ("node3", "node2's loopback does not answer", "ping -I fd00:50::3 fd00:50::2")
    ]
