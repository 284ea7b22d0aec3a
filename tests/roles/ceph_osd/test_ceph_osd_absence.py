"""OSDs before and after an absence."""

from pathlib import Path
from typing import Any

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError
from meshctl.roles.ceph_osd import absence
from tests.roles import golden
from tests.roles.absencehost import AbsenceHost, cluster_of


class World:
    """One OSD per host, osd.0 on node1; placement groups follow whoever is up."""

    def __init__(self) -> None:
        self.up = {0, 1, 2}
        self.flags: dict[str, list[str]] = {}
        self.ok_to_stop: Any = {"ok_to_stop": True}
        self.commands = {
            "osd tree": {
                "nodes": [{"id": -2 - n, "type": "host", "name": f"node{n + 1}", "children": [n]} for n in range(3)]
            },
            "osd dump": lambda _: {
                "osds": [{"osd": n, "up": int(n in self.up)} for n in range(3)],
                "crush_node_flags": self.flags,
            },
            "osd ok-to-stop": lambda _: self.ok_to_stop,
            "osd set-group": self.set,
            "osd unset-group": self.unset,
            "pg dump": lambda _: {"pg_stats": [self.group("1.0"), self.group("1.1")]},
        }

    def set(self, command: dict[str, Any]) -> dict[str, Any]:
        self.flags = {name: [command["flags"]] for name in command["who"]}
        return {}

    def unset(self, command: dict[str, Any]) -> dict[str, Any]:
        self.flags = {name: flags for name, flags in self.flags.items() if name not in command["who"]}
        return {}

    def group(self, name: str) -> dict[str, Any]:
        state = "active+clean" if len(self.up) == 3 else "active+undersized+degraded"
        return {"pgid": name, "state": state, "acting": sorted(self.up)}

    def stopped(self, unit: str) -> None:
        self.up -= {int(unit.removeprefix("ceph-osd@").removesuffix(".service"))}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def hosts(world: World) -> list[AbsenceHost]:
    return [
        AbsenceHost(
            name=f"node{n + 1}",
            units={f"ceph-osd@{n}.service": "active"},
            ceph=world.commands,
            stopped=world.stopped,
        )
        for n in range(3)
    ]


@pytest.fixture
def cluster(hosts: list[AbsenceHost], tmp_path: Path) -> Cluster:
    return cluster_of(golden.topology("triangle"), hosts, tmp_path)


async def test_noout_is_set_under_the_eyes_of_all_others(
    cluster: Cluster, hosts: list[AbsenceHost], world: World
) -> None:
    node = cluster.topology.nodes[0]
    await absence.expect(node, hosts[0], cluster)
    assert world.flags == {"node1": ["noout"]}
    assert hosts[0].safeguards == []
    for other in hosts[1:]:
        (vigil,) = other.safeguards
        assert "meshctl-vigil-noout-node1.service" in vigil
        assert vigil.endswith("ceph --connect-timeout 10 osd unset-group noout node1")


async def test_osds_stop_once(cluster: Cluster, hosts: list[AbsenceHost], world: World) -> None:
    node = cluster.topology.nodes[0]
    await absence.drain(node, hosts[0], cluster)
    assert hosts[0].ran == ["systemctl stop ceph-osd@0.service"]
    assert world.up == {1, 2}
    await absence.drain(node, hosts[0], cluster)
    assert hosts[0].ran == ["systemctl stop ceph-osd@0.service"]


async def test_osds_that_are_missed_do_not_stop(cluster: Cluster, hosts: list[AbsenceHost], world: World) -> None:
    world.ok_to_stop = "1 PGs would become inactive"
    node = cluster.topology.nodes[0]
    assert await absence.spare(node, cluster) == ["1 PGs would become inactive"]
    with pytest.raises(RefusedError, match="1 PGs would become inactive"):
        await absence.drain(node, hosts[0], cluster)
    assert hosts[0].ran == []


async def test_restoring_takes_the_flag_away_last(cluster: Cluster, hosts: list[AbsenceHost], world: World) -> None:
    node = cluster.topology.nodes[0]
    world.flags = {"node1": ["noout"]}
    await absence.restore(node, hosts[0], cluster)
    assert world.flags == {}
    assert hosts[0].ran == []  # its OSD runs: the host has rebooted
    assert any("unset-group" in line for line in hosts[1].ran)
    assert all("meshctl-vigil-noout-node1" in other.safeguards[-1] for other in hosts[1:])


async def test_restoring_what_is_whole_changes_nothing(cluster: Cluster, hosts: list[AbsenceHost]) -> None:
    await absence.restore(cluster.topology.nodes[0], hosts[0], cluster)
    assert [host.ran for host in hosts] == [[], [], []]
