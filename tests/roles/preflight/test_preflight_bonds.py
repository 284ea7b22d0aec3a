"""NICs that a bond or a bridge has already taken when preflight looks."""

from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.roles.preflight import nics
from meshctl.roles.preflight.parse import HostFacts, Nic, host_facts
from meshctl.topology import End, Plug, Topology
from tests.roles import golden

DATA = Path(__file__).parent / "data"


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def facts() -> HostFacts:
    return host_facts((DATA / "empty.txt").read_text())


def test_strand_of_a_bond_that_is_up_already(mesh: Topology, facts: HostFacts) -> None:
    """All members show the bond's address; the one they were made with is the pinned one."""
    node = mesh.nodes[0]
    members = tuple(Plug(nic, f"02:00:00:00:00:0{nic[-1]}", End("node2", nic)) for nic in ("eth1", "eth2"))
    port = replace(node.ports[0], nic="bond0", members=members)
    bond = nic_of("bond0", mac="02:00:00:00:00:02")
    seen = {
        **facts.nics,  # type: ignore[dict-item]
        "bond0": bond,
        "eth1": replace(bond, name="eth1", permanent="02:00:00:00:00:01"),
        "eth2": replace(bond, name="eth2"),
    }
    pinned = replace(node, ports=(port,))
    assert list(nics.check(mesh, pinned, replace(facts, nics=seen))) == []
    [problem] = nics.check(mesh, pinned, replace(facts, nics=seen | {"eth1": replace(bond, name="eth1", mac="02:ff")}))
    assert problem.what == "eth1 is not the NIC of the topology"


def nic_of(name: str, mac: str) -> Nic:
    return Nic(name, mac, max_mtu=0, addresses=())
