"""What a topology asks of the lab."""

from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.lab import plan
from meshctl.lab.cables import between
from meshctl.lab.errors import LabError
from meshctl.lab.plan import LabPlan
from meshctl.topology import Topology, load

TOPOLOGIES = Path(__file__).resolve().parents[3] / "topologies"


def asked(topology: Topology, name: str = "lab") -> LabPlan:
    return plan.from_topology(topology, name, ("full", Path("/image")), userspace_ovs=True)


@pytest.fixture
def triangle() -> Topology:
    return load(TOPOLOGIES / "triangle.yaml")


@pytest.mark.parametrize("file", sorted(TOPOLOGIES.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_example_can_be_built(file: Path) -> None:
    topology = load(file)
    lab = asked(topology)
    ends = [end[2] for cable in lab.cables for end in (cable.a, cable.b)]
    plugs = [end[2] for switch in lab.switches for end in switch.plugs]
    assert len({*ends, *plugs}) == len(ends) + len(plugs) == sum(len(node.plugs) for node in topology.nodes)
    nics = [nic for host in lab.hosts for nic in host.nics]
    assert len({nic.mac for nic in nics}) == len({nic.panel for nic in nics}) == len(nics)
    assert all(len(nic.panel) <= 15 for nic in nics)
    assert plan.from_json(lab.to_json()) == lab


def test_a_host_has_all_nics_of_the_topology(triangle: Topology) -> None:
    node1 = asked(triangle).host("node1")
    assert [(nic.name, nic.bridge) for nic in node1.nics] == [
        ("eth0", "management"),
        ("eth1", "cable0"),
        ("eth2", "cable2"),
        ("eth3", "uplink"),
    ]
    assert node1.management == "172.31.0.11/24"
    assert [disk.path for disk in node1.disks] == ["/dev/sdb"]


def test_every_strand_of_a_bond_is_a_cable() -> None:
    cables = asked(load(TOPOLOGIES / "bonded.yaml")).cables
    assert [str(cable) for cable in cables[:2]] == ["node1:eth1 <-> node2:eth1", "node1:eth2 <-> node2:eth2"]
    assert [cable.bridge for cable in cables[:3]] == ["cable0s0", "cable0s1", "cable1s0"]


def test_nic_that_leads_to_many_is_plugged_into_a_switch() -> None:
    """The uplink's VLAN is on the same NIC, so there is no cable for it."""
    lab = asked(load(TOPOLOGIES / "vlans.yaml"))
    assert lab.cables == ()
    [switch] = lab.switches
    assert [end[:2] for end in switch.plugs] == [("node1", "eth1"), ("node2", "eth1"), ("node3", "eth1")]
    assert [(nic.name, nic.bridge) for nic in lab.host("node1").nics] == [
        ("eth0.10", "management"),
        ("eth1", "switch1"),
    ]


def test_macs_are_stable_and_differ_between_labs(triangle: Topology) -> None:
    one, again, other = (asked(triangle, name).host("node1").nic("eth1").mac for name in ("a", "a", "b"))
    assert one == again != other
    assert int(one[:2], 16) & 0b11 == 0b10  # local, unicast


def test_the_controller_takes_an_address_that_nobody_has(triangle: Topology) -> None:
    assert asked(triangle).controller == "172.31.0.254/24"
    nodes = (replace(triangle.nodes[0], management="172.31.0.254"), *triangle.nodes[1:])
    assert asked(replace(triangle, nodes=nodes)).controller == "172.31.0.253/24"


def test_hosts_far_apart_share_a_larger_network(triangle: Topology) -> None:
    nodes = (replace(triangle.nodes[0], management="172.31.1.7"), *triangle.nodes[1:])
    assert {host.management[-3:] for host in asked(replace(triangle, nodes=nodes)).hosts} == {"/23"}


def test_ipv6_management(triangle: Topology) -> None:
    nodes = tuple(replace(node, management=f"fd00::{node.id}") for node in triangle.nodes)
    lab = asked(replace(triangle, nodes=nodes))
    assert lab.controller == "fd00::ffff:ffff:ffff:fffe/64"
    assert lab.host("node1").management == "fd00::1/64"


def test_names_as_addresses_are_refused(triangle: Topology) -> None:
    nodes = (replace(triangle.nodes[0], management="node1.example.org"), *triangle.nodes[1:])
    with pytest.raises(LabError, match="not names"):
        asked(replace(triangle, nodes=nodes))


def test_a_plan_of_another_version_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "lab.json"
    assert plan.load(file) is None
    file.write_text('{"name": "old"}')
    with pytest.raises(LabError, match="another version") as e:
        plan.load(file)
    assert "lab down" in e.value.advice


def test_cables_are_found_by_their_ends() -> None:
    lab = asked(load(TOPOLOGIES / "dual.yaml"))
    a, b = lab.cables[0].a, lab.cables[0].b
    pair = between(lab, a[0], b[0])
    assert len(pair) == 2
    assert between(lab, f"{a[0]}:{a[1]}", b[0]) == between(lab, b[0], f"{a[0]}:{a[1]}") == [lab.cables[0]]
    with pytest.raises(LabError, match="no cable between"):
        between(lab, a[0], "nobody")
    with pytest.raises(LabError, match="no cable between"):
        between(lab, a[0], a[0])
