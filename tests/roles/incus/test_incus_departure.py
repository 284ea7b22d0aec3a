"""A member of Incus that is gone for good."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError, WaitError
from meshctl.host.fake import FakeHost
from meshctl.roles.incus import departure
from tests.roles import golden, incusworld
from tests.roles.absencehost import cluster_of
from tests.roles.departurehost import Nobody
from tests.roles.incusworld import IncusHost, KilledError, World

TRIANGLE = golden.topology("triangle")
NODE3 = TRIANGLE.nodes[2]


def instance(name: str, pool: str, *, at: str = "node3", power: str = "RUNNING", status: str = "Error") -> Any:
    return {
        "name": name,
        "project": "default",
        "location": at,
        "status": status,
        "config": {"volatile.last_state.power": power, "volatile.uuid": f"uuid-{name}"},
        "expanded_devices": {"root": {"type": "disk", "pool": pool, "path": "/"}, "eth0": {"type": "nic"}},
    }


class Quick(IncusHost):
    async def until(self, what, probe, *, timeout, every=0.2):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ASYNC109
        await super().until(what, probe, timeout=min(timeout, 0.05), every=min(every, 0.001))


@pytest.fixture
def incus() -> World:
    world = incusworld.world(TRIANGLE).found("node1", "node2", "node3")
    world.status["node3"] = "Offline"
    for name, driver in (("remote", "ceph"), ("local", "dir")):
        world.pools[name] = {
            "name": name,
            "driver": driver,
            "status": "Created",
            "config": {},
            "used_by": [],
            "locations": list(world.members),
        }
    world.instances = [
        instance("web", "remote"),
        instance("idle", "remote", power="STOPPED"),
        instance("scratch", "local"),
        instance("other", "remote", at="node1", status="Running"),
    ]
    return world


def cluster(incus: World, tmp_path: Path, place: FakeHost | None = None) -> tuple[FakeHost, Cluster]:
    there = place or FakeHost(name="node3").on("test -e /var/lib/incus/cluster.crt", status=1)
    return there, cluster_of(TRIANGLE, [*(Quick(name=n, world=incus) for n in ("node1", "node2")), there], tmp_path)


@pytest.mark.parametrize("place", [None, Nobody(name="node3")])
async def test_instances_on_ceph_go_on_and_the_member_goes(
    incus: World, tmp_path: Path, place: FakeHost | None
) -> None:
    there, mesh = cluster(incus, tmp_path, place)
    assert await departure.claims(NODE3, there, mesh) == [
        "instance web goes on elsewhere",
        "instance idle goes on elsewhere",
        "instance scratch is lost: its disks were on the host",
        "node3's membership in Incus, with its local volumes",
    ]
    await departure.forget(NODE3, there, mesh)
    assert {one["name"]: (one["location"], one["status"]) for one in incus.instances} == {
        "web": ("node1", "Running"),
        "idle": ("node2", "Stopped"),
        "other": ("node1", "Running"),
    }
    assert list(incus.members) == ["node1", "node2"]
    assert "10.50.1.3:8443" not in incus.raft
    assert await departure.claims(NODE3, there, mesh) == []


async def test_a_run_that_was_killed_between_taking_over_and_starting_is_gone_on_with(
    incus: World, tmp_path: Path
) -> None:
    there, mesh = cluster(incus, tmp_path)
    incus.killed_before = "incus query --wait -X PUT"
    with pytest.raises(KilledError):
        await departure.forget(NODE3, there, mesh)
    assert [one["status"] for one in incus.instances if one["name"] == "web"] == ["Stopped"]
    incus.killed_before = ""
    await departure.forget(NODE3, there, mesh)
    assert [one["status"] for one in incus.instances if one["name"] == "web"] == ["Running"]


async def test_nothing_is_lost_while_nobody_can_take_it_over(incus: World, tmp_path: Path) -> None:
    """The others may be evacuated, or look Offline for a minute after the death."""
    incus.status |= {"node1": "Evacuated", "node2": "Offline"}
    there, mesh = cluster(incus, tmp_path)
    with pytest.raises(WaitError, match="takes instances over") as caught:
        await departure.forget(NODE3, there, mesh)
    assert "node1 is Evacuated" in caught.value.seen
    assert [one["location"] for one in incus.instances if one["name"] == "web"] == ["node3"]
    assert list(incus.members) == ["node1", "node2", "node3"]


async def test_a_member_is_not_dead_because_all_look_dead(incus: World, tmp_path: Path) -> None:
    """For some seconds after a leader's death Incus calls every member Offline, also those that live."""
    incus.status |= {"node1": "Offline", "node2": "Offline"}
    there, mesh = cluster(incus, tmp_path)
    with pytest.raises(WaitError) as caught:
        await departure.forget(NODE3, there, mesh)
    assert caught.value.seen == "all members look Offline"
    assert list(incus.members) == ["node1", "node2", "node3"]


async def test_an_instance_that_does_not_start_is_told_of_and_stops_nobody(incus: World, tmp_path: Path) -> None:
    there, mesh = cluster(incus, tmp_path)
    incus.broken.add("web")
    notes: list[str] = []
    await departure.forget(NODE3, there, replace(mesh, note=notes.append))
    assert list(incus.members) == ["node1", "node2"]
    (note,) = notes
    assert note.startswith("instance web (default) is on node1 now, and does not start: ")


async def test_a_successor_that_has_joined_stays(incus: World, tmp_path: Path) -> None:
    there, mesh = cluster(incus, tmp_path, FakeHost(name="node3").on("test -e *"))
    assert await departure.claims(NODE3, there, mesh) == []
    await departure.forget(NODE3, there, mesh)
    assert list(incus.members) == ["node1", "node2", "node3"]
    assert "10.50.1.3:8443" in incus.raft


async def test_a_member_that_lives_is_left_alone(incus: World, tmp_path: Path) -> None:
    incus.status["node3"] = "Online"
    there, mesh = cluster(incus, tmp_path)
    with pytest.raises(RefusedError, match="its Incus is Online"):
        await departure.forget(NODE3, there, mesh)
    assert list(incus.members) == ["node1", "node2", "node3"]


# Leaving alive


async def test_a_member_that_lives_is_evacuated_and_leaves(incus: World, tmp_path: Path) -> None:
    incus.status["node3"] = "Online"
    there, mesh = cluster(incus, tmp_path)
    for _ in range(2):
        await departure.leave(NODE3, there, mesh)
    assert list(incus.members) == ["node1", "node2"]
    assert {one["name"]: one["location"] for one in incus.instances}.keys() == {"web", "idle", "scratch", "other"}


async def test_it_does_not_leave_while_an_instance_stays(incus: World, tmp_path: Path) -> None:
    incus.status["node3"] = "Evacuated"
    there, mesh = cluster(incus, tmp_path)
    with pytest.raises(RefusedError, match=r"instances stay there: web \(default\), idle \(default\)"):
        await departure.leave(NODE3, there, mesh)
    assert "node3" in incus.members
