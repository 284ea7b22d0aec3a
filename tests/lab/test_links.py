"""Links beyond a NIC with an address: an uplink in a bridge, another renderer, and all hosts on one switch."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import ROOT, TRIANGLE, Lab, running_lab

pytestmark = [pytest.mark.lab, pytest.mark.long]

HOSTS = ("node1", "node2", "node3")
NETWORKD = "ls /etc/systemd/network"
INTERFACES = "/etc/network/interfaces.d/meshctl"
ADDRESSES = "ip -4 -o addr show | awk '{ print $2, $4 }' | sort"
SWITCHED = "topologies/switched.yaml"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    yield from running_lab(f"li-{os.getpid()}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("topologies")


def variant(folder: Path, name: str, *changes: tuple[str, str]) -> str:
    """The triangle with parts of its text replaced."""
    text = Path(ROOT, TRIANGLE).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / f"{name}.yaml").write_text(text)
    return str(folder / f"{name}.yaml")


BRIDGE = ("  nic: eth3\n", "  nic: eth3\n  bridge: br-up\n")
IFUPDOWN = ("node2: {", "node2: {renderer: ifupdown, ")
BREAKING = ("  - node1:eth1 <-> node2:eth2", '  - {cable: "node1:eth1 <-> node2:eth2", prefix: 172.31.0.252/30}')


def links(lab: Lab, topology: str) -> int:
    """Changes made by the links layer and what it needs."""
    report = lab.report("bootstrap", topology, "--only", "wiring", "links", "--yes")
    assert report["ok"], report["problems"]
    changed: int = report["changed"]
    return changed


def test_uplink_in_a_bridge_and_out_of_it(lab: Lab, folder: Path) -> None:
    bridged = variant(folder, "bridged", BRIDGE)
    assert links(lab, lab.topology) > 0
    assert links(lab, bridged) > 0
    for node in HOSTS:
        assert "master br-up" in lab.ssh(node, "ip -o link show eth3")
        assert "stp_state 0" in lab.ssh(node, "ip -d -o link show br-up")
        assert "br-up" not in lab.ssh(node, ADDRESSES)
    assert links(lab, bridged) == 0
    lab.ssh("node1", "ip link set eth3 nomaster")
    links(lab, bridged)  # may find nothing to do: networkd can have put it back by itself
    assert "master br-up" in lab.ssh("node1", "ip -o link show eth3")
    assert links(lab, lab.topology) > 0
    for node in HOSTS:
        assert "master" not in lab.ssh(node, "ip -o link show eth3")
        assert "br-up" not in lab.ssh(node, f"ip -o link; {NETWORKD}")


def test_another_renderer_takes_over_without_a_gap(lab: Lab, folder: Path) -> None:
    """ifupdown itself isn't on the hosts: what is tried is the change, not the next boot."""
    other = variant(folder, "ifupdown", IFUPDOWN, BRIDGE)
    before = lab.ssh("node2", ADDRESSES)
    refused = lab.call("bootstrap", other, "--only", "wiring", "links", "--yes")
    assert refused.returncode != 0
    assert "does not read" in refused.stdout + refused.stderr
    lab.ssh(
        "node2",
        "mkdir -p /etc/network/interfaces.d; echo 'source /etc/network/interfaces.d/*' >/etc/network/interfaces",
    )
    assert links(lab, other) > 0
    assert lab.ssh("node2", ADDRESSES) == before
    assert "05-meshctl" not in lab.ssh("node2", NETWORKD)
    assert "bridge-ports eth3" in lab.ssh("node2", f"cat {INTERFACES}")
    assert "master br-up" in lab.ssh("node2", "ip -o link show eth3")
    assert links(lab, other) == 0
    address = "192.168.11.2/30"
    lab.ssh("node2", f"ip addr del {address} dev eth2; ip link set eth1 mtu 1400")
    assert links(lab, other) > 0
    assert lab.ssh("node2", ADDRESSES) == before
    assert "mtu 1500" in lab.ssh("node2", "ip -o link show eth1")


def test_dead_man_switch_guards_the_other_renderer_as_well(lab: Lab, folder: Path) -> None:
    """Node2 loses its way to us; the file, the addresses and the bridge are as before afterwards."""
    lab.ok("bootstrap", variant(folder, "plain", IFUPDOWN), "--only", "wiring", "links", "--yes")
    look = f"cat {INTERFACES}; {ADDRESSES}; ip -o link | awk '{{ print $2 }}' | sort"
    before = lab.ssh("node2", look)
    assert "br-up" not in before
    breaking = variant(folder, "breaking", IFUPDOWN, BRIDGE, BREAKING)
    done = lab.call("bootstrap", breaking, "--only", "wiring", "links", "--yes")
    assert done.returncode == 4
    said = done.stdout + done.stderr
    assert f"restored {INTERFACES}" in said
    assert "removed the device br-up" in said
    assert lab.ssh("node2", look) == before


def test_host_keeps_its_renderer_until_the_topology_says_otherwise(lab: Lab) -> None:
    lab.ok("bootstrap", lab.topology, "--only", "wiring", "links", "--yes")
    assert "meshctl" in lab.ssh("node2", f"ls {INTERFACES}")


def test_instances_reach_the_uplink_through_a_bridge(lab: Lab, folder: Path) -> None:
    """The whole cluster, smoke test included, with Incus' uplink in a Linux bridge."""
    whole = variant(folder, "whole", BRIDGE, ("node2: {", "node2: {renderer: networkd, "))
    report = lab.report("bootstrap", whole, "--yes")
    assert report["ok"], report["problems"]
    assert "05-meshctl-eth1.network" in lab.ssh("node2", NETWORKD)
    assert lab.report("bootstrap", whole, "--yes")["changed"] == 0


@pytest.fixture(scope="module")
def switched() -> Iterator[Lab]:
    yield from running_lab(f"sw-{os.getpid()}", topology=SWITCHED)


def test_all_layers_above_one_switch(switched: Lab) -> None:
    report = switched.bootstrap()
    assert report["ok"], report["problems"]
    assert switched.bootstrap()["changed"] == 0
    found = switched.ssh("node1", "vtysh -c 'show ip ospf neighbor'")
    assert found.count("Full/") == 2
    assert "192.168.17.1/24" in switched.ssh("node1", ADDRESSES)


def test_plug_out_of_the_switch_and_back(switched: Lab) -> None:
    """The other two go on; the host comes back by itself."""
    switched.ok("lab", "cut", switched.topology, "node3", "switch1")
    done = switched.call("--output", "json", "verify", switched.topology)
    assert done.returncode == 4
    links = [(one["host"], one["what"]) for one in json.loads(done.stdout)["problems"] if one["step"] == "links.verify"]
    assert any(host == "node3" and what.startswith("no carrier on node3:eth1") for host, what in links), done.stdout
    assert {host for host, _ in links} == {"node3"}, "the other two have nothing to complain about"
    assert "1 packets transmitted, 1 received" in switched.ssh("node1", "ping -q -c 1 -W 2 -I 10.50.7.1 10.50.7.2")
    switched.ok("lab", "heal", switched.topology, "node3", "switch1")
    report = switched.bootstrap()
    assert report["ok"], report["problems"]
