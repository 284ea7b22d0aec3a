import json
from collections.abc import Callable
from pathlib import Path

import pytest

from meshctl.errors import RefusedError
from meshctl.roles import incusapi
from meshctl.roles.incus_storage import parse
from meshctl.roles.incus_storage.role import IncusStorageRole
from meshctl.topology import Topology
from tests.roles import golden, incusworld
from tests.roles.incusworld import IncusHost, KilledError, World

POOLS = (Path(__file__).parent / "data" / "pools.json").read_text()


@pytest.fixture
def triangle() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def incus(triangle: Topology) -> World:
    return incusworld.world(triangle).found("node1", "node2", "node3")


@pytest.fixture
def hosts(triangle: Topology, incus: World) -> dict[str, IncusHost]:
    hosts = incusworld.hosts(triangle, incus)
    hosts["node1"].on("rbd --id incus ls incus")
    return hosts


async def apply(topology: Topology, hosts: dict[str, IncusHost], notes: list[str] | None = None) -> None:
    cluster = incusworld.cluster(topology, hosts, [] if notes is None else notes)
    await IncusStorageRole(topology).apply(topology.nodes[0], cluster.leader, cluster)


async def verify(topology: Topology, hosts: dict[str, IncusHost]) -> list[str]:
    return [p.what for p in await IncusStorageRole(topology).verify(incusworld.cluster(topology, hosts, []))]


def test_pools_of_a_lab_cluster() -> None:
    pools = incusapi.pools(json.loads(POOLS))
    everywhere = ["node1", "node2", "node3"]
    assert pools["local"].kind == "dir"
    assert pools["remote"].kind == "ceph"
    assert pools["remote"].created_on(everywhere)
    assert not pools["remote"].created_on([*everywhere, "node4"])
    assert pools["remote"].config["ceph.osd.pool_name"] == "incus"


def test_images_in_the_osd_pool() -> None:
    assert parse.images("incus_incus\nimage_abc\n") == {parse.placeholder("incus"), "image_abc"}
    assert parse.images("") == frozenset()


async def test_pending_on_each_member_then_for_all(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    await apply(triangle, hosts)
    made = [line for line in hosts["node1"].ran if "storage-pools" in line]
    assert [line.rsplit("/", 1)[1] for line in made] == [
        "storage-pools?target=node1",
        "storage-pools?target=node2",
        "storage-pools?target=node3",
        "storage-pools",
    ]
    assert '"source": "incus"' in made[0]
    assert '"ceph.user.name": "incus"' in made[3]
    assert incus.devices == {"root": {"type": "disk", "path": "/", "pool": "remote"}}
    assert await verify(triangle, hosts) == []


async def test_second_run_changes_nothing(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    await apply(triangle, hosts)
    before = incusworld.changes(hosts)
    await apply(triangle, hosts)
    assert incusworld.changes(hosts) == before


@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_killed_before_a_request(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World, number: int
) -> None:
    kind = "incus profile" if number == 4 else "incus query --wait -X POST"
    incus.killed_before = kind
    if number > 1:
        incus.pools["remote"] = {
            "name": "remote",
            "driver": "ceph",
            "status": "Pending",
            "config": {},
            "used_by": [],
            "locations": ["node1", "node2", "node3"][: number - 1],
        }
    with pytest.raises(KilledError):
        await apply(triangle, hosts)
    incus.killed_before = ""
    await apply(triangle, hosts)
    assert incus.pools["remote"]["status"] == "Created"
    assert await verify(triangle, hosts) == []


async def test_an_errored_pool_is_made_again_without_settings(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    """Incus: "Already partially created. Please do not specify any global config when re-running create"."""
    incus.pools["remote"] = {
        "name": "remote",
        "driver": "ceph",
        "status": "Errored",
        "used_by": [],
        "locations": ["node1", "node2", "node3"],
        "config": {"ceph.user.name": "incus", "source": "incus"},
    }
    await apply(triangle, hosts)
    assert await verify(triangle, hosts) == []


async def test_the_mark_of_an_interrupted_attempt_is_removed(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    """Incus would take the OSD pool for another Incus' one."""
    hosts["node1"].on("rbd --id incus ls incus", "incus_incus\n").on(
        "rbd --id incus --no-progress rm incus/incus_incus"
    )
    await apply(triangle, hosts)
    assert "rbd --id incus --no-progress rm incus/incus_incus" in hosts["node1"].ran


async def test_an_osd_pool_with_images_is_refused(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    hosts["node1"].on("rbd --id incus ls incus", "incus_incus\ncontainer_web\n")
    with pytest.raises(RefusedError, match="container_web"):
        await apply(triangle, hosts)
    assert incusworld.changes(hosts) == []


async def test_folders_of_an_interrupted_attempt_are_removed(triangle: Topology, hosts: dict[str, IncusHost]) -> None:
    """Incus: "Storage pool directory already exists"."""
    hosts["node2"].on("test -d /var/lib/incus/storage-pools/remote").on("find /var/lib/incus/storage-pools/remote *")
    await apply(triangle, hosts)
    assert hosts["node2"].ran == ["find /var/lib/incus/storage-pools/remote -depth -type d -empty -delete"]


async def test_a_users_pool_of_that_name_is_refused(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.pools["remote"] = {
        "name": "remote",
        "driver": "zfs",
        "status": "Created",
        "config": {},
        "used_by": [],
        "locations": ["node1"],
    }
    with pytest.raises(RefusedError, match="type zfs"):
        await apply(triangle, hosts)


async def test_a_users_root_disk_is_kept_and_told(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World
) -> None:
    incus.devices["root"] = {"type": "disk", "path": "/", "pool": "local"}
    notes: list[str] = []
    await apply(triangle, hosts, notes)
    assert incus.devices["root"]["pool"] == "local"
    assert notes == ["the default profile of Incus keeps its own root disk (pool=local)"]
    assert await verify(triangle, hosts) == []


async def test_one_host_makes_its_pool_at_once(triangle: Topology) -> None:
    hosts = incusworld.hosts(triangle, incusworld.world(triangle).found("node1"))
    wanted = incusapi.Wanted("storage-pools", "p", "dir", {"a": "1"}, {"node1": {"source": "/x"}})
    await incusapi.make(hosts["node1"], wanted, None)
    (line,) = hosts["node1"].ran
    assert '"config": {"a": "1", "source": "/x"}' in line


def missing(incus: World) -> None:
    del incus.pools["remote"]


def pending(incus: World) -> None:
    incus.pools["remote"]["status"] = "Pending"


def partial(incus: World) -> None:
    incus.pools["remote"]["locations"] = ["node1"]


def elsewhere(incus: World) -> None:
    incus.pools["remote"]["config"]["ceph.osd.pool_name"] = "other"


def rootless(incus: World) -> None:
    incus.devices.clear()


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (missing, "there is no storage pool remote"),
        (pending, "storage pool remote is not everywhere"),
        (partial, "storage pool remote is not everywhere"),
        (elsewhere, "storage pool remote is on something else"),
        (rootless, "the default profile has no root disk"),
    ],
)
async def test_the_gate_names_the_fault(
    triangle: Topology, hosts: dict[str, IncusHost], incus: World, fault: Callable[[World], None], what: str
) -> None:
    await apply(triangle, hosts)
    fault(incus)
    assert await verify(triangle, hosts) == [what]
