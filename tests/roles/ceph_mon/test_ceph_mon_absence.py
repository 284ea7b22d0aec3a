"""Monitors before and after an absence."""

from pathlib import Path
from typing import Any

import pytest

from meshctl.cluster import Cluster
from meshctl.roles.ceph_mon import absence
from tests.roles import golden
from tests.roles.absencehost import AbsenceHost, cluster_of

NAMES = ("node1", "node2", "node3")
EXIT, ENTER = "ceph daemon mon.node1 quorum exit", "ceph daemon mon.node1 quorum enter"


class World:
    """Three monitors; whoever is in the quorum."""

    def __init__(self) -> None:
        self.quorum = set(NAMES)
        self.ok: Any = {}

    def status(self, _: dict[str, Any]) -> dict[str, Any]:
        mons = [{"rank": n, "name": name, "public_addrs": {"addrvec": []}} for n, name in enumerate(NAMES)]
        quorum = [n for n, name in enumerate(NAMES) if name in self.quorum]
        return {"state": "peon", "quorum": quorum, "monmap": {"mons": mons}}

    def host(self, name: str) -> AbsenceHost:
        host = AbsenceHost(name=name, units={f"ceph-mon@{name}.service": "active"})
        host.ceph = {"mon_status": self.status, "mon ok-to-stop": lambda _: self.ok}
        host.on(EXIT, then=lambda: self.quorum.discard("node1")).on(ENTER, then=lambda: self.quorum.add("node1"))
        return host


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def hosts(world: World) -> list[AbsenceHost]:
    return [world.host(name) for name in NAMES]


@pytest.fixture
def cluster(hosts: list[AbsenceHost], tmp_path: Path) -> Cluster:
    return cluster_of(golden.topology("triangle"), hosts, tmp_path)


async def test_it_leaves_the_quorum_before_it_stops(cluster: Cluster, hosts: list[AbsenceHost]) -> None:
    node = cluster.topology.nodes[0]
    for _run in range(2):
        await absence.drain(node, hosts[0], cluster)
        assert hosts[0].ran == [EXIT, "systemctl stop ceph-mon@node1.service"]


async def test_a_drain_killed_after_the_exit_goes_on(cluster: Cluster, hosts: list[AbsenceHost], world: World) -> None:
    world.quorum.discard("node1")
    await absence.drain(cluster.topology.nodes[0], hosts[0], cluster)
    assert hosts[0].ran == ["systemctl stop ceph-mon@node1.service"]


async def test_one_that_was_told_to_stay_out_is_let_in_again(
    cluster: Cluster, hosts: list[AbsenceHost], world: World
) -> None:
    world.quorum.discard("node1")
    await absence.restore(cluster.topology.nodes[0], hosts[0], cluster, by_itself=0.01)
    assert hosts[0].ran == [ENTER]
    await absence.restore(cluster.topology.nodes[0], hosts[0], cluster, by_itself=0.01)
    assert hosts[0].ran == [ENTER]


async def test_the_monitors_may_object(cluster: Cluster, world: World) -> None:
    node = cluster.topology.nodes[0]
    assert await absence.spare(node, cluster) == []
    world.ok = "not enough monitors would be available (node2) after stopping mons [node1]"
    assert await absence.spare(node, cluster) == [world.ok]
