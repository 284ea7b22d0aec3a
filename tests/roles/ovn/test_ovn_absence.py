"""OVN on a host that goes away for a while, and comes back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import WaitError
from meshctl.host.base import Result
from meshctl.roles.ovn import absence
from meshctl.roles.ovn.databases import CONTROLLER, NORTHD, databases
from tests.roles import golden
from tests.roles.absencehost import AbsenceHost, cluster_of

TRIANGLE = golden.topology("triangle")
NODE1 = TRIANGLE.nodes[0]
SERVERS = [database.unit for database in databases(TRIANGLE)]
ALL = [CONTROLLER, NORTHD, *SERVERS]


@dataclass
class Member(AbsenceHost):
    """All share who leads which database; another takes over after a few questions, unless nobody can."""

    leaders: dict[str, str] = field(default_factory=dict)
    heir: str = "node2"

    def _answer(self, argv: Sequence[str], ok: Collection[int] | None) -> Result:
        words = list(argv)
        for database in databases(TRIANGLE):
            if words == database.status():
                leader = self.leaders[database.letter]
                role = "leader" if leader == self.name else "follower"
                said = f"Status: cluster member\nRole: {role}\nLeader: {'self' if role == 'leader' else leader}\n"
                self.leaders[database.letter] = {"unknown": self.heir}.get(leader, leader)
                return Result(tuple(words), 0, said, "")
        return super()._answer(argv, ok)

    async def until(self, what, probe, *, timeout, every=0.2):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ASYNC109
        await super().until(what, probe, timeout=min(timeout, 0.05), every=min(every, 0.001))


@pytest.fixture
def hosts() -> list[Member]:
    leaders = {"nb": "node1", "sb": "node3"}
    hosts = [Member(name=n.name, leaders=leaders, units=dict.fromkeys(ALL, "active")) for n in TRIANGLE.nodes]

    def stopped(unit: str) -> None:
        for database in databases(TRIANGLE):
            if unit == database.unit and leaders[database.letter] == "node1":
                leaders[database.letter] = "unknown"

    hosts[0].stopped = stopped
    return hosts


@pytest.fixture
def mesh(hosts: list[Member], tmp_path: Path) -> Cluster:
    return cluster_of(TRIANGLE, hosts, tmp_path)


async def test_the_chassis_signs_off_while_its_database_answers(hosts: list[Member], mesh: Cluster) -> None:
    await absence.drain(NODE1, hosts[0], mesh)
    assert hosts[0].ran == [f"systemctl stop {unit}" for unit in ALL]
    await absence.drain(NODE1, hosts[0], mesh)
    assert len(hosts[0].ran) == len(ALL)


async def test_a_database_without_a_new_leader_keeps_the_other_server(hosts: list[Member], mesh: Cluster) -> None:
    for host in hosts:
        host.heir = "unknown"
    with pytest.raises(WaitError, match="a new leader of OVN_Northbound"):
        await absence.drain(NODE1, hosts[0], mesh)
    assert hosts[0].units[SERVERS[1]] == "active"


async def test_databases_come_back_first(hosts: list[Member], mesh: Cluster) -> None:
    await absence.drain(NODE1, hosts[0], mesh)
    hosts[0].ran.clear()
    await absence.restore(NODE1, hosts[0], mesh)
    starts = [f"systemctl start {' '.join(SERVERS)}", f"systemctl start {NORTHD} {CONTROLLER}"]
    assert hosts[0].ran == starts
    await absence.restore(NODE1, hosts[0], mesh)
    assert hosts[0].ran == starts
