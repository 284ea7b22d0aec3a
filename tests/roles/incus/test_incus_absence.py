"""Incus on a host that goes away for a while, and comes back."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import WaitError
from meshctl.host.base import Result
from meshctl.roles.incus import absence
from tests.roles import golden
from tests.roles.absencehost import AbsenceHost, cluster_of

TRIANGLE = golden.topology("triangle")
NODE3 = TRIANGLE.nodes[2]
EVACUATE = "incus cluster evacuate -q --force node3"
RESTORE = "incus cluster restore -q --force node3"


@dataclass
class Member(AbsenceHost):
    """All share what the database says of the members."""

    status: dict[str, str] = field(default_factory=dict)
    late: int = 0
    """So many times yet all look Offline."""

    def _answer(self, argv: Sequence[str], ok: Collection[int] | None) -> Result:
        words = list(argv)
        if words[:2] == ["incus", "query"]:
            return Result(tuple(words), 0, json.dumps([self._entry(name) for name in self.status]), "")
        if words[:2] == ["incus", "cluster"]:
            self.status[words[-1]] = "Evacuated" if words[2] == "evacuate" else "Online"
            return Result(tuple(words), 0, "", "")
        return super()._answer(argv, ok)

    def _entry(self, name: str) -> dict[str, object]:
        self.late -= self.late > 0 and name == "node1"
        status = "Offline" if self.late else self.status[name]
        return {"server_name": name, "status": status, "roles": [], "url": f"https://{name}"}

    async def until(self, what, probe, *, timeout, every=0.2):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ASYNC109
        await super().until(what, probe, timeout=min(timeout, 0.2), every=min(every, 0.001))


@pytest.fixture
def hosts() -> list[Member]:
    status = {node.name: "Online" for node in TRIANGLE.nodes}
    units = dict.fromkeys(absence.UNITS, "active")
    return [Member(name=node.name, status=status, units=dict(units)) for node in TRIANGLE.nodes]


@pytest.fixture
def mesh(hosts: list[Member], tmp_path: Path) -> Cluster:
    return cluster_of(TRIANGLE, hosts, tmp_path)


async def test_instances_move_before_the_daemon_stops(hosts: list[Member], mesh: Cluster) -> None:
    await absence.drain(NODE3, hosts[2], mesh)
    assert hosts[0].ran == [EVACUATE]
    assert hosts[2].ran == [f"systemctl stop {' '.join(absence.UNITS)}"]
    await absence.drain(NODE3, hosts[2], mesh)
    assert (len(hosts[0].ran), len(hosts[2].ran)) == (1, 1)


async def test_what_stopped_comes_back(hosts: list[Member], mesh: Cluster) -> None:
    await absence.drain(NODE3, hosts[2], mesh)
    hosts[2].ran.clear()
    await absence.restore(NODE3, hosts[2], mesh)
    start = "systemctl start incus.socket incus-user.socket incus-startup.service incus.service"
    assert hosts[2].ran == [start, RESTORE]
    assert set(hosts[2].units.values()) == {"active"}
    await absence.restore(NODE3, hosts[2], mesh)
    assert hosts[2].ran == [start, RESTORE]


async def test_instances_move_although_all_members_look_offline_at_first(hosts: list[Member], mesh: Cluster) -> None:
    """As for some seconds after a leader's death; without the move they would die with their host."""
    hosts[0].late = 3
    await absence.drain(NODE3, hosts[2], mesh)
    assert hosts[0].ran == [EVACUATE]


async def test_nothing_stops_while_the_database_says_nothing(hosts: list[Member], mesh: Cluster) -> None:
    hosts[0].late = 10**9
    with pytest.raises(WaitError, match="Incus' database"):
        await absence.drain(NODE3, hosts[2], mesh)
    assert hosts[0].ran == hosts[2].ran == []
