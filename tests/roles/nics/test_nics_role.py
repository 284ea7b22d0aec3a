"""Pinned NICs: found by their address, named as the topology has it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError
from meshctl.host.fake import FakeHost
from meshctl.roles.nics.parse import by_mac
from meshctl.roles.nics.role import LINKS, LIST, Nics
from meshctl.state import StateFolder
from meshctl.topology import Topology, load, loads
from tests.roles import golden

TRIANGLE = Path(__file__).parents[3] / "topologies/triangle.yaml"
ONE, TWO, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:09"
LINK = "/etc/systemd/network/05-meshctl-eth1.link"


def pinned(**macs: str) -> Topology:
    """The triangle with NICs of node1 pinned."""
    topology = load(TRIANGLE)
    node, *others = topology.nodes
    ports = tuple(replace(port, mac=macs.get(port.nic)) for port in node.ports)
    return replace(topology, nodes=(replace(node, ports=ports), *others))


def host(nics: dict[str, str], files: str = "") -> FakeHost:
    fake = FakeHost("node1")
    links = [
        {"ifindex": i, "ifname": name, "address": mac, "link_type": "ether"}
        for i, (name, mac) in enumerate(nics.items())
    ]
    fake.on(" ".join(LINKS), json.dumps(links)).on(" ".join(LIST), files).on("sh -c set -e*")
    return fake


async def apply(topology: Topology, fake: FakeHost, tmp_path: Path) -> tuple[Nics, Cluster]:
    cluster = Cluster(topology, {"node1": fake}, StateFolder(tmp_path))
    role = Nics(topology)
    await role.apply(topology.nodes[0], fake, cluster)
    return role, cluster


@pytest.mark.parametrize("name", ["triangle", "five"])
def test_files_are_as_reviewed(name: str) -> None:
    topology = golden.topology(name)
    nodes = [
        replace(node, ports=tuple(replace(port, mac=f"02:00:00:00:00:{n:02x}") for n, port in enumerate(node.ports)))
        for node in topology.nodes
    ]
    golden.check_files(__file__, f"{name}-pinned", {node.name: Nics(topology).render(node) for node in nodes})


async def test_a_nic_that_the_kernel_calls_otherwise_is_renamed(tmp_path: Path) -> None:
    fake = host({"eth0": OTHER, "enp9s0": ONE, "eth2": TWO})
    role, cluster = await apply(pinned(eth1=ONE), fake, tmp_path)
    assert fake.written == [LINK]
    assert f"MACAddress={ONE}\nType=ether\n\n[Link]\nNamePolicy=\nName=eth1\n" in fake.files[LINK].content.decode()
    assert [line.split("rename ")[1] for line in fake.ran] == ["enp9s0 eth1"]
    assert len(fake.safeguards) == 2  # armed and confirmed
    [problem] = await role.verify(cluster)  # the fake's kernel has not followed
    assert (problem.expected, problem.seen) == (f"{ONE} as eth1", f"{ONE} as enp9s0")


async def test_names_that_were_exchanged_are_exchanged_again(tmp_path: Path) -> None:
    fake = host({"eth1": TWO, "eth2": ONE})
    await apply(pinned(eth1=ONE, eth2=TWO), fake, tmp_path)
    assert fake.ran[0].split("rename ")[1] in {"eth2 eth1 eth1 eth2", "eth1 eth2 eth2 eth1"}


async def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    topology = pinned(eth1=ONE)
    fake = host({"eth1": ONE, "eth2": TWO}, files=LINK)
    fake.files.update(Nics(topology).render(topology.nodes[0]))
    role, cluster = await apply(topology, fake, tmp_path)
    assert await role.verify(cluster) == []
    assert (fake.ran, fake.written, fake.safeguards) == ([], [], [])


async def test_without_pins_nothing_is_named(tmp_path: Path) -> None:
    fake = host({"eth1": ONE})
    role, cluster = await apply(pinned(), fake, tmp_path)
    assert await role.verify(cluster) == []
    assert (fake.ran, fake.written) == ([], [])


async def test_a_pin_that_was_taken_back_takes_its_file_along(tmp_path: Path) -> None:
    fake = host({"eth1": ONE}, files=LINK).on("rm -f *")
    await apply(pinned(), fake, tmp_path)
    assert fake.ran == [f"rm -f -- {LINK}"]


@pytest.mark.parametrize(("name", "said"), [("eth0", "the management NIC"), ("eth1", f"another NIC, {OTHER}")])
async def test_a_name_that_somebody_else_has_is_refused(tmp_path: Path, name: str, said: str) -> None:
    topology = pinned(eth1=ONE)
    node, *others = topology.nodes
    ports = tuple(replace(port, nic=name if port.nic == "eth1" else port.nic) for port in node.ports)
    topology = replace(topology, nodes=(replace(node, ports=ports), *others))
    fake = host({name: OTHER, "enp9s0": ONE})
    with pytest.raises(RefusedError, match=said):
        await apply(topology, fake, tmp_path)
    assert (fake.ran, fake.written) == ([], [])


def test_the_nic_below_others_is_meant() -> None:
    links = [
        {"ifindex": 7, "ifname": "vlan5", "address": ONE, "link_type": "ether"},
        {"ifindex": 2, "ifname": "eth1", "address": ONE, "link_type": "ether"},
        {"ifindex": 3, "ifname": "eth2", "address": OTHER, "permaddr": TWO, "link_type": "ether"},
        {"ifindex": 1, "ifname": "lo", "address": "00:00:00:00:00:00", "link_type": "loopback"},
    ]
    assert by_mac(json.dumps(links)) == {ONE: "eth1", TWO: "eth2", OTHER: "eth2"}


def test_members_of_a_bond_are_known_by_the_address_they_were_made_with() -> None:
    """All of them show the bond's, which is that of the member that came first."""
    links = [
        {"ifindex": 2, "ifname": "eth1", "address": TWO, "permaddr": ONE, "master": "bond0", "link_type": "ether"},
        {"ifindex": 3, "ifname": "eth2", "address": TWO, "master": "bond0", "link_type": "ether"},
        {"ifindex": 4, "ifname": "bond0", "address": TWO, "link_type": "ether"},
    ]
    assert by_mac(json.dumps(links)) == {ONE: "eth1", TWO: "eth2"}


def test_strands_of_a_bond_can_be_pinned() -> None:
    text = (TRIANGLE.parent / "bonded.yaml").read_text()
    topology = loads(text.replace("172.31.4.11,", f"172.31.4.11, macs: {{eth2: '{TWO}'}},"), Path("t.yaml"))
    [(path, file)] = Nics(topology).render(topology.nodes[0]).items()
    assert path.endswith("05-meshctl-eth2.link")
    assert f"MACAddress={TWO}" in file.content.decode()
