import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from meshctl.topology import Topology, TopologyError, load, loads
from meshctl.topology.document import Document
from meshctl.topology.resolve import resolve

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
TRIANGLE = (TOPOLOGIES / "triangle.yaml").read_text()


def faults(text: str) -> str:
    with pytest.raises(TopologyError) as caught:
        loads(text, Path("t.yaml"))
    return str(caught.value)


def prefixes(topology: Topology) -> dict[str, str]:
    return {str(cable): str(cable.prefix) for cable in topology.cables}


@pytest.mark.parametrize(
    ("name", "nodes", "cables"),
    [("triangle", 3, 3), ("five", 5, 10), ("ring", 4, 4), ("dual", 3, 6), ("bonded", 3, 3), ("vlans", 3, 3)],
)
def test_examples_load(name: str, nodes: int, cables: int) -> None:
    topology = load(TOPOLOGIES / f"{name}.yaml")
    assert (len(topology.nodes), len(topology.cables)) == (nodes, cables)
    assert sum(len(node.ports) for node in topology.nodes) == 2 * cables
    assert len({str(port.address.ip) for node in topology.nodes for port in node.ports}) == 2 * cables


def test_triangle_can_be_read_at_once() -> None:
    assert len(TRIANGLE.splitlines()) <= 35


def test_both_ends_of_a_cable_know_each_other() -> None:
    topology = loads(TRIANGLE, Path("t.yaml"))
    for node in topology.nodes:
        for port in node.ports:
            back = next(p for p in topology.node(port.peer).ports if p.nic == port.peer_nic)
            assert (back.peer, back.peer_nic, back.peer_address) == (node.name, port.nic, port.address)
            assert back.address.network == port.address.network


@given(st.permutations([(i, j) for j in range(2, 6) for i in range(1, j)]), st.integers(1, 10))
@settings(max_examples=50, deadline=None)
def test_adding_a_cable_never_renumbers_another(pairs: list[tuple[int, int]], count: int) -> None:
    few, more = (_mesh(pairs[:n]) for n in (count, len(pairs)))
    assert prefixes(few).items() <= prefixes(more).items()


def _mesh(pairs: list[tuple[int, int]]) -> Topology:
    document = yaml.safe_load(TRIANGLE)
    document["nodes"] = {f"node{n}": {"address": f"172.31.0.{n + 10}"} for n in range(1, 6)}
    document["cables"] = [f"node{i}:p{j} <-> node{j}:p{i}" for i, j in pairs]
    return resolve(Document.model_validate(document), Path("t.yaml"))  # half a mesh is enough here


def test_a_stated_prefix_wins() -> None:
    text = TRIANGLE.replace(
        "- node1:eth1 <-> node2:eth2", "- {cable: 'node1:eth1 <-> node2:eth2', prefix: 10.9.9.8/30, cost: 7, mtu: 9000}"
    )
    cable = loads(text, Path("t.yaml")).cables[0]
    assert (str(cable.prefix), cable.cost, cable.mtu) == ("10.9.9.8/30", 7, 9000)


def test_strands_of_a_bond_from_both_ends() -> None:
    text = TRIANGLE.replace(
        "- node1:eth1 <-> node2:eth2",
        "- {cable: 'node2:bond1 <-> node1:bond0', bond: {strands: [eth2 <-> eth1, eth8<->eth7]}}",
    ).replace("172.31.0.11,", "172.31.0.11, macs: {eth7: '02:00:00:00:00:07'},")
    topology = loads(text, Path("t.yaml"))
    cable = topology.cables[0]
    assert (str(cable), [tuple(map(str, pair)) for pair in cable.strands]) == (
        "node1:bond0 <-> node2:bond1",
        [("node1:eth1", "node2:eth2"), ("node1:eth7", "node2:eth8")],
    )
    one, two = (next(p for p in topology.node(n).ports if p.cable == 0) for n in ("node1", "node2"))
    assert [(plug.nic, plug.mac, str(plug.peer)) for plug in one.plugs] == [
        ("eth1", None, "node2:eth2"),
        ("eth7", "02:00:00:00:00:07", "node2:eth8"),
    ]
    assert [str(plug.peer) for plug in two.plugs] == ["node1:eth1", "node1:eth7"]
    assert [plug.nic for plug in topology.node("node1").plugs] == ["eth1", "eth7", "eth2"]


def test_vlans_on_the_nics_of_a_cable() -> None:
    text = TRIANGLE.replace(
        "- node1:eth1 <-> node2:eth2", "- {cable: 'node2:eth2 <-> node1:eth1', vlan: 100, switch: true}"
    ).replace("172.31.0.11,", "172.31.0.11, macs: {eth1: '02:00:00:00:00:07'},")
    topology = loads(text, Path("t.yaml"))
    cable, port = topology.cables[0], topology.node("node1").ports[0]
    assert (str(cable), [str(end) for end in cable.strands[0]]) == (
        "node1:eth1.100 <-> node2:eth2.100",
        ["node1:eth1", "node2:eth2"],
    )
    assert (port.nic, port.under, port.peer_nic, port.mac) == ("eth1.100", "eth1", "eth2.100", None)
    [plug] = port.plugs
    assert (plug.nic, plug.mac, str(plug.peer)) == ("eth1", "02:00:00:00:00:07", "node2:eth2")


def test_vlan_on_a_bond() -> None:
    text = TRIANGLE.replace(
        "- node1:eth1 <-> node2:eth2",
        "- {cable: 'node1:bond0 <-> node2:bond0', vlan: 100, bond: {strands: [eth1 <-> eth2, eth7 <-> eth7]}}",
    )
    port = loads(text, Path("t.yaml")).node("node1").ports[0]
    assert (port.nic, port.under, [plug.nic for plug in port.plugs]) == ("bond0.100", "bond0", ["eth1", "eth7"])


def test_uplink_that_is_more_than_a_nic() -> None:
    node = loads(TRIANGLE.replace("nic: eth3", "nic: eth3\n  vlan: 200\n  bridge: br-up"), Path("t.yaml")).nodes[0]
    assert (node.uplink_nic, node.uplink_plug) == ("br-up", "eth3")
    node = loads(TRIANGLE.replace("nic: eth3", "nic: eth3\n  vlan: 200"), Path("t.yaml")).nodes[0]
    assert (node.uplink_nic, node.uplink_plug) == ("eth3.200", "eth3")
    assert loads(TRIANGLE, Path("t.yaml")).nodes[0].uplinked is None


def test_vlan_whose_name_is_too_long() -> None:
    text = TRIANGLE.replace(
        "- node1:eth1 <-> node2:eth2", "- {cable: 'node1:enp101s0f0np0 <-> node2:eth2', vlan: 4094}"
    )
    assert "the VLAN enp101s0f0np0.4094 has a longer name" in faults(text)
    assert "the VLAN enp101s0f0np0.200 has" in faults(TRIANGLE.replace("nic: eth3", "nic: enp101s0f0np0\n  vlan: 200"))


@pytest.mark.parametrize("vlan", ["0", "4095", "'x'"])
def test_vlan_ids(vlan: str) -> None:
    text = TRIANGLE.replace("- node1:eth1 <-> node2:eth2", f"- {{cable: 'node1:eth1 <-> node2:eth2', vlan: {vlan}}}")
    assert "vlan" in faults(text)


SWITCHED = (TOPOLOGIES / "switched.yaml").read_text()


def test_all_hosts_on_one_switch() -> None:
    topology = loads(SWITCHED, Path("t.yaml"))
    assert [str(cable) for cable in topology.cables] == [
        "node1:eth1 <-> node2:eth1", "node1:eth1 <-> node3:eth1", "node2:eth1 <-> node3:eth1",
    ]  # fmt: skip
    assert all(cable.shared and cable.switch for cable in topology.cables)
    ports = topology.node("node2").ports
    assert {str(port.address) for port in ports} == {"192.168.17.2/24"}
    assert [(port.peer, str(port.peer_address)) for port in ports] == [
        ("node1", "192.168.17.1/24"),
        ("node3", "192.168.17.3/24"),
    ]
    assert [plug.nic for plug in topology.node("node2").plugs] == ["eth1"]


def test_switch_beside_cables() -> None:
    text = TRIANGLE.replace("mesh:", "segment: {nic: eth8, prefix: 192.168.77.0/24, cost: 50}\nmesh:").replace(
        "172.31.0.12,", "172.31.0.12, segment_nic: eth9,"
    )
    topology = loads(text, Path("t.yaml"))
    assert len(topology.cables) == 6
    assert [(port.nic, port.cost) for port in topology.node("node2").ports[2:]] == [("eth9", 50), ("eth9", 50)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("links: 192.168.17.0/24", "links: 192.168.17.0/30", "192.168.17.0/30 has no address for node id 3"),
        ("segment:", "cables: ['node1:eth7 <-> node2:eth7']\nsegment:", "state `prefix:`"),
    ],
)
def test_what_a_switch_needs(old: str, new: str, expected: str) -> None:
    assert expected in faults(SWITCHED.replace(old, new))


def test_the_order_of_a_cables_ends_does_not_matter() -> None:
    text = TRIANGLE.replace("node1:eth1 <-> node2:eth2", "node2:eth2 <-> node1:eth1")
    assert prefixes(loads(text, Path("t.yaml"))) == prefixes(loads(TRIANGLE, Path("t.yaml")))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "cluster: triangle",
            "clutser: triangle",
            r"t.yaml:9:1: clutser: unknown key 'clutser'; did you mean 'cluster'\?",
        ),
        ("cluster: triangle", "", r"t.yaml:11:1: the key 'cluster' is missing"),
        ("disks: [/dev/sdb]", "dsks: [/dev/sdb]", r"t.yaml:12:33: nodes.node1.dsks: .*did you mean 'disks'"),
        ("172.31.0.12", "172.31.0.999", r"t.yaml:13:11: nodes.node2.address: .*'172.31.0.999'"),
        ("172.31.0.12", "172.31.0.11", r"nodes.node2.address: address 172.31.0.11 is node1's already"),
        ("node2:eth2", "node9:eth2", r"t.yaml:17:5: cables\[0\]: there is no node 'node9'; known: node1, node2, node3"),
        (
            "node1:eth1 <-> node2:eth2",
            "node1:eth1 - node2:eth2",
            r"cables\[0\]: a cable is written `node1:eth1 <-> node2:eth2`",
        ),
        ("node1:eth1 <-> node2:eth2", "node1:eth1 <-> node1:eth4", r"both ends are in node1"),
        ("node1:eth2", "node1:eth1", r"cables\[0\]: node1:eth1 is used by 2 cables; a port takes one \[port-twice\]"),
        ("node1:eth2", "node1:eth0", r"node1:eth0 is the management NIC of node1"),
        ("node1:eth2", "node1:eth3", r"node1:eth3 is the uplink NIC of node1"),
        ("links: 192.168.11.0/24", "links: 192.168.11.0/28", r"no /30 left for nodes 1 and 3"),
        ("loopbacks: 10.50.1.0/24", "loopbacks: 10.50.1.0/31", r"no address for node id 2"),
        ("203.0.113.100-203.0.113.199", "203.0.113.199-203.0.113.100", r"uplink.range: must lie within"),
        ("203.0.113.100-203.0.113.199", "203.0.113.1-203.0.113.9", r"leave out the gateway"),
        ("203.0.113.100-203.0.113.199", "1.2.3-4", r"`first-last` addresses expected"),
        ("nodes:", "nodes: {", r"t.yaml:\d+:\d+: "),
        ("mesh:", "cluster: again\nmesh:", r"the key 'cluster' stands here a second time"),
    ],
)
def test_a_fault_is_named_with_its_place(old: str, new: str, expected: str) -> None:
    assert old in TRIANGLE
    assert re.search(expected, faults(TRIANGLE.replace(old, new, 1)))


def test_all_faults_are_named_at_once() -> None:
    text = TRIANGLE.replace("172.31.0.12", "nonsense").replace("nic: eth3", "nick: eth3")
    assert len(faults(text).splitlines()) == 3


@pytest.mark.parametrize(
    "text", ["", "[]", "- a", "just words", "a: &x [*x]", "? [a]\n: b", "!!python/object:os.system {}"]
)
def test_what_is_no_topology_is_refused(text: str) -> None:
    assert faults(text).startswith("t.yaml:")


def test_deep_nesting_is_refused() -> None:
    assert "t.yaml:1:" in faults("a: " + "[" * 3000)


def test_yaml_words_that_look_like_booleans_stay_words() -> None:
    text = re.sub(r"\bnode3\b", "no", TRIANGLE)
    assert "no" in {node.name for node in loads(text, Path("t.yaml")).nodes}


@pytest.mark.parametrize("value", ["a b", "$(reboot)", "eth1;id", "../x", "-x", "x" * 16])
def test_names_that_could_inject_are_refused(value: str) -> None:
    assert "t.yaml:" in faults(TRIANGLE.replace("nic: eth3", f"nic: {value!r}"))


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=r"can't be read: No such file"):
        load(tmp_path / "none.yaml")


def test_a_binary_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TopologyError, match="not UTF-8"):
        load(tmp_path / "b")


def test_ipv6_alone_is_refused_with_what_is_possible() -> None:
    text = (TOPOLOGIES / "triangle.yaml").read_text().replace("10.50.1.0/24", "fd00:50::/64")
    with pytest.raises(TopologyError, match=r"needs an IPv4 prefix here; for IPv6 beside it state mesh\.loopbacks6"):
        loads(text, Path("t.yaml"))


@pytest.mark.parametrize(
    ("mesh", "node", "message"),
    [
        ("", "loopback6: 'fd00::1', ", "state mesh.loopbacks6, the prefix that it lies in"),
        ("loopbacks6: fd00::/127", "", "has no address for node id 2; use a larger prefix"),
        ("loopbacks6: fd00::/64", "loopback6: 'fd01::1', ", "fd01::1 is not in mesh.loopbacks6 fd00::/64"),
        ("loopbacks6: fd00::/64", "loopback6: 'fd00::2', ", "loopback6 fd00::2 is node1's already"),
        ("loopbacks6: 10.0.0.0/8", "", "mesh.loopbacks6"),
    ],
)
def test_faults_of_ipv6_loopbacks(mesh: str, node: str, message: str) -> None:
    text = (TOPOLOGIES / "triangle.yaml").read_text().replace("mesh:\n", f"mesh:\n  {mesh}\n" if mesh else "mesh:\n")
    with pytest.raises(TopologyError, match=re.escape(message)):
        loads(text.replace("node1: {", "node1: {" + node), Path("t.yaml"))
