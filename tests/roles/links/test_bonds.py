"""Bonds: what the driver shows when they work, and every way in which they don't.

No bond has run here: the lab's kernel has no bonding. The values are those of Documentation/networking/bonding.rst and
drivers/net/bonding/bond_sysfs.c.
"""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from meshctl.host.fake import FakeHost
from meshctl.roles.condition import State
from meshctl.roles.links import bonds
from meshctl.roles.links.cables import drift
from meshctl.roles.links.iproute import commands
from meshctl.roles.links.parse import Link
from meshctl.roles.links.status import Look, judge
from meshctl.roles.links.wanted import devices
from tests.roles import golden

MESH = golden.topology("bonded")
NODE1 = MESH.node("node1")
FAR = "02:00:00:00:02:00"
SYS = """\
bond0/bonding/mode:802.3ad 4
bond0/bonding/ad_partner_mac:02:00:00:00:02:00
bond0/bonding/ad_num_ports:2
bond1/bonding/mode:active-backup 1
bond1/bonding/active_slave:eth3
eth1/bonding_slave/mii_status:up
eth2/bonding_slave/mii_status:up
eth3/bonding_slave/mii_status:up
eth4/bonding_slave/mii_status:up
"""


def link(name: str, mac: str = "", master: str = "", mtu: int = 9000) -> Link:
    return Link(name, 7, mtu, up=True, carrier=True, addresses=frozenset(), mac=mac, master=master)


LINKS = {"node2": {"bond0": link("bond0", FAR)}, "node3": {"bond1": link("bond1")}}


async def asked(text: str = SYS) -> Mapping[str, bonds.Bond]:
    host = FakeHost("node1").on("sh -c cd /sys/class/net *", text)
    return await bonds.ask(NODE1, host)


async def said(text: str = SYS) -> list[str]:
    return [problem.what for problem in bonds.check(MESH, NODE1, await asked(text), LINKS)]


async def test_bonds_that_work() -> None:
    found = await asked()
    assert found["bond0"] == bonds.Bond("802.3ad", "", FAR, 2, {"eth1": True, "eth2": True})
    assert (found["bond1"].mode, found["bond1"].active, found["bond1"].ports) == ("active-backup", "eth3", 0)
    assert await said() == []


async def test_hosts_without_bonds_are_not_asked() -> None:
    host = FakeHost("node1")
    assert await bonds.ask(golden.topology("triangle").nodes[0], host) == {}
    assert host.queried == []


CABLE = "node1:bond0 <-> node2:bond0"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("partner_mac:02:00:00:00:02:00", "partner_mac:00:00:00:00:00:00", f"LACP aggregates nothing on {CABLE}"),
        ("bond0/bonding/ad_partner_mac:02:00:00:00:02:00\n", "", f"LACP aggregates nothing on {CABLE}"),
        ("num_ports:2", "num_ports:1", f"LACP uses 1 of 2 strands of {CABLE}"),
        ("partner_mac:02:00:00:00:02:00", "partner_mac:02:99:00:00:00:01", f"LACP talks to a stranger on {CABLE}"),
        ("eth4/bonding_slave/mii_status:up", "eth4/bonding_slave/mii_status:down",
         "a strand of node1:bond1 <-> node3:bond1 is dead: node1:eth4 <-> node3:eth4"),
        ("802.3ad 4", "balance-rr 0", "bond0 has another mode"),
    ],
)  # fmt: skip
async def test_bond_that_does_not(old: str, new: str, problem: str) -> None:
    assert old in SYS
    assert await said(SYS.replace(old, new)) == [problem]


async def test_dead_strand_is_not_blamed_on_lacp() -> None:
    one = SYS.replace("eth2/bonding_slave/mii_status:up", "eth2/bonding_slave/mii_status:down")
    assert await said(one.replace("num_ports:2", "num_ports:1")) == [
        f"a strand of {CABLE} is dead: node1:eth2 <-> node2:eth2"
    ]


async def test_partner_behind_a_switch_is_the_switch() -> None:
    cables = (replace(MESH.cables[0], switch=True), *MESH.cables[1:])
    mesh = replace(MESH, cables=cables)
    found = await asked(SYS.replace("partner_mac:02:00:00:00:02:00", "partner_mac:02:99:00:00:00:01"))
    assert list(bonds.check(mesh, NODE1, found, LINKS)) == []


def kernel() -> dict[str, Link]:
    """Node1 as it should be."""
    found = {}
    for device in devices(NODE1):
        made = link(device.name, master=device.master or "", mtu=device.mtu or 1500)
        found[device.name] = replace(made, addresses=frozenset(device.addresses))
    return found


def test_member_outside_its_bond_is_drift() -> None:
    links = kernel()
    assert drift(NODE1, links) == {}
    links["eth2"] = replace(links["eth2"], master="")
    assert drift(NODE1, links) == {"eth2": "eth2 is in nothing instead of bond0"}


def told(links: Mapping[str, Link]) -> list[str]:
    return [" ".join(argv) for _, argv in commands(devices(NODE1), links)]


def test_kernel_gets_a_bond_before_its_members() -> None:
    links = {name: one for name, one in kernel().items() if not name.startswith("bond")}
    links |= {name: replace(one, master="") for name, one in links.items()}
    lines = told(links)
    made = (
        "ip link add name bond0 type bond mode 802.3ad miimon 100 xmit_hash_policy layer3+4 lacp_rate fast min_links 1"
    )
    assert lines[:2] == [made, "ip link add name bond1 type bond mode active-backup miimon 100"]
    assert lines[2:5] == [
        "ip link set dev eth1 down", "ip link set dev eth1 master bond0", "ip link set dev eth2 down",
    ]  # fmt: skip
    assert "ip link set dev bond1 type bond primary eth3" in lines
    assert lines.index("ip link set dev eth1 master bond0") < lines.index(
        "ip address replace 192.168.15.1/30 dev bond0"
    )


def test_kernel_that_is_right_is_told_nothing() -> None:
    assert told(kernel()) == []


async def test_status_shows_a_bond_that_does_not_aggregate() -> None:
    looks = {}
    for node in MESH.nodes:
        answers = {port.cable: (True, True) for port in node.ports}
        links = {
            device.name: replace(
                link(device.name, FAR, device.master or "", device.mtu or 1500), addresses=frozenset(device.addresses)
            )
            for device in devices(node)
        }
        looks[node.name] = Look(links, answers)
    assert judge(MESH, looks, {}).state is State.HEALTHY
    broken = await asked(SYS.replace("num_ports:2", "num_ports:1"))
    found = judge(MESH, looks | {"node1": replace(looks["node1"], bonds=broken)}, {})
    assert (found.state, [problem.what for problem in found.problems]) == (
        State.DEGRADED,
        [f"LACP uses 1 of 2 strands of {CABLE}"],
    )
