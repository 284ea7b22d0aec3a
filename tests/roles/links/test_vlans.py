"""VLANs and the uplink's bridge: what the kernel should have, and how it gets there.

VLANs have not run here: the lab's kernel has none.
"""

from dataclasses import replace
from pathlib import Path

from meshctl.roles.links.cables import check, drift
from meshctl.roles.links.iproute import commands
from meshctl.roles.links.parse import Link
from meshctl.roles.links.role import Links
from meshctl.roles.links.wanted import Kind, devices
from meshctl.topology import Node, Topology, loads
from tests.roles import golden

MESH = golden.topology("vlans")
NODE1 = MESH.node("node1")
TRIANGLE = (golden.TOPOLOGIES / "triangle.yaml").read_text()


def mesh(old: str, new: str) -> Topology:
    assert old in TRIANGLE
    return loads(TRIANGLE.replace(old, new), Path("t.yaml"))


def kernel(node: Node) -> dict[str, Link]:
    """All as it should be."""
    return {
        device.name: Link(device.name, n, device.mtu or 1500, up=True, carrier=True,
                          addresses=frozenset(device.addresses), master=device.master or "")
        for n, device in enumerate(devices(node))
    }  # fmt: skip


def told(node: Node, links: dict[str, Link]) -> list[str]:
    return [" ".join(argv) for _, argv in commands(devices(node), links)]


def test_nic_of_many_vlans_is_there_once_and_first() -> None:
    names = [device.name for device in devices(NODE1)]
    assert names == ["lo", "eth1", "eth1.12", "eth1.13", "eth1.200", "br-uplink"]
    eth1 = devices(NODE1)[1]
    assert (eth1.kind, eth1.mtu, eth1.addresses) == (Kind.NIC, 9000, ())
    assert eth1.carries == ("eth1.12", "eth1.13", "eth1.200")


def test_nic_that_is_used_with_and_without_vlan() -> None:
    topology = mesh("nic: eth3", "nic: eth3\n  vlan: 200")
    text = TRIANGLE.replace(
        "- node3:eth1 <-> node1:eth2",
        "- node3:eth1 <-> node1:eth2\n  - {cable: 'node1:eth1 <-> node3:eth7', vlan: 5, mtu: 1400}",
    )
    eth1 = next(d for d in devices(loads(text, Path("t.yaml")).node("node1")) if d.name == "eth1")
    assert (str(eth1.addresses[0]), eth1.mtu, eth1.carries, eth1.routed) == ("192.168.11.1/30", 1500, ("eth1.5",), True)
    assert [d.name for d in devices(topology.nodes[0])][-2:] == ["eth3", "eth3.200"]


def test_vlan_on_a_bond_comes_after_it() -> None:
    topology = mesh(
        "- node1:eth1 <-> node2:eth2",
        "- {cable: 'node1:bond0 <-> node2:bond0', vlan: 9, bond: {strands: [eth1 <-> eth2, eth7 <-> eth7]}}",
    )
    found = devices(topology.node("node1"))
    assert [d.name for d in found] == ["lo", "eth1", "eth7", "eth2", "eth3", "bond0", "bond0.9"]
    assert [(d.name, d.master) for d in found if d.master] == [("eth1", "bond0"), ("eth7", "bond0")]
    files = Links(topology).render(topology.node("node1"))
    assert b"VLAN=bond0.9\n" in files["/etc/systemd/network/05-meshctl-bond0.network"].content


def test_kernel_gets_vlans_and_then_the_bridge() -> None:
    links = {name: link for name, link in kernel(NODE1).items() if name in {"lo", "eth1"}}
    links["eth1"] = replace(links["eth1"], mtu=1500)
    assert told(NODE1, links) == [
        "ip link add link eth1 name eth1.12 type vlan id 12",
        "ip link add link eth1 name eth1.13 type vlan id 13",
        "ip link add link eth1 name eth1.200 type vlan id 200",
        "ip link add name br-uplink type bridge stp_state 0",
        "ip link set dev eth1.200 master br-uplink",
        "ip link set dev eth1 mtu 9000",  # a VLAN can't have more than its NIC
        "ip link set dev eth1.12 mtu 9000",
        "ip link set dev eth1.12 up",
        "ip address replace 192.168.16.1/30 dev eth1.12",
        "ip link set dev eth1.13 mtu 9000",
        "ip link set dev eth1.13 up",
        "ip address replace 192.168.16.17/30 dev eth1.13",
        "ip link set dev eth1.200 mtu 1500",
        "ip link set dev eth1.200 up",
        "ip link set dev br-uplink up",
    ]
    assert told(NODE1, kernel(NODE1)) == []


def test_nic_outside_the_bridge_is_named() -> None:
    node = mesh("nic: eth3", "nic: eth3\n  bridge: br-up").nodes[0]
    links = kernel(node)
    assert drift(node, links) == {}
    links["eth3"] = replace(links["eth3"], master="")
    assert drift(node, links) == {"eth3": "eth3 is in nothing instead of br-up"}
    [problem] = check(node, links)
    assert problem.expected == "a member of br-up"
    assert told(node, links) == [
        "ip link set dev eth3 down", "ip link set dev eth3 master br-up", "ip link set dev eth3 up",
    ]  # fmt: skip


def test_nic_that_ovn_has_taken_is_left_there() -> None:
    """Without a bridge of ours the uplink NIC becomes a port of an OVS bridge, and that is right."""
    node = mesh("nic: eth3", "nic: eth3").nodes[0]
    links = kernel(node)
    links["eth3"] = replace(links["eth3"], master="ovs-system")
    assert drift(node, links) == {}
