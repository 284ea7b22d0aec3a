"""A monitor that is gone for good."""

from pathlib import Path
from typing import Any

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError
from meshctl.host.fake import FakeHost
from meshctl.roles.ceph_mon import departure
from tests.roles import golden
from tests.roles.absencehost import cluster_of
from tests.roles.departurehost import Nobody, QuickHost

TRIANGLE = golden.topology("triangle")
NODE3 = TRIANGLE.nodes[2]


class World:
    def __init__(self) -> None:
        self.map = ["node1", "node2", "node3"]
        self.quorum = ["node1", "node2"]
        self.commands: dict[str, Any] = {"quorum_status": lambda _: self.status(), "mon rm": self.remove}

    def status(self) -> dict[str, Any]:
        return {"monmap": {"mons": [{"name": name} for name in self.map]}, "quorum_names": self.quorum}

    def remove(self, command: dict[str, Any]) -> dict[str, Any]:
        self.map.remove(command["name"])
        return {}


def cluster(world: World, place: FakeHost, tmp_path: Path) -> Cluster:
    return cluster_of(
        TRIANGLE, [*(QuickHost(name=n, ceph=world.commands) for n in ("node1", "node2")), place], tmp_path
    )


def empty(*, store: bool = False) -> FakeHost:
    return FakeHost(name="node3").on("test -s *", status=0 if store else 1)


@pytest.mark.parametrize("place", [empty(), Nobody(name="node3")])
async def test_the_dead_one_leaves_the_map(place: FakeHost, tmp_path: Path) -> None:
    world = World()
    mesh = cluster(world, place, tmp_path)
    assert await departure.claims(NODE3, place, mesh) == ["monitor node3 of Ceph"]
    await departure.forget(NODE3, place, mesh)
    assert world.map == ["node1", "node2"]
    assert await departure.claims(NODE3, place, mesh) == []
    await departure.forget(NODE3, place, mesh)


async def test_a_successor_stays(tmp_path: Path) -> None:
    """An interrupted run has made its store already."""
    world, place = World(), empty(store=True)
    await departure.forget(NODE3, place, cluster(world, place, tmp_path))
    assert world.map == ["node1", "node2", "node3"]


async def test_one_that_lives_elsewhere_is_left_alone(tmp_path: Path) -> None:
    world, place = World(), empty()
    world.quorum.append("node3")
    with pytest.raises(RefusedError, match="its monitor is alive"):
        await departure.forget(NODE3, place, cluster(world, place, tmp_path))
    assert world.map == ["node1", "node2", "node3"]
