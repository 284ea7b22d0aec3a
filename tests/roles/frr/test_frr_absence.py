"""Transit traffic leaves a host before it goes."""

import json
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.host.fake import FakeHost
from meshctl.roles.frr import absence
from meshctl.roles.frr.ospf import Ospf
from tests.roles import golden
from tests.roles.absencehost import cluster_of

RAISE = "vtysh -c configure terminal -c router ospf -c max-metric router-lsa administrative"
LOWER = "vtysh -c configure terminal -c router ospf -c no max-metric router-lsa administrative"
RUNNING = " zebra ospfd bfdd\nrouter ospf\n{}exit\n"


def routes(gateway: str) -> str:
    return json.dumps([{"dst": "10.50.1.3", "protocol": "ospf", "gateway": gateway}])


def host(name: str, line: str = "") -> FakeHost:
    fake = FakeHost(name).on("*vtysh -c show daemons*", RUNNING.format(line)).on("ip -j -4 route show", routes("x"))
    fake.on("systemctl show*", "Id=frr.service\nActiveState=active\n")

    def runs(line: str) -> None:
        fake.on("*vtysh -c show daemons*", RUNNING.format(line))

    fake.on(RAISE, then=lambda: runs(f" {Ospf.avoid}\n"))
    return fake.on(LOWER, then=lambda: runs(""))


@pytest.fixture
def hosts() -> list[FakeHost]:
    return [host(node.name) for node in golden.topology("triangle").nodes]


@pytest.fixture
def cluster(hosts: list[FakeHost], tmp_path: Path) -> Cluster:
    return cluster_of(golden.topology("triangle"), hosts, tmp_path)


async def test_costs_are_raised_once_and_lowered_once(cluster: Cluster, hosts: list[FakeHost]) -> None:
    node = cluster.topology.nodes[0]
    await absence.drain(node, hosts[0], cluster)
    await absence.drain(node, hosts[0], cluster)
    assert hosts[0].ran == [RAISE]
    await absence.restore(node, hosts[0], cluster)
    await absence.restore(node, hosts[0], cluster)
    assert hosts[0].ran == [RAISE, LOWER]


async def test_it_waits_for_the_others_to_route_around(cluster: Cluster, hosts: list[FakeHost]) -> None:
    node = cluster.topology.nodes[0]
    door = str(node.ports[0].address.ip)
    around = hosts[1].on("ip -j -4 route show", routes(door))
    looks = 0

    def converge() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            around.on("ip -j -4 route show", routes("192.0.2.1"))

    around.on("ip -j -4 route show", routes(door), then=converge)
    await absence.drain(node, hosts[0], cluster)
    assert looks == 2


def test_next_hops() -> None:
    several = [{"dst": "10.50.1.2", "nexthops": [{"gateway": "192.0.2.1"}, {"gateway": "192.0.2.5"}]}]
    assert absence.gateways(json.dumps(several)) == {"10.50.1.2": frozenset({"192.0.2.1", "192.0.2.5"})}
    assert absence.gateways('[{"dst": "10.0.0.0/8", "scope": "link"}]') == {"10.0.0.0/8": frozenset({""})}
    with pytest.raises(ValueError, match="Expecting"):
        absence.gateways("no JSON")
