"""A host that is gone for good in OVN."""

import json
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.host.base import Result
from meshctl.host.fake import FakeHost
from meshctl.roles.ovn import departure
from meshctl.roles.ovn.databases import databases
from tests.roles import golden
from tests.roles.absencehost import cluster_of
from tests.roles.departurehost import Nobody

TRIANGLE = golden.topology("triangle")
NODE3 = TRIANGLE.nodes[2]
DATA = Path(__file__).parent / "data"
CLUSTER = "3f352999-b128-4fec-9a89-8557a50752b1"


class Survivor(FakeHost):
    """A member of both clusters."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.members = {db.letter: ["node1", "node2", "node3"] for db in databases(TRIANGLE)}
        self.chassis = ["node1", "node2", "node3"]
        self.silences = 0

    def _answer(self, argv, ok) -> Result:  # type: ignore[no-untyped-def]  # noqa: ANN001
        words = list(argv)
        for db in databases(TRIANGLE):
            if words == db.status():
                servers = [f"    1cae (1cae at {db.raft(TRIANGLE.node(n))})" for n in self.members[db.letter]]
                return Result(tuple(words), 0, "\n".join(["Status: cluster member", "Leader: 1cae", *servers]), "")
            if words[:-1] == ["ovs-appctl", "-t", db.control, "cluster/kick", db.schema]:
                self.members[db.letter] = [n for n in self.members[db.letter] if db.raft(TRIANGLE.node(n)) != words[-1]]
                return Result(tuple(words), 0, "started removal\n", "")
        if words[0] == "ovsdb-client":
            if self.silences:
                self.silences -= 1
                return Result(tuple(words), 1, "", "no leader")
            rows = [{"rows": [{"name": name} for name in self.chassis]}, {"rows": []}]
            return Result(tuple(words), 0, json.dumps(rows), "")
        if words[0] == "ovn-sbctl":
            self.chassis.remove(words[-1])
            return Result(tuple(words), 0, "", "")
        return super()._answer(argv, ok)


def machine(*, member: bool) -> FakeHost:
    host = FakeHost(name="node3")
    for db in databases(TRIANGLE):
        store = f"clustered\n{db.raft(NODE3)}\n{CLUSTER}\n" if member else "absent\n"
        host.on(f"sh -c * {db.file} *", store)
    return host


def cluster(place: FakeHost, tmp_path: Path) -> tuple[Survivor, Cluster]:
    other = Survivor("node1")
    return other, cluster_of(TRIANGLE, [other, Survivor("node2"), place], tmp_path)


@pytest.mark.parametrize("place", [machine(member=False), Nobody(name="node3")])
async def test_dead_members_are_kicked_and_the_chassis_goes(place: FakeHost, tmp_path: Path) -> None:
    other, mesh = cluster(place, tmp_path)
    assert await departure.claims(NODE3, place, mesh) == [
        "member node3 of OVN_Northbound",
        "member node3 of OVN_Southbound",
        "chassis node3 of OVN",
    ]
    await departure.forget(NODE3, place, mesh)
    assert other.members == {"nb": ["node1", "node2"], "sb": ["node1", "node2"]}
    assert other.chassis == ["node1", "node2"]
    (removal,) = (line for line in other.ran if line.startswith("ovn-sbctl"))
    assert "--db=ssl:10.50.1.1:6642,ssl:10.50.1.2:6642 " in removal
    ran = list(other.ran)
    await departure.forget(NODE3, place, mesh)
    assert other.ran == ran
    assert await departure.claims(NODE3, place, mesh) == []


async def test_chassis_goes_although_the_database_has_no_leader_at_first(tmp_path: Path) -> None:
    other, mesh = cluster(machine(member=False), tmp_path)
    other.silences = 2
    await departure.forget(NODE3, mesh.host(NODE3), mesh)
    assert other.chassis == ["node1", "node2"]


async def test_a_successor_that_is_a_member_stays(tmp_path: Path) -> None:
    place = machine(member=True)
    other, mesh = cluster(place, tmp_path)
    assert await departure.claims(NODE3, place, mesh) == []
    await departure.forget(NODE3, place, mesh)
    assert other.ran == []
