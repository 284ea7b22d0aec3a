"""The links role against fake hosts whose kernel is a dictionary."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import ParseError, RefusedError
from meshctl.host.fake import FakeHost
from meshctl.host.views import ReadOnlyHost
from meshctl.roles.links.networkd import FOLDER, PREFIX
from meshctl.roles.links.role import Links
from meshctl.state import StateFolder
from meshctl.topology import Node, Topology
from tests.roles import golden

OURS = "sh -c exec grep *"
ALL = "sh -c for f in *"
TIMES = "sh -c stat *"
HABITS = "sh -c systemctl -q is-active *"


@dataclass
class Kernel:
    """NICs with MTU, flags and addresses; networkd sets them from the topology when it is told to."""

    node: Node
    host: FakeHost
    nics: dict[str, dict[str, Any]] = field(default_factory=dict)

    def show(self) -> None:
        entries = [
            {
                "ifindex": number,
                "ifname": name,
                "flags": ["UP", "LOWER_UP"] if nic["up"] else [],
                "mtu": nic["mtu"],
                "addr_info": [
                    {"family": "inet", "local": str(address.ip), "prefixlen": address.network.prefixlen}
                    for address in nic["addresses"]
                ],
            }
            for number, (name, nic) in enumerate(self.nics.items(), 1)
        ]
        self.host.on("ip -j addr show", json.dumps(entries))

    def configure(self) -> None:
        """What networkd does after a reload or a reconfigure."""
        for port in self.node.ports:
            self.nics[port.nic] |= {"up": True, "mtu": port.mtu, "addresses": {port.address}}
        self.nics["lo"]["addresses"] = {IPv4Interface(self.node.loopback)}
        if self.node.uplink_nic:
            self.nics[self.node.uplink_nic]["up"] = True
        self.show()


def fresh(node: Node) -> Kernel:
    """A host whose mesh NICs are down, with networkd running for the management NIC."""
    host = FakeHost(node.name)
    kernel = Kernel(node, host, {"lo": {"up": True, "mtu": 65536, "addresses": set()}})
    kernel.nics["eth0"] = {"up": True, "mtu": 1500, "addresses": {IPv4Interface(f"{node.management}/24")}}
    for nic in [*(port.nic for port in node.ports), node.uplink_nic or "eth9"]:
        kernel.nics[nic] = {"up": False, "mtu": 1500, "addresses": set()}
    kernel.show()
    host.on("systemctl is-active systemd-networkd.service", "active\n")
    host.on("systemctl is-enabled systemd-networkd.service", "enabled\n")
    host.on(OURS, status=2).on(ALL, "/etc/systemd/network/10-management.network\n").on(TIMES)
    host.on(HABITS, "networkd\n")
    host.on("networkctl re*", then=kernel.configure)
    host.on("ping *", "1 packets transmitted, 1 received\n")
    return kernel


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def kernels(mesh: Topology) -> dict[str, Kernel]:
    return {node.name: fresh(node) for node in mesh.nodes}


def cluster_of(mesh: Topology, kernels: dict[str, Kernel]) -> Cluster:
    hosts = {name: ReadOnlyHost(kernel.host) for name, kernel in kernels.items()}
    return Cluster(mesh, hosts, StateFolder(Path("/nowhere")))


async def apply(mesh: Topology, kernels: dict[str, Kernel], name: str = "node1") -> FakeHost:
    kernel = kernels[name]
    kernel.host.ran.clear()
    kernel.host.written.clear()
    await Links(mesh).apply(kernel.node, kernel.host, cluster_of(mesh, kernels))
    return kernel.host


async def test_first_run_writes_and_reloads(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    host = await apply(mesh, kernels)
    assert host.ran == ["networkctl reload"]
    assert host.written == [f"{FOLDER}/{PREFIX}{nic}.network" for nic in ("eth1", "eth2", "eth3", "lo")]


async def test_second_run_changes_nothing(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    await apply(mesh, kernels)
    host = await apply(mesh, kernels)
    assert host.ran == host.written == []


async def test_management_nic_has_no_file(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    host = await apply(mesh, kernels)
    assert not [path for path in host.files if "eth0" in path]


@pytest.mark.parametrize(
    ("nic", "change", "reason"),
    [("eth1", {"addresses": set()}, "eth1 lacks 192.168.11.1/30"), ("eth2", {"mtu": 1400}, "eth2 has MTU 1400"),
     ("eth1", {"up": False}, "eth1 is down"), ("lo", {"addresses": set()}, "lo lacks 10.50.1.1/32")],
)  # fmt: skip
async def test_drift_is_repaired_without_touching_files(
    mesh: Topology, kernels: dict[str, Kernel], nic: str, change: dict[str, Any], reason: str
) -> None:
    await apply(mesh, kernels)
    kernels["node1"].nics[nic] |= change
    kernels["node1"].show()
    problems = await Links(mesh).verify(cluster_of(mesh, kernels))
    assert any(reason in problem.what for problem in problems)
    host = await apply(mesh, kernels)
    assert host.ran == [f"networkctl reconfigure {nic}"]
    assert host.written == []


async def test_killed_between_writing_and_reload(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    kernel = kernels["node1"]
    await apply(mesh, kernels)
    index = list(kernel.nics).index("eth1") + 1
    times = f"200.1 {FOLDER}/{PREFIX}eth1.network\n{{}} /run/systemd/netif/links/{index}\n"
    kernel.host.on(TIMES, times.format("200.0"))

    def read() -> None:
        kernel.host.on(TIMES, times.format("200.2"))

    kernel.host.on("networkctl reload", then=read)
    assert (await apply(mesh, kernels)).ran == ["networkctl reload"]


async def test_nic_that_left_the_mesh_loses_address_and_file(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    kernel = kernels["node1"]
    await apply(mesh, kernels)
    stale = f"{FOLDER}/{PREFIX}eth7.network"
    kernel.nics["eth7"] = {"up": True, "mtu": 1500, "addresses": {IPv4Interface("192.168.11.5/30")}}
    kernel.show()
    kernel.host.on(OURS, f"{stale}:Name=eth7\n{stale}:Address=192.168.11.5/30\n")
    kernel.host.on("ip addr del *", then=_gone(kernel, "eth7")).on("rm -f -- *")
    host = await apply(mesh, kernels)
    assert host.ran == ["ip addr del 192.168.11.5/30 dev eth7", f"rm -f -- {stale}", "networkctl reload"]


def _gone(kernel: Kernel, nic: str) -> Callable[[], None]:
    def remove() -> None:
        kernel.nics[nic]["addresses"] = set()
        kernel.show()

    return remove


async def test_networkd_is_started_where_nothing_else_depends_on_it(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    kernel = kernels["node1"]
    kernel.host.on("systemctl is-active *", "inactive\n", status=3).on(ALL, "")
    kernel.host.on("sh -c systemctl enable --now systemd-networkd.service *", then=kernel.configure)
    assert len((await apply(mesh, kernels)).ran) == 1


async def test_networkd_is_not_started_over_files_it_never_used(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    kernel = kernels["node1"]
    kernel.host.on("systemctl is-active *", "inactive\n", status=3)
    with pytest.raises(RefusedError, match=r"10-management\.network"):
        await apply(mesh, kernels)
    assert kernel.host.written == kernel.host.ran == []


async def test_networkd_is_enabled(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    await apply(mesh, kernels)
    kernels["node1"].host.on("systemctl is-enabled *", "disabled\n", status=1).on("systemctl enable *")
    assert (await apply(mesh, kernels)).ran == ["systemctl enable systemd-networkd.service"]


async def test_output_that_is_no_list_of_interfaces(mesh: Topology, kernels: dict[str, Kernel]) -> None:
    kernels["node1"].host.on("ip -j addr show", "what?")
    with pytest.raises(ParseError):
        await apply(mesh, kernels)


@pytest.fixture
async def healthy(mesh: Topology, kernels: dict[str, Kernel]) -> dict[str, Kernel]:
    for name in kernels:
        await apply(mesh, kernels, name)
    return kernels


async def test_gate_asks_over_every_cable_from_both_ends(mesh: Topology, healthy: dict[str, Kernel]) -> None:
    assert await Links(mesh).verify(cluster_of(mesh, healthy)) == []
    pings = [line for kernel in healthy.values() for line in kernel.host.queried if line.startswith("ping")]
    assert len(pings) == 2 * len(mesh.cables)
    assert "ping -n -q -M do -s 1472 -c 1 -W 1 -I eth1 192.168.11.2" in pings


async def test_cable_that_carries_only_small_packets(mesh: Topology, healthy: dict[str, Kernel]) -> None:
    healthy["node1"].host.on("ping *-s 1472 *-I eth1 *", status=1)
    [problem] = await Links(mesh).verify(cluster_of(mesh, healthy))
    assert problem.what == "node1:eth1 <-> node2:eth2 does not carry its MTU"
    assert problem.seen == "84 bytes pass, 1500 don't"


async def test_dead_cable_is_named(mesh: Topology, healthy: dict[str, Kernel]) -> None:
    healthy["node1"].host.on("ping *-I eth1 *", status=1)
    [problem] = await Links(mesh).verify(cluster_of(mesh, healthy))
    assert problem.what == "no answer over node1:eth1 <-> node2:eth2"
    assert "192.168.11.2 (node2:eth2)" in problem.expected


async def test_gate_waits_for_the_packages_where_ping_is_missing(mesh: Topology, healthy: dict[str, Kernel]) -> None:
    for kernel in healthy.values():
        kernel.host.on("sh -c command -v ping", "/usr/bin/ping\n")
    role = Links(mesh)
    await role.prepare(cluster_of(mesh, healthy))
    assert role.gate_timeout() == mesh.timeouts.gate
    healthy["node2"].host.on("sh -c command -v ping", status=127).on("ping *", status=127)
    await role.prepare(cluster_of(mesh, healthy))
    assert role.gate_timeout() == mesh.timeouts.gate + mesh.timeouts.packages
    problems = await role.verify(cluster_of(mesh, healthy))
    assert {(p.host, p.what, p.final) for p in problems} == {("node2", "ping is not installed", False)}


async def test_cluster_without_uplink_leaves_the_other_nics_alone(mesh: Topology) -> None:
    alone = replace(mesh, uplink=None, nodes=tuple(replace(node, uplink_nic=None) for node in mesh.nodes))
    assert not [path for path in Links(alone).render(alone.nodes[0]) if "eth3" in path]
