"""A manager on a host that goes away for a while, and comes back."""

from pathlib import Path
from typing import Any

import pytest

from meshctl.errors import WaitError
from meshctl.roles.ceph_mgr import absence
from tests.roles import golden
from tests.roles.absencehost import AbsenceHost, cluster_of

TRIANGLE = golden.topology("triangle")
NODE1 = TRIANGLE.nodes[0]
UNIT = "ceph-mgr@node1.service"


class Quick(AbsenceHost):
    async def until(self, what, probe, *, timeout, every=0.2):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ASYNC109
        await super().until(what, probe, timeout=min(timeout, 0.05), every=min(every, 0.001))


def world(active: str, heir: str = "node2") -> list[Quick]:
    """`heir` is active once `active` has failed, at the second look."""
    now = [active]

    def stat(_: dict[str, Any]) -> dict[str, Any]:
        seen = now[0]
        if not seen:
            now[0] = heir
        return {"epoch": 1, "active_name": seen, "available": bool(seen), "num_standby": 2}

    def fail(_: dict[str, Any]) -> dict[str, Any]:
        now[0] = ""
        return {}

    ceph = {"mgr stat": stat, "mgr fail": fail}
    return [Quick(name=node.name, ceph=ceph, units={UNIT: "active"}) for node in TRIANGLE.nodes]


async def test_another_manager_is_ready_before_this_one_stops(tmp_path: Path) -> None:
    hosts = world("node1")
    mesh = cluster_of(TRIANGLE, hosts, tmp_path)
    await absence.drain(NODE1, hosts[0], mesh)
    assert len(hosts[1].ran) == 1
    assert "mgr fail" in hosts[1].ran[0]
    assert hosts[0].ran == [f"systemctl stop {UNIT}"]
    await absence.drain(NODE1, hosts[0], mesh)
    assert (len(hosts[0].ran), len(hosts[1].ran)) == (1, 1)


async def test_a_standby_just_stops(tmp_path: Path) -> None:
    hosts = world("node2")
    await absence.drain(NODE1, hosts[0], cluster_of(TRIANGLE, hosts, tmp_path))
    assert hosts[1].ran == []
    assert hosts[0].ran == [f"systemctl stop {UNIT}"]


async def test_the_last_manager_stays(tmp_path: Path) -> None:
    hosts = world("node1", heir="node1")
    with pytest.raises(WaitError, match="another active manager"):
        await absence.drain(NODE1, hosts[0], cluster_of(TRIANGLE, hosts, tmp_path))
    assert hosts[0].ran == []


async def test_it_starts_again(tmp_path: Path) -> None:
    hosts = world("node2")
    mesh = cluster_of(TRIANGLE, hosts, tmp_path)
    hosts[0].units[UNIT] = "inactive"
    await absence.restore(NODE1, hosts[0], mesh)
    assert hosts[0].units[UNIT] == "active"
    ran = list(hosts[0].ran)
    await absence.restore(NODE1, hosts[0], mesh)
    assert hosts[0].ran == ran
