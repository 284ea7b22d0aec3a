"""What a cut runs on the hosts, in which order, and that everything is put back whatever happens."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.certify.cuts import armed
from meshctl.certify.measure import iperf
from meshctl.certify.rehearse import isolates, rehearse, steady, took
from meshctl.cluster import Cluster
from meshctl.errors import CommandError, HostError
from meshctl.host.base import Result
from meshctl.host.fake import FakeHost
from meshctl.state import StateFolder
from tests.roles import golden
from tests.unit.certify.measurements import TRIANGLE

ROUTE = '[{"dst": "10.50.1.2", "gateway": "%s", "dev": "eth2"}]'


def cluster(tmp_path: Path) -> tuple[Cluster, dict[str, FakeHost]]:
    hosts = {node.name: FakeHost(node.name) for node in TRIANGLE.nodes}
    for host in hosts.values():
        host.on("ip link set dev *").on("sh -c exec vtysh *")
    return Cluster(TRIANGLE, hosts, StateFolder(tmp_path)), hosts


async def test_both_ends_are_armed_before_and_restored_after(tmp_path: Path) -> None:
    mesh, hosts = cluster(tmp_path)
    async with armed(mesh, 0) as link:
        for host, nic in (("node1", "eth1"), ("node2", "eth2")):
            (armed_with,) = hosts[host].safeguards
            assert "systemd-run" in armed_with
            assert armed_with.endswith(f"sh {nic} no ip ospf cost 240")
        await link.raise_costs()
        await link.pull()
    assert [line.split()[-4:] for line in hosts["node2"].ran] == [["ip", "ospf", "cost", "65535"]]
    assert hosts["node1"].ran[-1] == "ip link set dev eth1 down"
    for host in ("node1", "node2"):
        restored = hosts[host].safeguards[-1]
        assert 'ip link set dev "$1" up' in restored
        assert "systemctl stop" in restored
    assert hosts["node3"].safeguards == []


async def test_restored_when_the_measurement_fails(tmp_path: Path) -> None:
    mesh, hosts = cluster(tmp_path)
    with pytest.raises(HostError, match="gone"):
        async with armed(mesh, 0):
            raise HostError("node3", "gone")
    assert [len(hosts[name].safeguards) for name in ("node1", "node2", "node3")] == [2, 2, 0]


class Slow(FakeHost):
    """Takes a while for everything."""

    async def safeguard(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout: float = 60,  # noqa: ASYNC109  (contract of Host)
        fresh: float | None = None,
    ) -> Result | None:
        for _ in range(5):
            await asyncio.sleep(0)
        return await super().safeguard(argv, stdin=stdin, timeout=timeout, fresh=fresh)


async def test_when_one_end_can_not_be_restored_the_other_is_waited_for(tmp_path: Path) -> None:
    """The locks are given back after it."""
    mesh, hosts = cluster(tmp_path)
    slow = Slow("node2")
    with pytest.raises(CommandError, match="gone"):
        async with armed(replace(mesh, hosts={**hosts, "node2": slow}), 0):
            hosts["node1"].on("sh -c ip link set*", status=1, stderr="gone")
    assert ["systemctl stop" in line for line in slow.safeguards][-1]
    assert len(slow.safeguards) == 2


async def test_a_cost_of_the_topology_is_given_back(tmp_path: Path) -> None:
    mesh, hosts = cluster(tmp_path)
    node = TRIANGLE.nodes[0]
    costly = replace(node, ports=tuple(replace(port, cost=7) for port in node.ports))
    async with armed(replace(mesh, topology=replace(TRIANGLE, nodes=(costly, *TRIANGLE.nodes[1:]))), 0) as link:
        await link.lower_costs()
    assert hosts["node1"].ran[0].endswith("sh eth1 ip ospf cost 7")
    assert hosts["node2"].ran[0].endswith("sh eth2 no ip ospf cost")


async def test_what_leads_through_a_link_is_counted_when_routes_stand_still() -> None:
    """One look too early, and the cut would wait for a number of routes that never comes back."""
    looks = iter([(1, 2), (2, 2), (2, 2), (9, 9)])

    async def usage() -> tuple[int, ...]:
        return next(looks)

    assert await steady(usage) == (2, 2)


def test_the_last_path_is_spared() -> None:
    assert isolates(TRIANGLE, 0, ()) == ""
    assert isolates(TRIANGLE, 1, (0,)) == "it is the last path of node2"
    assert isolates(golden.topology("ring"), 0, ()) == ""
    assert isolates(golden.topology("ring"), 0, (2,)) != ""


async def test_nothing_is_cut_when_every_cable_is_the_last_path(tmp_path: Path) -> None:
    mesh, hosts = cluster(tmp_path)
    cuts = await rehearse(mesh, {0}, lambda _text: None)
    assert all(cut.skipped for cut in cuts)
    assert len(cuts) == 6
    assert all(host.ran == host.safeguards == [] for host in hosts.values())


async def test_the_way_around_is_named_by_host(tmp_path: Path) -> None:
    mesh, hosts = cluster(tmp_path)
    async with armed(mesh, 0) as link:
        third = next(port for port in TRIANGLE.node("node1").ports if port.peer == "node3")
        direct = next(port for port in TRIANGLE.node("node2").ports if port.peer == "node1")
        hosts["node1"].on("ip -j route get 10.50.1.2", ROUTE % third.peer_address.ip)
        hosts["node2"].on("ip -j route get 10.50.1.1", ROUTE % direct.peer_address.ip)
        assert await took(mesh, link.ends) == {"node1": "node3", "node2": ""}


async def test_an_iperf3_that_does_not_start_is_no_figure_and_no_end_of_the_measuring() -> None:
    one, two = (FakeHost(name).on("sh -c command -v iperf3", "/usr/bin/iperf3\n") for name in ("node1", "node2"))
    two.on("sh -c ss *", status=1).on(
        "timeout * iperf3 -s *", status=1, stderr="iperf3: error - unable to start listener: Address already in use\n"
    )
    found = await iperf(one, two, TRIANGLE.nodes[0].ports[0], rate=10, seconds=1)
    assert found.mbit is None
    assert found.missing.startswith(
        "waited 0 s for iperf3 on node2; last seen: it ended with 1: iperf3: error - unable"
    )
    assert one.queried == ["sh -c command -v iperf3"]


async def test_without_iperf3_it_says_where_it_is_missing() -> None:
    one = FakeHost("node1").on("sh -c command -v iperf3", status=127)
    two = FakeHost("node2").on("sh -c command -v iperf3", "/usr/bin/iperf3\n")
    found = await iperf(one, two, TRIANGLE.nodes[0].ports[0], rate=10, seconds=1)
    assert (found.mbit, found.missing) == (None, "iperf3 is not installed on node1")


def test_cable_on_a_switch_of_all_is_never_cut() -> None:
    """Its NICs are the only ones of both hosts."""
    topology = golden.topology("switched")
    assert isolates(topology, 0, ()) == "its NICs lead to all other hosts, too"
