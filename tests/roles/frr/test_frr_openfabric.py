"""OpenFabric instead of OSPF: what is rendered, what fabricd says, and how the one takes over from the other."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import WaitError
from meshctl.host.fake import FakeHost
from meshctl.roles.frr import parse, status
from meshctl.roles.frr.igp import Interface
from meshctl.roles.frr.openfabric import OpenFabric, system_id
from meshctl.roles.frr.parse import Adjacency
from meshctl.roles.frr.role import Frr
from meshctl.roles.frr.vty import CONF, DAEMONS
from meshctl.state import StateFolder
from meshctl.topology import Node, Topology
from meshctl.topology.document import Routing
from tests.roles import golden
from tests.roles.frrhost import FrrHost

DATA = Path(__file__).parent / "data"


def woven(name: str) -> Topology:
    return replace(golden.topology(name), routing=Routing(protocol="openfabric"))


@pytest.fixture
def mesh() -> Topology:
    return woven("triangle")


@pytest.mark.parametrize("name", ["triangle", "five"])
def test_files_are_as_reviewed(name: str) -> None:
    mesh = woven(name)
    rendered = {node.name: Frr(mesh).render(node) for node in mesh.nodes}
    golden.check_files(__file__, f"{name}-openfabric", rendered)


def test_system_ids_are_the_digits_of_the_loopback(mesh: Topology) -> None:
    assert system_id(mesh.node("node1")) == "0100.5000.1001"


def test_neighbours_of_a_real_fabricd() -> None:
    answers = parse.answers((DATA / "openfabric-neighbors.json").read_text())
    assert OpenFabric().adjacencies(answers) == (
        Adjacency("node2", "", "eth1", "Up"),
        Adjacency("node3", "", "eth2", "Up"),
    )
    assert OpenFabric().adjacencies(()) is None
    assert OpenFabric().adjacencies(({"areas": []},)) == ()


def test_a_real_fabricd_with_the_overload_bit(mesh: Topology) -> None:
    speaker = OpenFabric().speaker(parse.answers((DATA / "openfabric-overload.txt").read_text()))
    assert speaker is not None
    assert (speaker.router, speaker.avoided) == ("0100.5000.1001", True)
    assert speaker.router in OpenFabric().routers(mesh, mesh.node("node1"))
    assert speaker.interfaces["eth1"] == Interface(10)
    assert OpenFabric().speaker(()) is None


def test_details_are_not_taken_for_neighbours() -> None:
    answers = parse.answers((DATA / "openfabric-overload.txt").read_text())
    assert OpenFabric().adjacencies(answers) is None


def test_a_drained_host_is_diagnosed(mesh: Topology) -> None:
    text = (DATA / "openfabric-neighbors.json").read_text() + (DATA / "openfabric-overload.txt").read_text()
    found = list(status.diagnose(mesh, {"node1": status.look(mesh, parse.answers(text), ())}))
    assert [(one.disease, one.evidence) for one in found] == [("traffic-kept-away", "fabricd has `set-overload-bit`")]


class FabricHost(FakeHost):
    def __init__(self, mesh: Topology, node: Node) -> None:
        super().__init__(node.name)
        circuits = [{"adj": p.peer, "interface": p.nic, "state": "Up"} for p in node.ports]
        bfd = [{"peer": str(p.peer_address.ip), "interface": p.nic, "status": "up"} for p in node.ports]
        routes = [
            {"dst": str(other.loopback), "protocol": "openfabric", "prefsrc": str(node.loopback)}
            for other in mesh.nodes
            if other is not node
        ]
        neighbours = {"areas": [{"area": "meshctl", "circuits": [*circuits, {"circuit": 0}]}]}
        said = f"{json.dumps(neighbours, indent=1)}\n{json.dumps(bfd, indent=1)}\n"
        self.on("*vtysh -c show openfabric neighbor json -c show bfd peers json", said)
        self.on("ip -j -4 route show", json.dumps(routes)).on("sh -c *ping*")


async def test_a_healthy_fabric(mesh: Topology, tmp_path: Path) -> None:
    hosts = {node.name: FabricHost(mesh, node) for node in mesh.nodes}
    assert await Frr(mesh).verify(Cluster(mesh, hosts, StateFolder(tmp_path))) == []


async def test_a_fabric_without_neighbours(mesh: Topology, tmp_path: Path) -> None:
    hosts = {node.name: FabricHost(mesh, node) for node in mesh.nodes}
    hosts["node2"].on("*is-active*vtysh *", '{"areas": [{"area": "meshctl", "circuits": [{"circuit": 0}]}]}\n[]\n')
    found = await Frr(mesh).verify(Cluster(mesh, hosts, StateFolder(tmp_path)))
    assert [(p.host, p.what, p.seen) for p in found if "BFD" not in p.what] == [
        ("node2", "OpenFabric adjacency with node1 on eth2", "no neighbour"),
        ("node2", "OpenFabric adjacency with node3 on eth1", "no neighbour"),
    ]


# --- one protocol after the other


class Hasty(Frr):
    patience = 0.01


class Changing(FrrHost):
    """A host that had OSPF; `finds` says whether fabricd has found the other hosts."""

    def __init__(self, mesh: Topology, name: str) -> None:
        super().__init__(name)
        self.loads: list[tuple[str, ...]] = []
        self.files.update(Frr(golden.topology("triangle")).render(mesh.node(name)))
        super().start()
        self.others = [f"{node.loopback}/32" for node in mesh.nodes if node.name != name]
        self.finds(self.others)

    def finds(self, prefixes: list[str]) -> None:
        self.on("*vtysh -c show ip route openfabric json", json.dumps({prefix: [{}] for prefix in prefixes}, indent=1))

    def start(self) -> None:
        super().start()
        self.loads.append(tuple(sorted(parse.enabled(self.files[DAEMONS].content.decode()) & {"ospfd", "fabricd"})))


@pytest.fixture
def hosts(mesh: Topology) -> dict[str, Changing]:
    return {node.name: Changing(mesh, node.name) for node in mesh.nodes}


async def change(mesh: Topology, hosts: dict[str, Changing], tmp_path: Path) -> None:
    await Hasty(mesh).apply(mesh.node("node1"), hosts["node1"], Cluster(mesh, hosts, StateFolder(tmp_path)))


async def test_openfabric_finds_every_host_before_ospf_ends(
    mesh: Topology, hosts: dict[str, Changing], tmp_path: Path
) -> None:
    host = hosts["node1"]
    await change(mesh, hosts, tmp_path)
    assert host.loads == [("fabricd", "ospfd"), ("fabricd",)]
    assert [line.split()[0] for line in host.ran] == ["sh", "systemctl", "systemctl"]
    assert host.stdins[0].decode().splitlines()[-1] == "ip protocol openfabric route-map meshctl-source"
    assert host.files[CONF] == Frr(mesh).render(mesh.node("node1"))[CONF]
    host.forget()
    await change(mesh, hosts, tmp_path)
    assert (host.ran, host.written) == ([], [])


async def test_ospf_stays_while_another_host_does_not_follow(
    mesh: Topology, hosts: dict[str, Changing], tmp_path: Path
) -> None:
    hosts["node3"].finds([])
    for _ in range(2):  # the second run meets what the first one left
        with pytest.raises(WaitError, match=r"not found by node3 \(10\.50\.1\.1, 10\.50\.1\.2\)"):
            await change(mesh, hosts, tmp_path)
    assert hosts["node1"].loads == [("fabricd", "ospfd")]
    assert "router ospf\n" in hosts["node1"].files[CONF].content.decode()
    hosts["node3"].finds(hosts["node3"].others)
    await change(mesh, hosts, tmp_path)
    assert hosts["node1"].loads == [("fabricd", "ospfd"), ("fabricd",)]
